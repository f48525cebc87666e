//! The façade over storage, queries and exposition: all that a binding needs, and nothing that
//! knows JavaScript, HTTP or a scheduler.
//!
//! Work that takes a lock, writes or may take longer than 100 µs runs on one of three bounded
//! pools (ingest, query, background) and ends in a callback, so that a binding can settle a promise
//! from there. A query never delays an ingest.

mod active_queries;
pub mod admin;
pub mod block_files;
pub mod body;
pub mod columns;
pub mod embed;
pub mod engine;
pub mod error;
pub mod exemplars_api;
pub mod federate;
#[cfg(not(target_family = "wasm"))]
mod gunzip;
mod gzip;
pub mod labels_api;
pub mod metrics;
mod open_store;
pub mod options;
pub mod otlp;
mod pieces;
pub mod pool;
pub mod push;
pub mod query;
pub mod query_log;
mod query_metrics;
pub mod remote_read;
pub mod remote_send;
pub mod remote_write;
mod running;
pub mod scrape;
mod series_cache;
pub mod status;
mod stop;
mod store;
pub mod syntax;
pub mod tools;

pub use body::Body;
pub use engine::Engine;
pub use error::{EngineError, ErrorCode};
pub use options::{EngineOptions, FloatEncoding, Host, StorageSettings};
pub use pool::Pool;
