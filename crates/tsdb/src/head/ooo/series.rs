//! The out-of-order part of one series. Knows no locks, no log and no files.

use model::TimestampMs;

use super::sample::OooSample;
use crate::head::isolation::CommitSeq;
use crate::head::series::ChunkPlace;

/// Samples of an open out-of-order chunk (Prometheus `DefaultOutOfOrderCapMax`).
pub(crate) const OOO_SAMPLES_MAX: usize = 32;

/// A sample of a full chunk that some query must not see yet: its time and its commit.
type Recent = (TimestampMs, CommitSeq);

/// A full chunk in a head-chunks file: 40 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OooChunk {
    pub(crate) place: ChunkPlace,
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    /// The samples that were younger than the oldest view when the chunk was made, so that such
    /// views go on without them.
    pub(crate) recent: Box<[Recent]>,
}

/// Late samples of one series: those in memory, and full chunks in the order in which they were
/// written. Chunks overlap each other and the series' other chunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct OooSeries {
    /// Rising in time, at most [`OOO_SAMPLES_MAX`].
    open: Vec<OooSample>,
    pub(crate) mapped: Vec<OooChunk>,
}

impl OooSeries {
    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.mapped.is_empty()
    }

    /// The samples in memory, rising in time.
    pub(crate) fn open(&self) -> &[OooSample] {
        &self.open
    }

    /// Whether the samples in memory have one at `t`: another is dropped. Full chunks are not
    /// looked at.
    pub(crate) fn has(&self, t: TimestampMs) -> bool {
        self.open.binary_search_by_key(&t, |s| s.t).is_ok()
    }

    /// Whether the open chunk must be cut before it takes another sample.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= OOO_SAMPLES_MAX
    }

    /// Adds a sample; `false` where there is one at its time.
    pub(crate) fn insert(&mut self, sample: OooSample) -> bool {
        let at = match self.open.last() {
            // Late samples mostly come in order among themselves.
            Some(last) if last.t >= sample.t => match self.open.binary_search_by_key(&sample.t, |s| s.t) {
                Ok(_) => return false,
                Err(at) => at,
            },
            _ => self.open.len(),
        };
        if self.open.len() == self.open.capacity() {
            self.open.reserve_exact(self.open.len().max(4));
        }
        self.open.insert(at, sample);
        true
    }

    /// Takes the samples out of memory, to be put into chunks.
    pub(crate) fn take_open(&mut self) -> Vec<OooSample> {
        std::mem::take(&mut self.open)
    }

    /// Takes the samples of a commit out of memory that failed.
    pub(crate) fn discard(&mut self, seq: CommitSeq) {
        self.open.retain(|s| s.seq != seq);
    }

    /// First and last time, the samples in memory included.
    pub(crate) fn span(&self) -> Option<(TimestampMs, TimestampMs)> {
        let mapped = self.mapped.iter().map(|m| (m.min_ms, m.max_ms));
        let open = self.open.first().zip(self.open.last()).map(|(first, last)| (first.t, last.t));
        mapped.chain(open).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Forgets the chunks at `last` and before; returns how many.
    pub(crate) fn forget_up_to(&mut self, last: ChunkPlace) -> usize {
        let before = self.mapped.len();
        self.mapped.retain(|m| m.place > last);
        let gone = before - self.mapped.len();
        if gone > 0 {
            self.mapped.shrink_to_fit();
        }
        gone
    }

    /// Whether a chunk lies at this place; see [`ChunkPlace::pack`].
    pub(crate) fn has_chunk(&self, place: u64) -> bool {
        self.mapped.binary_search_by_key(&place, |m| m.place.pack()).is_ok()
    }
}

/// Which of the samples in `min_ms ..= max_ms` not all views from `low` on see.
pub(crate) fn recent(
    samples: &[OooSample],
    (min_ms, max_ms): (TimestampMs, TimestampMs),
    low: CommitSeq,
) -> Box<[Recent]> {
    let within = samples.iter().filter(|s| s.seq > low && min_ms <= s.t && s.t <= max_ms);
    within.map(|s| (s.t, s.seq)).collect()
}

impl ChunkPlace {
    /// The place as one number, as Prometheus has it in markers; 0 is none.
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.file) << 32 | u64::from(self.offset)
    }

    /// The place in a number of [`Self::pack`].
    pub(crate) fn unpack(place: u64) -> Self {
        Self { file: (place >> 32) as u32, offset: place as u32 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::Columns;
    use proptest::prelude::*;

    use super::*;
    use crate::head::ooo::encode::encode;
    use crate::head::ooo::merge::merge_runs;
    use crate::head::ooo::sample::OooValue;
    use crate::head::series::ChunkRules;

    fn float(t: TimestampMs, seq: CommitSeq, v: f64) -> OooSample {
        OooSample { t, st: 0, seq, value: OooValue::Float(v) }
    }

    #[test]
    fn first_of_a_time_stays() {
        let mut s = OooSeries::default();
        for (t, want) in [(5, true), (3, true), (9, true), (3, false), (4, true), (9, false)] {
            assert_eq!(s.insert(float(t, 1, t as f64)), want, "{t}");
        }
        assert!(s.has(4) && !s.has(6));
        assert_eq!(s.open().iter().map(|s| s.t).collect::<Vec<_>>(), [3, 4, 5, 9]);
        assert_eq!(s.span(), Some((3, 9)));
        assert!(s.insert(float(1, 2, 0.0)));
        s.discard(2);
        assert_eq!(s.span(), Some((3, 9)));
    }

    #[test]
    fn chunks_go_by_place() {
        let chunk = |file, offset, min_ms, max_ms| OooChunk {
            place: ChunkPlace { file, offset },
            min_ms,
            max_ms,
            recent: Box::default(),
        };
        let mut s = OooSeries {
            mapped: vec![chunk(1, 8, 5, 9), chunk(1, 99, 0, 3), chunk(2, 8, 4, 20)],
            ..OooSeries::default()
        };
        assert_eq!(s.span(), Some((0, 20)));
        assert_eq!(s.forget_up_to(ChunkPlace { file: 1, offset: 99 }), 2);
        assert_eq!(s.span(), Some((4, 20)));
        assert_eq!(s.forget_up_to(ChunkPlace::unpack(s.mapped[0].place.pack())), 1);
        assert!(s.is_empty());
    }

    #[test]
    fn recent_samples_are_those_above_the_oldest_view() {
        let samples = [float(1, 3, 0.0), float(2, 5, 0.0), float(3, 4, 0.0)];
        assert_eq!(*recent(&samples, (0, 9), 3), [(2, 5), (3, 4)]);
        assert_eq!(*recent(&samples, (0, 2), 3), [(2, 5)]);
        assert_eq!(*recent(&samples, (0, 9), 5), []);
    }

    proptest! {
        #[test]
        fn holds_what_a_map_holds(times in prop::collection::vec(0i64..300, 0..200)) {
            let (mut series, mut model) = (OooSeries::default(), BTreeMap::new());
            let mut runs = Vec::new();
            let rules = ChunkRules { range_ms: 1000, samples: 120, floats: chunk::Encoding::Xor, starts: false, histogram_starts: false };
            for (v, t) in times.into_iter().enumerate() {
                if series.has(t) {
                    prop_assert!(model.contains_key(&t));
                    continue;
                }
                if series.is_full() {
                    let samples = series.take_open();
                    prop_assert_eq!(samples.len(), OOO_SAMPLES_MAX);
                    encode(&samples, &rules, |c| {
                        let mut run = Columns::default();
                        chunk::decode(c.encoding(), c.bytes(), i64::MIN, i64::MAX, &mut run).unwrap();
                        runs.push(run);
                    });
                }
                prop_assert!(series.insert(float(t, 0, v as f64)));
                model.entry(t).or_insert(v as f64);
            }
            let mut open = Columns::default();
            series.open().iter().for_each(|s| s.push_to(&mut open));
            runs.push(open);
            let mut out = Columns::default();
            merge_runs(&runs, &mut out);
            prop_assert_eq!(out.t.into_iter().zip(out.v).collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
        }
    }
}
