//! Series whose last sample is a stale marker: counted, and, when there are many, evicted once blocks
//! have all that they hold. Knows nothing of blocks.

use model::TimestampMs;
use storage::StorageError;

use super::Head;
use super::isolation::CommitSeq;
use super::ordered::OrderedSeries;
use super::page::PAGE_SERIES;
use super::series::Series;
use crate::int_map::IntMap;
use crate::wal::record::Stone;

/// A series as it was when it was chosen: who appends to it changes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    last_seq: CommitSeq,
    end_ms: TimestampMs,
}

/// Stale series without late samples, whose commits all queries see.
#[derive(Debug)]
pub(crate) struct StaleSeries(IntMap<u64, Chosen>);

impl StaleSeries {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the series ended.
    pub(crate) fn end_ms(&self, series: u64) -> TimestampMs {
        self.0.get(&series).map_or(TimestampMs::MIN, |c| c.end_ms)
    }

    fn is_unchanged(&self, series: u64, s: &Series) -> bool {
        let chosen = self.0.get(&series);
        s.pending == 0
            && s.ooo().is_none()
            && s.is_stale()
            && chosen.is_some_and(|c| (s.last_seq, s.end_ms()) == (c.last_seq, Some(c.end_ms)))
    }
}

/// Series of which blocks have everything: they go when the queries that may not know of the blocks
/// have ended.
#[derive(Debug)]
pub(crate) struct StaleEviction {
    series: StaleSeries,
    last_view: u64,
}

impl Head {
    /// Series whose last sample in order is a stale marker.
    pub(crate) fn num_stale(&self) -> u64 {
        // Threads count together: it may be below zero for a moment.
        u64::try_from(self.counters.stale_series.get() as i64).unwrap_or(0)
    }

    /// Counts them anew, when nobody appends.
    pub(crate) fn count_stale(&self) {
        let stale = |page: &super::page::Page| page.lock().iter().filter(|(_, s)| s.is_stale()).count();
        let n: usize = self.pages.all().iter().map(|(_, page)| stale(page)).sum();
        self.counters.stale_series.set(n as u64);
    }

    /// The stale series as they are now.
    pub(crate) fn stale_series(&self) -> StaleSeries {
        let published = self.isolation.published();
        let mut chosen = IntMap::default();
        for (number, page) in self.pages.all() {
            for (slot, s) in page.lock().iter() {
                let settled = s.pending == 0 && s.ooo().is_none() && s.last_seq <= published;
                if let Some(end_ms) = s.end_ms().filter(|_| settled && s.is_stale()) {
                    chosen.insert(number * PAGE_SERIES + slot, Chosen { last_seq: s.last_seq, end_ms });
                }
            }
        }
        StaleSeries(chosen)
    }

    /// Those of them with samples that may lie in `start_ms ..= end_ms`, in order of labels.
    pub(crate) fn ordered_stale(
        &self,
        stale: &StaleSeries,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
    ) -> OrderedSeries {
        self.ordered(&|series, s| {
            s.min_ms().is_some_and(|t| t <= end_ms)
                && stale.0.get(&series).is_some_and(|c| c.end_ms >= start_ms)
        })
    }

    /// Blocks have all that the series hold: whoever asks from now on knows those blocks.
    pub(crate) fn announce_eviction(&self, series: StaleSeries) -> StaleEviction {
        StaleEviction { series, last_view: self.isolation.last_view() }
    }

    /// Whether nobody needs the series here any more.
    pub(crate) fn can_evict(&self, eviction: &StaleEviction) -> bool {
        self.isolation.closed_up_to(eviction.last_view)
    }

    /// Takes out the series that are as they were; returns how many. The log says of each that it has
    /// gone, before another of its labels can be in it.
    ///
    /// # Errors
    /// Where the log cannot be written: the series have gone, and come back with the next start.
    pub(crate) fn evict(&self, eviction: &StaleEviction) -> Result<usize, StorageError> {
        let stale = &eviction.series;
        let mut candidates = Vec::new();
        let mut newest_ms = TimestampMs::MIN;
        for (number, page) in self.pages.all() {
            for (slot, s) in page.lock().iter() {
                let series = number * PAGE_SERIES + slot;
                if stale.is_unchanged(series, s) {
                    newest_ms = newest_ms.max(stale.end_ms(series));
                    candidates.push((series, s.labels.clone()));
                }
            }
        }
        let going = |series| {
            if let Some(wal) = self.wal() {
                wal.add_tombstone(Stone { series, min_ms: TimestampMs::MIN, max_ms: TimestampMs::MAX });
            }
        };
        let n = self.remove_series(candidates, newest_ms, &|series, s| stale.is_unchanged(series, s), &going);
        if let Some(wal) = self.wal().filter(|_| n > 0) {
            wal.flush()?;
        }
        Ok(n)
    }
}
