//! One block: what it says about itself, and whether chunks and tombstones are what the index
//! says.

use std::path::Path;

use chunk::Encoding;
use model::{Columns, TimestampMs};

use super::index::SeriesChunks;
use super::{Check, Checked};
use crate::block::{BlockMeta, BlockStats};
use crate::index::codec::Cursor;
use crate::tombstones::{TOMBSTONES_FILE, Tombstones};

const ADVICE: &str = "restore the block from a copy, or move it away and lose its samples";
const HEADER: [u8; 8] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];

/// What is wrong with decoded samples of a chunk that is said to span these times.
pub(super) fn times(columns: &Columns, min_ms: TimestampMs, max_ms: TimestampMs) -> Option<String> {
    let (Some(first), Some(last)) = (columns.t.first(), columns.t.last()) else {
        return Some("chunk without samples".to_owned());
    };
    if !columns.t.is_sorted_by(|a, b| a < b) {
        return Some("samples of a chunk out of order".to_owned());
    }
    (*first != min_ms || *last != max_ms)
        .then(|| format!("chunk is said to span [{min_ms}, {max_ms}] but has samples in [{first}, {last}]"))
}

impl Check<'_> {
    pub(super) fn block(&mut self, dir: &Path) -> Checked {
        self.summary.blocks += 1;
        for e in self.list(dir)? {
            let expected = if e.is_dir {
                e.name == "chunks"
            } else {
                matches!(e.name.as_str(), "index" | "meta.json" | "tombstones")
            };
            if !expected {
                self.found(&dir.join(&e.name), None, "stray", "does not belong here", "move it elsewhere")?;
            }
        }
        let meta = self.meta(dir)?;
        let path = dir.join("index");
        let Some(map) = self.read(&path, true)? else { return Ok(()) };
        let series = self.index(&path, &map)?;
        let mut stats = self.chunks(&dir.join("chunks"), &series)?;
        stats.num_series = series.len() as u64;
        match Tombstones::read(self.fs, dir) {
            Err(e) => self.found(&dir.join(TOMBSTONES_FILE), None, "tombstones", e.to_string(), ADVICE)?,
            Ok(stones) => {
                stats.num_tombstones = stones.len() as u64;
                let unknown = stones.references().find(|r| series.binary_search_by_key(r, |s| s.id).is_err());
                if let Some(r) = unknown {
                    let what = format!("deletes samples of series {r}, which the index does not have");
                    self.found(&dir.join(TOMBSTONES_FILE), None, "tombstones", what, ADVICE)?;
                }
            }
        }
        let Some(meta) = meta else { return Ok(()) };
        if meta.stats != stats {
            let what = format!("says {:?}, but the block has {stats:?}", meta.stats);
            self.found(&dir.join("meta.json"), None, "meta", what, "correct the counts")?;
        }
        let all = || series.iter().flat_map(|s| &s.chunks);
        let (min, max) = (all().map(|c| c.min_ms).min(), all().map(|c| c.max_ms).max());
        if let Some((min, max)) = min.zip(max).filter(|(min, max)| *min < meta.min_ms || *max >= meta.max_ms)
        {
            let what =
                format!("says [{}, {}), but there are samples in [{min}, {max}]", meta.min_ms, meta.max_ms);
            self.found(&dir.join("meta.json"), None, "meta", what, "correct the times")?;
        }
        Ok(())
    }

    fn meta(&mut self, dir: &Path) -> Checked<Option<BlockMeta>> {
        let path = dir.join("meta.json");
        let meta = match BlockMeta::read(self.fs, dir) {
            Ok(meta) => meta,
            Err(e) => {
                self.found(
                    &path,
                    None,
                    "meta",
                    e.to_string(),
                    "the server passes the block over; restore the file",
                )?;
                return Ok(None);
            }
        };
        if dir.file_name().is_none_or(|name| name.to_string_lossy() != meta.ulid.to_string()) {
            self.found(
                &path,
                None,
                "meta",
                format!("names another block, {}", meta.ulid),
                "restore the file",
            )?;
        }
        if meta.min_ms >= meta.max_ms {
            self.found(&path, None, "meta", "ends before it begins", "restore the file")?;
        }
        if self.fs.read(&path).is_ok_and(|bytes| bytes.trim_ascii_end() != meta.to_json()) {
            let what = "is not written as Prometheus writes it";
            self.found(&path, None, "meta", what, "harmless where another program has added to it")?;
        }
        Ok(Some(meta))
    }

    /// Checks that the chunks of all series are there, whole, and that there is nothing else.
    fn chunks(&mut self, dir: &Path, series: &[SeriesChunks]) -> Checked<BlockStats> {
        let mut stats = BlockStats::default();
        let mut refs: Vec<_> = series.iter().flat_map(|s| &s.chunks).collect();
        refs.sort_unstable_by_key(|c| c.reference);
        let mut refs = refs.into_iter().peekable();
        let mut columns = Columns::default();
        let mut segments = 0;
        for (i, e) in self.list(dir)?.into_iter().enumerate() {
            let path = dir.join(&e.name);
            if e.is_dir || e.name != format!("{:06}", i + 1) {
                self.found(
                    &path,
                    None,
                    "stray",
                    "does not belong here, or a segment before it is missing",
                    ADVICE,
                )?;
            }
            segments += 1;
            self.checking(&path)?;
            let Some(data) = self.read(&path, true)? else { continue };
            if data.get(..8) != Some(&HEADER) {
                self.found(&path, Some(0), "chunk", "wrong header of the segment", ADVICE)?;
            }
            let mut at = HEADER.len();
            while let Some(c) = refs.next_if(|c| c.reference >> 32 == i as u64) {
                let from = c.reference as u32 as usize;
                if from != at {
                    let what = if from < at {
                        "chunks of two series overlap"
                    } else {
                        "bytes that no series refers to"
                    };
                    self.found(&path, Some(at.min(from)), "chunk", what, ADVICE)?;
                }
                self.summary.chunks += 1;
                stats.num_chunks += 1;
                match read_chunk(&data, from, &mut columns) {
                    Err(what) => {
                        self.found(&path, Some(from), "chunk", what, ADVICE)?;
                        at = refs
                            .peek()
                            .filter(|n| n.reference >> 32 == i as u64)
                            .map_or(data.len(), |n| n.reference as u32 as usize);
                    }
                    Ok((encoding, end)) => {
                        let n = columns.len() as u64;
                        self.summary.samples += n;
                        stats.num_samples += n;
                        *if encoding.is_histogram() {
                            &mut stats.num_histogram_samples
                        } else {
                            &mut stats.num_float_samples
                        } += n;
                        if let Some(what) = times(&columns, c.min_ms, c.max_ms) {
                            self.found(&path, Some(from), "chunk", what, ADVICE)?;
                        }
                        at = end;
                    }
                }
            }
            if at != data.len() {
                self.found(&path, Some(at), "chunk", "bytes that no series refers to", ADVICE)?;
            }
        }
        if let Some(c) = refs.next() {
            let what = format!("series refer to segment {:06}, of {segments}", (c.reference >> 32) + 1);
            self.found(dir, None, "chunk", what, ADVICE)?;
        }
        Ok(stats)
    }
}

/// Decodes the chunk at `at`; returns its encoding and where it ends.
fn read_chunk(data: &[u8], at: usize, columns: &mut Columns) -> Result<(Encoding, usize), String> {
    let mut cursor = Cursor::new(data, at, data.len());
    let mut body = || {
        let len = cursor.uvarint32()? as usize;
        let summed = cursor.cut(len.saturating_add(1))?;
        summed.check(cursor.be32()?)?;
        Ok::<_, crate::index::codec::Corruption>(summed)
    };
    let summed = body().map_err(|c| c.to_string())?;
    let (encoding, bytes) = summed.rest().split_first().ok_or("empty chunk")?;
    let encoding = Encoding::try_from(*encoding).map_err(|e| e.to_string())?;
    columns.clear();
    chunk::decode(encoding, bytes, i64::MIN, i64::MAX, columns).map_err(|e| e.to_string())?;
    let said = chunk::num_samples(encoding, bytes).map_err(|e| e.to_string())?;
    if usize::from(said) != columns.len() {
        return Err(format!("chunk of {} samples says {said}", columns.len()));
    }
    Ok((encoding, cursor.offset()))
}
