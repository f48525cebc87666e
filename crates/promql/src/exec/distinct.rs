//! Series of equal labels: one series where their steps are disjoint, an error where not.

use std::collections::HashMap;

use model::Labels;

use super::{Exec, SeriesRow, Stream};
use crate::error::QueryError;
use crate::functions::stretch::{LABELS, Pulse};
use crate::labels::share_metadata;
use crate::row::Row;

impl<'e> Exec<'e> {
    /// [`Stream::map`] for operators whose output is no longer the metric of their input.
    pub(crate) fn rename(
        &self,
        s: Stream<'e>,
        row: impl Fn(Row) -> Result<Row, QueryError> + Send + Sync + 'e,
    ) -> Result<Stream<'e>, QueryError> {
        let go_on = || self.check();
        let stays_distinct = share_metadata((0..s.len()).map(|i| &s.head(i).labels), &go_on)?;
        let out = s.map(&go_on, |h| self.renamed(h), row)?;
        if stays_distinct { Ok(out) } else { self.distinct_if_renamed(out) }
    }

    /// Makes label sets distinct after an operator that removed names, if it did so already.
    pub(crate) fn distinct_if_renamed(&self, s: Stream<'e>) -> Result<Stream<'e>, QueryError> {
        if self.opts.delayed_name_removal { Ok(s) } else { self.distinct(s) }
    }

    /// Makes label sets distinct. Whether a name is to go, the first of equal series says.
    pub(crate) fn distinct(&self, s: Stream<'e>) -> Result<Stream<'e>, QueryError> {
        self.merge_equal(s, |_, _| false)
    }

    /// As [`Self::distinct`], but the series with the earliest cell says it: so it is where Prometheus
    /// goes step by step.
    pub(super) fn distinct_in_time(&self, s: Stream<'e>) -> Result<Stream<'e>, QueryError> {
        self.merge_equal(s, |kept, row| row.span().0 < kept.span().0)
    }

    /// `tells(kept, row)` is whether the second of two equal series says if the name is to go.
    fn merge_equal(
        &self,
        s: Stream<'e>,
        tells: impl Fn(&Row, &Row) -> bool,
    ) -> Result<Stream<'e>, QueryError> {
        let n = s.len();
        let mut places: HashMap<Labels, usize> = HashMap::with_capacity(n);
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        for i in 0..n {
            pulse.beat(LABELS)?;
            places.entry(s.head(i).labels.clone()).or_insert(i);
        }
        if places.len() == n {
            return Ok(s);
        }
        places.clear();
        let mut out: Vec<SeriesRow> = Vec::with_capacity(places.len());
        for r in self.collect(s)? {
            pulse.beat(LABELS)?;
            match places.get(&r.head.labels) {
                None => {
                    places.insert(r.head.labels.clone(), out.len());
                    out.push(r);
                }
                Some(i) => {
                    if tells(&out[*i].row, &r.row) {
                        out[*i].head.drop_name = r.head.drop_name;
                    }
                    out[*i].row = out[*i].row.merge(&r.row, &go_on)?;
                }
            }
        }
        Ok(Stream::Ready(out))
    }
}
