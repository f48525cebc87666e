//! How far a queue has come: a place in the log is done with when everything before it is.

use std::collections::VecDeque;

use tsdb::tail::TailPosition;

use super::progress::{Mark, RecordEnd};

/// Where a sample was read: the number of its record and, in the low bits, its place in it. Of one record those from
/// 2^24 on share theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

const INDEX_BITS: u32 = 24;
const INDEX_MAX: u64 = (1 << INDEX_BITS) - 1;

impl Place {
    /// Of the `index`th of a record.
    #[inline]
    pub(super) fn new(record: u64, index: usize) -> Self {
        Self(record << INDEX_BITS | (index as u64).min(INDEX_MAX))
    }

    fn record(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    /// Which of its record it is.
    pub(super) fn index(self) -> u32 {
        (self.0 & INDEX_MAX) as u32
    }
}

/// Records of which something is still to be sent, in the order of the log.
pub(super) struct Tally {
    /// Number of the first in `records`.
    first: u64,
    records: VecDeque<Record>,
    done: TailPosition,
}

struct Record {
    left: u32,
    own: RecordEnd,
    /// Behind it, and what came after it and gave nothing to send.
    end: TailPosition,
}

impl Tally {
    /// Everything before `done` is done with.
    pub(super) fn new(done: TailPosition) -> Self {
        Self { first: 0, records: VecDeque::new(), done }
    }

    /// Everything up to here is done with.
    pub(super) fn done(&self) -> TailPosition {
        self.done
    }

    /// The number of the next record.
    pub(super) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// The record that ends at `own` has been read; `left` of its samples are to be sent.
    pub(super) fn add(&mut self, left: u32, own: RecordEnd, end: TailPosition) {
        if left > 0 {
            self.records.push_back(Record { left, own, end });
        } else {
            self.reach(end);
        }
    }

    /// Nothing more was to be read before `end`.
    pub(super) fn reach(&mut self, end: TailPosition) {
        match self.records.back_mut() {
            Some(last) => last.end = end,
            None => self.done = end,
        }
    }

    /// Everything before what was read there, of a record that is open.
    pub(super) fn mark(&self, place: Place) -> Mark {
        let at = place.record().saturating_sub(self.first) as usize;
        let before = match at.checked_sub(1) {
            Some(last) => self.records.get(last).map_or(self.done, |r| r.end),
            None => self.done,
        };
        Mark { before, part: self.records.get(at).map(|r| (r.own, place.index())) }
    }

    /// Everything that has been read.
    pub(super) fn end(&self) -> Mark {
        Mark { before: self.records.back().map_or(self.done, |r| r.end), part: None }
    }

    /// A sample is done with: sent, refused, or too old by now.
    #[inline]
    pub(super) fn finish(&mut self, place: Place) {
        let record = place.record();
        let Some(r) = record.checked_sub(self.first).and_then(|i| self.records.get_mut(i as usize)) else {
            return;
        };
        r.left = r.left.saturating_sub(1);
        while let Some(r) = self.records.front().filter(|r| r.left == 0) {
            self.done = r.end;
            self.first += 1;
            self.records.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tsdb::tail::LogPosition;

    use super::*;

    fn at(offset: u64) -> TailPosition {
        TailPosition { wal: LogPosition { segment: 1, offset }, ..TailPosition::default() }
    }

    fn own(offset: u64) -> RecordEnd {
        RecordEnd { at: at(offset).wal, is_late: false }
    }

    #[test]
    fn only_what_has_nothing_open_before_it_is_done() {
        let mut t = Tally::new(at(0));
        t.add(0, own(10), at(10));
        assert_eq!(t.done(), at(10));
        let (a, b) = (t.next(), t.next() + 1);
        t.add(2, own(20), at(20));
        t.add(1, own(30), at(30));
        t.add(0, own(40), at(40));
        t.finish(Place::new(b, 0));
        t.finish(Place::new(a, 0));
        assert_eq!(t.done(), at(10));
        t.finish(Place::new(a, 1));
        assert_eq!((t.done(), t.next()), (at(40), b + 1));
        // What is finished twice, or never was, changes nothing.
        t.finish(Place::new(a, 0));
        t.finish(Place::new(99, 0));
        assert_eq!(t.done(), at(40));
    }

    #[test]
    fn a_mark_is_before_its_sample() {
        let mut t = Tally::new(at(0));
        t.add(3, own(10), at(10));
        t.reach(at(15));
        t.add(1, own(20), at(20));
        assert_eq!(t.mark(Place::new(0, 2)), Mark { before: at(0), part: Some((own(10), 2)) });
        assert_eq!(t.mark(Place::new(1, 0)), Mark { before: at(15), part: Some((own(20), 0)) });
        assert_eq!(t.end(), Mark { before: at(20), part: None });
        assert!(Place::new(0, usize::MAX) < Place::new(1, 0));
    }
}
