//! Scripts of the PromQL test language, for tests.

use js_sys::{Array, Error, Object};
use storage::VecStore;
use testkit::promqltest::run;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::convert::object;

/// Runs a script over a store of its own: its statements with their lines, and what went wrong with each.
#[wasm_bindgen(js_name = runScript)]
pub fn run_script(text: &str) -> Result<Array, Error> {
    let report = run(text, &mut VecStore::new()).map_err(|e| Error::new(&e.to_string()))?;
    let one = |s: testkit::promqltest::Statement| -> Object {
        object([
            ("line", (s.line as f64).into()),
            ("query", s.query.into()),
            ("failure", s.failure.map_or(JsValue::NULL, JsValue::from)),
        ])
    };
    Ok(report.statements.into_iter().map(one).collect())
}

/// Panics, so that a test sees what becomes of an instance.
#[wasm_bindgen(js_name = panicNow)]
pub fn panic_now(text: &str) {
    panic!("{text}");
}
