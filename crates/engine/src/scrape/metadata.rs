//! HELP, TYPE and UNIT as a target sends them.

use std::collections::BTreeMap;

/// Scrapes for which the metadata of a family that has gone is kept.
const KEPT_SCRAPES: u64 = 10;

/// What a target says of one metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricMetadata {
    /// `counter`, `gauge`, …; empty where the target said nothing.
    pub metric_type: String,
    /// The help text, unescaped.
    pub help: String,
    /// The unit, from OpenMetrics.
    pub unit: String,
}

/// Metadata of a target's families.
#[derive(Debug, Default)]
pub(super) struct MetadataStore {
    families: BTreeMap<Vec<u8>, (MetricMetadata, u64)>,
    scrape: u64,
}

/// The part of the metadata that a line sets.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Type,
    Help,
    Unit,
}

impl MetadataStore {
    pub(super) fn set(&mut self, family: &[u8], field: Field, text: &str) {
        let scrape = self.scrape;
        let put = |m: &mut MetricMetadata| {
            let place = match field {
                Field::Type => &mut m.metric_type,
                Field::Help => &mut m.help,
                Field::Unit => &mut m.unit,
            };
            if place != text {
                text.clone_into(place);
            }
        };
        if let Some((m, seen)) = self.families.get_mut(family) {
            *seen = scrape;
            return put(m);
        }
        let mut m = MetricMetadata { metric_type: "unknown".to_owned(), ..MetricMetadata::default() };
        put(&mut m);
        self.families.insert(family.to_vec(), (m, scrape));
    }

    pub(super) fn end_scrape(&mut self, good: bool) {
        if good {
            let scrape = self.scrape;
            self.families.retain(|_, (_, seen)| scrape - *seen <= KEPT_SCRAPES);
        }
        self.scrape += 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &MetricMetadata)> {
        self.families.iter().map(|(n, (m, _))| (n.as_slice(), m))
    }
}
