//! What operators do to label sets.

use model::{Labels, METRIC_NAME};

use crate::error::QueryError;
use crate::functions::stretch::{GoOn, LABELS, Pulse};
use crate::plan::Grouping;

/// The labels that make up a metric's identity besides its dimensions; sorted.
pub(crate) const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Whether the label tells what the metric is rather than which of its series.
pub(crate) fn is_metadata(name: &str) -> bool {
    METADATA.contains(&name)
}

/// [`is_metadata`] of a name's bytes.
fn is_metadata_bytes(name: &[u8]) -> bool {
    name.starts_with(b"__") && METADATA.iter().any(|n| n.as_bytes() == name)
}

/// The set without name, type and unit.
pub(crate) fn drop_metadata(l: &Labels) -> Labels {
    l.filter(|n| !is_metadata_bytes(n))
}

/// The set without one label.
pub(crate) fn without(l: &Labels, name: &str) -> Labels {
    l.filter(|n| n != name.as_bytes())
}

/// The labels of the group that a series belongs to.
pub(crate) fn group(l: &Labels, g: &Grouping) -> Labels {
    if g.without {
        l.filter(|n| !is_metadata_bytes(n) && !contains(&g.names, n))
    } else if g.names.is_empty() {
        Labels::empty()
    } else {
        l.keep(&g.names)
    }
}

/// Whether [`group`] would yield `known`, found out without building it.
pub(crate) fn is_in_group(l: &Labels, g: &Grouping, known: &Labels) -> bool {
    let listed = |n: &str| contains(&g.names, n.as_bytes());
    if g.without {
        l.iter().filter(|(n, _)| !is_metadata(n) && !listed(n)).eq(known.iter())
    } else {
        l.iter().filter(|(n, _)| listed(n)).eq(known.iter())
    }
}

/// Whether all sets have the same name, type and unit: then distinct sets stay distinct without.
pub(crate) fn share_metadata<'a>(
    mut all: impl Iterator<Item = &'a Labels>,
    go_on: GoOn<'_>,
) -> Result<bool, QueryError> {
    let Some(first) = all.next() else { return Ok(true) };
    let wanted = METADATA.map(|n| first.get(n));
    let mut pulse = Pulse::new(go_on);
    for l in all {
        pulse.beat(LABELS)?;
        if METADATA.map(|n| l.get(n)) != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The labels by which elements of two vectors pair up. `names` must be sorted.
pub(crate) fn match_group(l: &Labels, on: bool, names: &[String]) -> Labels {
    if on { l.keep(names) } else { l.filter(|n| !is_metadata_bytes(n) && !contains(names, n)) }
}

fn contains(names: &[String], n: &[u8]) -> bool {
    names.binary_search_by(|x| x.as_bytes().cmp(n)).is_ok()
}
