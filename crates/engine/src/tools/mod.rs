//! Tools for data directories, as façade: each runs on a thread of its own and hands out text in
//! pieces. Knows the words of Prometheus' promtool; knows no flags, terminals or exit codes.

mod analyze;
mod bars;
mod bench;
mod create_blocks;
mod dump;
mod format;
mod input;
mod list;
mod rule_block;
mod run;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use model::{Matcher, TimestampMs};
use storage::{Clock, Fs, Spawn};
use tsdb::DbOptions;

use crate::error::{EngineError, ErrorCode};
use crate::options::Features;

pub use bench::BenchWrite;
pub use create_blocks::CreateBlocks;
pub use dump::DumpFormat;
pub use rule_block::{RuleBlock, check_query, rule_group_hash};
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
#[non_exhaustive]
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
    Verify {
        /// As JSON, an object a line.
        json: bool,
    },
    /// Makes blocks of an OpenMetrics file.
    CreateBlocks(CreateBlocks),
    /// Makes a block of the answer to a rule's range query.
    RuleBlock(RuleBlock),
    /// Measures appending, in a directory that is made anew.
    BenchWrite(BenchWrite),
}

impl Tool {
    /// Whether it makes its directory itself.
    fn writes(&self) -> bool {
        matches!(self, Self::CreateBlocks(_) | Self::RuleBlock(_) | Self::BenchWrite(_))
    }
}

/// Runs `tool` on the data directory `dir`. Nothing is written there but by tools that make blocks,
/// and by the benchmark.
#[must_use]
pub fn start(dir: PathBuf, tool: Tool, host: ToolHost) -> ToolRun {
    let spawn = host.spawn.clone();
    ToolRun::start(&*spawn, move |out| {
        if !tool.writes() && !host.fs.exists(&dir) {
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
                dump::dump(options, (min_ms, max_ms), &selectors, format, out)
            }
            Tool::Verify { json } => verify::verify(&*host.fs, &dir, json, out),
            Tool::CreateBlocks(options) => {
                create_blocks::create_blocks(&host, &dir, &options, out).map(|()| true)
            }
            Tool::RuleBlock(rule) => rule_block::rule_block(&host, &dir, &rule, out).map(|()| true),
            Tool::BenchWrite(options) => bench::bench_write(&host, &dir, &options, out).map(|()| true),
        }
    })
}

fn matchers(selector: &str) -> Result<Vec<Matcher>, EngineError> {
    promql_syntax::parse_metric_selector(selector, &crate::query::parse_options(Features::default()))
        .map_err(|e| EngineError::new(ErrorCode::QueryParse, e.to_string()))
}
