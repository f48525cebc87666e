//! HELP, TYPE and UNIT as a target sends them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Scrapes for which the metadata of a family that has gone is kept.
const KEPT_SCRAPES: u64 = 10;

/// Families beyond twice those of the last good scrape that failed scrapes may leave behind.
const LEFTOVER_FAMILIES_MAX: usize = 1000;

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

type Families = Arc<[(String, MetricMetadata)]>;

/// What other threads see of a target's metadata: that of the last scrape to end.
#[derive(Debug, Default)]
pub(super) struct Published(Mutex<Families>);

impl Published {
    pub(super) fn get(&self) -> Families {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, families: Families) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = families;
    }
}

/// Metadata of a target's families.
#[derive(Debug, Default)]
pub(super) struct MetadataStore {
    families: BTreeMap<Vec<u8>, (MetricMetadata, u64)>,
    scrape: u64,
    good_count: usize,
    /// Whether `published` says something else.
    changed: bool,
    published: Arc<Published>,
}

/// The part of the metadata that a line sets.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Type,
    Help,
    Unit,
}

impl MetadataStore {
    /// An empty store, whose contents show in `published` after each scrape.
    pub(super) fn new(published: Arc<Published>) -> Self {
        Self { published, ..Self::default() }
    }

    /// What is known of a family, from this scrape and those before.
    pub(super) fn get(&self, family: &[u8]) -> Option<&MetricMetadata> {
        self.families.get(family).map(|(m, _)| m)
    }

    pub(super) fn set(&mut self, family: &[u8], field: Field, text: &str) {
        let scrape = self.scrape;
        let put = |m: &mut MetricMetadata| {
            let place = match field {
                Field::Type => &mut m.metric_type,
                Field::Help => &mut m.help,
                Field::Unit => &mut m.unit,
            };
            let differs = place != text;
            if differs {
                text.clone_into(place);
            }
            differs
        };
        if let Some((m, seen)) = self.families.get_mut(family) {
            *seen = scrape;
            self.changed |= put(m);
            return;
        }
        let mut m = MetricMetadata { metric_type: "unknown".to_owned(), ..MetricMetadata::default() };
        put(&mut m);
        self.families.insert(family.to_vec(), (m, scrape));
        self.changed = true;
    }

    /// Ends a scrape. A good one drops the families not seen for some time, as do failed ones that
    /// leave too many.
    pub(super) fn end_scrape(&mut self, good: bool) {
        let count = self.families.len();
        let kept_scrapes = match good {
            true => Some(KEPT_SCRAPES),
            false => (count > self.good_count * 2 + LEFTOVER_FAMILIES_MAX).then_some(0),
        };
        if let Some(kept_scrapes) = kept_scrapes {
            let scrape = self.scrape;
            self.families.retain(|_, (_, seen)| scrape - *seen <= kept_scrapes);
            self.changed |= self.families.len() != count;
        }
        if good {
            self.good_count = self.families.len();
        }
        self.scrape += 1;
        if std::mem::take(&mut self.changed) {
            let name = |n: &[u8]| String::from_utf8_lossy(n).into_owned();
            self.published.set(self.families.iter().map(|(n, (m, _))| (name(n), m.clone())).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_scrapes_cannot_fill_memory() {
        let mut m = MetadataStore::default();
        for scrape in 0..20 {
            for i in 0..600 {
                m.set(format!("m{scrape}_{i}").as_bytes(), Field::Help, "text");
            }
            m.end_scrape(false);
            assert!(m.families.len() <= LEFTOVER_FAMILIES_MAX + 600, "{}", m.families.len());
        }
        m.end_scrape(true);
        assert_eq!(m.published.get().len(), m.families.len());
    }

    #[test]
    fn a_family_is_forgotten_some_scrapes_after_it_has_gone() {
        let mut m = MetadataStore::default();
        m.set(b"a", Field::Type, "counter");
        for _ in 0..=KEPT_SCRAPES {
            m.end_scrape(true);
            assert_eq!(m.published.get()[0].1.metric_type, "counter");
        }
        m.end_scrape(true);
        assert!(m.published.get().is_empty());
    }
}
