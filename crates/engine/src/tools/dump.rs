//! Series and samples as text, in order of labels.

use std::io::Write;
use std::sync::Arc;

use model::{Columns, Labels, METRIC_NAME, TimestampMs};
use storage::{Queryable, SelectHints};
use tsdb::{Db, DbOptions, ReplayProgress};

use super::format::json_string;
use super::run::Output;
use crate::error::EngineError;

/// Every so many series the progress is told.
const PROGRESS_SERIES: usize = 1024;

/// How samples are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFormat {
    /// Labels, value, time.
    Prometheus,
    /// Labels only, a JSON object a line.
    SeriesJson,
    /// As a target would expose them; histograms end their series.
    OpenMetrics,
}

/// Whether the log was whole.
pub(super) fn dump(
    mut options: DbOptions,
    (min_ms, max_ms): (TimestampMs, TimestampMs),
    selectors: &[String],
    format: DumpFormat,
    out: &mut Output,
) -> Result<bool, EngineError> {
    let sets = selectors.iter().map(|s| super::matchers(s)).collect::<Result<Vec<_>, _>>()?;
    let report = out.reporter();
    options.on_replay = Some(Arc::new(move |p: ReplayProgress| {
        report(format!("reading the write-ahead log: segment {} of {}", p.current_segment, p.last_segment));
    }));
    let db = Db::open_read_only(options)?;
    let damage = db.replay_report().wal_repaired.clone();
    if let Some(why) = &damage {
        out.warning(format!("the write-ahead log is damaged, what follows is left out: {why}"))?;
    }
    let querier = db.querier(min_ms, max_ms)?;
    let hints = SelectHints { start_ms: min_ms, end_ms: max_ms, ..SelectHints::default() };
    let sets = sets.iter().map(|m| querier.select(&hints, m)).collect::<Result<Vec<_>, _>>()?;
    let mut series: Vec<(Labels, usize, usize)> = Vec::new();
    for (s, set) in sets.iter().enumerate() {
        series.extend((0..set.len()).map(|i| (set.labels(i), s, i)));
    }
    if sets.len() > 1 {
        series.sort_unstable();
        series.dedup_by(|a, b| a.0 == b.0);
    }
    let (mut columns, mut text) = (Columns::default(), Vec::new());
    for (n, (labels, set, i)) in series.iter().enumerate() {
        if n.is_multiple_of(PROGRESS_SERIES) {
            out.progress(format!("series {n} of {}", series.len()))?;
        }
        text.clear();
        columns.clear();
        if format != DumpFormat::SeriesJson {
            sets[*set].read(*i, &mut columns)?;
        }
        match format {
            DumpFormat::Prometheus => samples(labels, &columns, &mut text),
            DumpFormat::SeriesJson => json(labels, &mut text),
            DumpFormat::OpenMetrics => open_metrics(labels, &columns, &mut text),
        }
        out.write(&text)?;
    }
    if format == DumpFormat::OpenMetrics {
        out.write(b"# EOF\n")?;
    }
    drop((sets, querier));
    db.close()?;
    Ok(damage.is_none())
}

fn samples(labels: &Labels, columns: &Columns, out: &mut Vec<u8>) {
    let labels = labels.to_string();
    let mut histograms = columns.h.iter().peekable();
    for (i, (t, v)) in columns.t.iter().zip(&columns.v).enumerate() {
        out.extend_from_slice(labels.as_bytes());
        out.push(b' ');
        if let Some((_, h)) = histograms.next_if(|(at, _)| *at as usize == i) {
            // Writing to memory cannot fail, here and below.
            let _ = write!(out, "{h}");
        } else {
            model::float::append_g(*v, out);
        }
        let _ = writeln!(out, " {t}");
    }
}

fn json(labels: &Labels, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json_string(name, out);
        out.push(b':');
        json_string(value, out);
    }
    out.extend_from_slice(b"}\n");
}

fn open_metrics(labels: &Labels, columns: &Columns, out: &mut Vec<u8>) {
    let mut series = labels.metric_name().as_bytes().to_vec();
    series.push(b'{');
    for (i, (name, value)) in labels.iter().filter(|(name, _)| *name != METRIC_NAME).enumerate() {
        if i > 0 {
            series.push(b',');
        }
        series.extend_from_slice(name.as_bytes());
        series.push(b'=');
        model::float::append_go_quoted(&mut series, value.as_bytes());
    }
    series.extend_from_slice(b"} ");
    let floats = columns.h.first().map_or(columns.len(), |(i, _)| *i as usize);
    for (t, v) in columns.t.iter().zip(&columns.v).take(floats) {
        out.extend_from_slice(&series);
        model::float::append_g(*v, out);
        let sign = if *t < 0 { "-" } else { "" };
        let _ = writeln!(out, " {sign}{}.{:03}", t.unsigned_abs() / 1000, t.unsigned_abs() % 1000);
    }
}
