//! Promises that the core's own threads settle.

use ::engine::EngineError;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, Error, Result};

type Resolver<V> = Box<dyn FnOnce(Env) -> Result<V>>;

/// What the engine calls when it has finished.
pub(crate) type Done<T> = Box<dyn FnOnce(std::result::Result<T, EngineError>) + Send>;

/// Starts something that ends in a callback, and returns the promise of its converted result.
pub(crate) fn promise<'env, T, V>(
    env: &'env Env,
    convert: impl FnOnce(T) -> V + Send + 'static,
    start: impl FnOnce(Done<T>),
) -> Result<Object<'env>>
where
    T: Send + 'static,
    V: ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred::<V, Resolver<V>>()?;
    start(Box::new(move |result| match result {
        Ok(value) => deferred.resolve(Box::new(move |_| Ok(convert(value)))),
        Err(e) => deferred.reject(to_js(&e)),
    }));
    Ok(promise)
}

/// The error as JavaScript gets it: its message starts with the code.
pub(crate) fn to_js(e: &EngineError) -> Error {
    Error::from_reason(e.to_string())
}
