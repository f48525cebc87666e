//! Tools for data directories.

use std::path::PathBuf;
use std::sync::Arc;

use ::engine::tools::{DumpFormat, Piece, Tool, ToolHost, ToolRun, start};
use ::engine::{EngineError, ErrorCode};
use napi::bindgen_prelude::{Buffer, Object};
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
}

#[napi(object)]
pub struct NativePiece {
    pub result: Option<Buffer>,
    pub progress: Option<String>,
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
        "verify" => Tool::Verify,
        other => return Err(EngineError::invalid(format!("unknown tool {other:?}"))),
    })
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
                Piece::Result(bytes) => NativePiece { result: Some(bytes.into()), progress: None },
                Piece::Progress(text) => NativePiece { result: None, progress: Some(text) },
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
