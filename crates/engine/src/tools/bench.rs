//! How fast samples are appended, log included, measured as `promtool tsdb bench write` does: rounds
//! of a hundred scrapes 30 s apart, a thousand series to an appender, series known by reference after
//! the first scrape of a round. No block is cut meanwhile.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Labels, SeriesRef};
use storage::AppendError;
use tsdb::{Db, DbOptions};

use super::ToolHost;
use super::format::duration_ns;
use super::input::io_error;
use super::run::Output;
use crate::error::EngineError;

const INTERVAL_MS: i64 = 30_000;
const ROUND_SCRAPES: usize = 100;
const SHARD_SERIES: usize = 1000;

/// What is appended.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchWrite {
    /// A file with a label set a line, `{"name":"value",…}` without escapes; `None` for made-up ones.
    pub file: Option<PathBuf>,
    /// How many series, at most as many as the file has.
    pub metrics: usize,
    /// How many samples of each, rounded up to whole rounds of a hundred.
    pub scrapes: usize,
}

pub(super) fn bench_write(
    host: &ToolHost,
    dir: &Path,
    options: &BenchWrite,
    out: &mut Output,
) -> Result<(), EngineError> {
    clear(host, dir)?;
    let db = Db::open(DbOptions::new(
        dir.join("storage"),
        host.fs.clone(),
        host.clock.clone(),
        host.spawn.clone(),
    ))?;
    let mut labels = Vec::new();
    stage(host, out, "readData", &mut |_| {
        labels = match &options.file {
            Some(file) => read_labels(host, file, options.metrics)?,
            None => made_up(options.metrics),
        };
        Ok(())
    })?;
    let mut total = 0;
    let ns = stage(host, out, "ingestScrapes", &mut |out| {
        total = ingest(host, &db, &labels, options.scrapes, out)?;
        out.write(b"ingestion completed\n")
    })?;
    let mut text = format!(" > total samples: {total}\n > samples/sec: ").into_bytes();
    model::float::append_g(total as f64 / (ns.max(1) as f64 / 1e9), &mut text);
    text.push(b'\n');
    out.write(&text)?;
    stage(host, out, "stopStorage", &mut |_| Ok(db.close()?))?;
    Ok(())
}

/// Makes the directory anew. Only what an earlier run has left is removed.
fn clear(host: &ToolHost, dir: &Path) -> Result<(), EngineError> {
    let fail = |e| io_error(&dir.display().to_string(), &e);
    if host.fs.exists(dir) {
        let ours = |name: &str| name == "storage" || name.ends_with(".prof");
        if let Some(other) = host.fs.read_dir(dir).map_err(fail)?.iter().find(|e| !ours(&e.name)) {
            return Err(EngineError::invalid(format!(
                "{} holds {}, which no benchmark has left there: remove it or choose another directory with --out",
                dir.display(),
                other.name
            )));
        }
        host.fs.remove_dir_all(dir).map_err(fail)?;
    }
    host.fs.create_dir_all(dir).map_err(fail)
}

/// Runs one stage, says when it begins and ends, and returns how many nanoseconds it took.
fn stage(
    host: &ToolHost,
    out: &mut Output,
    name: &str,
    work: &mut dyn FnMut(&mut Output) -> Result<(), EngineError>,
) -> Result<u64, EngineError> {
    out.write(format!(">> start stage={name}\n").as_bytes())?;
    out.flush()?;
    let start_ns = host.clock.monotonic_ns();
    work(out)?;
    let ns = host.clock.monotonic_ns().saturating_sub(start_ns);
    out.write(format!(">> completed stage={name} duration={}\n", duration_ns(ns)).as_bytes())?;
    out.flush()?;
    Ok(ns)
}

fn ingest(
    host: &ToolHost,
    db: &Db,
    labels: &[Labels],
    scrapes: usize,
    out: &mut Output,
) -> Result<u64, EngineError> {
    let total = AtomicU64::new(0);
    let failed = Mutex::new(None);
    let shards: Vec<&[Labels]> = labels.chunks(SHARD_SERIES).collect();
    for round in (0..scrapes).step_by(ROUND_SCRAPES) {
        let base_ms = INTERVAL_MS * round as i64;
        host.spawn.for_each(shards.len(), &|i| match shard(db, shards[i], base_ms) {
            Ok(n) => drop(total.fetch_add(n, Ordering::Relaxed)),
            Err(e) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e),
        });
        if let Some(e) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(e);
        }
        out.progress(format!("{} of {scrapes} scrapes", (round + ROUND_SCRAPES).min(scrapes)))?;
    }
    Ok(total.into_inner())
}

fn shard(db: &Db, labels: &[Labels], base_ms: i64) -> Result<u64, EngineError> {
    let refused = |e: AppendError| EngineError::invalid(e.to_string());
    let mut refs = vec![SeriesRef::NONE; labels.len()];
    let mut value = 123_456_789f64;
    let mut total = 0;
    for scrape in 1..=ROUND_SCRAPES {
        let t = base_ms + INTERVAL_MS * scrape as i64;
        value += 1000.0;
        let mut appender = db.appender();
        for (labels, series) in labels.iter().zip(&mut refs) {
            if series.is_none() {
                *series = appender.append(*series, labels, t, 0, value).map_err(refused)?;
            } else {
                appender.append_known(*series, t, value).map_err(refused)?;
            }
            total += 1;
        }
        appender.commit()?;
    }
    Ok(total)
}

/// The first `max` different label sets of the file.
fn read_labels(host: &ToolHost, path: &Path, max: usize) -> Result<Vec<Labels>, EngineError> {
    let bytes = host.fs.read(path).map_err(|e| io_error(&format!("open {}", path.display()), &e))?;
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for (i, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        if out.len() == max {
            break;
        }
        let plain: String = line.chars().filter(|c| !matches!(c, '"' | '{' | '}')).collect();
        let pairs: Option<Vec<_>> = plain.split(',').map(|pair| pair.split_once(':')).collect();
        let Some(pairs) = pairs else {
            let text = format!("{}:{}: a line must be {{\"name\":\"value\",…}}", path.display(), i + 1);
            return Err(EngineError::invalid(text));
        };
        let labels = Labels::from_pairs(pairs);
        if seen.insert(labels.clone()) {
            out.push(labels);
        }
    }
    Ok(out)
}

/// Label sets of fifty instances with as many metrics each as it takes.
fn made_up(n: usize) -> Vec<Labels> {
    let labels = |i: usize| {
        Labels::from_pairs([
            ("__name__", format!("bench_metric_{:05}_total", i / 50)),
            ("instance", format!("host-{:02}.example:9100", i % 50)),
            ("job", "bench".to_owned()),
        ])
    };
    (0..n).map(labels).collect()
}
