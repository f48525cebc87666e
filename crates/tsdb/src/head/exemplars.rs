//! Exemplars in memory: one ring for all series, in which those of a series are chained in order of
//! time. A new one takes the place of the one that was added longest ago. Rules and order are those
//! of Prometheus' `CircularExemplarStorage`. The ring knows no series of the head: labels are its key.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Labels, Matcher, SeriesRef, TimestampMs};
use storage::{AppendError, Exemplar, ExemplarSeries};

use super::Head;
use crate::counter::Counter;
use crate::wal::record::RefExemplar;

/// Names and values of an exemplar's labels may have so many characters together.
const LABEL_CHARS_MAX: usize = 128;

/// No slot.
const NONE: u32 = u32::MAX;

/// One exemplar, in the chain of its series.
struct Slot {
    series: Labels,
    labels: Labels,
    t: TimestampMs,
    v: f64,
    /// Whether the time came with it, and is not that of its sample.
    timed: bool,
    older: u32,
    newer: u32,
}

/// The slots of a series' oldest and newest exemplar.
#[derive(Clone, Copy)]
struct Chain {
    oldest: u32,
    newest: u32,
}

/// When an exemplar was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExemplarTime {
    /// It came with a time.
    Own(TimestampMs),
    /// It came without, with a sample of that time.
    Sample(TimestampMs),
}

impl ExemplarTime {
    fn ms(self) -> TimestampMs {
        match self {
            Self::Own(t) | Self::Sample(t) => t,
        }
    }
}

impl From<TimestampMs> for ExemplarTime {
    fn from(t: TimestampMs) -> Self {
        Self::Own(t)
    }
}

#[derive(Default)]
struct Ring {
    /// Grows up to `max`; from then on the slot at `next` is the oldest.
    slots: Vec<Slot>,
    next: usize,
    max: usize,
    window_ms: i64,
    chains: HashMap<Labels, Chain>,
}

/// What the ring holds, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExemplarStats {
    pub(crate) exemplars: usize,
    pub(crate) series: usize,
    pub(crate) max: usize,
    /// Time of the exemplar that was added longest ago.
    pub(crate) last_ms: TimestampMs,
}

/// The exemplars of a head.
#[derive(Default)]
pub(crate) struct ExemplarRing {
    ring: RwLock<Ring>,
    pub(crate) appended: Counter,
    pub(crate) out_of_order: Counter,
}

impl ExemplarRing {
    fn read(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on at most `max` exemplars are kept, those added last, and others may come up to
    /// `window_ms` behind the newest of their series. Linear in what is there.
    pub(crate) fn resize(&self, max: usize, window_ms: i64) {
        let mut ring = self.write();
        ring.window_ms = window_ms.max(0);
        // Slots have numbers of 32 bits.
        let max = max.min(NONE as usize - 1);
        if max != ring.max {
            ring.resize(max);
        }
    }

    /// Whether the exemplar would be kept: `false` where none are, or where the series has it.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn validate(
        &self,
        series: &Labels,
        t: impl Into<ExemplarTime>,
        v: f64,
        labels: &Labels,
    ) -> Result<bool, AppendError> {
        self.read().validate(series, t.into(), v, labels)
    }

    /// Adds an exemplar; one that [`Self::validate`] has no use for is dropped.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn add(
        &self,
        series: &Labels,
        t: impl Into<ExemplarTime>,
        v: f64,
        labels: &Labels,
    ) -> Result<(), AppendError> {
        let t = t.into();
        let mut ring = self.write();
        let wanted = ring.validate(series, t, v, labels).inspect_err(|e| {
            if *e == AppendError::OutOfOrderExemplar {
                self.out_of_order.add(1);
            }
        })?;
        if wanted && ring.add(series, t, v, labels) {
            self.appended.add(1);
        }
        Ok(())
    }

    /// The exemplars with `start_ms ≤ t ≤ end_ms` of the series that satisfy any of the lists, in
    /// order of labels and time.
    pub(crate) fn select(
        &self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        matchers: &[Vec<Matcher>],
    ) -> Vec<ExemplarSeries> {
        let ring = self.read();
        let mut out = Vec::new();
        for (series, chain) in &ring.chains {
            let (oldest, newest) = (ring.slot(chain.oldest), ring.slot(chain.newest));
            if oldest.t > end_ms || newest.t < start_ms {
                continue;
            }
            let satisfied =
                |list: &Vec<Matcher>| list.iter().all(|m| m.matches(series.get(&m.name).unwrap_or_default()));
            if !matchers.iter().any(satisfied) {
                continue;
            }
            let exemplars: Vec<_> = ring
                .chain(*chain)
                .map(|at| ring.slot(at))
                .filter(|s| (start_ms..=end_ms).contains(&s.t))
                .map(|s| Exemplar { labels: s.labels.clone(), value: s.v, timestamp_ms: Some(s.t) })
                .collect();
            if !exemplars.is_empty() {
                out.push(ExemplarSeries { series: series.clone(), exemplars });
            }
        }
        out.sort_unstable_by(|a, b| a.series.cmp(&b.series));
        out
    }

    /// Series, time, value and labels of each exemplar, in the order in which they were added.
    fn each_in_order(&self, mut f: impl FnMut(&Labels, TimestampMs, f64, &Labels)) {
        let ring = self.read();
        let first = if ring.slots.len() < ring.max { 0 } else { ring.next };
        let (newest, oldest) = ring.slots.split_at(first);
        oldest.iter().chain(newest).for_each(|s| f(&s.series, s.t, s.v, &s.labels));
    }

    pub(crate) fn stats(&self) -> ExemplarStats {
        let ring = self.read();
        let first = if ring.slots.len() < ring.max { ring.slots.first() } else { ring.slots.get(ring.next) };
        ExemplarStats {
            exemplars: ring.slots.len(),
            series: ring.chains.len(),
            max: ring.max,
            last_ms: first.map_or(0, |s| s.t),
        }
    }
}

/// Exemplars that an appender has taken and not yet committed.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) records: Vec<RefExemplar>,
    /// The series of each, and its time.
    series: Vec<(Labels, ExemplarTime)>,
}

impl Pending {
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.series.clear();
    }

    /// Puts them into the ring, once they are logged. What another appender has made too late
    /// meanwhile is counted and left out, as Prometheus does.
    pub(crate) fn apply(&mut self, ring: &ExemplarRing) {
        for (e, (series, t)) in self.records.iter().zip(&self.series) {
            let _ = ring.add(series, *t, e.v, &e.labels);
        }
        self.clear();
    }
}

impl Head {
    /// Takes an exemplar of the series `series`, or else `labels`, into `pending`; one without a time of its own gets
    /// `sample_ms`.
    pub(super) fn take_exemplar(
        &self,
        pending: &mut Pending,
        series: SeriesRef,
        labels: &Labels,
        exemplar: &Exemplar,
        sample_ms: Option<TimestampMs>,
    ) -> Result<SeriesRef, AppendError> {
        let time = match (exemplar.timestamp_ms, sample_ms) {
            (Some(t), _) => ExemplarTime::Own(t),
            (None, Some(t)) => ExemplarTime::Sample(t),
            (None, None) => return Err(AppendError::Unsupported("exemplars without a time")),
        };
        let named = self.labels_of(series.0).map(|labels| (series.0, labels));
        let found = named.or_else(|| Some((self.find(labels)?, labels.clone())));
        let (series, labels) = found.ok_or(AppendError::UnknownSeries)?;
        if self.exemplars.validate(&labels, time, exemplar.value, &exemplar.labels)? {
            let labels_of_exemplar = exemplar.labels.clone();
            let (t, v) = (time.ms(), exemplar.value);
            pending.records.push(RefExemplar { series, t, v, labels: labels_of_exemplar });
            pending.series.push((labels, time));
        }
        Ok(SeriesRef(series))
    }

    /// The exemplars of the series that are here, in the order in which they were added.
    pub(super) fn exemplars_in_order(&self) -> Vec<RefExemplar> {
        let mut out = Vec::new();
        self.exemplars.each_in_order(|series, t, v, labels| {
            let series = self.find(series);
            out.extend(series.map(|series| RefExemplar { series, t, v, labels: labels.clone() }));
        });
        out
    }

    /// Puts an exemplar that the log has back into the ring, where its series is known.
    pub(super) fn replay_exemplar(&self, e: &RefExemplar) {
        if let Some(series) = self.labels_of(e.series) {
            let _ = self.exemplars.add(&series, e.t, e.v, &e.labels);
        }
    }

    fn labels_of(&self, series: u64) -> Option<Labels> {
        let page = self.page_of(series)?;
        let symbols = self.symbols.read();
        let page = page.lock();
        page.get(series).map(|s| s.labels.resolve(&symbols))
    }

    fn find(&self, labels: &Labels) -> Option<u64> {
        let hash = labels.hash64();
        let shard = self.index.shard(hash);
        let symbols = self.symbols.read();
        shard.find(hash, |s| {
            self.page_of(s)
                .is_some_and(|p| p.lock().get(s).is_some_and(|s| s.labels.equals(labels, &symbols)))
        })
    }
}

impl Ring {
    fn slot(&self, at: u32) -> &Slot {
        &self.slots[at as usize]
    }

    /// The slots of a chain, oldest first.
    fn chain(&self, chain: Chain) -> impl Iterator<Item = u32> {
        let slot = |at: u32| (at != NONE).then_some(at);
        std::iter::successors(slot(chain.oldest), move |at| slot(self.slot(*at).newer))
    }

    fn validate(
        &self,
        series: &Labels,
        time: ExemplarTime,
        v: f64,
        labels: &Labels,
    ) -> Result<bool, AppendError> {
        let t = time.ms();
        if self.max == 0 {
            return Ok(false);
        }
        let chars = |s: &str| s.chars().count();
        if labels.iter().map(|(n, v)| chars(n) + chars(v)).sum::<usize>() > LABEL_CHARS_MAX {
            return Err(AppendError::ExemplarTooLong);
        }
        let Some(chain) = self.chains.get(series) else { return Ok(true) };
        let newest = self.slot(chain.newest);
        let untimed = matches!(time, ExemplarTime::Sample(_)) && !newest.timed;
        if (untimed || newest.t == t) && newest.v == v && newest.labels == *labels {
            return Ok(false);
        }
        // At one time they come in order of value, then of labels: so a repetition of several is
        // noticed without a walk.
        let too_late = t < newest.t && t <= newest.t.saturating_sub(self.window_ms);
        let before = t == newest.t && (v < newest.v || v == newest.v && *labels < newest.labels);
        if too_late || before { Err(AppendError::OutOfOrderExemplar) } else { Ok(true) }
    }

    /// The newest slot of a chain with a time of at most `t`.
    fn not_after(&self, chain: Chain, t: TimestampMs) -> Option<u32> {
        let slot = |at: u32| (at != NONE).then_some(at);
        std::iter::successors(slot(chain.newest), |at| slot(self.slot(*at).older))
            .find(|at| self.slot(*at).t <= t)
    }

    /// Adds an exemplar that is valid; whether it did, which it does not where an older time is
    /// taken already.
    fn add(&mut self, series: &Labels, time: ExemplarTime, v: f64, labels: &Labels) -> bool {
        let (t, timed) = (time.ms(), matches!(time, ExemplarTime::Own(_)));
        if let Some(chain) = self.chains.get(series)
            && t < self.slot(chain.newest).t
            && self.not_after(*chain, t).is_some_and(|at| self.slot(at).t == t)
        {
            return false;
        }
        let at = self.next;
        if at < self.slots.len() {
            self.unlink(at as u32);
        }
        // Looked for once the old slot is out of its chain, which may be the same one.
        let chain = self.chains.get(series).copied();
        let older = chain.and_then(|c| self.not_after(c, t)).unwrap_or(NONE);
        let newer = match (chain, older) {
            (None, _) => NONE,
            (Some(c), NONE) => c.oldest,
            (Some(_), older) => self.slot(older).newer,
        };
        let slot = Slot { series: series.clone(), labels: labels.clone(), t, v, timed, older, newer };
        if at < self.slots.len() {
            self.slots[at] = slot;
        } else {
            self.slots.push(slot);
        }
        let at = at as u32;
        let chain = self.chains.entry(series.clone()).or_insert(Chain { oldest: at, newest: at });
        match older {
            NONE => chain.oldest = at,
            older => self.slots[older as usize].newer = at,
        }
        match newer {
            NONE => chain.newest = at,
            newer => self.slots[newer as usize].older = at,
        }
        self.next = (self.next + 1) % self.max;
        true
    }

    /// Takes a slot out of its chain.
    fn unlink(&mut self, at: u32) {
        let Slot { older, newer, ref series, .. } = self.slots[at as usize];
        if older == NONE && newer == NONE {
            self.chains.remove(series);
            return;
        }
        if let Some(chain) = self.chains.get_mut(series) {
            if older == NONE {
                chain.oldest = newer;
            }
            if newer == NONE {
                chain.newest = older;
            }
        }
        if older != NONE {
            self.slots[older as usize].newer = newer;
        }
        if newer != NONE {
            self.slots[newer as usize].older = older;
        }
    }

    /// Moves the last `max` that were added to the front, in the order in which they were.
    fn resize(&mut self, max: usize) {
        let n = self.slots.len();
        let first = if n < self.max { 0 } else { self.next };
        let gone = n.saturating_sub(max);
        for i in 0..gone {
            self.unlink(((first + i) % n) as u32);
        }
        self.slots.rotate_left(first);
        self.slots.drain(..gone);
        if max < self.max {
            self.slots.shrink_to_fit();
        }
        let moved = |at: &mut u32| {
            if *at != NONE {
                *at = ((*at as usize + n - first) % n - gone) as u32;
            }
        };
        for s in &mut self.slots {
            moved(&mut s.older);
            moved(&mut s.newer);
        }
        for c in self.chains.values_mut() {
            moved(&mut c.oldest);
            moved(&mut c.newest);
        }
        self.max = max;
        self.next = if max == 0 { 0 } else { self.slots.len() % max };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("id", name)])
    }

    fn all(ring: &ExemplarRing) -> Vec<(String, Vec<(i64, f64)>)> {
        let found = ring.select(i64::MIN, i64::MAX, &[Vec::new()]);
        let of = |s: ExemplarSeries| s.exemplars.iter().map(|e| (e.timestamp_ms.unwrap(), e.value)).collect();
        found.into_iter().map(|s| (s.series.get("id").unwrap().to_owned(), of(s))).collect()
    }

    #[test]
    fn refuses_as_prometheus_does() {
        let ring = ExemplarRing::default();
        let (series, trace) = (labels("a"), labels("t"));
        assert_eq!(ring.validate(&series, 1, 1.0, &trace), Ok(false), "disabled");
        ring.resize(10, 5);
        ring.add(&series, 100, 2.0, &trace).unwrap();
        assert_eq!(ring.validate(&series, 100, 2.0, &trace), Ok(false), "the same again");
        for (t, v, id, ok) in [
            (101, 0.0, "t", true),
            (100, 1.0, "t", false),
            (100, 3.0, "t", true),
            (100, 2.0, "s", false),
            (100, 2.0, "u", true),
            (96, 0.0, "t", true),
            (95, 9.0, "t", false),
        ] {
            let got = ring.validate(&series, t, v, &labels(id));
            assert_eq!(got, if ok { Ok(true) } else { Err(AppendError::OutOfOrderExemplar) }, "{t} {v} {id}");
        }
        assert!(ring.add(&series, 50, 1.0, &trace).is_err());
        assert_eq!((ring.appended.get(), ring.out_of_order.get()), (1, 1));
        assert_eq!(ring.validate(&series, 200, 1.0, &labels(&"ü".repeat(126))), Ok(true));
        let long = ring.validate(&series, 200, 1.0, &labels(&"ü".repeat(127)));
        assert_eq!(long, Err(AppendError::ExemplarTooLong));
    }

    #[test]
    fn the_one_added_longest_ago_goes_first() {
        let ring = ExemplarRing::default();
        ring.resize(3, 100);
        let (a, b, none) = (labels("a"), labels("b"), Labels::empty());
        for (series, t) in [(&a, 10), (&b, 11), (&a, 5), (&a, 20)] {
            ring.add(series, t, t as f64, &none).unwrap();
        }
        assert_eq!(all(&ring), [("a".into(), vec![(5, 5.0), (20, 20.0)]), ("b".into(), vec![(11, 11.0)])]);
        assert_eq!(ring.stats(), ExemplarStats { exemplars: 3, series: 2, max: 3, last_ms: 11 });
        ring.resize(2, 100);
        assert_eq!(all(&ring), [("a".into(), vec![(5, 5.0), (20, 20.0)])]);
        let b_only = [vec![Matcher::equal("id", "b")]];
        assert!(ring.select(0, 100, &b_only).is_empty());
        assert_eq!(ring.select(6, 19, &[Vec::new()]), []);
        assert_eq!(ring.select(0, 100, &[]), []);
        ring.resize(0, 0);
        assert_eq!(ring.stats(), ExemplarStats { exemplars: 0, series: 0, max: 0, last_ms: 0 });
    }

    proptest! {
        /// Beside a queue of all that was added: series, time and value.
        #[test]
        fn behaves_as_a_queue(
            start in 1..6usize,
            steps in vec((0..3usize, 0..40i64, prop_oneof![20 => Just(None), 1 => (0..9usize).prop_map(Some)]), 0..120),
        ) {
            let names = ["a", "b", "c"];
            let ring = ExemplarRing::default();
            let (mut max, mut queue) = (start, VecDeque::<(usize, i64, f64)>::new());
            ring.resize(max, 1000);
            for (i, (series, t, resize)) in steps.into_iter().enumerate() {
                if let Some(n) = resize {
                    (max, _) = (n, ring.resize(n, 1000));
                } else {
                    let of_series = queue.iter().filter(|(s, ..)| *s == series);
                    let taken = of_series.clone().any(|(_, u, _)| *u == t)
                        && of_series.map(|(_, u, _)| *u).max() > Some(t);
                    ring.add(&labels(names[series]), t, i as f64, &Labels::empty()).unwrap();
                    if !taken {
                        queue.push_back((series, t, i as f64));
                    }
                }
                while queue.len() > max {
                    queue.pop_front();
                }
                let mut want = Vec::new();
                for (n, name) in names.iter().enumerate() {
                    let mut of: Vec<_> = queue.iter().filter(|e| e.0 == n).map(|e| (e.1, e.2)).collect();
                    of.sort_by_key(|e| e.0);
                    if !of.is_empty() {
                        want.push(((*name).to_owned(), of));
                    }
                }
                prop_assert_eq!(all(&ring), want);
            }
        }
    }
}
