//! Forgetting what blocks have: chunks, series without chunks, log segments.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use model::TimestampMs;
use model::symbols::SymbolLabels;
use storage::StorageError;

use super::ooo::OooSeries;
use super::page::{PAGE_SERIES, page_number};
use super::series::Series;
use super::{Head, lock};
use crate::wal::reader::remove_covered;
use crate::wal::segment::segments;
use crate::wal::tail::last_free;
use crate::wal::{CheckpointRules, write_checkpoint};

/// A truncation that has been announced: queries that begin from now on take what lies before
/// `mint_ms` from blocks, and when those that began before have ended it can be forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truncation {
    pub(crate) mint_ms: TimestampMs,
    last_view: u64,
}

impl Head {
    /// Hides everything before `mint_ms` from new queries and refuses samples before it.
    pub(crate) fn announce_truncation(&self, mint_ms: TimestampMs) -> Truncation {
        self.min_valid_ms.fetch_max(mint_ms, Ordering::AcqRel);
        self.max_ms.fetch_max(mint_ms, Ordering::AcqRel);
        self.min_ms.store(mint_ms, Ordering::Release);
        Truncation { mint_ms, last_view: self.isolation.last_view() }
    }

    /// Whether nobody needs any more what `t` would forget.
    pub(crate) fn can_truncate(&self, t: &Truncation) -> bool {
        self.isolation.closed_up_to(t.last_view)
    }

    /// Forgets chunks that end before `mint_ms`, series that have none left and whom no appender
    /// holds, and files in which nothing is left.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn collect(&self, mint_ms: TimestampMs) -> Result<(), StorageError> {
        let mut dead = Vec::new();
        let (mut chunks, mut stale) = (0, 0);
        let mut first_file = u32::MAX;
        let mut first_ms = TimestampMs::MAX;
        let mut late = (TimestampMs::MAX, TimestampMs::MIN);
        self.ooo.begin_count();
        for (number, page) in self.pages.all() {
            let mut page = page.lock();
            for (slot, s) in page.iter_mut() {
                let was_stale = s.is_stale();
                chunks += s.truncate_before(mint_ms);
                stale += u64::from(was_stale && !s.is_stale());
                if let Some(m) = s.mapped.first() {
                    first_file =
                        s.mapped.iter().map(|m| m.place.file).min().unwrap_or(m.place.file).min(first_file);
                }
                first_ms = s.min_ms().map_or(first_ms, |t| t.min(first_ms));
                for c in s.ooo().map_or(&[][..], |o| &o.mapped) {
                    first_file = first_file.min(c.place.file);
                }
                if let Some((min_ms, max_ms)) = s.ooo().and_then(OooSeries::span) {
                    late = (late.0.min(min_ms), late.1.max(max_ms));
                }
                if s.is_dead() {
                    dead.push((number * PAGE_SERIES + slot, s.labels.clone()));
                }
            }
        }
        self.ooo.end_count(late);
        self.forget_tombstones(mint_ms.min(self.ooo.span().map_or(TimestampMs::MAX, |(min_ms, _)| min_ms)));
        self.counters.chunks_removed.add(chunks as u64);
        self.counters.chunks.sub(chunks as u64);
        self.counters.stale_series.sub(stale);
        // Nothing in the log is newer than the newest sample.
        self.remove_series(dead, first_ms.min(self.max_ms()).max(mint_ms), &|_, s| s.is_dead(), &|_| {});
        if first_ms > self.min_ms() && first_ms != TimestampMs::MAX {
            // The head begins later than asked for, though not later than samples may still come.
            let from = first_ms.min(self.appendable_min_ms());
            self.min_ms.fetch_max(from, Ordering::AcqRel);
            self.min_valid_ms.fetch_max(from, Ordering::AcqRel);
        }
        self.chunks.truncate(first_file)
    }

    /// Takes series out of everything that knows them, those that `may_go` still says yes to, and calls
    /// `going` with each before another of its labels can come. Returns how many went.
    pub(super) fn remove_series(
        &self,
        candidates: Vec<(u64, SymbolLabels)>,
        keep_until_ms: TimestampMs,
        may_go: &dyn Fn(u64, &Series) -> bool,
        going: &dyn Fn(u64),
    ) -> usize {
        let mut gone = Vec::new();
        let (mut chunks, mut stale) = (0, 0);
        for (series, labels) in candidates {
            let hash = labels.resolve(&self.symbols.read()).hash64();
            let mut shard = self.index.shard(hash);
            let Some(page) = self.page_of(series) else { continue };
            let mut page = page.lock();
            let Some(s) = page.get(series).filter(|s| may_go(series, s)) else { continue };
            chunks += s.num_chunks() as u64;
            stale += u64::from(s.is_stale());
            page.remove(series);
            shard.remove(hash, series);
            going(series);
            gone.push((series, labels));
        }
        if gone.is_empty() {
            return 0;
        }
        self.counters.chunks_removed.add(chunks);
        self.counters.chunks.sub(chunks);
        self.counters.stale_series.sub(stale);
        let refs: Vec<u64> = gone.iter().map(|(r, _)| *r).collect();
        let pairs: HashSet<_> = gone.iter().flat_map(|(_, l)| l.iter().collect::<Vec<_>>()).collect();
        self.postings.write().unwrap_or_else(PoisonError::into_inner).remove(&refs, pairs);
        for (_, labels) in &gone {
            self.symbols.release(labels.ids());
        }
        self.symbols.reclaim();
        let next = self.last_ref.load(Ordering::Relaxed) + 1;
        self.pages.retire_empty(page_number(next));
        lock(&self.wal_expiries).extend(refs.iter().map(|r| (*r, keep_until_ms)));
        self.counters.series.sub(refs.len() as u64);
        self.counters.series_removed.add(refs.len() as u64);
        refs.len()
    }

    /// Rewrites the older two thirds of the log into a checkpoint, without what lies before
    /// `mint_ms`, and removes them. What readers of the log still need stays as long as the segments have
    /// no more than `held_bytes_max`.
    ///
    /// # Errors
    /// The system's. The log is as it was, or has more than it needs.
    pub(crate) fn truncate_wal(&self, mint_ms: TimestampMs, held_bytes_max: u64) -> Result<(), StorageError> {
        let Some(wal) = self.wal() else { return Ok(()) };
        let options = wal.options();
        let current = wal.next_segment()?;
        let all = segments(&*options.fs, &options.dir)?;
        let Some((first, _)) = all.first().copied() else { return Ok(()) };
        // The segment that was current before is never part of a checkpoint.
        let Some(last) = current.checked_sub(2).filter(|last| *last >= first) else { return Ok(()) };
        let last = first + (last - first) * 2 / 3;
        let needed = self.log_holds.first_needed();
        let is_held = needed.is_some_and(|n| n <= last);
        let Some(last) = last_free(&all, last, needed, held_bytes_max) else { return Ok(()) };
        if last <= first {
            return Ok(());
        }
        let expiries = lock(&self.wal_expiries).clone();
        let names = self.ooo.wbl_names();
        let keep = |series: u64| {
            // Whoever is behind may come upon samples of series that are gone from here.
            is_held
                || self.page_of(series).is_some_and(|p| p.lock().get(series).is_some())
                || expiries.get(&series).is_some_and(|until| *until >= mint_ms)
                || names.contains(&series)
        };
        // Late samples that are older still need what was deleted of them.
        let deleted_ms = self.ooo.span().map_or(mint_ms, |(min_ms, _)| min_ms.min(mint_ms));
        self.counters.checkpoints.add(1);
        let rules = CheckpointRules { mint_ms, deleted_ms, keep: &keep, says_min_valid: true };
        if let Err(e) = write_checkpoint(options, last, &rules) {
            self.counters.checkpoints_failed.add(1);
            return Err(e);
        }
        lock(&self.wal_expiries).retain(|_, until| *until >= mint_ms);
        remove_covered(&*options.fs, &options.dir, last)
    }
}
