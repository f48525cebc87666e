//! Which samples of the log the full chunks have.

use model::TimestampMs;

use super::Mapped;
use crate::head::batch::Sample;
use crate::int_map::IntMap;

/// The table may have so many places, and so many more per series that is in it.
const PLACES_MAX: u64 = 1 << 20;
const PLACES_PER_SERIES: u64 = 16;

/// For each reference that has full chunks, the time up to which they have its samples: of a long
/// log most samples are left out by this table, which is small and walked in order, and never
/// touch a series.
#[derive(Default)]
pub(super) struct Covered {
    first_ref: u64,
    ends_ms: Vec<TimestampMs>,
}

impl Covered {
    /// Empty where the references lie too far apart: the samples are then refused by the series.
    pub(super) fn new(mapped: &IntMap<u64, Mapped>) -> Self {
        let (Some(first_ref), Some(last)) = (mapped.keys().min().copied(), mapped.keys().max()) else {
            return Self::default();
        };
        let places = last - first_ref;
        if places > PLACES_MAX.max(mapped.len() as u64 * PLACES_PER_SERIES) {
            return Self::default();
        }
        let mut ends_ms = vec![TimestampMs::MIN; places as usize + 1];
        for (series, (chunks, _)) in mapped {
            ends_ms[(series - first_ref) as usize] = chunks.last().map_or(TimestampMs::MIN, |c| c.max_ms);
        }
        Self { first_ref, ends_ms }
    }

    /// Whether a sample is neither in a chunk nor before `min_valid_ms`.
    #[inline]
    fn wants(&self, sample: &impl Sample, min_valid_ms: TimestampMs) -> bool {
        let place = sample.series().wrapping_sub(self.first_ref) as usize;
        sample.t() >= min_valid_ms && self.ends_ms.get(place).is_none_or(|end| sample.t() > *end)
    }

    /// Leaves out the samples that chunks have, and those before `min_valid_ms`, with their start
    /// timestamps, if there are any.
    pub(super) fn strip<S: Sample>(
        &self,
        samples: &mut Vec<S>,
        starts: &mut Vec<TimestampMs>,
        min_valid_ms: TimestampMs,
    ) {
        if starts.is_empty() {
            return samples.retain(|s| self.wants(s, min_valid_ms));
        }
        let mut kept = samples.iter().map(|s| self.wants(s, min_valid_ms)).collect::<Vec<_>>().into_iter();
        starts.retain(|_| kept.next().unwrap_or(false));
        samples.retain(|s| self.wants(s, min_valid_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::series::{ChunkPlace, Kind, MappedChunk};
    use crate::wal::record::RefSample;

    #[test]
    fn samples_that_chunks_have_are_left_out() {
        let chunk = |min_ms, max_ms| MappedChunk { place: ChunkPlace { file: 1, offset: 8 }, min_ms, max_ms };
        let sample = |series, t| RefSample { series, t, v: 0.0 };
        let left = |chunks: &[(u64, MappedChunk)], samples: &[RefSample]| {
            let mut mapped: IntMap<u64, Mapped> = IntMap::default();
            for (series, c) in chunks {
                mapped.entry(*series).or_insert((Vec::new(), Kind::Float)).0.push(*c);
            }
            let mut samples = samples.to_vec();
            let mut starts: Vec<_> = samples.iter().map(|s| s.t + 100).collect();
            let covered = Covered::new(&mapped);
            covered.strip(&mut samples, &mut starts, 10);
            assert!(starts.iter().zip(&samples).all(|(st, s)| *st == s.t + 100));
            assert_eq!(starts.len(), samples.len());
            samples.iter().map(|s| (s.series, s.t)).collect::<Vec<_>>()
        };
        let samples =
            [sample(4, 9), sample(4, 10), sample(5, 20), sample(5, 21), sample(6, 15), sample(7, 30)];
        let chunks = [(5, chunk(0, 15)), (5, chunk(16, 20)), (7, chunk(0, 40))];
        assert_eq!(left(&chunks, &samples), [(4, 10), (5, 21), (6, 15)]);
        // Too far apart for a table: the series see to it.
        let far = [(5, chunk(0, 20)), (u64::MAX, chunk(0, 20))];
        assert_eq!(left(&far, &samples).len(), 5);
        assert_eq!(left(&[], &samples).len(), 5);
    }
}
