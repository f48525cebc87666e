//! Queries evaluated in this process, from text to result.

use std::path::Path;
use std::sync::Arc;

use promql::{Cancel, QueryOptions, QueryResult};
use promql_syntax::ParseOptions;
use storage::{OsFs, OsSpawn, Spawn, SystemClock};
use tsdb::{Db, DbOptions};

pub(crate) type Error = Box<dyn std::error::Error>;

/// A range of steps, milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
}

/// Opens the database in `dir` with blocks of `block_ms`; nothing in it grows too old.
pub(crate) fn open(dir: &Path, block_ms: i64) -> Result<Db, Error> {
    let spawn = Arc::new(OsSpawn::new("background", 2)?);
    let mut options = DbOptions::new(dir, Arc::new(OsFs), Arc::new(SystemClock::default()), spawn);
    options.min_block_duration_ms = block_ms;
    options.max_block_duration_ms = block_ms;
    options.settings.retention_ms = 0;
    Ok(Db::open(options)?)
}

/// Parses and evaluates `query` with Prometheus' default limits.
pub(crate) fn range(db: &Db, spawn: &dyn Spawn, query: &str, steps: Steps) -> Result<QueryResult, Error> {
    let parse = ParseOptions { experimental_functions: true, ..ParseOptions::default() };
    let expr = promql_syntax::parse(query, &parse).map_err(|e| e.to_string())?;
    let Steps { start_ms, end_ms, step_ms } = steps;
    let (clock, options) = (SystemClock::default(), QueryOptions::default());
    Ok(promql::range(db, spawn, &clock, &expr, start_ms, end_ms, step_ms, &options, &Cancel::new())?)
}
