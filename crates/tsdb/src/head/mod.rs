//! The newest samples, in memory: series by reference and by labels, their open chunks, and the
//! appenders and queries over them. DESIGN.md beside this file says how commits stay whole.
//! Knows nothing of blocks.

mod append;
mod index;
mod int_map;
mod isolation;
mod open_chunk;
mod page;
mod postings;
mod querier;
mod series;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::symbols::{SymbolLabels, Symbols};
use model::{Labels, TimestampMs};

use index::HashIndex;
use isolation::Isolation;
use page::{PAGE_SERIES, Page, Pages, page_number};
use postings::Postings;
use series::Series;

pub(crate) use append::HeadAppender;
pub(crate) use querier::HeadQuerier;

/// What the head is told when it is made.
#[derive(Clone, Debug)]
pub(crate) struct HeadOptions {
    /// Length of a block cut from the head, milliseconds > 0.
    pub(crate) range_ms: i64,
}

/// The head.
pub(crate) struct Head {
    options: HeadOptions,
    symbols: Symbols,
    index: HashIndex,
    pages: Pages,
    postings: RwLock<Postings>,
    isolation: Arc<Isolation>,
    last_ref: AtomicU64,
    /// First time that may be in the head; `i64::MAX` while it is empty.
    min_ms: AtomicI64,
    /// Time of the newest sample; `i64::MIN` while it is empty.
    max_ms: AtomicI64,
    /// Samples before this belong to blocks.
    min_valid_ms: AtomicI64,
    batches: Mutex<Vec<append::Batch>>,
}

impl Head {
    pub(crate) fn new(options: HeadOptions) -> Self {
        Self {
            options,
            symbols: Symbols::new(),
            index: HashIndex::default(),
            pages: Pages::default(),
            postings: RwLock::default(),
            isolation: Arc::default(),
            last_ref: AtomicU64::new(0),
            min_ms: AtomicI64::new(TimestampMs::MAX),
            max_ms: AtomicI64::new(TimestampMs::MIN),
            min_valid_ms: AtomicI64::new(TimestampMs::MIN),
            batches: Mutex::default(),
        }
    }

    pub(crate) fn min_ms(&self) -> TimestampMs {
        self.min_ms.load(Ordering::Acquire)
    }

    pub(crate) fn max_ms(&self) -> TimestampMs {
        self.max_ms.load(Ordering::Acquire)
    }

    /// Whether the head has had its first sample.
    pub(crate) fn initialized(&self) -> bool {
        self.min_ms() != TimestampMs::MAX
    }

    /// The first sample's time opens the head.
    fn initialize(&self, t: TimestampMs) {
        // The maximum first: who sees the minimum relies on both.
        let _ = self.max_ms.compare_exchange(TimestampMs::MIN, t, Ordering::AcqRel, Ordering::Acquire);
        let _ = self.min_ms.compare_exchange(TimestampMs::MAX, t, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Samples before this are out of bounds: they belong to blocks, or to a block soon to be cut.
    fn appendable_min_ms(&self) -> TimestampMs {
        let window = self.max_ms().saturating_sub(self.options.range_ms / 2);
        window.max(self.min_valid_ms.load(Ordering::Acquire))
    }

    fn widen(&self, min_ms: TimestampMs, max_ms: TimestampMs) {
        self.min_ms.fetch_min(min_ms, Ordering::AcqRel);
        self.max_ms.fetch_max(max_ms, Ordering::AcqRel);
    }

    /// The series of `labels`, made if there is none. The series is kept from collection by one
    /// pending count, which the caller must give back. The second value says whether it is new.
    fn get_or_create(&self, labels: &Labels) -> (u64, bool) {
        let hash = labels.hash64();
        let mut shard = self.index.shard(hash);
        {
            let symbols = self.symbols.read();
            let found = shard.find(hash, |series| {
                self.page_of(series).is_some_and(|page| {
                    let mut page = page.lock();
                    let Some(s) = page.get_mut(series).filter(|s| s.labels.equals(labels, &symbols)) else {
                        return false;
                    };
                    s.pending += 1;
                    true
                })
            });
            if let Some(series) = found {
                return (series, false);
            }
        }
        let ids = SymbolLabels::intern(labels, &self.symbols);
        let series = self.last_ref.fetch_add(1, Ordering::Relaxed) + 1;
        let mut s = Series::new(ids.clone());
        s.pending = 1;
        self.pages.put(series, s);
        shard.insert(hash, series);
        self.postings.write().unwrap_or_else(PoisonError::into_inner).add(series, &ids);
        (series, true)
    }

    fn page_of(&self, series: u64) -> Option<Arc<Page>> {
        self.pages.get(page_number(series))
    }

    /// All references, in order.
    fn all_refs(&self) -> Vec<u64> {
        let mut refs = Vec::new();
        for (number, page) in self.pages.all() {
            refs.extend(page.lock().iter().map(|(slot, _)| number * PAGE_SERIES + slot));
        }
        refs
    }
}
