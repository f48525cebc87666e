//! Values that cross: objects out, JSON in, and results of calls that end in a callback.

use std::sync::{Arc, Mutex, PoisonError};

use engine::{Body, EngineError, ErrorCode};
use js_sys::{Error, Object, Reflect, Uint8Array};
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

use crate::fault::to_js;

/// What the engine calls when it has finished.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T, EngineError>) + Send>;

/// Starts something that ends in a callback and returns what it ended with: without threads it has
/// ended when `start` returns.
pub(crate) fn finish<T: Send + 'static>(start: impl FnOnce(Done<T>)) -> Result<T, Error> {
    let slot = Arc::new(Mutex::new(None));
    let filled = slot.clone();
    start(Box::new(move |result| *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(result)));
    let result = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let lost = || Err(EngineError::new(ErrorCode::Internal, "a call did not end"));
    result.unwrap_or_else(lost).map_err(|e| to_js(&e))
}

/// Options as TypeScript wrote them.
pub(crate) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|e| to_js(&EngineError::invalid(e.to_string())))
}

/// An object with these members.
pub(crate) fn object<const N: usize>(members: [(&str, JsValue); N]) -> Object {
    let out = Object::new();
    for (name, value) in members {
        // A new plain object takes every member.
        let _ = Reflect::set(&out, &name.into(), &value);
    }
    out
}

/// A count.
pub(crate) fn number(n: u64) -> JsValue {
    (n as f64).into()
}

/// A body's bytes and what they are compressed with.
pub(crate) fn body(body: Body) -> Object {
    let bytes =
        Uint8Array::new_with_length(u32::try_from(body.len()).expect("a memory of wasm32 holds no more"));
    let mut at = 0;
    for piece in &body.pieces {
        let end = at + piece.len() as u32;
        bytes.subarray(at, end).copy_from(piece);
        at = end;
    }
    object([("bytes", bytes.into()), ("contentEncoding", body.encoding.into())])
}
