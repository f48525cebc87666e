//! The write-ahead log, its checkpoints, and the out-of-order log.

use std::collections::HashSet;
use std::path::Path;

use super::{Check, Checked};
use crate::wal::compress::{self, decompress};
use crate::wal::fragment::Records;
use crate::wal::record::{self, Record, kind};

const REPAIR: &str = "the server cuts the log off here when it starts, and what follows is lost";
const CHECKPOINT: &str = "the server does not start with it; restore the checkpoint, or move the log away";
const HOLE: &str = "the server does not start with it; restore the segment, or move the later ones away";

/// Series that the log has named so far.
#[derive(Default)]
pub(super) struct Known(HashSet<u64>);

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
    let unknown = match record::decode(raw) {
        Err(e) => return Some(e.to_owned()),
        Ok(Record::Series(series)) => {
            known.0.extend(series.iter().map(|(r, _)| *r));
            None
        }
        Ok(Record::Samples(samples)) => {
            samples.samples.iter().map(|s| s.series).find(|r| !known.0.contains(r))
        }
        Ok(_) => None,
    };
    unknown.map(|r| format!("samples of series {r}, which the log has not named before"))
}
