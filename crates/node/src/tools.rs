//! Tools for data directories.

use std::path::PathBuf;
use std::sync::Arc;

use ::engine::tools::{
    self, BenchWrite, CreateBlocks, DumpFormat, Piece, RuleBlock, Tool, ToolHost, ToolRun, start,
};
use ::engine::{EngineError, ErrorCode};
use napi::bindgen_prelude::{BigInt, Buffer, Object};
use napi::{Env, Result};
use napi_derive::napi;
use storage::{OsFs, OsSpawn, SystemClock};

use crate::promise::{promise, to_js};

#[napi(object)]
pub struct NativeToolOptions {
    pub tool: String,
    pub dir: String,
    pub human_readable: Option<bool>,
    pub block: Option<String>,
    pub limit: Option<f64>,
    pub extended: Option<bool>,
    pub selectors: Option<Vec<String>>,
    pub min_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub format: Option<String>,
    pub json: Option<bool>,
    pub input: Option<String>,
    pub labels: Option<Vec<Vec<String>>>,
    pub block_duration_ms: Option<f64>,
    pub quiet: Option<bool>,
    pub body: Option<Buffer>,
    pub record: Option<String>,
    pub metrics: Option<f64>,
    pub scrapes: Option<f64>,
}

#[napi(object)]
pub struct NativePiece {
    pub result: Option<Buffer>,
    pub progress: Option<String>,
    pub warning: Option<String>,
}

#[napi]
pub struct NativeToolRun {
    run: ToolRun,
}

fn tool(o: NativeToolOptions) -> std::result::Result<Tool, EngineError> {
    let selectors = o.selectors.unwrap_or_default();
    Ok(match o.tool.as_str() {
        "list" => Tool::List { human_readable: o.human_readable.unwrap_or_default() },
        "analyze" => Tool::Analyze {
            block: o.block,
            limit: o.limit.unwrap_or(20.0) as usize,
            extended: o.extended.unwrap_or_default(),
            selector: selectors.into_iter().next(),
        },
        "dump" => Tool::Dump {
            min_ms: o.min_ms.map_or(i64::MIN, |ms| ms as i64),
            max_ms: o.max_ms.map_or(i64::MAX, |ms| ms as i64),
            selectors,
            format: match o.format.as_deref() {
                Some("seriesjson") => DumpFormat::SeriesJson,
                Some("openmetrics") => DumpFormat::OpenMetrics,
                _ => DumpFormat::Prometheus,
            },
        },
        "verify" => Tool::Verify { json: o.json.unwrap_or_default() },
        "create-blocks" => Tool::CreateBlocks(CreateBlocks {
            input: o.input.unwrap_or_default().into(),
            labels: pairs(o.labels),
            block_duration_ms: o.block_duration_ms.unwrap_or_default() as i64,
            quiet: o.quiet.unwrap_or_default(),
            human_readable: o.human_readable.unwrap_or_default(),
        }),
        "rule-block" => Tool::RuleBlock(RuleBlock {
            body: o.body.map(Vec::from).unwrap_or_default(),
            record: o.record.unwrap_or_default(),
            labels: pairs(o.labels),
            block_duration_ms: o.block_duration_ms.unwrap_or_default() as i64,
        }),
        "bench-write" => Tool::BenchWrite(BenchWrite {
            file: o.input.map(PathBuf::from),
            metrics: o.metrics.unwrap_or_default() as usize,
            scrapes: o.scrapes.unwrap_or_default() as usize,
        }),
        other => return Err(EngineError::invalid(format!("unknown tool {other:?}"))),
    })
}

fn pairs(all: Option<Vec<Vec<String>>>) -> Vec<(String, String)> {
    let pair = |pair: Vec<String>| <[String; 2]>::try_from(pair).ok().map(|[name, value]| (name, value));
    all.unwrap_or_default().into_iter().filter_map(pair).collect()
}

/// What is wrong with an expression; nothing where it parses.
#[napi(catch_unwind)]
pub fn check_query(query: String) -> Option<String> {
    tools::check_query(&query)
}

/// The hash that the evaluation times of a group of rules follow.
#[napi(catch_unwind)]
pub fn rule_group_hash(file: String, name: String) -> BigInt {
    tools::rule_group_hash(&file, &name).into()
}

#[napi(catch_unwind)]
pub fn start_tool(options: NativeToolOptions) -> Result<NativeToolRun> {
    let dir = PathBuf::from(&options.dir);
    let tool = tool(options).map_err(|e| to_js(&e))?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let spawn = OsSpawn::new("narthex-tool", threads.clamp(2, 16))
        .map_err(|e| to_js(&EngineError::new(ErrorCode::Io, format!("starting threads: {e}"))))?;
    let host =
        ToolHost { fs: Arc::new(OsFs), clock: Arc::new(SystemClock::default()), spawn: Arc::new(spawn) };
    Ok(NativeToolRun { run: start(dir, tool, host) })
}

#[napi]
impl NativeToolRun {
    #[napi(catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let convert = |piece: Option<Piece>| {
            piece.map(|piece| match piece {
                Piece::Result(bytes) => {
                    NativePiece { result: Some(bytes.into()), progress: None, warning: None }
                }
                Piece::Progress(text) => NativePiece { result: None, progress: Some(text), warning: None },
                Piece::Warning(text) => NativePiece { result: None, progress: None, warning: Some(text) },
            })
        };
        promise(env, convert, |done| self.run.next(done))
    }

    #[napi(getter, catch_unwind)]
    pub fn clean(&self) -> bool {
        self.run.clean()
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.run.cancel();
    }
}
