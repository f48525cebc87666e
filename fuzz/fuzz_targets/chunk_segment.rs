#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tsdb::fuzz::chunk_segment(data));
