//! The index of a block: every section, every byte between sections, and whether postings are
//! exactly what the series say.

use std::collections::HashMap;
use std::path::Path;

use storage::{Map, StorageError};

use super::{Check, Checked};
use crate::index::codec::{Corruption, Cursor};
use crate::index::{ChunkMeta, IndexReader};

const ADVICE: &str = "restore the block from a copy, or move it away and lose its samples";
const TOC_LEN: usize = 52;

/// A series as far as its chunks are concerned.
pub(super) struct SeriesChunks {
    pub(super) id: u64,
    pub(super) chunks: Vec<ChunkMeta>,
}

/// A set of series that can be compared with another without keeping either: how many, and a sum
/// of hashes, in which order does not count.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Digest(u64, u64);

impl Digest {
    fn add(&mut self, id: u32) {
        self.0 += 1;
        self.1 = self.1.wrapping_add(xxhash_rust::xxh3::xxh3_64(&id.to_be_bytes()));
    }
}

/// Symbols of a label pair; `None` for all series.
type Pair = Option<(u32, u32)>;

impl Check<'_> {
    /// Checks the index and returns its series in order, as far as they can be read.
    pub(super) fn index(&mut self, path: &Path, map: &Map) -> Checked<Vec<SeriesChunks>> {
        self.checking(path)?;
        let reader = match IndexReader::parse(map.clone(), path) {
            Ok(reader) => reader,
            Err(c) => {
                self.corrupt(path, c)?;
                return Ok(Vec::new());
            }
        };
        let mut toc = Cursor::new(map, map.len() - TOC_LEN, map.len() - 4);
        let mut offsets = [0usize; 6];
        for o in &mut offsets {
            *o = toc.be64().ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX).min(map.len());
        }
        let (mut series, mut pairs) = (Vec::new(), HashMap::new());
        if let Err(c) = self.series(&reader, map, offsets, &mut series, &mut pairs)? {
            self.corrupt(path, c)?;
        } else if let Err(c) = postings(&reader, map, offsets, &mut pairs) {
            self.corrupt(path, c)?;
        }
        Ok(series)
    }

    fn corrupt(&mut self, path: &Path, c: Corruption) -> Checked {
        self.found(path, Some(c.offset as usize), "index", c.what, ADVICE)
    }

    fn series(
        &mut self,
        reader: &IndexReader,
        map: &[u8],
        toc: [usize; 6],
        out: &mut Vec<SeriesChunks>,
        pairs: &mut HashMap<Pair, Digest>,
    ) -> Checked<Result<(), Corruption>> {
        if toc[0] != 5 {
            return Ok(Err(Corruption::new(5, "bytes between header and symbols")));
        }
        let mut at = match section_end(map, toc[0]) {
            Ok(end) => end,
            Err(c) => return Ok(Err(c)),
        };
        let (mut last, mut labels) = (Vec::new(), Vec::new());
        loop {
            let next = at.next_multiple_of(16);
            if next >= toc[2] {
                return Ok(zeros(map, at, toc[2]));
            }
            if let Err(c) = zeros(map, at, next) {
                return Ok(Err(c));
            }
            let Ok(id) = u32::try_from(next / 16) else {
                return Ok(Err(Corruption::new(next, "index too large")));
            };
            labels.clear();
            let mut chunks = Vec::new();
            let read = reader.series(id).and_then(|mut entry| {
                entry.label_symbols(&mut labels)?;
                entry.chunks_in(i64::MIN, i64::MAX, &mut chunks)
            });
            if let Err(e) = read {
                self.found(reader.path(), Some(next), "index", said(e), ADVICE)?;
            } else {
                let fault = if out.last().is_some() && last >= labels {
                    Some("series out of order")
                } else if chunks.is_empty() {
                    Some("series without chunks")
                } else if !chunks.is_sorted_by(|a, b| a.max_ms < b.min_ms) {
                    Some("chunks of a series overlap")
                } else if !chunks.is_sorted_by(|a, b| a.reference < b.reference) {
                    Some("chunks of a series do not rise")
                } else {
                    None
                };
                if let Some(what) = fault {
                    self.found(reader.path(), Some(next), "index", what, ADVICE)?;
                }
            }
            pairs.entry(None).or_default().add(id);
            labels.iter().for_each(|pair| pairs.entry(Some(*pair)).or_default().add(id));
            std::mem::swap(&mut last, &mut labels);
            self.summary.series += 1;
            out.push(SeriesChunks { id: u64::from(id), chunks });
            at = match series_end(map, next) {
                Ok(end) => end,
                Err(c) => return Ok(Err(c)),
            };
        }
    }
}

fn said(e: StorageError) -> String {
    e.to_string()
}

fn zeros(map: &[u8], from: usize, to: usize) -> Result<(), Corruption> {
    match map.get(from..to).and_then(|bytes| bytes.iter().position(|b| *b != 0)) {
        Some(i) => Err(Corruption::new(from + i, "padding is not zero")),
        None if from > to => Err(Corruption::new(to, "sections overlap")),
        None => Ok(()),
    }
}

fn section_end(map: &[u8], at: usize) -> Result<usize, Corruption> {
    let body = Cursor::section(map, at as u64)?;
    Ok(body.offset() + body.rest().len() + 4)
}

fn series_end(map: &[u8], at: usize) -> Result<usize, Corruption> {
    let mut cursor = Cursor::new(map, at, map.len());
    let len = usize::try_from(cursor.uvarint()?).unwrap_or(usize::MAX);
    cursor.cut(len)?;
    Ok(cursor.offset() + 4)
}

/// Checks that the lists are there one after the other, and hold what the series say.
fn postings(
    reader: &IndexReader,
    map: &[u8],
    toc: [usize; 6],
    pairs: &mut HashMap<Pair, Digest>,
) -> Result<(), Corruption> {
    let [_, _, labels, label_table, lists, table] = toc;
    let toc_at = map.len() - TOC_LEN;
    // Label indices, which only older writers have.
    let mut at = labels;
    while at < lists {
        let next = at.next_multiple_of(4);
        if map.get(at..lists).is_some_and(|rest| rest.iter().all(|b| *b == 0)) {
            break;
        }
        zeros(map, at, next)?;
        at = section_end(map, next)?;
    }
    let numbers: HashMap<&str, u32> = reader.symbols().zip(0..).collect();
    let number = |s: &[u8], at| {
        let s = std::str::from_utf8(s).ok();
        s.and_then(|s| numbers.get(s).copied())
            .ok_or_else(|| Corruption::new(at, "label pair that is no symbol"))
    };
    let mut body = Cursor::section(map, table as u64)?;
    let count = body.be32()?;
    let mut found = Vec::new();
    for _ in 0..count {
        let at = body.offset();
        body.byte()?;
        let (name, value) = (body.string()?, body.string()?);
        let pair = if name.is_empty() { None } else { Some((number(name, at)?, number(value, at)?)) };
        found.push((body.uvarint()?, pair, at));
    }
    if !body.is_empty() {
        return Err(body.fault("bytes behind the last entry of the offset table"));
    }
    found.sort_unstable();
    let mut at = lists;
    let mut ids = Vec::new();
    for (offset, pair, entry) in found {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(map.len());
        if at.next_multiple_of(4) != offset {
            return Err(Corruption::new(entry, "postings do not follow each other"));
        }
        zeros(map, at, offset)?;
        ids.clear();
        reader.postings(offset as u64, &mut ids)?;
        let mut digest = Digest::default();
        ids.iter().for_each(|id| digest.add(*id));
        if pairs.remove(&pair).unwrap_or_default() != digest {
            return Err(Corruption::new(offset, "postings are not those of the series"));
        }
        at = section_end(map, offset)?;
    }
    if !pairs.is_empty() {
        return Err(Corruption::new(table, "label pairs of series are missing in the offset table"));
    }
    let mut tables = vec![table];
    if label_table != table && label_table < toc_at {
        tables.push(label_table);
        tables.sort_unstable();
    }
    for table in tables {
        zeros(map, at, table)?;
        at = section_end(map, table)?;
    }
    zeros(map, at, toc_at)
}
