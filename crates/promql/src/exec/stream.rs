//! Rows on their way from one operator to the next.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use model::{Columns, Labels};
use storage::SeriesSet;

use super::Exec;
use super::edges::Edges;
use super::samples::Samples;
use crate::error::QueryError;
use crate::functions::stretch::{GoOn, LABELS, Pulse};
use crate::row::Row;

/// Which series a row belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) labels: Labels,
    /// Whether the metric name goes at the end of the query.
    pub(crate) drop_name: bool,
}

impl Head {
    pub(crate) fn new(labels: Labels) -> Self {
        Self { labels, drop_name: false }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct SeriesRow {
    pub(crate) head: Head,
    pub(crate) row: Row,
}

/// Buffers of one thread, reused from series to series.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) columns: Columns,
    pub(crate) samples: Samples,
    pub(crate) floats: Vec<f64>,
    pub(crate) resets: Vec<u32>,
    pub(crate) edges: Edges,
}

/// What is done with a partition.
type Work<'a, T> = dyn Fn(Range<usize>, &mut Scratch) -> Result<T, QueryError> + Sync + 'a;

type ReadRow<'e> = Box<dyn Fn(usize, &mut Scratch) -> Result<Row, QueryError> + Send + Sync + 'e>;

/// A vector's series: their labels now, their rows when asked for.
pub(crate) enum Stream<'e> {
    Ready(Vec<SeriesRow>),
    /// The function reads row `i`; it is called at most once for each.
    Lazy {
        heads: Vec<Head>,
        read: ReadRow<'e>,
    },
}

/// How many of `n` series one thread works through at a time: few enough that no thread is left
/// waiting for long, so many that their partial results are worth adding up. What results depend on
/// is this number, never how many threads there are.
fn partition_len(n: usize) -> usize {
    (n / 64).clamp(16, 1024)
}

impl<'e> Stream<'e> {
    pub(crate) fn empty() -> Self {
        Self::Ready(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ready(rows) => rows.len(),
            Self::Lazy { heads, .. } => heads.len(),
        }
    }

    pub(crate) fn head(&self, i: usize) -> &Head {
        match self {
            Self::Ready(rows) => &rows[i].head,
            Self::Lazy { heads, .. } => &heads[i],
        }
    }

    /// The stream with each row passed through `f`, heads left alone; of rows that are there already
    /// none are.
    pub(crate) fn map_rows(self, f: impl Fn(Row) -> Result<Row, QueryError> + Send + Sync + 'e) -> Self {
        match self {
            s @ Self::Ready(_) => s,
            Self::Lazy { heads, read } => {
                Self::Lazy { heads, read: Box::new(move |i, scratch| f(read(i, scratch)?)) }
            }
        }
    }

    /// The stream with each head and each row changed; `go_on` is asked now and then.
    pub(crate) fn map(
        self,
        go_on: GoOn<'_>,
        head: impl Fn(&Head) -> Head,
        row: impl Fn(Row) -> Result<Row, QueryError> + Send + Sync + 'e,
    ) -> Result<Self, QueryError> {
        let mut pulse = Pulse::new(go_on);
        Ok(match self {
            Self::Ready(rows) => {
                let mut out = Vec::with_capacity(rows.len());
                for r in rows {
                    pulse.beat(LABELS)?;
                    out.push(SeriesRow { head: head(&r.head), row: row(r.row)? });
                }
                out.retain(|r| !r.row.is_empty());
                Self::Ready(out)
            }
            Self::Lazy { heads, read } => {
                let mut changed = Vec::with_capacity(heads.len());
                for h in &heads {
                    pulse.beat(LABELS)?;
                    changed.push(head(h));
                }
                Self::Lazy { heads: changed, read: Box::new(move |i, scratch| row(read(i, scratch)?)) }
            }
        })
    }
}

impl<'e> Exec<'e> {
    /// The heads of the series that a select found.
    pub(crate) fn heads_of(&self, set: &dyn SeriesSet) -> Result<Vec<Head>, QueryError> {
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        let mut heads = Vec::with_capacity(set.len());
        for i in 0..set.len() {
            pulse.beat(LABELS)?;
            heads.push(Head::new(set.labels(i)));
        }
        Ok(heads)
    }

    /// Reads all rows; those without cells are left out. They count as held in memory until
    /// [`Self::release`].
    pub(crate) fn collect(&self, stream: Stream<'e>) -> Result<Vec<SeriesRow>, QueryError> {
        let (heads, read) = match stream {
            Stream::Ready(rows) => return Ok(rows),
            Stream::Lazy { heads, read } => (heads, read),
        };
        let mut all = Vec::with_capacity(heads.len());
        let work = |range: Range<usize>, scratch: &mut Scratch| {
            let mut rows = Vec::with_capacity(range.len());
            for i in range {
                self.check()?;
                let row = read(i, scratch)?;
                self.budget.take(row.weight())?;
                rows.push(row);
            }
            Ok(rows)
        };
        self.partitions(heads.len(), &work, |rows| all.extend(rows))?;
        let rows = heads.into_iter().zip(all);
        Ok(rows.map(|(head, row)| SeriesRow { head, row }).filter(|r| !r.row.is_empty()).collect())
    }

    /// A stream and what is evaluated after it. Should both fail, the error is the stream's, as if its rows had been read
    /// by then.
    pub(crate) fn then<T>(
        &self,
        first: Stream<'e>,
        second: Result<T, QueryError>,
    ) -> Result<(Stream<'e>, T), QueryError> {
        match second {
            Ok(second) => Ok((first, second)),
            Err(e) => {
                self.collect(first)?;
                Err(e)
            }
        }
    }

    /// Tells the budget that rows go out of memory.
    pub(crate) fn release(&self, rows: &[SeriesRow]) {
        self.budget.give(rows.iter().map(|r| r.row.weight()).sum());
    }

    /// Calls `work` on each partition of `0..n`, perhaps in parallel, and `merge` with each result
    /// in order of partitions, as soon as those before it are through. The error of the first
    /// partition that failed wins.
    pub(crate) fn partitions<T: Send>(
        &self,
        n: usize,
        work: &Work<'_, T>,
        mut merge: impl FnMut(T) + Send,
    ) -> Result<(), QueryError> {
        let len = partition_len(n);
        let count = n.div_ceil(len);
        if count <= 1 {
            if n > 0 {
                merge(work(0..n, &mut Scratch::default())?);
            }
            return Ok(());
        }
        let failed = AtomicUsize::new(usize::MAX);
        let state =
            Mutex::new(Arrivals { next: 0, waiting: BTreeMap::new(), is_merging: false, error: None });
        let merge = Mutex::new(merge);
        self.spawn.for_each(count, &|p| {
            // Partitions before the one that failed still count: theirs may be the first error.
            if p > failed.load(Ordering::Relaxed) {
                return;
            }
            let range = p * len..((p + 1) * len).min(n);
            let result = work(range, &mut Scratch::default());
            let mut s = state.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Err(e) => {
                    failed.fetch_min(p, Ordering::Relaxed);
                    if s.error.as_ref().is_none_or(|(at, _)| p < *at) {
                        s.error = Some((p, e));
                    }
                }
                Ok(part) => {
                    s.waiting.insert(p, part);
                    // Whoever merges takes what arrives meanwhile, and holds up nobody who brings it.
                    if std::mem::replace(&mut s.is_merging, true) {
                        return;
                    }
                    let mut merge = merge.lock().unwrap_or_else(PoisonError::into_inner);
                    loop {
                        let next = s.next;
                        let Some(part) = s.waiting.remove(&next) else { break };
                        s.next += 1;
                        drop(s);
                        merge(part);
                        s = state.lock().unwrap_or_else(PoisonError::into_inner);
                    }
                    s.is_merging = false;
                }
            }
        });
        match state.into_inner().unwrap_or_else(PoisonError::into_inner).error {
            Some((_, e)) => Err(e),
            None => Ok(()),
        }
    }
}

/// Results of partitions that wait for those before them.
struct Arrivals<T> {
    next: usize,
    waiting: BTreeMap<usize, T>,
    is_merging: bool,
    error: Option<(usize, QueryError)>,
}
