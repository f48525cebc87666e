//! The Node.js binding: type conversion only, no logic. The only crate that knows JavaScript.
//!
//! What crosses, and what it costs: a call into the addon takes about 0.2 µs, a promise settled
//! from one of the core's threads about 5 µs, a copied MiB about 100 µs. So bodies cross once, as
//! buffers, and answers come back as finished bytes. Every export catches panics; messages of
//! errors start with a code from `engine::ErrorCode`.
#![allow(unreachable_pub, reason = "napi reaches the exports through what its macro generates")]
#![allow(
    missing_docs,
    reason = "the exports are documented in ts/core/engine.ts, whose interface they satisfy"
)]

mod answers;
mod body;
mod cancel;
mod engine;
mod options;
mod otlp;
mod promise;
mod push;
mod relabel;
mod remote_read;
mod remote_reads;
mod remote_write;
mod sender;
mod syntax;
mod target;
mod tools;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
