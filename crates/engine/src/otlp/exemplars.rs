//! Exemplars of a data point, as the head takes them.

use model::Labels;
use storage::Exemplar;
use wire::otlp::{Exemplars, Number};

use super::context::pairs;
use super::fault::Fault;

const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";
/// Characters of an exemplar's labels together (OpenMetrics 1.0, Exemplars).
const CHARS_MAX: usize = 128;
const NS_PER_MS: i64 = 1_000_000;

/// Translates all, in the order of the body, into `out`. Where attributes are too long together they are left out;
/// those of the trace stay.
///
/// # Errors
/// An exemplar without a value; a damaged body.
pub(super) fn translate(exemplars: Exemplars<'_>, out: &mut Vec<Exemplar>) -> Result<(), Fault> {
    out.clear();
    for exemplar in exemplars {
        let exemplar = exemplar?;
        let value = match exemplar.value {
            Number::None => return Err(Fault::Other("unsupported exemplar value type: Empty".to_owned())),
            given => given.value(),
        };
        let mut ids = Vec::with_capacity(2);
        for (name, id) in [(TRACE_ID, exemplar.trace_id), (SPAN_ID, exemplar.span_id)] {
            if !id.is_empty() {
                ids.push((name.to_owned(), id.iter().map(|b| format!("{b:02x}")).collect::<String>()));
            }
        }
        let mut attributes = pairs(&exemplar.attributes)?;
        attributes.retain(|(key, _)| !ids.iter().any(|(name, _)| name == key));
        let chars = |pairs: &[(String, String)]| -> usize {
            pairs.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum()
        };
        if chars(&ids) + chars(&attributes) <= CHARS_MAX {
            ids.append(&mut attributes);
        }
        let t = (exemplar.time_ns as i64).div_euclid(NS_PER_MS);
        out.push(Exemplar { labels: Labels::from_pairs(ids), value, timestamp_ms: Some(t) });
    }
    Ok(())
}
