//! What the head knows about late samples as a whole.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use model::TimestampMs;
use storage::AppendError;

use crate::head::series::ChunkPlace;
use crate::head::{Head, lock};
use crate::wal::Wal;

/// A span without a time in it.
const NOTHING: (TimestampMs, TimestampMs) = (TimestampMs::MAX, TimestampMs::MIN);

/// The head's state outside of the series.
pub(crate) struct OooState {
    /// How far behind the head's newest sample others may lie, milliseconds; 0: no late samples.
    window_ms: AtomicI64,
    /// The log of late samples, there since a window was open first or the log was found.
    wbl: OnceLock<Wal>,
    /// Held from before late samples go into their series until they are queued for the log, so
    /// that the log has them in the same order as the chunks. In it the span of what has come since
    /// [`Self::begin_count`].
    pub(super) order: Mutex<(TimestampMs, TimestampMs)>,
    /// No late sample is older, none is newer.
    min_ms: AtomicI64,
    max_ms: AtomicI64,
    /// Blocks have the late chunks up to this place; see [`ChunkPlace::pack`].
    in_blocks: AtomicU64,
    /// References that only the log of late samples uses for series known under others: the main
    /// log must keep saying whose they are.
    pub(super) wbl_names: Mutex<HashSet<u64>>,
}

impl Default for OooState {
    fn default() -> Self {
        Self {
            window_ms: AtomicI64::new(0),
            wbl: OnceLock::new(),
            order: Mutex::new(NOTHING),
            min_ms: AtomicI64::new(NOTHING.0),
            max_ms: AtomicI64::new(NOTHING.1),
            in_blocks: AtomicU64::new(0),
            wbl_names: Mutex::default(),
        }
    }
}

impl OooState {
    /// First and last time that a late sample may have; `None` where there is none.
    pub(crate) fn span(&self) -> Option<(TimestampMs, TimestampMs)> {
        let (min_ms, max_ms) = (self.min_ms.load(Ordering::Acquire), self.max_ms.load(Ordering::Acquire));
        (min_ms <= max_ms).then_some((min_ms, max_ms))
    }

    /// Whether late samples may be in the span.
    pub(crate) fn overlaps(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> bool {
        self.span().is_some_and(|(min_ms, max_ms)| min_ms <= end_ms && max_ms >= start_ms)
    }

    pub(super) fn widen(&self, (min_ms, max_ms): (TimestampMs, TimestampMs)) {
        self.min_ms.fetch_min(min_ms, Ordering::AcqRel);
        self.max_ms.fetch_max(max_ms, Ordering::AcqRel);
    }

    /// From now on what comes is noted apart, for [`Self::end_count`].
    pub(in crate::head) fn begin_count(&self) {
        *lock(&self.order) = NOTHING;
    }

    /// The span is that of `found`, which a walk over all series saw, and of what has come since the
    /// walk began.
    pub(in crate::head) fn end_count(&self, found: (TimestampMs, TimestampMs)) {
        let since = lock(&self.order);
        self.min_ms.store(found.0.min(since.0), Ordering::Release);
        self.max_ms.store(found.1.max(since.1), Ordering::Release);
    }

    /// References that the log of late samples uses, and only that.
    pub(in crate::head) fn wbl_names(&self) -> HashSet<u64> {
        lock(&self.wbl_names).clone()
    }

    /// The log of late samples, if there is one.
    pub(crate) fn wbl(&self) -> Option<&Wal> {
        self.wbl.get()
    }

    /// Blocks have the late chunks up to this place.
    pub(in crate::head) fn in_blocks(&self) -> ChunkPlace {
        ChunkPlace::unpack(self.in_blocks.load(Ordering::Acquire))
    }

    pub(super) fn set_in_blocks(&self, place: ChunkPlace) {
        self.in_blocks.fetch_max(place.pack(), Ordering::AcqRel);
    }
}

/// By what rules an appender takes late samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LateRules {
    window_ms: i64,
    /// Samples before this are too old.
    from_ms: TimestampMs,
    /// Late samples are refused all the same.
    pub(crate) refuse: bool,
}

impl LateRules {
    /// Whether late samples are taken at all.
    #[inline]
    pub(crate) fn open(&self) -> bool {
        self.window_ms > 0
    }

    /// What becomes of a sample that is too late for the end of its series.
    ///
    /// # Errors
    /// `why`, or that it is older than the window.
    pub(crate) fn judge(&self, t: TimestampMs, why: AppendError) -> Result<(), AppendError> {
        if !self.open() || !matches!(why, AppendError::OutOfOrder | AppendError::OutOfBounds) {
            return Err(why);
        }
        if t < self.from_ms {
            Err(AppendError::TooOld)
        } else if self.refuse {
            Err(AppendError::OutOfOrder)
        } else {
            Ok(())
        }
    }
}

impl Head {
    /// The rules as they are now.
    pub(in crate::head) fn late_rules(&self, refuse: bool) -> LateRules {
        let window_ms = self.ooo.window_ms.load(Ordering::Acquire);
        LateRules { window_ms, from_ms: self.max_ms().saturating_sub(window_ms), refuse }
    }

    /// Takes late samples from now on as far back as `window_ms`, 0 for none at all. The log must be
    /// there first.
    pub(crate) fn set_ooo_window(&self, window_ms: i64) {
        self.ooo.window_ms.store(window_ms.max(0), Ordering::Release);
    }

    /// From now on late samples are logged.
    pub(crate) fn set_wbl(&self, wbl: Wal) {
        // A head is given one log of late samples, once.
        let _ = self.ooo.wbl.set(wbl);
    }
}
