//! How far a queue has come: a place in the log is done with when everything before it is.

use std::collections::VecDeque;

use tsdb::tail::TailPosition;

/// Records of which something is still to be sent, in the order of the log.
pub(super) struct Tally {
    /// Number of the first in `records`.
    first: u64,
    records: VecDeque<Record>,
    done: TailPosition,
}

struct Record {
    left: u32,
    /// Behind it.
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

    /// That record has been read; `left` of its samples are to be sent.
    pub(super) fn add(&mut self, left: u32, end: TailPosition) {
        if left > 0 {
            self.records.push_back(Record { left, end });
        } else if let Some(last) = self.records.back_mut() {
            last.end = end;
        } else {
            self.done = end;
        }
    }

    /// A sample of a record is done with: sent, refused, or too old by now.
    #[inline]
    pub(super) fn finish(&mut self, record: u64) {
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

    #[test]
    fn only_what_has_nothing_open_before_it_is_done() {
        let mut t = Tally::new(at(0));
        t.add(0, at(10));
        assert_eq!(t.done(), at(10));
        let (a, b) = (t.next(), t.next() + 1);
        t.add(2, at(20));
        t.add(1, at(30));
        t.add(0, at(40));
        t.finish(b);
        t.finish(a);
        assert_eq!(t.done(), at(10));
        t.finish(a);
        assert_eq!((t.done(), t.next()), (at(40), b + 1));
        // What is finished twice, or never was, changes nothing.
        t.finish(a);
        t.finish(99);
        assert_eq!(t.done(), at(40));
    }
}
