//! What a queue has sent, exactly enough that whoever goes on from it sends nothing twice that is known to have arrived,
//! and what was under way in the very same requests. Knows nothing of files.

use serde::{Deserialize, Serialize};
use tsdb::tail::{LogPosition, TailPosition};

/// As many changes of the number of shards are remembered: those of some minutes. What was sent before is sent again.
const GENERATIONS_MAX: usize = 16;

/// Where a record ends, which tells it from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordEnd {
    pub(super) at: LogPosition,
    /// In the log of late samples.
    pub(super) is_late: bool,
}

/// A border in what is read: each sample is before it or behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// All of both logs up to here,
    pub(super) before: TailPosition,
    /// and of one more record so many.
    pub(super) part: Option<(RecordEnd, u32)>,
}

impl Mark {
    /// Whether the `index`th sample of a record is before it.
    pub(super) fn covers(&self, record: RecordEnd, index: u32) -> bool {
        let before = if record.is_late { self.before.wbl } else { self.before.wal };
        record.at <= before || self.part.is_some_and(|(own, n)| own == record && index < n)
    }

    /// The first place that has nothing before the mark behind it.
    fn reach(&self) -> TailPosition {
        let mut reach = self.before;
        match self.part {
            Some((own, _)) if own.is_late => reach.wbl = reach.wbl.max(own.at),
            Some((own, _)) => reach.wal = reach.wal.max(own.at),
            None => {}
        }
        reach
    }
}

/// How far each shard came while there was a certain number of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation {
    /// One for each shard: what of its series is before the mark is done with.
    pub(super) marks: Vec<Mark>,
}

impl Generation {
    fn shard_of(&self, series: u64) -> usize {
        (series % self.marks.len().max(1) as u64) as usize
    }

    fn covers(&self, series: u64, record: RecordEnd, index: u32) -> bool {
        self.marks.get(self.shard_of(series)).is_some_and(|mark| mark.covers(record, index))
    }
}

/// A request of which nobody knows what became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnderWay {
    pub(super) shard: u32,
    /// It has what is between the shard's mark and this one.
    pub(super) until: Mark,
}

/// What has been sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Everything before is done with.
    pub(super) done: TailPosition,
    /// What is done with behind it: all that any of them covers.
    pub(super) generations: Vec<Generation>,
    /// Requests of the last generation.
    pub(super) under_way: Vec<UnderWay>,
}

impl Progress {
    /// Nothing but a place.
    pub(super) fn at(done: TailPosition) -> Self {
        Self { done, ..Self::default() }
    }

    /// Whether that sample of a series is done with.
    pub(super) fn is_done(&self, series: u64, record: RecordEnd, index: u32) -> bool {
        self.generations.iter().any(|g| g.covers(series, record, index))
    }

    /// Which request under way has a sample that is not done with.
    pub(super) fn request_of(&self, series: u64, record: RecordEnd, index: u32) -> Option<u32> {
        let shard = self.generations.last()?.shard_of(series) as u32;
        let one = self.under_way.iter().find(|u| u.shard == shard)?;
        one.until.covers(record, index).then_some(shard)
    }

    /// Nothing is known to be under way any more in that shard: it was taken, or refused for good.
    pub(super) fn finish(&mut self, shard: u32) {
        let Some(at) = self.under_way.iter().position(|u| u.shard == shard) else { return };
        let until = self.under_way.swap_remove(at).until;
        if let Some(mark) = self.generations.last_mut().and_then(|g| g.marks.get_mut(shard as usize)) {
            *mark = until;
        }
    }

    /// The place behind which it says nothing.
    pub(super) fn reach(&self) -> TailPosition {
        let marks =
            self.generations.iter().flat_map(|g| &g.marks).chain(self.under_way.iter().map(|u| &u.until));
        marks
            .map(Mark::reach)
            .fold(self.done, |a, b| TailPosition { wal: a.wal.max(b.wal), wbl: a.wbl.max(b.wbl) })
    }
}

/// Forgets the generations that say no more than `done`, and the oldest where there are too many.
pub(super) fn tidy(generations: &mut Vec<Generation>, done: TailPosition) {
    generations.retain(|g| !g.marks.iter().all(|mark| done.covers(mark.reach())));
    let too_many = generations.len().saturating_sub(GENERATIONS_MAX);
    generations.drain(..too_many);
}

/// Segment and offset.
type Pair = (u32, u64);

/// [`Mark`]: a place in each log; of the record that ends there, late or not, so many.
#[derive(Serialize, Deserialize)]
struct MarkText(Pair, Pair, Option<(Pair, bool, u32)>);

/// What of [`Progress`] is behind its place, as it is written down.
#[derive(Serialize, Deserialize)]
pub(super) struct Text {
    generations: Vec<Vec<MarkText>>,
    under_way: Vec<(u32, MarkText)>,
}

fn pair(p: LogPosition) -> Pair {
    (p.segment, p.offset)
}

fn position((segment, offset): Pair) -> LogPosition {
    LogPosition { segment, offset }
}

impl From<&Mark> for MarkText {
    fn from(mark: &Mark) -> Self {
        let part = mark.part.map(|(own, n)| (pair(own.at), own.is_late, n));
        Self(pair(mark.before.wal), pair(mark.before.wbl), part)
    }
}

impl From<MarkText> for Mark {
    fn from(MarkText(wal, wbl, part): MarkText) -> Self {
        let part = part.map(|(at, is_late, n)| (RecordEnd { at: position(at), is_late }, n));
        Self { before: TailPosition { wal: position(wal), wbl: position(wbl) }, part }
    }
}

impl Text {
    pub(super) fn of(progress: &Progress) -> Self {
        let marks = |g: &Generation| g.marks.iter().map(MarkText::from).collect();
        Self {
            generations: progress.generations.iter().map(marks).collect(),
            under_way: progress.under_way.iter().map(|u| (u.shard, MarkText::from(&u.until))).collect(),
        }
    }

    pub(super) fn read(self, done: TailPosition) -> Progress {
        let marks = |all: Vec<MarkText>| Generation { marks: all.into_iter().map(Mark::from).collect() };
        let under_way = |(shard, until): (u32, MarkText)| UnderWay { shard, until: until.into() };
        Progress {
            done,
            generations: self.generations.into_iter().map(marks).collect(),
            under_way: self.under_way.into_iter().map(under_way).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wal(offset: u64) -> RecordEnd {
        RecordEnd { at: LogPosition { segment: 1, offset }, is_late: false }
    }

    fn late(offset: u64) -> RecordEnd {
        RecordEnd { is_late: true, ..wal(offset) }
    }

    fn at(in_wal: u64, in_wbl: u64) -> TailPosition {
        TailPosition { wal: wal(in_wal).at, wbl: wal(in_wbl).at }
    }

    #[test]
    fn a_mark_parts_both_logs() {
        let mark = Mark { before: at(100, 50), part: Some((wal(120), 2)) };
        assert!(mark.covers(wal(100), 9) && mark.covers(late(50), 9));
        assert!(mark.covers(wal(120), 1) && !mark.covers(wal(120), 2));
        assert!(!mark.covers(wal(110), 0), "another record than the one that it parts");
        assert!(!mark.covers(late(120), 0) && !mark.covers(late(60), 0));
        assert_eq!(mark.reach(), at(120, 50));
    }

    #[test]
    fn what_any_generation_has_sent_is_done() {
        let one = Generation { marks: vec![Mark { before: at(10, 0), part: None }, Mark::default()] };
        let two = Generation { marks: vec![Mark { before: at(30, 0), part: None }; 1] };
        let until = Mark { before: at(40, 0), part: None };
        let mut p = Progress {
            done: at(5, 0),
            generations: vec![one, two],
            under_way: vec![UnderWay { shard: 0, until }],
        };
        assert!(p.is_done(0, wal(10), 0) && p.is_done(1, wal(30), 0) && !p.is_done(2, wal(40), 0));
        assert_eq!((p.request_of(3, wal(40), 7), p.request_of(3, wal(41), 0)), (Some(0), None));
        assert_eq!(p.reach(), at(40, 0));
        assert_eq!(Text::of(&p).read(p.done), p);
        p.finish(0);
        assert!(p.is_done(3, wal(40), 7) && p.under_way.is_empty());
        tidy(&mut p.generations, at(10, 0));
        assert_eq!(p.generations.len(), 1);
        p.done = at(40, 0);
        tidy(&mut p.generations, p.done);
        assert_eq!(p, Progress::at(at(40, 0)));
    }
}
