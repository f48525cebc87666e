//! The head's series in order of labels, for a block: labels as numbers of sorted symbols, so that
//! neither sorting nor writing them makes a string per series.

use model::TimestampMs;
use model::symbols::SymbolId;

use super::Head;
use super::page::PAGE_SERIES;
use super::series::Series;

/// The number of a symbol that no chosen series has.
const NONE: u32 = u32::MAX;

/// Series in order of labels, and the strings of those labels. Memory: the text of each different
/// string once, per series 32 bytes and per label of it two numbers of as many bytes as the number
/// of strings needs.
pub(crate) struct OrderedSeries {
    /// The strings one behind the other, ascending.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
    /// Labels of all series, each number in [`Self::width`] bytes, the highest first: as bytes they
    /// are ordered as the labels are.
    keys: Vec<u8>,
    width: usize,
    series: Vec<Entry>,
}

struct Entry {
    /// The first eight bytes of the key: most comparisons need no more.
    prefix: u64,
    start: usize,
    len: u32,
    series: u64,
}

impl Head {
    /// The series that `chosen` says yes to, in order of labels. Those that come meanwhile may be
    /// missing; none may be collected meanwhile.
    pub(crate) fn ordered(&self, chosen: &dyn Fn(u64, &Series) -> bool) -> OrderedSeries {
        let mut numbers = Vec::new();
        self.each_series(&mut |series, s| {
            if chosen(series, s) {
                for SymbolId(id) in s.labels.ids() {
                    let id = id as usize;
                    if numbers.len() <= id {
                        numbers.resize(id + 1, NONE);
                    }
                    numbers[id] = 0;
                }
            }
        });
        let mut ordered = OrderedSeries {
            text: String::new(),
            ends: vec![0],
            keys: Vec::new(),
            width: 1,
            series: Vec::new(),
        };
        {
            let symbols = self.symbols.read();
            let used = (0u32..).zip(&numbers).filter(|(_, n)| **n != NONE).map(|(id, _)| id);
            let mut used: Vec<u32> = used.collect();
            used.sort_unstable_by(|a, b| symbols.get(SymbolId(*a)).cmp(symbols.get(SymbolId(*b))));
            // The empty string stands first; it is in every table of symbols.
            for (number, id) in (1u32..).zip(used) {
                numbers[id as usize] = number;
                ordered.text.push_str(symbols.get(SymbolId(id)));
                ordered.ends.push(ordered.text.len());
            }
        }
        let bits = usize::BITS - ordered.ends.len().leading_zeros();
        ordered.width = bits.div_ceil(8) as usize;
        self.each_series(&mut |series, s| {
            if chosen(series, s) {
                ordered.add(series, s, &numbers);
            }
        });
        ordered.sort();
        ordered
    }

    fn each_series(&self, f: &mut dyn FnMut(u64, &Series)) {
        for (number, page) in self.pages.all() {
            page.lock().iter().for_each(|(slot, s)| f(number * PAGE_SERIES + slot, s));
        }
    }

    /// The series with samples that may lie in `start_ms ..= end_ms`, in order of labels.
    pub(crate) fn ordered_between(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> OrderedSeries {
        self.ordered(&|_, s| {
            s.min_ms().is_some_and(|t| t <= end_ms) && s.end_ms().is_some_and(|t| t >= start_ms)
        })
    }
}

impl OrderedSeries {
    fn add(&mut self, series: u64, s: &Series, numbers: &[u32]) {
        let (start, width) = (self.keys.len(), self.width);
        for SymbolId(id) in s.labels.ids() {
            let Some(number) = numbers.get(id as usize).filter(|n| **n != NONE) else {
                // It came after the symbols were read.
                self.keys.truncate(start);
                return;
            };
            self.keys.extend_from_slice(&number.to_be_bytes()[4 - width..]);
        }
        let key = &self.keys[start..];
        let mut first = [0; 8];
        let n = key.len().min(8);
        first[..n].copy_from_slice(&key[..n]);
        let (prefix, len) = (u64::from_be_bytes(first), key.len() as u32);
        self.series.push(Entry { prefix, start, len, series });
    }

    fn sort(&mut self) {
        let Self { series, keys, .. } = self;
        let key = |e: &Entry| &keys[e.start..e.start + e.len as usize];
        series.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b))));
    }

    /// All strings, ascending, the empty one first.
    pub(crate) fn symbols(&self) -> Vec<&str> {
        let mut start = 0;
        let mut symbol = |end: &usize| &self.text[std::mem::replace(&mut start, *end)..*end];
        self.ends.iter().map(&mut symbol).collect()
    }

    /// Calls `f` with each series, in order: its reference and its labels as numbers of
    /// [`Self::symbols`].
    ///
    /// # Errors
    /// The first of `f`, which ends the walk.
    pub(crate) fn try_each<E>(
        &self,
        mut f: impl FnMut(u64, &[(u32, u32)]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut labels = Vec::new();
        let number = |bytes: &[u8]| bytes.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
        for e in &self.series {
            labels.clear();
            let key = &self.keys[e.start..e.start + e.len as usize];
            labels.extend(key.chunks_exact(2 * self.width).map(|pair| {
                let (name, value) = pair.split_at(self.width);
                (number(name), number(value))
            }));
            f(e.series, &labels)?;
        }
        Ok(())
    }
}
