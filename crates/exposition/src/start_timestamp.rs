//! Start timestamps of OpenMetrics 1.0: a `_created` series of the same labels, which may come
//! after the samples it belongs to.

use model::MetricType;

use crate::entry::Entry;
use crate::parser::Parser;
use crate::series;

const CREATED: &[u8] = b"_created";

/// What is remembered between the samples of a family.
#[derive(Clone, Debug)]
pub(crate) struct StartTimestamps {
    /// Whether `_created` series are left out of the entries.
    skip_created: bool,
    /// Whether the parser is looking ahead.
    pub(crate) peeking: bool,
    /// The series whose start was found last, and when it was.
    last: Option<(Vec<u8>, i64)>,
}

impl StartTimestamps {
    pub(crate) fn new(skip_created: bool) -> Self {
        Self { skip_created, peeking: false, last: None }
    }
}

fn has_start(kind: MetricType) -> bool {
    matches!(kind, MetricType::Counter | MetricType::Histogram | MetricType::Summary)
}

impl<'a> Parser<'a> {
    /// When the current sample's series began, in milliseconds; `None` where that is unknown. Looks
    /// ahead for the `_created` series, as Prometheus does, and from then on leaves them out.
    pub fn start_timestamp_ms(&mut self) -> Option<i64> {
        if !self.open_metrics || !has_start(self.kind) {
            self.start_timestamps.last = None;
            return None;
        }
        let key = self.key(self.series, self.family_name());
        match &self.start_timestamps.last {
            Some((last, t_ms)) if *last == key && *t_ms > 0 => return Some(*t_ms),
            _ => {}
        }
        let (cursor, entry_start, kind, series) = (self.cursor, self.entry_start, self.kind, self.series);
        self.start_timestamps.peeking = true;
        self.start_timestamps.skip_created = false;
        let found = self.find_created(&key);
        self.start_timestamps.peeking = false;
        self.start_timestamps.skip_created = true;
        (self.cursor, self.entry_start, self.kind, self.series) = (cursor, entry_start, kind, series);
        self.start_timestamps.last = found.map(|t_ms| (key, t_ms));
        found
    }

    /// Reads on until the start of the series `key` or something that cannot come before it.
    fn find_created(&mut self, key: &[u8]) -> Option<i64> {
        loop {
            let Ok(Some(Entry::Sample(sample))) = self.next_entry() else {
                return None;
            };
            let name = series::metric_name(sample.series);
            if let Some(family) = name.strip_suffix(CREATED) {
                let same = self.key(sample.series, family) == key;
                return same.then(|| crate::open_metrics::to_milliseconds(sample.value).unwrap_or(i64::MIN));
            }
        }
    }

    /// The current series' name, cut to the length of the family's.
    fn family_name(&self) -> &'a [u8] {
        let quoted = self.series.starts_with(b"{\"");
        let start = if quoted { 2 } else { 0 };
        self.series.get(start..start + self.family_len).unwrap_or(self.series)
    }

    /// What a sample and the start of its series have in common.
    fn key(&self, series: &[u8], family: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(series.len());
        series::walk(series, |name, value| {
            let bound = match self.kind {
                MetricType::Summary => b"quantile".as_slice(),
                MetricType::Histogram => b"le",
                _ => b"",
            };
            if let Some(name) = name.filter(|n| bound.is_empty() || *n != bound) {
                key.extend_from_slice(name);
                key.extend_from_slice(value);
            }
        });
        key.extend_from_slice(family);
        key
    }

    /// Whether the current series is a `_created` one that is not to be shown.
    pub(crate) fn is_skipped_created(&self) -> bool {
        self.open_metrics
            && self.start_timestamps.skip_created
            && has_start(self.kind)
            && series::metric_name(self.series).ends_with(CREATED)
    }
}
