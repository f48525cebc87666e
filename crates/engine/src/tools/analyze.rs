//! Churn, cardinality and chunks of one block.

use std::collections::HashMap;
use std::path::Path;

use model::{Columns, METRIC_NAME, Matcher};
use storage::{Fs, Stop};
use tsdb::block::Block;
use tsdb::db::last_block;
use tsdb::index::{PostingsIndex, postings_for_matchers};

use super::bars::bars;
use super::format::duration;
use super::run::Output;
use crate::error::EngineError;

/// Every so many series the progress is told.
const PROGRESS_SERIES: usize = 1024;

pub(super) fn analyze(
    fs: &dyn Fs,
    dir: &Path,
    block: Option<&str>,
    limit: usize,
    extended: bool,
    selector: Option<&str>,
    out: &mut Output,
) -> Result<(), EngineError> {
    let matchers = selector.map(super::matchers).transpose()?.unwrap_or_default();
    let id =
        block.map_or_else(|| last_block(fs, dir).map(|ulid| ulid.to_string()), |id| Ok(id.to_owned()))?;
    let path = dir.join(&id);
    if !fs.exists(&path) {
        return Err(EngineError::invalid(format!("invalid block ID {id}")));
    }
    let block = Block::open(fs, &path)?;
    let (meta, index) = (block.meta(), block.index());
    let span_ms = meta.max_ms.wrapping_sub(meta.min_ms);
    let mut text = format!(
        "Block ID: {}\nDuration: {}\nTotal Series: {}\n",
        meta.ulid,
        duration(span_ms),
        meta.stats.num_series
    );
    if let Some(selector) = selector {
        text += &format!("Matcher: {selector}\n");
    }
    let names = index.label_names(0, &matchers)?;
    text += &format!("Label names: {}\n", names.len());
    let series = if matchers.is_empty() {
        index.all()?.into_owned()
    } else {
        postings_for_matchers(index, &matchers, &Stop::default())?
    };
    if selector.is_some() {
        text += &format!("Matched series: {}\n", series.len());
    }
    let churn = Churn::of(&block, &series, out)?;
    text += &format!(
        "Postings (unique label pairs): {}\nPostings entries (total label pairs): {}\n",
        churn.pairs.len(),
        churn.entries
    );
    let share = |uncovered: u64| (uncovered as f64 / span_ms as f64) as u64;
    let pairs = churn.pairs.iter().map(|(key, p)| (key.clone(), share(p.uncovered))).collect();
    text += &top("Label pairs most involved in churning", pairs, limit);
    let all = churn.names.iter().map(|(key, uncovered)| (key.clone(), share(*uncovered))).collect();
    text += &top("Label names most involved in churning", all, limit);
    let counts = churn.pairs.into_iter().map(|(key, p)| (key, p.count)).collect();
    text += &top("Most common label pairs", counts, limit);
    let (mut lengths, mut cardinalities) = (Vec::new(), Vec::new());
    for name in names {
        let values = index.label_values(&name, 0, &matchers)?;
        lengths.push((name.clone(), values.iter().map(|v| v.len() as u64).sum()));
        cardinalities.push((name, values.len() as u64));
    }
    text += &top("Label names with highest cumulative label value length", lengths, limit);
    text += &top("Highest cardinality labels", cardinalities, limit);
    let metrics = metrics(&block, &matchers, &series)?;
    text += &top("Highest cardinality metric names", metrics, limit);
    out.write(text.as_bytes())?;
    if extended { chunks(&block, &series, out) } else { Ok(()) }
}

fn progress(n: usize, all: usize, out: &mut Output) -> Result<(), EngineError> {
    if n.is_multiple_of(PROGRESS_SERIES) { out.progress(format!("series {n} of {all}")) } else { out.check() }
}

/// The greatest of a list, ties in order of name.
fn top(title: &str, mut all: Vec<(String, u64)>, limit: usize) -> String {
    all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let lines = all.iter().take(limit).map(|(name, n)| format!("{n} {name}\n"));
    format!("\n{title}:\n{}", lines.collect::<String>())
}

#[derive(Default)]
struct Pair {
    uncovered: u64,
    count: u64,
}

/// How much of the block's time the series of each label do not cover, summed up in milliseconds.
#[derive(Default)]
struct Churn {
    pairs: HashMap<String, Pair>,
    names: HashMap<String, u64>,
    entries: u64,
}

impl Churn {
    fn of(block: &Block, series: &[u32], out: &mut Output) -> Result<Self, EngineError> {
        let span_ms = block.meta().max_ms.wrapping_sub(block.meta().min_ms) as u64;
        let mut churn = Self::default();
        let mut chunks = Vec::new();
        for (n, id) in series.iter().enumerate() {
            progress(n, series.len(), out)?;
            chunks.clear();
            let labels = block.index().read_series(*id, &mut chunks)?;
            let (first, last) = (chunks.first(), chunks.last());
            let covered =
                first.zip(last).map_or(0, |(first, last)| last.max_ms.wrapping_sub(first.min_ms) as u64);
            let uncovered = span_ms.wrapping_sub(covered);
            for (name, value) in &labels {
                let pair = churn.pairs.entry(format!("{name}={value}")).or_default();
                pair.uncovered = pair.uncovered.wrapping_add(uncovered);
                pair.count += 1;
                let sum = churn.names.entry(name.to_owned()).or_default();
                *sum = sum.wrapping_add(uncovered);
                churn.entries += 1;
            }
        }
        Ok(churn)
    }
}

/// How many of the series each metric has.
fn metrics(block: &Block, matchers: &[Matcher], series: &[u32]) -> Result<Vec<(String, u64)>, EngineError> {
    let mut out = Vec::new();
    for name in block.index().label_values(METRIC_NAME, 0, matchers)? {
        let all = block.index().equal(METRIC_NAME, &name)?;
        let n = if matchers.is_empty() {
            all.len()
        } else {
            all.iter().filter(|id| series.binary_search(id).is_ok()).count()
        };
        out.push((name, n as u64));
    }
    Ok(out)
}

/// How full the chunks are.
fn chunks(block: &Block, series: &[u32], out: &mut Output) -> Result<(), EngineError> {
    let (mut samples, mut bytes) = (Vec::new(), Vec::new());
    let (mut histogram_samples, mut histogram_bytes, mut buckets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut metas, mut columns) = (Vec::new(), Columns::default());
    for (n, id) in series.iter().enumerate() {
        progress(n, series.len(), out)?;
        metas.clear();
        block.index().read_series(*id, &mut metas)?;
        for meta in &metas {
            let (encoding, data) = block.chunk(meta)?;
            let corrupt = |e: chunk::ChunkError| {
                EngineError::new(
                    crate::ErrorCode::Corrupt,
                    format!("series {id}: chunk at {}: {e}", meta.min_ms),
                )
            };
            let n = usize::from(chunk::num_samples(encoding, data).map_err(corrupt)?);
            if !encoding.is_histogram() {
                samples.push(n);
                bytes.push(data.len());
                continue;
            }
            histogram_samples.push(n);
            histogram_bytes.push(data.len());
            columns.clear();
            chunk::decode(encoding, data, i64::MIN, i64::MAX, &mut columns).map_err(corrupt)?;
            let sizes = columns.h.iter().map(|(_, h)| h.positive_buckets.len() + h.negative_buckets.len());
            buckets.push(sizes.sum());
        }
    }
    let total = samples.len() + histogram_samples.len();
    let mut text = "\nCompaction analysis:\n\n".to_owned();
    for (title, numbers) in [
        ("samples per float chunk", &mut samples),
        ("bytes per float chunk", &mut bytes),
        ("samples per histogram chunk", &mut histogram_samples),
        ("bytes per histogram chunk", &mut histogram_bytes),
        ("buckets per histogram chunk", &mut buckets),
    ] {
        text += &bars(title, numbers, total);
    }
    out.write(text.as_bytes())
}
