#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::fuzz::otlp_json(data));
