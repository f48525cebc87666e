//! The write-ahead log, its checkpoints, and the out-of-order log.

use std::collections::HashSet;
use std::path::Path;

use model::TimestampMs;

use super::{Check, Checked};
use crate::wal::compress::{self, decompress};
use crate::wal::fragment::Records;
use crate::wal::record::{self, Record, kind};

const REPAIR: &str = "the server cuts the log off here when it starts, and what follows is lost";
const CHECKPOINT: &str = "the server does not start with it; restore the checkpoint, or move the log away";
const HOLE: &str = "the server does not start with it; restore the segment, or move the later ones away";

/// Series that the log has named so far.
pub(super) struct Known {
    series: HashSet<u64>,
    /// A checkpoint leaves out series whose samples are all in blocks, and segments behind it may
    /// still hold records about them; nobody reads what is before this. `None` while no checkpoint was
    /// met: every record's series must be named then.
    dropped_before_ms: Option<TimestampMs>,
    /// Where the blocks end, so where the log begins to count.
    blocks_end_ms: TimestampMs,
}

impl Known {
    /// Nothing named yet; the blocks reach to `blocks_end_ms`.
    pub(super) fn new(blocks_end_ms: TimestampMs) -> Self {
        Self { series: HashSet::new(), dropped_before_ms: None, blocks_end_ms }
    }

    /// The first series that should have been named and was not. Each comes with the last time that
    /// its record speaks of, `None` where it speaks of none.
    fn unnamed(
        &self,
        mut refs: impl Iterator<Item = (u64, Option<TimestampMs>)>,
        out_of_order: bool,
    ) -> Option<u64> {
        let counts = |t: Option<TimestampMs>| match self.dropped_before_ms {
            Some(from) if !out_of_order => t.is_some_and(|t| t >= from),
            _ => true,
        };
        refs.find(|(series, t)| counts(*t) && !self.series.contains(series)).map(|(series, _)| series)
    }
}

impl Check<'_> {
    /// The log in `dir`, its last checkpoint first.
    pub(super) fn log(&mut self, dir: &Path, out_of_order: bool, known: &mut Known) -> Checked {
        let (mut checkpoints, mut segments) = (Vec::new(), Vec::new());
        for e in self.list(dir)? {
            let digits = |s: &str| s.len() == 8 && s.bytes().all(|b| b.is_ascii_digit());
            let number = e.name.strip_prefix("checkpoint.").filter(|n| e.is_dir && digits(n));
            if let Some(n) = number.and_then(|n| n.parse::<u32>().ok()) {
                checkpoints.push(n);
            } else if !e.is_dir && digits(&e.name) {
                segments.extend(e.name.parse::<u32>());
            } else {
                let advice = "the server removes what is unfinished when it starts; move the rest elsewhere";
                self.found(&dir.join(&e.name), None, "stray", "does not belong here", advice)?;
            }
        }
        if !checkpoints.is_empty() {
            known.dropped_before_ms = Some(known.blocks_end_ms);
        }
        for n in &checkpoints {
            let path = dir.join(format!("checkpoint.{n:08}"));
            let mut inner: Vec<u32> = Vec::new();
            for e in self.list(&path)? {
                match e.name.parse() {
                    Ok(n) if !e.is_dir => inner.push(n),
                    _ => self.found(
                        &path.join(&e.name),
                        None,
                        "stray",
                        "does not belong here",
                        "move it elsewhere",
                    )?,
                }
            }
            self.segments(&path, &inner, None, CHECKPOINT, (out_of_order, &mut *known))?;
        }
        let last = checkpoints.last().copied();
        segments.retain(|s| last.is_none_or(|last| *s > last));
        self.segments(dir, &segments, last, REPAIR, (out_of_order, known))
    }

    fn segments(
        &mut self,
        dir: &Path,
        numbers: &[u32],
        mut before: Option<u32>,
        advice: &'static str,
        (out_of_order, known): (bool, &mut Known),
    ) -> Checked {
        for number in numbers {
            let path = dir.join(format!("{number:08}"));
            if let Some(before) = before.filter(|b| b + 1 != *number) {
                let what = format!("segments are not sequential: {number:08} follows {before:08}");
                self.found(&path, None, "log", what, HOLE)?;
            }
            before = Some(*number);
            self.checking(&path)?;
            if let Some(data) = self.read(&path, false)? {
                self.segment(&path, &data, advice, (out_of_order, &mut *known))?;
            }
        }
        Ok(())
    }

    fn segment(
        &mut self,
        path: &Path,
        data: &[u8],
        advice: &'static str,
        (out_of_order, known): (bool, &mut Known),
    ) -> Checked {
        let mut records = Records::new(data);
        let mut raw = Vec::new();
        loop {
            let found = match records.next() {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(()),
                Err(torn) => return self.found(path, Some(torn.offset), "log", torn.reason, advice),
            };
            self.summary.records += 1;
            let at = Some(found.offset);
            let flags = data[found.offset] & !7;
            if flags & !(compress::SNAPPY | compress::ZSTD) != 0 || flags == compress::SNAPPY | compress::ZSTD
            {
                self.found(path, at, "log", "flags of the record that nobody writes", advice)?;
            }
            if let Err(what) = decompress(found.bits, &found.data, &mut raw) {
                return self.found(path, at, "log", what, advice);
            }
            let Some(first) = raw.first().copied() else {
                self.found(path, at, "log", "empty record", advice)?;
                continue;
            };
            if let Some(what) = record_fault(&raw, first, out_of_order, known) {
                self.found(path, at, "log", what, advice)?;
            }
        }
    }
}

/// What is wrong with a record.
fn record_fault(raw: &[u8], first: u8, out_of_order: bool, known: &mut Known) -> Option<String> {
    if !(kind::SERIES..=kind::MIN_VALID_TIME).contains(&first) {
        return Some(format!("unknown kind {first} of record"));
    }
    if first == kind::MMAP_MARKERS && !out_of_order {
        return Some("marker of the out-of-order log in the log".to_owned());
    }
    let record = match record::decode(raw) {
        Err(e) => return Some(e.to_owned()),
        Ok(record) => record,
    };
    let at = |t: TimestampMs| Some(t);
    let (of, unnamed) = match &record {
        Record::Series(series) => {
            known.series.extend(series.iter().map(|(r, _)| *r));
            return None;
        }
        Record::Samples(all) => {
            ("samples", known.unnamed(all.samples.iter().map(|s| (s.series, at(s.t))), out_of_order))
        }
        Record::Histograms(all) => {
            ("histograms", known.unnamed(all.iter().map(|h| (h.series, at(h.t))), out_of_order))
        }
        Record::Exemplars(all) => {
            ("exemplars", known.unnamed(all.iter().map(|e| (e.series, at(e.t))), out_of_order))
        }
        Record::Metadata(all) => {
            ("metadata", known.unnamed(all.iter().map(|m| (m.series, None)), out_of_order))
        }
        Record::Tombstones(all) => {
            ("tombstones", known.unnamed(all.iter().map(|s| (s.series, at(s.max_ms))), out_of_order))
        }
        Record::Markers(all) => {
            ("markers", known.unnamed(all.iter().map(|m| (m.series, None)), out_of_order))
        }
        Record::MinValidTime(t) => {
            known.dropped_before_ms = known.dropped_before_ms.map(|from| from.max(*t));
            return None;
        }
        Record::Other => return None,
    };
    unnamed.map(|r| format!("{of} of series {r}, which the log has not named before"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Histogram, Labels, Metadata};

    use super::*;
    use crate::histogram::OwnedHistogram;
    use crate::wal::record::{
        Marker, RefExemplar, RefHistogram, RefMetadata, RefSample, Stone, put_exemplars, put_histograms,
        put_markers, put_metadata, put_samples, put_series, put_tombstones,
    };

    /// A record of each kind that names series 7, at time 100 where it has one.
    fn records() -> Vec<(&'static str, Vec<u8>)> {
        let record = |put: &dyn Fn(&mut Vec<u8>)| {
            let mut buf = Vec::new();
            put(&mut buf);
            buf
        };
        let h = OwnedHistogram::Integer(Arc::new(Histogram::default()));
        let exemplar = RefExemplar { series: 7, t: 100, v: 1.0, labels: Labels::empty() };
        vec![
            ("samples", record(&|b| put_samples(b, &[RefSample { series: 7, t: 100, v: 1.0 }]))),
            (
                "histograms",
                record(&|b| {
                    let one = RefHistogram { series: 7, t: 100, st: 0, h: h.clone() };
                    put_histograms(b, kind::HISTOGRAMS, &[one]);
                }),
            ),
            ("exemplars", record(&|b| put_exemplars(b, std::slice::from_ref(&exemplar)))),
            ("tombstones", record(&|b| put_tombstones(b, &[Stone { series: 7, min_ms: 1, max_ms: 100 }]))),
            (
                "metadata",
                record(&|b| put_metadata(b, &[RefMetadata { series: 7, metadata: Metadata::default() }])),
            ),
        ]
    }

    #[test]
    fn every_kind_of_record_needs_its_series_named_before() {
        let mut named = Vec::new();
        put_series(&mut named, 7, &Labels::from_pairs([("a", "b")]));
        for (what, raw) in records() {
            let mut known = Known::new(1000);
            let fault = record_fault(&raw, raw[0], false, &mut known).unwrap();
            assert!(fault.starts_with(what) && fault.contains("series 7"), "{fault}");
            assert_eq!(record_fault(&named, named[0], false, &mut known), None);
            assert_eq!(record_fault(&raw, raw[0], false, &mut known), None, "{what}");
        }
        let mut marker = Vec::new();
        put_markers(&mut marker, &[Marker { series: 7, chunk: 1 }]);
        let mut known = Known::new(1000);
        assert!(record_fault(&marker, marker[0], true, &mut known).unwrap().contains("markers of series 7"));
    }

    #[test]
    fn behind_a_checkpoint_only_what_counts_needs_a_name() {
        for (what, raw) in records() {
            for (blocks_end_ms, wrong) in [(100, what != "metadata"), (101, false)] {
                let mut known = Known::new(blocks_end_ms);
                known.dropped_before_ms = Some(blocks_end_ms);
                let fault = record_fault(&raw, raw[0], false, &mut known);
                assert_eq!(fault.is_some(), wrong, "{what} {blocks_end_ms}");
                // What came late lies before the blocks' end by its nature.
                assert!(record_fault(&raw, raw[0], true, &mut known).is_some(), "{what}");
            }
        }
    }
}
