//! One log, read as it grows.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{FileRead, Fs, StorageError};

use crate::wal::compress::decompress;
use crate::wal::fragment::{PAGE_BYTES, Records};
use crate::wal::segment::segment_path;

/// Bytes that are read at a time, at least: whole pages.
const READ_BYTES: usize = 8 * PAGE_BYTES;

/// A place in a log, where a record begins or may come to begin. Places are ordered as their records are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// Number of the segment.
    pub segment: u32,
    /// Bytes from the segment's start.
    pub offset: u64,
}

/// What reading a log came upon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A record, inflated, and where it begins.
    Record(LogPosition, &'a [u8]),
    /// Segments are gone that had not been read, these two and those between them.
    Lost(u32, u32),
    /// Something could not be read and was left out: what, where and why.
    Damaged(String),
    /// There is no more at present.
    End,
}

/// A reader of the segments in a directory, which others may append to and remove meanwhile.
pub(super) struct LogTail {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Where segments are that were taken out of `dir` before they were read.
    kept: Option<PathBuf>,
    at: LogPosition,
    file: Option<Box<dyn FileRead>>,
    /// Nothing more comes into this segment: a later one is there.
    sealed: bool,
    /// Where `data` begins in the segment: at a page.
    base: u64,
    data: Vec<u8>,
    record: Vec<u8>,
}

impl LogTail {
    /// Reads from `at` on, where a record begins, or a segment or page.
    pub(super) fn new(fs: Arc<dyn Fs>, dir: PathBuf, at: LogPosition) -> Self {
        let (data, record) = (Vec::new(), Vec::new());
        Self { fs, dir, kept: None, at, file: None, sealed: false, base: 0, data, record }
    }

    /// Segments that are gone from the directory may be in `kept`.
    pub(super) fn or_in(self, kept: PathBuf) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// Behind the last record that was handed out.
    pub(super) fn position(&self) -> LogPosition {
        self.at
    }

    /// The next record, or why there is none.
    ///
    /// # Errors
    /// Where files cannot be read.
    pub(super) fn next(&mut self) -> Result<Step<'_>, StorageError> {
        loop {
            if self.file.is_none() {
                match self.open()? {
                    Opened::Yes => {}
                    Opened::Later => return Ok(Step::End),
                    Opened::Behind(first) => return Ok(Step::Lost(first, self.at.segment - 1)),
                }
            }
            let from = (self.at.offset - self.base) as usize;
            // What ends before a record does is read on; only what stays that way is damage.
            let mut records = Records::behind(&self.data, from.min(self.data.len()));
            match records.next() {
                Ok(Some(found)) => {
                    let end = self.base + records.offset() as u64;
                    let begin =
                        LogPosition { segment: self.at.segment, offset: self.base + found.offset as u64 };
                    let inflated = decompress(found.bits, &found.data, &mut self.record);
                    self.at.offset = end;
                    return Ok(match inflated {
                        Ok(()) => Step::Record(begin, &self.record),
                        Err(why) => Step::Damaged(self.damage(begin.offset, &why)),
                    });
                }
                Ok(None) => {
                    if self.fill()? {
                        continue;
                    }
                    if !self.sealed {
                        if !self.is_followed()? {
                            return Ok(Step::End);
                        }
                        // Its last bytes may have come since it was looked at.
                        self.sealed = true;
                        continue;
                    }
                    self.advance();
                }
                Err(torn) => {
                    if torn.is_incomplete() && self.fill()? {
                        continue;
                    }
                    if !self.sealed {
                        if !self.is_followed()? {
                            return Ok(Step::End);
                        }
                        self.sealed = true;
                        continue;
                    }
                    let why = self.damage(self.base + torn.offset as u64, &torn.reason);
                    self.advance();
                    return Ok(Step::Damaged(why));
                }
            }
        }
    }

    fn damage(&self, offset: u64, why: &str) -> String {
        format!("{}: offset {offset}: {why}", segment_path(&self.dir, self.at.segment).display())
    }

    /// To the start of the next segment.
    fn advance(&mut self) {
        self.at = LogPosition { segment: self.at.segment + 1, offset: 0 };
        self.leave();
    }

    fn leave(&mut self) {
        self.file = None;
        self.sealed = false;
        self.base = 0;
        self.data.clear();
        self.data.shrink_to(READ_BYTES);
        self.record.shrink_to(READ_BYTES);
    }

    /// Opens the segment at the position, or the first behind it where it is gone.
    fn open(&mut self) -> Result<Opened, StorageError> {
        // What is taken out of the first while it is looked for is in the second.
        for dir in [Some(&self.dir), self.kept.as_ref()].into_iter().flatten() {
            let path = segment_path(dir, self.at.segment);
            match self.fs.open_read(&path) {
                Ok(file) => {
                    self.file = Some(file);
                    self.base = self.at.offset / PAGE_BYTES as u64 * PAGE_BYTES as u64;
                    return Ok(Opened::Yes);
                }
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(StorageError::io(format!("open {}", path.display()), e)),
            }
        }
        let Some(first) = self.first_behind()? else { return Ok(Opened::Later) };
        let lost = self.at.segment;
        self.at = LogPosition { segment: first, offset: 0 };
        Ok(Opened::Behind(lost))
    }

    /// Whether there is a later segment.
    fn is_followed(&self) -> Result<bool, StorageError> {
        if self.fs.exists(&segment_path(&self.dir, self.at.segment + 1)) {
            return Ok(true);
        }
        if self.fs.exists(&segment_path(&self.dir, self.at.segment)) {
            return Ok(false);
        }
        Ok(self.first_behind()?.is_some())
    }

    /// The first segment there is behind the one at the position.
    fn first_behind(&self) -> Result<Option<u32>, StorageError> {
        let all = segment_sizes_of(&*self.fs, &self.dir, self.kept.as_deref())?;
        Ok(all.into_iter().map(|(n, _)| n).find(|n| *n > self.at.segment))
    }

    /// Reads more of the segment; whether there was any.
    fn fill(&mut self) -> Result<bool, StorageError> {
        let Some(file) = &self.file else { return Ok(false) };
        // Pages that have been read through make room.
        let page = PAGE_BYTES as u64;
        let read = ((self.at.offset / page * page).saturating_sub(self.base) as usize).min(self.data.len());
        self.data.drain(..read);
        self.base += read as u64;
        let len = self.data.len();
        self.data.resize(len + READ_BYTES.max(len), 0);
        let got = file.read_at(self.base + len as u64, &mut self.data[len..]);
        self.data.truncate(len + *got.as_ref().unwrap_or(&0));
        let path = segment_path(&self.dir, self.at.segment);
        got.map(|n| n > 0).map_err(|e| StorageError::io(format!("read {}", path.display()), e))
    }
}

enum Opened {
    Yes,
    /// It is not there yet.
    Later,
    /// It is gone, and those up to the position.
    Behind(u32),
}

/// The segments of a log with those before them that are kept elsewhere: numbers in order, gaps and all, and bytes.
pub(super) fn segment_sizes_of(
    fs: &dyn Fs,
    dir: &Path,
    kept: Option<&Path>,
) -> Result<Vec<(u32, u64)>, StorageError> {
    // In this order: a segment that moves meanwhile is in one of them, if not in both.
    let own = segment_sizes(fs, dir)?;
    let Some(kept) = kept else { return Ok(own) };
    let first = own.first().map_or(0, |(n, _)| *n);
    let mut all = segment_sizes(fs, kept)?;
    all.retain(|(n, _)| *n < first);
    all.extend(own);
    Ok(all)
}

/// The segments in a directory: numbers in order, gaps and all, and bytes; none where it does not exist.
pub(super) fn segment_sizes(fs: &dyn Fs, dir: &Path) -> Result<Vec<(u32, u64)>, StorageError> {
    let entries = match fs.read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(StorageError::io(format!("list {}", dir.display()), e)),
    };
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let mut found: Vec<(u32, u64)> = entries
        .iter()
        .filter(|e| !e.is_dir && is_number(&e.name))
        .filter_map(|e| Some((e.name.parse().ok()?, e.len)))
        .collect();
    found.sort_unstable();
    Ok(found)
}
