//! Questions about label names and values, answered from an index alone.

use model::Matcher;
use storage::{Stop, StorageError};

use super::matching::postings_for_matchers;
use super::reader::IndexReader;
use super::{codec::Corruption, postings};

impl IndexReader {
    /// Number of values of the label `name`.
    #[must_use]
    pub fn num_values(&self, name: &str) -> u32 {
        self.offsets.num_values(name)
    }

    /// The names of the labels of the series that satisfy all matchers, sorted; at most `limit`,
    /// 0 for all.
    ///
    /// # Errors
    /// Where the index is corrupt.
    pub fn label_names(&self, limit: usize, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        if matchers.is_empty() {
            return Ok(self.offsets.names().take(limit).map(str::to_owned).collect());
        }
        let mut seen = vec![false; self.num_symbols() as usize];
        for id in postings_for_matchers(self, matchers, &Stop::default())? {
            let mut entry = self.series(id)?;
            let mut see = |_, name: u32, _| -> Result<(), Corruption> {
                seen[name as usize] = true;
                Ok(())
            };
            entry.each_label(&mut see).map_err(|c| self.corrupt(c))?;
        }
        let numbers = (0u32..).zip(seen).filter_map(|(number, seen)| seen.then_some(number));
        let names = numbers.filter_map(|number| self.symbols.get(&self.map, number));
        Ok(names.take(limit).map(str::to_owned).collect())
    }

    /// The values of label `name` among the series that satisfy all matchers, sorted; at most
    /// `limit`, 0 for all.
    ///
    /// # Errors
    /// Where the index is corrupt.
    pub fn label_values(
        &self,
        name: &str,
        limit: usize,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, StorageError> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        if name.is_empty() {
            return Ok(Vec::new());
        }
        let (own, others): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.name == name);
        let keep = |value: &str| own.iter().all(|m| m.matches(value));
        if others.is_empty() {
            return self.values_where(name, limit, &mut |value, _| Ok(keep(value)));
        }
        let series = postings_for_matchers(self, matchers, &Stop::default())?;
        // One entry per series, or one list per value: whichever is less to read.
        if series.len() <= self.num_values(name) as usize {
            return self.values_of(name, limit, &series);
        }
        let mut list = Vec::new();
        self.values_where(name, limit, &mut |value, offset| {
            if !keep(value) {
                return Ok(false);
            }
            list.clear();
            self.postings(offset, &mut list)?;
            Ok(postings::intersects(&list, &series))
        })
    }

    fn values_where(
        &self,
        name: &str,
        limit: usize,
        keep: &mut dyn FnMut(&str, u64) -> Result<bool, Corruption>,
    ) -> Result<Vec<String>, StorageError> {
        let mut out = Vec::new();
        let mut visit = |value: &str, offset| {
            if keep(value, offset)? {
                out.push(value.to_owned());
            }
            Ok(out.len() < limit)
        };
        self.offsets.walk(&self.map, name, "", &mut visit).map_err(|c| self.corrupt(c))?;
        Ok(out)
    }

    fn values_of(&self, name: &str, limit: usize, series: &[u32]) -> Result<Vec<String>, StorageError> {
        let mut values = Vec::with_capacity(series.len());
        for id in series {
            values.extend(self.label_value(*id, name)?);
        }
        values.sort_unstable();
        values.dedup();
        Ok(values.into_iter().take(limit).map(str::to_owned).collect())
    }
}
