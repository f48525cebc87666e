//! What of a request was taken in otherwise than its sender may think.

use std::collections::BTreeSet;

/// Different remarks on one request that are kept; later ones are counted with their category alone.
const TEXTS_MAX: usize = 1000;
/// Remarks that go into the log.
const LOGGED_MAX: usize = 20;

/// Categories, as they label Prometheus' metric.
pub(crate) const CATEGORIES: [&str; 4] = [
    "empty_data_points",
    "label_name_collision",
    "histogram_zero_count_non_zero_sum",
    "histogram_plus_inf_bound",
];

/// What a remark is about: an index of [`CATEGORIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    EmptyDataPoints,
    LabelNameCollision,
    ZeroCountNonZeroSum,
    PlusInfBound,
}

/// The remarks on one request, each text once.
#[derive(Debug, Default)]
pub(super) struct Warnings(BTreeSet<(Category, String)>);

impl Warnings {
    pub(super) fn push(&mut self, category: Category, text: impl FnOnce() -> String) {
        if self.0.len() < TEXTS_MAX {
            self.0.insert((category, text()));
        }
    }

    /// How many there are of each category.
    pub(super) fn counts(&self) -> [u64; CATEGORIES.len()] {
        let mut counts = [0; CATEGORIES.len()];
        self.0.iter().for_each(|(category, _)| counts[*category as usize] += 1);
        counts
    }

    /// All of them for the log; `None` where there are none.
    pub(super) fn text(&self) -> Option<String> {
        let mut texts: Vec<&str> = self.0.iter().take(LOGGED_MAX).map(|(_, text)| text.as_str()).collect();
        let more = format!("and {} more", self.0.len().saturating_sub(LOGGED_MAX));
        if self.0.len() > LOGGED_MAX {
            texts.push(&more);
        }
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}
