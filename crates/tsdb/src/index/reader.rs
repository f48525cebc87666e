//! Reading an index file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use model::{Labels, TimestampMs};
use storage::{Fs, Map, Projection, StorageError};

use super::codec::{Corruption, Cursor};
use super::matching::PostingsIndex;
use super::offsets::PostingsOffsets;
use super::symbols::Symbols;
use super::{HEADER_LEN, MAGIC, SERIES_ALIGN, TOC_LEN, VERSION};
use crate::projection::Projector;

/// Where a chunk of a series lies, and the time it spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Time of its first sample.
    pub min_ms: TimestampMs,
    /// Time of its last sample.
    pub max_ms: TimestampMs,
    /// Segment in the upper 32 bits, counted from 0, and offset in it in the lower.
    pub reference: u64,
}

/// A mapped index, format version 2. Tables were checked when it was opened, postings and series
/// are checked as they are read.
#[derive(Debug)]
pub struct IndexReader {
    pub(super) map: Map,
    path: PathBuf,
    pub(super) symbols: Symbols,
    pub(super) offsets: PostingsOffsets,
    /// Where the series section ends.
    series_end: usize,
}

impl IndexReader {
    /// Maps and checks the index at `path`: time in proportion to its symbols and label pairs.
    ///
    /// # Errors
    /// Where the file cannot be mapped, or is no such index.
    pub fn open(fs: &dyn Fs, path: &Path) -> Result<Self, StorageError> {
        let map = fs.map(path).map_err(|e| StorageError::io(format!("open {}", path.display()), e))?;
        Self::parse(map, path).map_err(|c| c.in_file(path))
    }

    pub(crate) fn parse(map: Map, path: &Path) -> Result<Self, Corruption> {
        let mut head = Cursor::new(&map, 0, map.len());
        if head.be32()? != MAGIC {
            return Err(Corruption::new(0, "invalid magic number"));
        }
        if head.byte()? != VERSION {
            return Err(Corruption::new(4, "unknown index file version"));
        }
        let toc_at = map.len().checked_sub(TOC_LEN).filter(|at| *at >= HEADER_LEN);
        let toc_at = toc_at.ok_or_else(|| Corruption::new(map.len(), "no room for the table of contents"))?;
        let mut toc = Cursor::new(&map, toc_at, map.len() - 4);
        toc.check(Cursor::new(&map, map.len() - 4, map.len()).be32()?)?;
        let symbols = toc.be64()?;
        let _series = toc.be64()?;
        let series_end = toc.be64()?;
        let _label_indices_table = toc.be64()?;
        let _postings = toc.be64()?;
        let postings_table = toc.be64()?;
        let symbols = Symbols::open(&map, symbols)?;
        let offsets = PostingsOffsets::open(&map, postings_table)?;
        // Nothing but a bound: where an older writer left it out, the end of the file serves.
        let series_end = usize::try_from(series_end).unwrap_or(0);
        let series_end = if (HEADER_LEN..toc_at).contains(&series_end) { series_end } else { toc_at };
        Ok(Self { path: path.to_owned(), symbols, offsets, series_end, map })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Number of symbols.
    #[must_use]
    pub fn num_symbols(&self) -> u32 {
        self.symbols.len()
    }

    /// All symbols, ascending.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = &str> {
        self.symbols.iter(&self.map)
    }

    pub(super) fn corrupt(&self, c: Corruption) -> StorageError {
        c.in_file(&self.path)
    }

    /// Appends the postings at `offset` to `out`.
    pub(crate) fn postings(&self, offset: u64, out: &mut Vec<u32>) -> Result<(), Corruption> {
        let mut body = Cursor::section(&self.map, offset)?;
        let at = body.offset();
        let count = body.be32()? as usize;
        let (ids, rest) = body.rest().as_chunks::<4>();
        if ids.len() != count || !rest.is_empty() {
            return Err(Corruption::new(at, "wrong length of postings"));
        }
        let start = out.len();
        out.extend(ids.iter().map(|b| u32::from_be_bytes(*b)));
        if !out[start..].is_sorted_by(|a, b| a < b) {
            return Err(Corruption::new(at, "postings out of order"));
        }
        Ok(())
    }

    fn postings_at(&self, offset: Option<u64>) -> Result<Cow<'_, [u32]>, StorageError> {
        let mut out = Vec::new();
        if let Some(offset) = offset {
            self.postings(offset, &mut out).map_err(|c| self.corrupt(c))?;
        }
        Ok(Cow::Owned(out))
    }

    /// The entry of a series, its checksum verified.
    pub(crate) fn series(&self, id: u32) -> Result<SeriesEntry<'_>, StorageError> {
        self.series_entry(id, true).map_err(|c| self.corrupt(c))
    }

    fn series_entry(&self, id: u32, verify: bool) -> Result<SeriesEntry<'_>, Corruption> {
        let at = usize::try_from(u64::from(id) * SERIES_ALIGN as u64).unwrap_or(usize::MAX);
        let mut cursor = Cursor::new(&self.map, at, self.series_end);
        if id == 0 || cursor.offset() != at {
            return Err(Corruption::new(at, "series outside of its section"));
        }
        let len = cursor.uvarint()?;
        let body = cursor.cut(usize::try_from(len).unwrap_or(usize::MAX))?;
        if verify {
            body.check(cursor.be32()?)?;
        }
        Ok(SeriesEntry { index: self, rest: body })
    }

    fn symbol(&self, number: u32) -> Option<&str> {
        self.symbols.get(&self.map, number)
    }

    /// A projector for the labels of this index' series, `None` where all are wanted.
    pub(crate) fn projector(&self, projection: &Projection) -> Option<Projector<u32>> {
        Projector::new(projection, |name| self.symbols.find(&self.map, name))
    }

    /// The labels of a series that [`SeriesEntry::skip_labels`] has found well-formed; empty for
    /// any other.
    pub(crate) fn labels_checked(&self, id: u32) -> Labels {
        self.series_entry(id, false).and_then(|mut entry| entry.labels()).unwrap_or_default()
    }

    /// The chunks that reach into `start_ms ..= end_ms` of a series whose entry [`Self::series`] has
    /// found sound: its checksum is not asked again.
    pub(crate) fn chunks_checked(
        &self,
        id: u32,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
    ) -> Result<Vec<ChunkMeta>, StorageError> {
        let mut entry = self.series_entry(id, false).map_err(|c| self.corrupt(c))?;
        entry.skip_labels()?;
        let mut chunks = Vec::with_capacity(8);
        entry.chunks_in(start_ms, end_ms, &mut chunks)?;
        Ok(chunks)
    }

    /// The value of label `name` of a series, `None` where it has no such label.
    ///
    /// # Errors
    /// Where the series' entry is corrupt.
    pub fn label_value(&self, id: u32, name: &str) -> Result<Option<&str>, StorageError> {
        let Some(wanted) = self.symbols.find(&self.map, name) else { return Ok(None) };
        let mut found = None;
        let mut entry = self.series(id)?;
        entry
            .each_label(&mut |_, n, v| {
                if n == wanted {
                    found = Some(v);
                }
                Ok(())
            })
            .map_err(|c| self.corrupt(c))?;
        Ok(found.and_then(|v| self.symbols.get(&self.map, v)).filter(|v| !v.is_empty()))
    }

    /// The labels and chunks of a series.
    ///
    /// # Errors
    /// Where no series has this number, or its entry is corrupt.
    pub fn read_series(&self, id: u32, chunks: &mut Vec<ChunkMeta>) -> Result<Labels, StorageError> {
        let mut entry = self.series(id)?;
        let labels = entry.labels().map_err(|c| self.corrupt(c))?;
        entry.chunks(|c| chunks.push(c)).map_err(|c| self.corrupt(c))?;
        Ok(labels)
    }
}

/// The entry of one series, read from front to back: labels first, then chunks.
pub(crate) struct SeriesEntry<'a> {
    index: &'a IndexReader,
    rest: Cursor<'a>,
}

impl SeriesEntry<'_> {
    /// Calls `f` with the place of each label and the symbols of its name and value. Names rise
    /// and symbols exist, or it is an error.
    pub(super) fn each_label(
        &mut self,
        f: &mut dyn FnMut(usize, u32, u32) -> Result<(), Corruption>,
    ) -> Result<(), Corruption> {
        let count = self.rest.uvarint()?;
        let symbols = self.index.symbols.len();
        let mut last = None;
        for _ in 0..count {
            let at = self.rest.offset();
            let (name, value) = (self.rest.uvarint32()?, self.rest.uvarint32()?);
            if name >= symbols || value >= symbols {
                return Err(Corruption::new(at, "unknown symbol"));
            }
            if last.is_some_and(|l| l >= name) {
                return Err(Corruption::new(at, "labels out of order"));
            }
            last = Some(name);
            f(at, name, value)?;
        }
        Ok(())
    }

    /// Checks the labels without looking their strings up.
    pub(crate) fn skip_labels(&mut self) -> Result<(), StorageError> {
        let path = &self.index.path;
        self.each_label(&mut |_, _, _| Ok(())).map_err(|c| c.in_file(path))
    }

    /// Reads those of the labels that `projector` wants; `symbols` is scratch.
    pub(crate) fn project(
        &mut self,
        projector: &mut Projector<u32>,
        symbols: &mut Vec<(u32, u32)>,
    ) -> Result<Labels, StorageError> {
        symbols.clear();
        self.label_symbols(symbols)?;
        Ok(projector.project(symbols.iter().copied(), |symbol| self.index.symbol(symbol).unwrap_or("")))
    }

    /// Appends the symbols of the names and values of the labels to `out`.
    pub(crate) fn label_symbols(&mut self, out: &mut Vec<(u32, u32)>) -> Result<(), StorageError> {
        let path = &self.index.path;
        let mut put = |_, name, value| {
            out.push((name, value));
            Ok(())
        };
        self.each_label(&mut put).map_err(|c| c.in_file(path))
    }

    /// Reads the labels.
    fn labels(&mut self) -> Result<Labels, Corruption> {
        let index = self.index;
        let mut pairs = Vec::new();
        self.each_label(&mut |at, n, v| {
            let pair =
                index.symbol(n).zip(index.symbol(v)).ok_or_else(|| Corruption::new(at, "unknown symbol"))?;
            if !pair.1.is_empty() {
                pairs.push(pair);
            }
            Ok(())
        })?;
        Ok(Labels::from_sorted(pairs.into_iter()))
    }

    /// Calls `f` with each chunk, in order of time.
    fn chunks(&mut self, mut f: impl FnMut(ChunkMeta)) -> Result<(), Corruption> {
        self.chunks_while(|c| {
            f(c);
            true
        })
    }

    /// Calls `f` with each chunk, in order of time, until it says no.
    fn chunks_while(&mut self, mut f: impl FnMut(ChunkMeta) -> bool) -> Result<(), Corruption> {
        let count = self.rest.uvarint()?;
        let mut end_ms = 0i64;
        let mut reference = 0u64;
        for i in 0..count {
            let at = self.rest.offset();
            let overflow = || Corruption::new(at, "chunk time out of range");
            let min_ms = if i == 0 {
                self.rest.varint()?
            } else {
                end_ms.checked_add_unsigned(self.rest.uvarint()?).ok_or_else(overflow)?
            };
            let max_ms = min_ms.checked_add_unsigned(self.rest.uvarint()?).ok_or_else(overflow)?;
            reference = if i == 0 {
                self.rest.uvarint()?
            } else {
                reference.wrapping_add_signed(self.rest.varint()?)
            };
            end_ms = max_ms;
            if !f(ChunkMeta { min_ms, max_ms, reference }) {
                break;
            }
        }
        Ok(())
    }

    /// Whether a chunk reaches into `start_ms ..= end_ms`; the chunks behind the first one that does are not looked at.
    pub(crate) fn has_chunk_in(
        &mut self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
    ) -> Result<bool, StorageError> {
        let path = &self.index.path;
        let mut found = false;
        let looked = self.chunks_while(|c| {
            found = c.min_ms <= end_ms && start_ms <= c.max_ms;
            !found && c.min_ms <= end_ms
        });
        looked.map(|()| found).map_err(|c| c.in_file(path))
    }

    /// Appends the chunks that reach into `start_ms ..= end_ms` to `out`.
    pub(crate) fn chunks_in(
        &mut self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        out: &mut Vec<ChunkMeta>,
    ) -> Result<(), StorageError> {
        let path = &self.index.path;
        let reaches = |c: &ChunkMeta| c.min_ms <= end_ms && start_ms <= c.max_ms;
        self.chunks(|c| out.extend(Some(c).filter(reaches))).map_err(|c| c.in_file(path))
    }
}

impl PostingsIndex for IndexReader {
    type Id = u32;

    fn all(&self) -> Result<Cow<'_, [u32]>, StorageError> {
        self.postings_at(self.offsets.all())
    }

    fn equal(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, StorageError> {
        let offset = self.offsets.find(&self.map, name, value).map_err(|c| self.corrupt(c))?;
        self.postings_at(offset)
    }

    fn matching(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
        out: &mut Vec<u32>,
    ) -> Result<(), StorageError> {
        let visit = &mut |value: &str, offset| {
            if !value.starts_with(prefix) {
                return Ok(false);
            }
            if keep(value) {
                self.postings(offset, out)?;
            }
            Ok(true)
        };
        self.offsets.walk(&self.map, name, prefix, visit).map_err(|c| self.corrupt(c))
    }
}
