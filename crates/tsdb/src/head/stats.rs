//! Counting what is in the head.

use std::sync::PoisonError;

use model::METRIC_NAME;

use super::Head;
use crate::db::{HeadStats, LabelCount};

/// Keeps the `limit` greatest, ties in order of name.
fn top(mut all: Vec<LabelCount>, limit: usize) -> Vec<LabelCount> {
    let order = |a: &LabelCount, b: &LabelCount| b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name));
    if all.len() > limit && limit > 0 {
        all.select_nth_unstable_by(limit - 1, order);
    }
    all.truncate(limit);
    all.sort_unstable_by(order);
    all
}

/// What a name or value takes in the labels of each series, as Prometheus counts it: its length takes one
/// byte, or four from 255 on. (Here they are stored once for all series.)
fn stored_bytes(text: &str) -> u64 {
    text.len() as u64 + if text.len() < 255 { 1 } else { 4 }
}

impl Head {
    /// The head in numbers; each list has at most `limit` entries. Walks the whole index.
    pub(crate) fn stats(&self, limit: usize) -> HeadStats {
        let postings = self.postings.read().unwrap_or_else(PoisonError::into_inner);
        let symbols = self.symbols.read();
        let metric_name = symbols.find(METRIC_NAME);
        let (mut metrics, mut values, mut bytes, mut pairs) = (vec![], vec![], vec![], vec![]);
        for name in postings.names() {
            let text = symbols.get(name);
            let (mut distinct, mut size) = (0, 0);
            for (value, series) in postings.values(name) {
                let (value, n) = (symbols.get(value), series.len() as u64);
                distinct += 1;
                size += n * (stored_bytes(text) + stored_bytes(value));
                if Some(name) == metric_name {
                    metrics.push(LabelCount { name: value.to_owned(), value: n });
                }
                pairs.push(LabelCount { name: format!("{text}={value}"), value: n });
                if pairs.len() > 4096 + 2 * limit {
                    pairs = top(pairs, limit);
                }
            }
            values.push(LabelCount { name: text.to_owned(), value: distinct });
            bytes.push(LabelCount { name: text.to_owned(), value: size });
        }
        HeadStats {
            num_series: self.counters.series.get(),
            num_label_pairs: postings.pairs() as u64,
            num_chunks: self.counters.chunks.get(),
            min_time_ms: self.min_ms(),
            max_time_ms: self.max_ms(),
            series_count_by_metric_name: top(metrics, limit),
            label_value_count_by_label_name: top(values, limit),
            memory_in_bytes_by_label_name: top(bytes, limit),
            series_count_by_label_value_pair: top(pairs, limit),
        }
    }
}
