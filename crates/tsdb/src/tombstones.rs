//! Tombstones: which samples are deleted though chunks still hold them. Of a block they are a file,
//! drawn in `block/FORMAT.md`; of the head they live in memory and in the log.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use model::{Columns, TimestampMs};
use storage::{Fs, StorageError};

use crate::index::codec::{Corruption, Cursor, put_uvarint, put_varint};

/// The file's name in a block's directory.
pub(crate) const TOMBSTONES_FILE: &str = "tombstones";

const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;
/// Bytes of magic number and version; the checksum is over what follows.
const HEADER_LEN: usize = 5;

/// A deleted span, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// First deleted time.
    pub min_ms: TimestampMs,
    /// Last deleted time.
    pub max_ms: TimestampMs,
}

/// The deleted intervals of each series of a block or of the head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones {
    /// Ascending, apart from each other; no list is empty.
    series: BTreeMap<u64, Vec<Interval>>,
}

impl Tombstones {
    /// Reads the file in the block directory `dir`; where there is none, nothing is deleted.
    ///
    /// # Errors
    /// Where it cannot be read or is not of this format.
    pub fn read(fs: &dyn Fs, dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(TOMBSTONES_FILE);
        match fs.read(&path) {
            Ok(bytes) => Self::parse(&bytes).map_err(|c| c.in_file(&path)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(StorageError::io(format!("read {}", path.display()), e)),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Corruption> {
        let mut head = Cursor::new(bytes, 0, bytes.len());
        if head.be32()? != MAGIC {
            return Err(Corruption::new(0, "invalid magic number"));
        }
        if head.byte()? != VERSION {
            return Err(Corruption::new(4, "invalid tombstone format"));
        }
        let len = head.rest().len().checked_sub(4).ok_or_else(|| head.fault("unexpected end"))?;
        let body = head.cut(len)?;
        body.check(head.be32()?)?;
        Self::parse_entries(body)
    }

    fn parse_entries(mut body: Cursor<'_>) -> Result<Self, Corruption> {
        let mut out = Self::default();
        while !body.is_empty() {
            let series = body.uvarint()?;
            let (min_ms, max_ms) = (body.varint()?, body.varint()?);
            out.add(series, Interval { min_ms, max_ms });
        }
        Ok(out)
    }

    /// Reads what [`Self::versioned_entries`] wrote.
    ///
    /// # Errors
    /// Where it is not of this format.
    pub(crate) fn parse_versioned(bytes: &[u8]) -> Result<Self, Corruption> {
        let mut body = Cursor::new(bytes, 0, bytes.len());
        if body.byte()? != VERSION {
            return Err(Corruption::new(0, "invalid tombstone format"));
        }
        Self::parse_entries(body)
    }

    /// The file's bytes from the version on, without the checksum: how a chunk snapshot has them.
    pub(crate) fn versioned_entries(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.put_entries(&mut out);
        out
    }

    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.push(VERSION);
        self.put_entries(&mut out);
        let crc = crc32c::crc32c(&out[HEADER_LEN..]);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    fn put_entries(&self, out: &mut Vec<u8>) {
        for (series, intervals) in &self.series {
            for i in intervals {
                put_uvarint(out, *series);
                put_varint(out, i.min_ms);
                put_varint(out, i.max_ms);
            }
        }
    }

    /// Deletes a span of a series. Spans that touch become one; one that ends before it begins
    /// deletes nothing.
    pub fn add(&mut self, series: u64, new: Interval) {
        if new.min_ms > new.max_ms {
            return;
        }
        let list = self.series.entry(series).or_default();
        let first = list.partition_point(|i| i.max_ms.saturating_add(1) < new.min_ms);
        let last = list.partition_point(|i| i.min_ms <= new.max_ms.saturating_add(1));
        let merged = list[first..last]
            .iter()
            .fold(new, |a, b| Interval { min_ms: a.min_ms.min(b.min_ms), max_ms: a.max_ms.max(b.max_ms) });
        list.splice(first..last, [merged]);
    }

    /// The deleted intervals of a series, ascending and apart.
    #[must_use]
    pub fn get(&self, series: u64) -> &[Interval] {
        self.series.get(&series).map_or(&[], Vec::as_slice)
    }

    /// Forgets intervals that end before `min_ms`.
    pub(crate) fn forget_before(&mut self, min_ms: TimestampMs) {
        self.series.retain(|_, list| {
            list.retain(|i| i.max_ms >= min_ms);
            !list.is_empty()
        });
    }

    /// The series of which something is deleted, ascending.
    pub(crate) fn references(&self) -> impl Iterator<Item = u64> {
        self.series.keys().copied()
    }

    /// Each series and its deleted intervals.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[Interval])> {
        self.series.iter().map(|(series, intervals)| (*series, &intervals[..]))
    }

    /// Number of intervals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.values().map(Vec::len).sum()
    }

    /// Whether nothing is deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// Whether `min_ms ..= max_ms` lies within one of the intervals.
pub(crate) fn covers(intervals: &[Interval], min_ms: TimestampMs, max_ms: TimestampMs) -> bool {
    let i = intervals.partition_point(|i| i.max_ms < max_ms);
    intervals.get(i).is_some_and(|i| i.min_ms <= min_ms)
}

/// Whether `min_ms ..= max_ms` and one of the intervals have a time in common.
pub(crate) fn overlaps(intervals: &[Interval], min_ms: TimestampMs, max_ms: TimestampMs) -> bool {
    let i = intervals.partition_point(|i| i.max_ms < min_ms);
    intervals.get(i).is_some_and(|i| i.min_ms <= max_ms)
}

/// Drops the samples from index `from` on that lie in one of the intervals.
pub(crate) fn remove(intervals: &[Interval], columns: &mut Columns, from: usize) {
    let (len, has_st) = (columns.t.len(), !columns.st.is_empty());
    let histograms = columns.h.partition_point(|(i, _)| (*i as usize) < from);
    let mut tail = columns.h.split_off(histograms).into_iter().peekable();
    let (mut kept, mut next) = (from, 0);
    for i in from..len {
        let t = columns.t[i];
        while intervals.get(next).is_some_and(|x| x.max_ms < t) {
            next += 1;
        }
        let histogram = tail.next_if(|(at, _)| *at as usize == i);
        if intervals.get(next).is_some_and(|x| x.min_ms <= t) {
            continue;
        }
        columns.t[kept] = t;
        columns.v[kept] = columns.v[i];
        if has_st {
            columns.st[kept] = columns.st[i];
        }
        if let Some((_, h)) = histogram {
            let at = u32::try_from(kept).expect("not above the index it had");
            columns.h.push((at, h));
        }
        kept += 1;
    }
    columns.t.truncate(kept);
    columns.v.truncate(kept);
    columns.st.truncate(kept);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn interval(min_ms: i64, max_ms: i64) -> Interval {
        Interval { min_ms, max_ms }
    }

    #[test]
    fn spans_that_touch_become_one() {
        let mut t = Tombstones::default();
        for (a, b) in [(10, 20), (30, 40), (50, 60), (5, 3)] {
            t.add(1, interval(a, b));
        }
        assert_eq!(t.len(), 3);
        t.add(1, interval(21, 29));
        assert_eq!(t.get(1), [interval(10, 40), interval(50, 60)]);
        t.add(1, interval(i64::MIN, i64::MAX));
        assert_eq!(t.get(1), [interval(i64::MIN, i64::MAX)]);
        assert_eq!(t.get(2), []);
        t.add(3, interval(1, 5));
        t.add(3, interval(7, 9));
        t.forget_before(6);
        assert_eq!((t.get(3), t.get(1).len()), (&[interval(7, 9)][..], 1));
        t.forget_before(10);
        assert_eq!(t.get(3), []);
    }

    #[test]
    fn covering_and_overlapping() {
        let list = [interval(10, 20), interval(30, 40)];
        for (min, max, covered, touched) in [
            (10, 20, true, true),
            (12, 13, true, true),
            (15, 35, false, true),
            (21, 29, false, false),
            (41, 50, false, false),
        ] {
            assert_eq!(covers(&list, min, max), covered, "{min} {max}");
            assert_eq!(overlaps(&list, min, max), touched, "{min} {max}");
        }
    }

    #[test]
    fn removes_from_all_columns() {
        let mut c = Columns::default();
        c.push(1, 1.0);
        c.push_started(12, 3, 2.0);
        c.push_histogram(15, 0, Arc::default());
        c.push_histogram(25, 4, Arc::default());
        c.push(35, 5.0);
        c.push(45, 6.0);
        remove(&[interval(0, 20), interval(30, 40)], &mut c, 1);
        assert_eq!((c.t, c.st), (vec![1, 25, 45], vec![0, 4, 0]));
        assert_eq!(c.h.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1]);
        assert_eq!((c.v[0], c.v[2]), (1.0, 6.0));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let empty = Tombstones::default();
        assert_eq!(empty.to_bytes(), b"\x01\x30\xba\x30\x01\0\0\0\0");
        assert_eq!(Tombstones::parse(&empty.to_bytes()), Ok(empty));
        let mut some = Tombstones::default();
        for (series, a, b) in [(7, -5, 300), (7, 400, i64::MAX), (u64::MAX, i64::MIN, 0)] {
            some.add(series, interval(a, b));
        }
        assert_eq!(Tombstones::parse(&some.to_bytes()), Ok(some));
        for (bytes, what) in [
            (&b""[..], "unexpected end at offset 0"),
            (b"\x01\x30\xba\x31\x01\0\0\0\0", "invalid magic number at offset 0"),
            (b"\x01\x30\xba\x30\x02\0\0\0\0", "invalid tombstone format at offset 4"),
            (b"\x01\x30\xba\x30\x01\0\0\0", "unexpected end at offset 5"),
            (b"\x01\x30\xba\x30\x01\0\0\0\x01", "wrong checksum at offset 5"),
        ] {
            assert_eq!(Tombstones::parse(bytes).unwrap_err().to_string(), what);
        }
    }
}
