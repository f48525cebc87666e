//! Which commits a query sees: whole ones, in order. See DESIGN.md. Knows nothing of series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::TimestampMs;
use storage::Signal;

/// The number of a commit; they rise from 1 and become visible in that order.
pub(crate) type CommitSeq = u64;

#[derive(Default)]
struct State {
    last_seq: CommitSeq,
    in_flight: BTreeSet<CommitSeq>,
    /// What each open view sees. Later views never see less, so the first sees least.
    views: BTreeMap<u64, CommitSeq>,
    last_view: u64,
    /// From when on each open appender takes samples.
    appenders: BTreeMap<u64, TimestampMs>,
    last_appender: u64,
}

/// Hands out commit numbers and views.
#[derive(Default)]
pub(crate) struct Isolation {
    state: Mutex<State>,
    ended: Signal,
    /// The last commit of which, as of all before it, every sample is in its series.
    published: AtomicU64,
    /// No view, open now or opened later, sees less than this.
    low: AtomicU64,
}

impl Isolation {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, s: &State) {
        let published = s.in_flight.first().map_or(s.last_seq, |first| first - 1);
        self.published.store(published, Ordering::Release);
        let low = s.views.values().next().map_or(published, |v| published.min(*v));
        self.low.store(low, Ordering::Release);
    }

    /// Starts a commit: its samples stay hidden until the returned guard is finished or dropped.
    pub(crate) fn begin(&self) -> Commit<'_> {
        let mut s = self.state();
        s.last_seq += 1;
        let seq = s.last_seq;
        s.in_flight.insert(seq);
        Commit { isolation: self, seq }
    }

    fn wait_for(&self, seq: CommitSeq) {
        let mut s = self.state();
        while self.published.load(Ordering::Acquire) < seq {
            s = self.ended.wait(s);
        }
    }

    /// Returns when all commits begun so far are in their series.
    pub(crate) fn settle(&self) {
        let last = self.state().last_seq;
        self.wait_for(last);
    }

    /// The last commit of which, as of all before it, every sample is in its series.
    pub(crate) fn published(&self) -> CommitSeq {
        self.published.load(Ordering::Acquire)
    }

    /// No view needs to tell apart commits up to this one.
    pub(crate) fn low(&self) -> CommitSeq {
        self.low.load(Ordering::Acquire)
    }

    /// Opens a view of everything committed so far.
    pub(crate) fn view(self: &Arc<Self>) -> View {
        let mut s = self.state();
        s.last_view += 1;
        let id = s.last_view;
        let sees = self.published.load(Ordering::Acquire);
        s.views.insert(id, sees);
        self.refresh(&s);
        View { isolation: self.clone(), id, sees }
    }

    /// The last view opened, to be asked about with [`Self::closed_up_to`].
    pub(crate) fn last_view(&self) -> u64 {
        self.state().last_view
    }

    /// Whether all views up to number `view` have been closed.
    pub(crate) fn closed_up_to(&self, view: u64) -> bool {
        self.state().views.keys().next().is_none_or(|first| *first > view)
    }

    /// Notes an appender that takes samples from `min_valid_ms` on; returns its number.
    pub(crate) fn open_appender(&self, min_valid_ms: TimestampMs) -> u64 {
        let mut s = self.state();
        s.last_appender += 1;
        let id = s.last_appender;
        s.appenders.insert(id, min_valid_ms);
        id
    }

    /// The appender takes samples from `min_valid_ms` on only.
    pub(crate) fn narrow_appender(&self, id: u64, min_valid_ms: TimestampMs) {
        self.state().appenders.insert(id, min_valid_ms);
    }

    pub(crate) fn close_appender(&self, id: u64) {
        self.state().appenders.remove(&id);
    }

    /// Whether an open appender may still add samples before `t`.
    pub(crate) fn appenders_before(&self, t: TimestampMs) -> bool {
        self.state().appenders.values().any(|from| *from < t)
    }

    /// Appenders open now.
    pub(crate) fn open_appenders(&self) -> usize {
        self.state().appenders.len()
    }

    /// Views open now.
    pub(crate) fn open_views(&self) -> usize {
        self.state().views.len()
    }
}

/// A commit whose samples are being put into their series.
pub(crate) struct Commit<'a> {
    isolation: &'a Isolation,
    seq: CommitSeq,
}

impl Commit<'_> {
    pub(crate) fn seq(&self) -> CommitSeq {
        self.seq
    }

    /// Whether all commits before it are in their series.
    #[inline]
    pub(crate) fn is_next(&self) -> bool {
        self.isolation.published.load(Ordering::Acquire) + 1 >= self.seq
    }

    /// Returns when all commits before it are in their series.
    pub(crate) fn wait_for_turn(&self) {
        self.isolation.wait_for(self.seq - 1);
    }

    /// Makes the commit visible; returns when it is, that is, when all before it are too.
    pub(crate) fn finish(self) {
        let (isolation, seq) = (self.isolation, self.seq);
        drop(self);
        isolation.wait_for(seq);
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        let mut s = self.isolation.state();
        s.in_flight.remove(&self.seq);
        self.isolation.refresh(&s);
        drop(s);
        self.isolation.ended.notify_all();
    }
}

/// What one query sees; closes when dropped.
pub(crate) struct View {
    isolation: Arc<Isolation>,
    id: u64,
    sees: CommitSeq,
}

impl View {
    /// Commits up to this one are visible.
    pub(crate) fn sees(&self) -> CommitSeq {
        self.sees
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let mut s = self.isolation.state();
        s.views.remove(&self.id);
        self.isolation.refresh(&s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_become_visible_in_order() {
        let iso = Arc::new(Isolation::default());
        let a = iso.begin();
        let b = iso.begin();
        drop(b);
        assert_eq!(iso.view().sees(), 0, "the first is still at work");
        let old = iso.view();
        a.finish();
        assert_eq!(iso.view().sees(), 2);
        assert_eq!(iso.low(), 0, "an old view holds it back");
        let mark = iso.last_view();
        assert!(!iso.closed_up_to(mark));
        drop(old);
        assert!(iso.closed_up_to(mark));
        assert_eq!(iso.low(), 2);
    }
}
