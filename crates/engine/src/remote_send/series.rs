//! The series that a queue has heard of, with the labels it sends them under.

use std::collections::HashSet;
use std::sync::Arc;

use model::labels::LabelsBuilder;
use model::relabel::{RelabelConfig, process};
use model::{Labels, Metadata, MetricType};
use tsdb::int_map::IntMap;

use super::names::NamePool;

/// How series are known to the other side.
#[derive(Clone, Debug, Default)]
pub(super) struct Naming {
    /// Added where a series has no such label.
    pub(super) external_labels: Labels,
    /// Then applied.
    pub(super) relabel: Vec<RelabelConfig>,
    /// Whether type and unit come from the labels `__type__` and `__unit__`.
    pub(super) type_and_unit_labels: bool,
}

/// A series of the log.
pub(super) struct Known {
    /// `None`: it is not sent.
    pub(super) labels: Option<Labels>,
    pub(super) metadata: Option<Arc<Metadata>>,
    /// The last segment that named it.
    segment: u32,
    /// Where its newest sample is in its shard, counted from the shard's first, around 2^32.
    pub(super) last: u32,
}

/// All series by reference.
pub(super) struct SeriesMap {
    naming: Naming,
    series: IntMap<u64, Known>,
    names: NamePool,
    builder: LabelsBuilder,
    /// Each text of metadata once; many series share one.
    texts: HashSet<Arc<Metadata>>,
}

impl SeriesMap {
    pub(super) fn new(naming: Naming, names: NamePool) -> Self {
        let (series, texts) = (IntMap::default(), HashSet::new());
        Self { naming, series, names, builder: LabelsBuilder::new(), texts }
    }

    #[inline]
    pub(super) fn get(&self, series: u64) -> Option<&Known> {
        self.series.get(&series)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, series: u64) -> Option<&mut Known> {
        self.series.get_mut(&series)
    }

    pub(super) fn knows(&self, series: u64) -> bool {
        self.series.contains_key(&series)
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Takes a series up. A reference never changes its meaning.
    pub(super) fn add(&mut self, series: u64, labels: Labels, segment: u32) {
        if let Some(known) = self.series.get_mut(&series) {
            known.segment = known.segment.max(segment);
            return;
        }
        let labels = self.rename(labels).map(|labels| self.names.share(labels));
        let metadata = labels.as_ref().and_then(|l| self.described_by(l, None));
        self.series.insert(series, Known { labels, metadata, segment, last: 0 });
    }

    fn rename(&mut self, labels: Labels) -> Option<Labels> {
        let Naming { external_labels, relabel, .. } = &self.naming;
        if external_labels.is_empty() && relabel.is_empty() {
            return Some(labels);
        }
        self.builder.reset(&labels);
        for (name, value) in external_labels.iter() {
            if labels.get(name).is_none() {
                self.builder.set(name, value);
            }
        }
        let is_sent = process(relabel, &mut self.builder) && !self.builder.is_empty();
        is_sent.then(|| self.builder.build())
    }

    /// What is said of a series by its labels, and by `known` where those say nothing.
    fn described_by(&mut self, labels: &Labels, known: Option<Metadata>) -> Option<Arc<Metadata>> {
        let metadata = if self.naming.type_and_unit_labels {
            Metadata {
                kind: labels.get("__type__").and_then(MetricType::parse).unwrap_or_default(),
                unit: labels.get("__unit__").unwrap_or_default().to_owned(),
                help: known.map(|m| m.help).unwrap_or_default(),
            }
        } else {
            known?
        };
        if metadata == Metadata::default() {
            return None;
        }
        if let Some(there) = self.texts.get(&metadata) {
            return Some(there.clone());
        }
        let new = Arc::new(metadata);
        self.texts.insert(new.clone());
        Some(new)
    }

    /// Takes up what is known of a series' metric.
    pub(super) fn describe(&mut self, series: u64, metadata: Metadata) {
        let Some(labels) = self.series.get(&series).and_then(|k| k.labels.clone()) else { return };
        let metadata = self.described_by(&labels, Some(metadata));
        if let Some(known) = self.series.get_mut(&series) {
            known.metadata = metadata;
        }
    }

    /// The checkpoint of that number has the series.
    pub(super) fn keep(&mut self, series: u64, number: u32) {
        if let Some(known) = self.series.get_mut(&series) {
            known.segment = known.segment.max(number);
        }
    }

    /// Forgets series that no segment from `number` on has named.
    pub(super) fn forget(&mut self, number: u32) {
        self.series.retain(|_, known| known.segment >= number);
        self.series.shrink_to(self.series.len() * 2);
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.names.sweep();
    }
}

impl Drop for SeriesMap {
    fn drop(&mut self) {
        self.series.clear();
        self.names.sweep();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::relabel::{NameValidation, RelabelAction, RelabelParts};

    use super::*;

    #[test]
    fn names_series_for_the_other_side() {
        let drop = RelabelParts {
            source_labels: Some(vec!["job".to_owned()]),
            regex: Some("no.*".to_owned()),
            action: RelabelAction::Drop,
            ..RelabelParts::default()
        };
        let naming = Naming {
            external_labels: Labels::from_pairs([("dc", "eu"), ("job", "none")]),
            relabel: vec![RelabelConfig::new(drop, NameValidation::Utf8).unwrap()],
            type_and_unit_labels: true,
        };
        let mut map = SeriesMap::new(naming, NamePool::default());
        let cases = [
            (vec![("__name__", "a"), ("job", "x")], Some(r#"{__name__="a", dc="eu", job="x"}"#)),
            (
                vec![("__name__", "a"), ("dc", "us"), ("job", "x")],
                Some(r#"{__name__="a", dc="us", job="x"}"#),
            ),
            (vec![("__name__", "a")], None),
            (vec![("__name__", "a"), ("job", "node")], None),
        ];
        for (i, (labels, want)) in cases.into_iter().enumerate() {
            map.add(i as u64, Labels::from_pairs(labels), 3);
            let labels = map.get(i as u64).unwrap().labels.as_ref().map(ToString::to_string);
            assert_eq!(labels.as_deref(), want);
        }
        map.add(9, Labels::from_pairs([("__type__", "counter"), ("__unit__", "s"), ("job", "x")]), 4);
        map.describe(9, Metadata { kind: MetricType::Gauge, help: "h".into(), unit: "m".into() });
        let want = Metadata { kind: MetricType::Counter, help: "h".into(), unit: "s".into() };
        assert_eq!(map.get(9).unwrap().metadata.as_deref(), Some(&want));
        map.keep(1, 5);
        map.forget(4);
        assert_eq!((map.len(), map.knows(1), map.knows(9), map.knows(0)), (2, true, true, false));
    }
}
