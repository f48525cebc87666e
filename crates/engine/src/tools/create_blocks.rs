//! Blocks from an OpenMetrics file, as `promtool tsdb create-blocks-from openmetrics` makes them.
//!
//! The file is read once to see which blocks there are, then again for some blocks at a time, as many
//! as memory allows; pieces without a sample of these are passed over. So memory follows the series
//! of a few blocks, whatever the size of the file, and one in order of time is read twice in all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exposition::MetricType;
use model::{Labels, LabelsBuilder, SeriesRef, TimestampMs};
use tsdb::backfill::BlockBuilder;
use tsdb::block::{Block, BlockMeta};

use super::input::{Input, PieceAt, labels};
use super::run::Output;
use super::{ToolHost, list};
use crate::error::EngineError;

/// So many samples are taken into memory in one pass, unless a single block has more.
const PASS_SAMPLES_MAX: u64 = 8 << 20;
/// So many blocks are made in one pass.
const PASS_BLOCKS_MAX: usize = 64;

const FIRST_PASS: &str = "getting min and max timestamp";
const BLOCKS: &str = "block creation: process blocks";

/// What blocks are made of, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateBlocks {
    /// The OpenMetrics file; it is read more than once, so it cannot be a pipe.
    pub input: PathBuf,
    /// Labels set on every series; an empty value takes a label away.
    pub labels: Vec<(String, String)>,
    /// Length of a block, milliseconds > 0.
    pub block_duration_ms: i64,
    /// Whether nothing is printed.
    pub quiet: bool,
    /// Times and sizes for people.
    pub human_readable: bool,
}

/// A block under construction.
struct Target {
    start_ms: TimestampMs,
    builder: BlockBuilder,
}

/// The series of the last line: in files that are in order of series most lines need no labels.
struct Last {
    text: Vec<u8>,
    kind: MetricType,
    labels: Labels,
    /// In each target.
    refs: Vec<SeriesRef>,
}

pub(super) fn create_blocks(
    host: &ToolHost,
    dir: &Path,
    options: &CreateBlocks,
    out: &mut Output,
) -> Result<(), EngineError> {
    let mut input = Input::open(&*host.fs, &options.input)?;
    host.fs.create_dir_all(dir).map_err(|e| super::input::io_error("create output dir", &e))?;
    let duration_ms = options.block_duration_ms;
    if duration_ms <= 0 {
        return Err(EngineError::invalid("the block duration must be positive"));
    }
    let (pieces, blocks) = survey(&mut input, duration_ms, out)?;
    let mut printed = false;
    let all = blocks.len();
    let mut left: Vec<(TimestampMs, u64)> = blocks.into_iter().rev().collect();
    while !left.is_empty() {
        let first = all - left.len() + 1;
        let mut samples = 0;
        let mut targets = Vec::new();
        while let Some((start_ms, n)) =
            left.pop_if(|(_, n)| targets.is_empty() || samples + *n <= PASS_SAMPLES_MAX)
        {
            samples += n;
            let builder = BlockBuilder::new(host.fs.clone(), &*host.clock, dir, duration_ms)?;
            targets.push(Target { start_ms, builder });
            if targets.len() == PASS_BLOCKS_MAX {
                break;
            }
        }
        let told = format!("making blocks {first} to {} of {all}", first + targets.len() - 1);
        fill(&mut input, &pieces, options, &mut targets, &told, out)?;
        for target in targets {
            out.progress(told.clone())?;
            let (block, left_out) =
                target.builder.finish().map_err(|e| within(&format!("{BLOCKS}: flush"), e.into()))?;
            if left_out > 0 {
                let (from_ms, end_ms) = (target.start_ms, target.start_ms.saturating_add(duration_ms));
                let text = format!(
                    "left out between {from_ms} and {end_ms}: {}, out of order or given twice",
                    super::format::count(left_out, "sample")
                );
                out.warning(text)?;
            }
            if let Some(meta) = block.filter(|_| !options.quiet) {
                print(host, dir, &meta, options.human_readable, !printed, out)?;
                printed = true;
            }
        }
    }
    Ok(())
}

/// Reads the whole file: the pieces it consists of, and how many samples each block has.
fn survey(
    input: &mut Input,
    duration_ms: i64,
    out: &mut Output,
) -> Result<(Vec<PieceAt>, BTreeMap<TimestampMs, u64>), EngineError> {
    let mut blocks = BTreeMap::new();
    // The last block seen, which the next sample most likely belongs to.
    let (mut current, mut count) = (None, 0);
    let (path, bytes) = (input.shown(), input.bytes);
    let mut untimed = None;
    let context = format!("{FIRST_PASS}: next");
    let scanned = input.scan(
        &context,
        &mut |offset| out.progress(format!("reading {path}: {}", percent(offset, bytes))),
        &mut |_, sample, line| {
            let Some(t) = sample.timestamp_ms else {
                untimed = Some(line);
                return Err(EngineError::invalid("expected timestamp for series got none"));
            };
            let start = block_start(t, duration_ms);
            if current != Some(start) {
                if let Some(before) = current.replace(start) {
                    *blocks.entry(before).or_default() += count;
                }
                count = 0;
            }
            count += 1;
            Ok(())
        },
    );
    let pieces = match (scanned, untimed) {
        (Err(e), Some(line)) => return Err(input.at(FIRST_PASS, line, &e.message)),
        (scanned, _) => scanned?,
    };
    if let Some(before) = current {
        *blocks.entry(before).or_default() += count;
    }
    Ok((pieces, blocks))
}

/// The block that a time lies in. Prometheus cuts towards zero, and so loses what is before 1970.
fn block_start(t: TimestampMs, duration_ms: i64) -> TimestampMs {
    t.saturating_sub(t.rem_euclid(duration_ms))
}

/// Reads the samples of `targets`, which are in order of time.
fn fill(
    input: &mut Input,
    pieces: &[PieceAt],
    options: &CreateBlocks,
    targets: &mut [Target],
    told: &str,
    out: &mut Output,
) -> Result<(), EngineError> {
    let (Some(first), Some(last)) = (targets.first(), targets.last()) else { return Ok(()) };
    let (from_ms, end_ms) = (first.start_ms, last.start_ms.saturating_add(options.block_duration_ms - 1));
    let mut series: Option<Last> = None;
    let mut builder = LabelsBuilder::new();
    let mut at = 0;
    let within_span: Vec<_> = pieces.iter().filter(|p| p.min_ms <= end_ms && p.max_ms >= from_ms).collect();
    for (i, piece) in within_span.iter().enumerate() {
        out.progress(format!("{told}: {}", percent(i as u64, within_span.len() as u64)))?;
        let mut failed = None;
        let read = input.read(&format!("{BLOCKS}: parse"), piece, &mut |parser, sample, line| {
            let t = sample.timestamp_ms.unwrap_or_default();
            if t < from_ms || t > end_ms {
                return Ok(());
            }
            let start = block_start(t, options.block_duration_ms);
            if targets.get(at).is_none_or(|target| target.start_ms != start) {
                let found = targets.binary_search_by_key(&start, |target| target.start_ms);
                // Of a block that was not there when the file was read first.
                let Ok(found) = found else { return Ok(()) };
                at = found;
            }
            let add = |e: &dyn std::fmt::Display| EngineError::invalid(e.to_string());
            let kind = parser.metric_type();
            let mut refused = |e| {
                failed = Some(line);
                e
            };
            if series.as_ref().is_none_or(|s| s.text != sample.series || s.kind != kind) {
                labels(parser, &options.labels, &mut builder).map_err(|e| refused(add(&e)))?;
                let refs = vec![SeriesRef::NONE; targets.len()];
                series = Some(Last { text: sample.series.to_vec(), kind, labels: builder.build(), refs });
            }
            let Some(series) = &mut series else { return Ok(()) };
            let target = &mut targets[at].builder;
            series.refs[at] = target
                .append(series.refs[at], &series.labels, t, sample.value)
                .map_err(|e| refused(add(&e)))?;
            target.commit_due().map_err(|e| within(&format!("{BLOCKS}: commit"), e.into()))
        });
        if let (Err(e), Some(line)) = (&read, failed) {
            return Err(input.at(&format!("{BLOCKS}: add sample"), line, &e.message));
        }
        read?;
    }
    Ok(())
}

fn percent(part: u64, whole: u64) -> String {
    format!("{} %", part.saturating_mul(100) / whole.max(1))
}

fn within(context: &str, e: EngineError) -> EngineError {
    EngineError::new(e.code, format!("{context}: {}", e.message))
}

/// A line of the table for a block just made, under the heading if it is the first.
pub(super) fn print(
    host: &ToolHost,
    dir: &Path,
    meta: &BlockMeta,
    human_readable: bool,
    heading: bool,
    out: &mut Output,
) -> Result<(), EngineError> {
    let block = Block::open(&*host.fs, &dir.join(meta.ulid.to_string()))?;
    list::print(&*host.fs, &[block], human_readable, heading, out)?;
    out.flush()
}
