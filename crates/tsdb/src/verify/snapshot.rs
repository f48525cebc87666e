//! Chunk snapshots: every record, every chunk in them, and that what they refer to is there.

use std::collections::HashSet;
use std::path::Path;

use model::{Columns, TimestampMs};

use super::{Check, Checked};
use crate::head::{ChunkRecord, SeriesRecord, SnapshotRecord, decode_snapshot_record};
use crate::wal::compress::{SNAPPY, ZSTD, decompress};
use crate::wal::fragment::{PAGE_BYTES, Records};

const KIND: &str = "snapshot";
const ADVICE: &str = "the server drops the snapshot when it starts, and reads the log instead";

/// What the records so far have said.
#[derive(Default)]
struct Seen {
    series: HashSet<u64>,
    /// Deletions stand behind all series, and before all exemplars.
    tombstones: bool,
    columns: Columns,
}

impl Check<'_> {
    /// A chunk snapshot.
    pub(super) fn snapshot(&mut self, dir: &Path) -> Checked {
        let mut numbers: Vec<u32> = Vec::new();
        for e in self.list(dir)? {
            let digits = e.name.len() == 8 && e.name.bytes().all(|b| b.is_ascii_digit());
            match e.name.parse() {
                Ok(n) if digits && !e.is_dir => numbers.push(n),
                _ => {
                    let path = dir.join(&e.name);
                    self.found(&path, None, "stray", "does not belong here", "move it elsewhere")?;
                }
            }
        }
        numbers.sort_unstable();
        let mut seen = Seen::default();
        let mut path = dir.to_owned();
        for (want, number) in numbers.iter().enumerate() {
            path = dir.join(format!("{number:08}"));
            if *number as usize != want {
                let what = format!("segments are not sequential: {want:08} is not there");
                return self.found(&path, None, KIND, what, ADVICE);
            }
            self.checking(&path)?;
            if let Some(data) = self.read(&path, false)?
                && !self.snapshot_file(&path, &data, &mut seen)?
            {
                return Ok(());
            }
        }
        if seen.tombstones {
            return Ok(());
        }
        self.found(&path, None, KIND, "ends before the record of deletions", ADVICE)
    }

    /// Returns whether it is worth reading on.
    fn snapshot_file(&mut self, path: &Path, data: &[u8], seen: &mut Seen) -> Checked<bool> {
        let mut records = Records::new(data);
        let mut raw = Vec::new();
        loop {
            let found = match records.next() {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(torn) => {
                    self.found(path, Some(torn.offset), KIND, torn.reason, ADVICE)?;
                    return Ok(false);
                }
            };
            self.summary.records += 1;
            let flags = data[found.offset] & !7;
            if flags & !(SNAPPY | ZSTD) != 0 || flags == SNAPPY | ZSTD {
                let what = "flags of the record that nobody writes";
                self.found(path, Some(found.offset), KIND, what, ADVICE)?;
            }
            let decoded = decompress(found.bits, &found.data, &mut raw);
            let fault = match decoded.and_then(|()| decode_snapshot_record(&raw)) {
                Ok(record) => seen.fault(&record),
                Err(what) => Some(what),
            };
            if let Some(what) = fault {
                self.found(path, Some(found.offset), KIND, what, ADVICE)?;
            }
        }
        if !data.len().is_multiple_of(PAGE_BYTES) {
            self.found(path, Some(data.len()), KIND, "ends within a page", ADVICE)?;
        }
        Ok(true)
    }
}

impl Seen {
    /// What is wrong with a record.
    fn fault(&mut self, record: &SnapshotRecord) -> Option<String> {
        match record {
            SnapshotRecord::Series(_) if self.tombstones => Some("series behind the deletions".to_owned()),
            SnapshotRecord::Series(SeriesRecord { series, chunk, .. }) => {
                if !self.series.insert(*series) {
                    return Some(format!("series {series} comes twice"));
                }
                let what = self.chunk_fault(chunk.as_ref()?)?;
                Some(format!("chunk of series {series}: {what}"))
            }
            SnapshotRecord::Tombstones(_) if self.tombstones => Some("deletions come twice".to_owned()),
            SnapshotRecord::Tombstones(_) => {
                self.tombstones = true;
                None
            }
            SnapshotRecord::Exemplars(_) if !self.tombstones => {
                Some("exemplars before the deletions".to_owned())
            }
            SnapshotRecord::Exemplars(all) => {
                let unknown = all.iter().find(|e| !self.series.contains(&e.series))?;
                Some(format!("exemplar of series {}, which the snapshot does not name", unknown.series))
            }
        }
    }

    fn chunk_fault(&mut self, c: &ChunkRecord) -> Option<String> {
        self.columns.clear();
        let (first, last) = (TimestampMs::MIN, TimestampMs::MAX);
        if let Err(e) = chunk::decode(c.encoding, &c.data, first, last, &mut self.columns) {
            return Some(e.to_string());
        }
        let times = self.columns.t.first().copied().zip(self.columns.t.last().copied());
        let Some((first, last)) = times else { return Some("no samples".to_owned()) };
        ((first, last) != (c.min_ms, c.max_ms)).then(|| {
            format!(
                "samples from {first} to {last}, which the record says go from {} to {}",
                c.min_ms, c.max_ms
            )
        })
    }
}
