//! Tools for data directories, as façade: each runs on a thread of its own and hands out text in
//! pieces. Knows the words of Prometheus' promtool; knows no flags, terminals or exit codes.

mod analyze;
mod bars;
mod dump;
mod format;
mod list;
mod run;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use model::{Matcher, TimestampMs};
use storage::{Clock, Fs, Spawn};
use tsdb::DbOptions;

use crate::error::{EngineError, ErrorCode};
use crate::options::Features;

pub use dump::DumpFormat;
pub use run::{Output, Piece, ToolRun};

/// What a tool asks of its host.
#[derive(Clone)]
pub struct ToolHost {
    /// Files.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Threads.
    pub spawn: Arc<dyn Spawn>,
}

/// What to do with a data directory.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// Lists blocks.
    List {
        /// Times and sizes for people.
        human_readable: bool,
    },
    /// Tells about churn and cardinality of one block.
    Analyze {
        /// The block, `None` for the last one.
        block: Option<String>,
        /// Entries of each list.
        limit: usize,
        /// Whether to look into the chunks.
        extended: bool,
        /// Only series that this selector matches.
        selector: Option<String>,
    },
    /// Prints series or samples.
    Dump {
        /// First time, milliseconds.
        min_ms: TimestampMs,
        /// Last time, milliseconds.
        max_ms: TimestampMs,
        /// Series that satisfy any of these selectors.
        selectors: Vec<String>,
        /// How.
        format: DumpFormat,
    },
    /// Checks every checksum, reference and order.
    Verify,
}

/// Runs `tool` on the data directory `dir`. Nothing is written there.
#[must_use]
pub fn start(dir: PathBuf, tool: Tool, host: ToolHost) -> ToolRun {
    let spawn = host.spawn.clone();
    ToolRun::start(&*spawn, move |out| {
        if !host.fs.exists(&dir) {
            let text = format!("opening the db dir: stat {}: no such file or directory", dir.display());
            return Err(EngineError::new(ErrorCode::Io, text));
        }
        match tool {
            Tool::List { human_readable } => list::list(&*host.fs, &dir, human_readable, out).map(|()| true),
            Tool::Analyze { block, limit, extended, selector } => {
                analyze::analyze(&*host.fs, &dir, block.as_deref(), limit, extended, selector.as_deref(), out)
                    .map(|()| true)
            }
            Tool::Dump { min_ms, max_ms, selectors, format } => {
                let options = DbOptions::new(&dir, host.fs, host.clock, host.spawn);
                dump::dump(options, (min_ms, max_ms), &selectors, format, out).map(|()| true)
            }
            Tool::Verify => verify::verify(&*host.fs, &dir, out),
        }
    })
}

fn matchers(selector: &str) -> Result<Vec<Matcher>, EngineError> {
    promql_syntax::parse_metric_selector(selector, &crate::query::parse_options(Features::default()))
        .map_err(|e| EngineError::new(ErrorCode::QueryParse, e.to_string()))
}
