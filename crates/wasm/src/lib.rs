//! The WASM binding: type conversion only, no logic. Beside `node` the only crate that knows
//! JavaScript.
//!
//! Two modules are built of it: with the feature `engine` the whole engine over files in memory,
//! without it the syntax services alone. A call runs to its end on the caller's thread. Small things
//! (options, reports) cross as JSON, numbers in bulk and bodies as typed arrays, copied once.
//! Messages of errors start with a code from `engine::ErrorCode`. A panic ends the instance: what it
//! said is kept for [`fault::fault`], everything else in the instance is lost.
#![allow(unreachable_pub, reason = "JavaScript reaches the exports through what their macro generates")]
#![allow(missing_docs, reason = "the exports are documented in ts/core, whose interfaces they satisfy")]

#[cfg(feature = "engine")]
mod answers;
#[cfg(feature = "engine")]
mod convert;
#[cfg(feature = "engine")]
mod database;
mod fault;
#[cfg(feature = "engine")]
mod host;
#[cfg(feature = "engine")]
mod options;
#[cfg(feature = "engine")]
mod otlp;
#[cfg(feature = "engine")]
mod questions;
#[cfg(feature = "testkit")]
mod script;
mod syntax;
#[cfg(feature = "engine")]
mod target;
