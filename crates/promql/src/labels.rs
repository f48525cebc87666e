//! What operators do to label sets.

use model::{Labels, METRIC_NAME};

use crate::plan::Grouping;

/// The labels that make up a metric's identity besides its dimensions; sorted.
pub(crate) const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Whether the label tells what the metric is rather than which of its series.
pub(crate) fn is_metadata(name: &str) -> bool {
    METADATA.contains(&name)
}

/// The set without name, type and unit.
pub(crate) fn drop_metadata(l: &Labels) -> Labels {
    if l.iter().any(|(n, _)| is_metadata(n)) {
        Labels::from_sorted(l.iter().filter(|(n, _)| !is_metadata(n)))
    } else {
        l.clone()
    }
}

/// The set without one label.
pub(crate) fn without(l: &Labels, name: &str) -> Labels {
    if l.get(name).is_none() { l.clone() } else { Labels::from_sorted(l.iter().filter(|(n, _)| *n != name)) }
}

/// The labels of the group that a series belongs to.
pub(crate) fn group(l: &Labels, g: &Grouping) -> Labels {
    if g.without {
        Labels::from_sorted(l.iter().filter(|(n, _)| !is_metadata(n) && !contains(&g.names, n)))
    } else if g.names.is_empty() {
        Labels::empty()
    } else {
        l.keep(&g.names)
    }
}

/// The labels by which elements of two vectors pair up. `names` must be sorted.
pub(crate) fn match_group(l: &Labels, on: bool, names: &[String]) -> Labels {
    if on {
        l.keep(names)
    } else {
        Labels::from_sorted(l.iter().filter(|(n, _)| !is_metadata(n) && !contains(names, n)))
    }
}

fn contains(names: &[String], n: &str) -> bool {
    names.binary_search_by(|x| x.as_str().cmp(n)).is_ok()
}
