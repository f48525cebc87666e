//! What is counted while a query runs: elements that nodes put out, windows that range functions
//! slide, samples consumed. [`super::account`] makes of it what Prometheus would have counted.
//!
//! A row costs two additions, whatever its length; one that has gaps, and histograms, a little more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::FloatHistogram;

use super::tallied::Tallied;
use super::{Exec, Stream, Val};
use crate::error::QueryError;
use crate::plan::{Node, Plan};
use crate::row::Row;

/// A histogram's weight as a point of a series.
pub(crate) fn point_weight(h: &FloatHistogram) -> u64 {
    (h.size() as u64 + 8) / 16
}

/// A histogram's weight as an element of an instant vector: Prometheus rounds otherwise there.
fn element_weight(h: &FloatHistogram) -> u64 {
    1 + h.size() as u64 / 16
}

/// The weights of a histogram of which only count and sum are kept.
const BARE_POINT: u64 = 11;
const BARE_ELEMENT: u64 = 11;

/// Elements at each step.
#[derive(Debug)]
pub(super) struct Profile {
    /// How many more there are than at the step before.
    more: Vec<i64>,
    /// What histograms weigh beyond 1: as elements of vectors, as points of series. Empty while
    /// there are none.
    elements: Vec<u64>,
    points: Vec<u64>,
}

/// A [`Profile`] summed up.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Elements.
    pub(super) cells: Vec<u64>,
    /// Their weight in an instant vector.
    pub(super) elements: Vec<u64>,
    /// Their weight as points.
    pub(super) points: Vec<u64>,
}

impl Profile {
    fn new(steps: usize) -> Self {
        Self { more: vec![0; steps + 1], elements: Vec::new(), points: Vec::new() }
    }

    fn add_run(&mut self, from: usize, to: usize) {
        self.more[from] += 1;
        self.more[to] -= 1;
    }

    fn add(&mut self, row: &Row, bucketless: bool) {
        row.for_each_run(|from, to| self.add_run(from, to));
        if !row.has_histograms() {
            return;
        }
        self.elements.resize(self.more.len(), 0);
        self.points.resize(self.more.len(), 0);
        for (step, h) in row.histograms() {
            let (element, point) =
                if bucketless { (BARE_ELEMENT, BARE_POINT) } else { (element_weight(h), point_weight(h)) };
            self.elements[step] += element - 1;
            self.points[step] += point - 1;
        }
    }

    fn steps(&self) -> Steps {
        let steps = self.more.len() - 1;
        let mut now = 0i64;
        let cells: Vec<u64> = self.more[..steps]
            .iter()
            .map(|more| {
                now += more;
                now.unsigned_abs()
            })
            .collect();
        let with =
            |extra: &[u64]| (0..steps).map(|s| cells[s] + extra.get(s).copied().unwrap_or(0)).collect();
        let (elements, points) = (with(&self.elements), with(&self.points));
        Steps { cells, elements, points }
    }
}

/// What sliding over one series held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slid {
    /// The largest window.
    pub(super) max: u64,
    /// The window of the last step.
    pub(super) last: u64,
    /// The points that the function made of it.
    pub(super) out: u64,
}

/// Samples consumed at each step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consumed {
    pub(crate) total: Vec<u64>,
    pub(crate) read: Vec<u64>,
}

impl Consumed {
    pub(super) fn new(steps: usize) -> Self {
        Self { total: vec![0; steps], read: vec![0; steps] }
    }

    /// Adds what another series consumed at the same steps.
    pub(super) fn add(&mut self, o: &Self) {
        self.total.resize(o.total.len(), 0);
        self.read.resize(o.read.len(), 0);
        self.total.iter_mut().zip(&o.total).for_each(|(to, n)| *to += n);
        self.read.iter_mut().zip(&o.read).for_each(|(to, n)| *to += n);
    }
}

/// What one node has done.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The points it put out.
    weight: Tallied,
    profile: Mutex<Option<Profile>>,
    /// The info series that `info` asked for.
    side_weight: AtomicU64,
    side_profile: Mutex<Option<Profile>>,
    /// Samples looked at and read by the node itself.
    total: AtomicU64,
    read: AtomicU64,
    consumed: Mutex<Consumed>,
    slid: Mutex<Vec<Slid>>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn steps_of(m: &Mutex<Option<Profile>>) -> Steps {
    lock(m).as_ref().map(Profile::steps).unwrap_or_default()
}

impl Meter {
    pub(super) fn weight(&self) -> u64 {
        self.weight.sum()
    }

    pub(super) fn steps(&self) -> Steps {
        steps_of(&self.profile)
    }

    pub(super) fn side_weight(&self) -> u64 {
        self.side_weight.load(Relaxed)
    }

    pub(super) fn side_steps(&self) -> Steps {
        steps_of(&self.side_profile)
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(super) fn consumed(&self) -> MutexGuard<'_, Consumed> {
        lock(&self.consumed)
    }

    pub(super) fn slid(&self) -> MutexGuard<'_, Vec<Slid>> {
        lock(&self.slid)
    }
}

/// The meters of all nodes of a plan.
#[derive(Debug)]
pub(crate) struct Meters {
    nodes: Vec<Meter>,
    /// Points counted so far by all nodes together; no node can hold more.
    counted: Tallied,
    /// A thread looks at what all have counted each time that it has itself counted so many more.
    stretch: u64,
    /// How many must be counted before it is worth asking again whether there are too many.
    due: AtomicU64,
    max: u64,
    /// Samples read by all nodes, where there may only be so many.
    read: AtomicU64,
    read_max: u64,
}

/// A thread counts so many points before it looks at what others have counted, unless few are allowed.
const STRETCH: u64 = 4096;

impl Meters {
    /// At most `max` samples held and `read_max` read; 0 for any number.
    pub(super) fn new(nodes: usize, max: usize, read_max: u64) -> Self {
        let max = if max == 0 { u64::MAX } else { max as u64 };
        Self {
            nodes: (0..nodes).map(|_| Meter::default()).collect(),
            counted: Tallied::default(),
            stretch: (max / 64).clamp(1, STRETCH),
            due: AtomicU64::new(max),
            max,
            read: AtomicU64::new(0),
            read_max: if read_max == 0 { u64::MAX } else { read_max },
        }
    }

    pub(super) fn max(&self) -> u64 {
        self.max
    }

    pub(super) fn of(&self, p: &Plan) -> &Meter {
        &self.nodes[p.id]
    }

    /// Whether the answer to "too many samples?" may have changed.
    fn is_due(&self, more: u64) -> bool {
        let (before, now) = self.counted.add(more);
        if before / self.stretch == now / self.stretch {
            return false;
        }
        let now = self.counted.sum();
        let due = self.due.load(Relaxed);
        if now <= due {
            return false;
        }
        let next = now.saturating_add((self.max / 8).max(4096));
        self.due.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
    }
}

impl<'e> Exec<'e> {
    /// Counts what node `p` puts out: at once where it is there already, else as it is read.
    pub(super) fn metered(&'e self, p: &'e Plan, val: Val<'e>) -> Result<Val<'e>, QueryError> {
        Ok(match val {
            Val::Scalar(v) => {
                let meter = self.meters.of(p);
                meter.weight.add(v.len() as u64);
                if self.plan.tallies[p.id].profile && v.len() == p.grid.steps {
                    let mut profile = lock(&meter.profile);
                    profile.get_or_insert_with(|| Profile::new(p.grid.steps)).add_run(0, v.len());
                }
                self.enough(v.len() as u64)?;
                Val::Scalar(v)
            }
            Val::Vector(Stream::Ready(rows)) => {
                for r in &rows {
                    self.meter_row(p, &r.row)?;
                }
                Val::Vector(Stream::Ready(rows))
            }
            Val::Vector(s @ Stream::Lazy { .. }) => {
                let count = move |row: Row| {
                    self.meter_row(p, &row)?;
                    Ok(row)
                };
                Val::Vector(s.map_rows(count))
            }
            s @ Val::String(_) => s,
        })
    }

    /// Counts a row that node `p` puts out.
    pub(super) fn meter_row(&self, p: &Plan, row: &Row) -> Result<(), QueryError> {
        if row.is_empty() {
            return Ok(());
        }
        let (tally, meter) = (self.plan.tallies[p.id], self.meters.of(p));
        let weight = row_weight(row, tally.bucketless);
        meter.weight.add(weight);
        if tally.profile || tally.steps {
            let mut profile = lock(&meter.profile);
            profile.get_or_insert_with(|| Profile::new(p.grid.steps)).add(row, tally.bucketless);
        }
        match &p.node {
            Node::Selector(s) if !s.smoothed => self.count_read(weight)?,
            Node::TimestampOf { .. } => self.count_read(weight)?,
            _ => {}
        }
        self.enough(weight)
    }

    /// Counts a row of an info series that node `p` asked for.
    pub(super) fn meter_side_row(&self, p: &Plan, row: &Row) -> Result<(), QueryError> {
        let meter = self.meters.of(p);
        let n = row.count() as u64;
        meter.side_weight.fetch_add(n, Relaxed);
        lock(&meter.side_profile).get_or_insert_with(|| Profile::new(p.grid.steps)).add(row, false);
        self.count_read(n)?;
        self.enough(n)
    }

    /// Counts the window of series `i` of `n` that node `p` slid, and the row made of it.
    pub(super) fn meter_slide(
        &self,
        p: &Plan,
        (i, n): (usize, usize),
        max: u64,
        last: u64,
        row: &Row,
    ) -> Result<(), QueryError> {
        let out = row_weight(row, self.plan.tallies[p.id].bucketless);
        self.put_slide(p, (i, n), Slid { max, last, out })
    }

    /// As [`Self::meter_slide`], where what is left of the window stays in memory.
    pub(super) fn meter_kept_slide(
        &self,
        p: &Plan,
        at: (usize, usize),
        max: u64,
        last: u64,
    ) -> Result<(), QueryError> {
        self.put_slide(p, at, Slid { max, last: 0, out: last })
    }

    fn put_slide(&self, p: &Plan, (i, n): (usize, usize), slid: Slid) -> Result<(), QueryError> {
        {
            let mut all = self.meters.of(p).slid();
            if all.is_empty() {
                all.resize(n, Slid::default());
            }
            all[i] = slid;
        }
        self.enough(slid.max.max(slid.last + slid.out))
    }

    /// Counts samples that node `p` itself looked at and read.
    pub(super) fn meter_consumed(&self, p: &Plan, total: u64, read: u64) -> Result<(), QueryError> {
        let meter = self.meters.of(p);
        meter.total.fetch_add(total, Relaxed);
        meter.read.fetch_add(read, Relaxed);
        self.count_read(read)
    }

    /// Counts points that node `p` holds without putting them out as rows.
    pub(super) fn meter_points(&self, p: &Plan, n: u64) -> Result<(), QueryError> {
        self.meters.of(p).weight.add(n);
        self.enough(n)
    }

    /// Counts samples read.
    pub(super) fn count_read(&self, n: u64) -> Result<(), QueryError> {
        if self.meters.read_max == u64::MAX {
            return Ok(());
        }
        let now = self.meters.read.fetch_add(n, Relaxed) + n;
        if now > self.meters.read_max { Err(QueryError::TooManySamplesRead) } else { Ok(()) }
    }

    /// Ends the query once it is certain that it holds too many samples.
    fn enough(&self, more: u64) -> Result<(), QueryError> {
        if self.meters.is_due(more) { self.check_samples() } else { Ok(()) }
    }
}

fn row_weight(row: &Row, bucketless: bool) -> u64 {
    let n = row.count() as u64;
    if !row.has_histograms() {
        return n;
    }
    row.histograms().fold(n, |n, (_, h)| n - 1 + if bucketless { BARE_POINT } else { point_weight(h) })
}
