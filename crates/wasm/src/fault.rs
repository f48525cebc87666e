//! Errors: those with a code, and the panic that ends an instance.

use std::sync::{Mutex, PoisonError};

use engine::EngineError;
use js_sys::Error;
use wasm_bindgen::prelude::wasm_bindgen;

/// What the last panic said.
static FAULT: Mutex<String> = Mutex::new(String::new());

/// Called by JavaScript as soon as there is an instance.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
}

/// What the panic said that ended this instance; empty where none did.
#[wasm_bindgen]
pub fn fault() -> String {
    FAULT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The error as JavaScript gets it: its message starts with the code.
pub(crate) fn to_js(e: &EngineError) -> Error {
    Error::new(&e.to_string())
}
