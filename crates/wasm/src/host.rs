//! What the engine asks of its host, here of JavaScript: time. Threads there are none.

use std::sync::Arc;

use engine::Host;
use storage::{Clock, Fs, Inline};
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

struct JsClock;

impl Clock for JsClock {
    fn now_ms(&self) -> i64 {
        js_sys::Date::now() as i64
    }

    fn monotonic_ns(&self) -> u64 {
        (performance_now() * 1e6) as u64
    }
}

/// A host with these files whose calls run on the caller's thread.
pub(crate) fn host(fs: Arc<dyn Fs>) -> Host {
    let inline = Arc::new(Inline);
    Host {
        fs,
        clock: Arc::new(JsClock),
        ingest: inline.clone(),
        query: inline.clone(),
        watch: inline.clone(),
        background: inline.clone(),
        remote: inline,
    }
}
