//! A block from what a Prometheus API has answered to a range query: one step of `promtool tsdb
//! create-blocks-from rules`. And what else that takes of the core: whether an expression parses, and
//! when a group of rules is evaluated.

use std::borrow::Cow;
use std::path::Path;

use model::{LabelsBuilder, METRIC_NAME, SeriesRef};
use serde::Deserialize;
use tsdb::backfill::BlockBuilder;
use xxhash_rust::xxh64::xxh64;

use super::ToolHost;
use super::run::Output;
use crate::error::EngineError;
use crate::options::Features;

/// A rule's answer, and what it becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleBlock {
    /// The body of the API's answer to `query_range`.
    pub body: Vec<u8>,
    /// The rule's name.
    pub record: String,
    /// The rule's labels, which are set over those of the answer.
    pub labels: Vec<(String, String)>,
    /// Length of a block, milliseconds > 0.
    pub block_duration_ms: i64,
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: &'a str,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "errorType")]
    error_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    warnings: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    infos: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    kind: &'a str,
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow, default)]
    metric: std::collections::BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Seconds, and the value as text.
    #[serde(borrow, default)]
    values: Vec<(f64, &'a str)>,
    #[serde(default)]
    histograms: Vec<serde::de::IgnoredAny>,
}

pub(super) fn rule_block(
    host: &ToolHost,
    dir: &Path,
    rule: &RuleBlock,
    out: &mut Output,
) -> Result<(), EngineError> {
    let answer: Answer<'_> = serde_json::from_slice(&rule.body)
        .map_err(|e| EngineError::invalid(format!("query range: the answer is not a matrix: {e}")))?;
    for text in answer.warnings.iter().chain(&answer.infos) {
        out.warning(format!("{}: {text}", rule.record))?;
    }
    let Some(data) = answer.data.filter(|_| answer.status == "success") else {
        let kind = answer.error_type.unwrap_or(Cow::Borrowed("bad_response"));
        let text = answer.error.unwrap_or(Cow::Borrowed("no data in the answer"));
        return Err(EngineError::invalid(format!("query range: {kind}: {text}")));
    };
    if data.kind != "matrix" {
        return Err(EngineError::invalid(format!("rule result is wrong type {}", data.kind)));
    }
    host.fs.create_dir_all(dir).map_err(|e| super::input::io_error("create output dir", &e))?;
    let mut block = BlockBuilder::new(host.fs.clone(), &*host.clock, dir, rule.block_duration_ms)?;
    let mut builder = LabelsBuilder::new();
    let mut histograms = 0;
    for series in data.result {
        out.check()?;
        histograms += series.histograms.len();
        builder.clear();
        for (name, value) in &series.metric {
            builder.set(name, value);
        }
        for (name, value) in &rule.labels {
            builder.set(name, value);
        }
        builder.set(METRIC_NAME, &rule.record);
        let labels = builder.build();
        let mut reference = SeriesRef::NONE;
        for (seconds, text) in series.values {
            let value = model::float::parse_sample_float(text.as_bytes())
                .ok_or_else(|| EngineError::invalid(format!("query range: value {text:?} is no number")))?;
            let t = (seconds * 1000.0).round() as i64;
            reference = block
                .append(reference, &labels, t, value)
                .map_err(|e| EngineError::invalid(format!("add: {labels}: {e}")))?;
            block.commit_due()?;
        }
    }
    if histograms > 0 {
        out.warning(format!(
            "{}: left out {}, which an answer of the API does not hold whole",
            rule.record,
            super::format::count(histograms as u64, "native histogram")
        ))?;
    }
    let (_, left_out) = block.finish()?;
    if left_out > 0 {
        out.warning(format!(
            "{}: left out {}: the rule's labels make one series of several",
            rule.record,
            super::format::count(left_out, "sample")
        ))?;
    }
    Ok(())
}

/// What is wrong with an expression, `None` where it parses.
#[must_use]
pub fn check_query(query: &str) -> Option<String> {
    promql_syntax::parse(query, &crate::query::parse_options(Features::default()))
        .err()
        .map(|e| e.to_string())
}

/// The hash that moves a group's evaluations away from those of others: Prometheus' `Group.hash`, of
/// the labels `file` and `name` as its usual build keeps them.
#[must_use]
pub fn rule_group_hash(file: &str, name: &str) -> u64 {
    let mut bytes = Vec::new();
    for text in ["file", file, "name", name] {
        // Lengths from 255 on take three more bytes; Prometheus has none of 2^24.
        match u8::try_from(text.len()).ok().filter(|n| *n < 255) {
            Some(n) => bytes.push(n),
            None => {
                bytes.push(255);
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh64(&bytes, 0)
}
