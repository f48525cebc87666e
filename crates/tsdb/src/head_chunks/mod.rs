//! Full chunks of the head in files, in Prometheus' format (FORMAT.md): so that memory holds only
//! open chunks, and a restart does not have to encode them again. Everything in here is also in
//! the log; a file that is damaged is dropped with those behind it. Knows no series.

pub(crate) mod file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chunk::Encoding;
use model::{Columns, TimestampMs};
use storage::{FileAppend, FileRead, Fs, Map, StorageError};

use crate::head::ChunkPlace;
use crate::int_map::IntMap;

pub(crate) use file::NewChunk;

/// A file is complete at this size.
const FILE_BYTES_MAX: u64 = 128 << 20;

/// Chunks are written when so many bytes have gathered.
const BUFFER_BYTES: usize = 256 << 10;

/// A file of at least so many bytes is ended before all of its chunks are read.
const SEAL_BYTES_MIN: u64 = 4 << 20;

/// Stands for a file in the place of a chunk that found none.
const STRANDED: u32 = u32::MAX;

/// A chunk found on opening.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadedChunk {
    pub(crate) series: u64,
    pub(crate) place: ChunkPlace,
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    /// `None` for one that we do not know.
    pub(crate) encoding: Option<Encoding>,
    pub(crate) out_of_order: bool,
}

/// The file being written.
struct Current {
    number: u32,
    file: Box<dyn FileAppend>,
    reader: Arc<dyn FileRead>,
    /// Bytes not written yet; they begin at `file.len()`.
    buffer: Vec<u8>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    last_number: u32,
    /// Begin a new file with the next chunk.
    cut: bool,
    failed: Option<Arc<str>>,
    /// Chunks for which no file could be made; their file number is [`STRANDED`].
    stranded: Vec<Vec<u8>>,
}

#[derive(Clone)]
enum Source {
    Sealed(Map),
    Growing(Arc<dyn FileRead>),
}

/// All head-chunks files.
pub(crate) struct HeadChunks {
    dir: PathBuf,
    fs: Arc<dyn Fs>,
    state: Mutex<State>,
    sources: RwLock<IntMap<u32, Source>>,
}

fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

impl HeadChunks {
    /// Opens the directory, without looking into the files.
    ///
    /// # Errors
    /// Where it cannot be made or read.
    pub(crate) fn open(fs: Arc<dyn Fs>, dir: PathBuf) -> Result<Self, StorageError> {
        let fail = |e| StorageError::io(format!("open {}", dir.display()), e);
        fs.create_dir_all(&dir).map_err(fail)?;
        let last_number = numbers(&*fs, &dir)?.last().copied().unwrap_or(0);
        let state = Mutex::new(State { last_number, ..State::default() });
        Ok(Self { dir, fs, state, sources: RwLock::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn io(&self, what: &str, number: u32, e: std::io::Error) -> StorageError {
        StorageError::io(format!("{what} {}", path(&self.dir, number).display()), e)
    }

    /// Reads all files in order and hands each chunk to `found`. Where a file is damaged, or
    /// `found` refuses a chunk, it and all behind it are deleted, and the text says why: the
    /// caller must forget what it was given and call again. `before_deletion` is called first.
    ///
    /// # Errors
    /// The system's, and those of `before_deletion`, on which nothing is deleted.
    pub(crate) fn load(
        &self,
        before_deletion: &dyn Fn() -> Result<(), StorageError>,
        mut found: impl FnMut(LoadedChunk) -> Result<(), String>,
    ) -> Result<Option<String>, StorageError> {
        let all = numbers(&*self.fs, &self.dir)?;
        for (i, number) in all.iter().enumerate() {
            let gap = i > 0 && all[i - 1] + 1 != *number;
            let file = path(&self.dir, *number);
            let data = self.fs.map(&file).map_err(|e| self.io("map", *number, e))?;
            // A file that a crash left empty at the end is nothing to speak of.
            if i + 1 == all.len() && data.iter().take(4).all(|b| *b == 0) && !gap {
                self.fs.remove_file(&file).map_err(|e| self.io("remove", *number, e))?;
                break;
            }
            let read = if gap {
                Err("files are not sequential".to_owned())
            } else {
                walk(&data, *number, &mut found)
            };
            if let Err(why) = read {
                before_deletion()?;
                for n in &all[i..] {
                    self.fs.remove_file(&path(&self.dir, *n)).map_err(|e| self.io("remove", *n, e))?;
                }
                self.sources().clear();
                return Ok(Some(format!("corruption in head chunk file {}: {why}", file.display())));
            }
            self.sources().insert(*number, Source::Sealed(data));
        }
        Ok(None)
    }

    fn sources(&self) -> std::sync::RwLockWriteGuard<'_, IntMap<u32, Source>> {
        self.sources.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a full chunk in, and says where it is from now on. Where the disk refuses, it stays
    /// readable in memory, and [`Self::failed`] says why.
    pub(crate) fn put(&self, chunk: &NewChunk<'_>) -> ChunkPlace {
        let mut state = self.state();
        let bytes = chunk.data.len() + 64;
        let full = |c: &Current| c.file.len() + (c.buffer.len() + bytes) as u64 > FILE_BYTES_MAX;
        if (state.cut || state.current.as_ref().is_none_or(full))
            && let Err(e) = self.begin_file(&mut state)
        {
            state.failed.get_or_insert_with(|| e.to_string().into());
        }
        let State { current, failed, stranded, .. } = &mut *state;
        let Some(current) = current else {
            let mut bytes = Vec::new();
            file::put_chunk(&mut bytes, chunk);
            stranded.push(bytes);
            return ChunkPlace { file: STRANDED, offset: (stranded.len() - 1) as u32 };
        };
        let offset = current.file.len() as usize + current.buffer.len();
        file::put_chunk(&mut current.buffer, chunk);
        if current.buffer.len() >= BUFFER_BYTES
            && failed.is_none()
            && let Err(e) = flush(current)
        {
            *failed = Some(self.io("write", current.number, e).to_string().into());
        }
        // A file ends at 128 MiB, so the offset fits; a failing disk that lets the buffer grow
        // beyond refuses all writes long before.
        ChunkPlace { file: current.number, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    fn end_file(&self, state: &mut State) -> Result<(), StorageError> {
        let Some(mut full) = state.current.take() else { return Ok(()) };
        let number = full.number;
        // Synced before there is a next one: a file that lost its end, with chunks behind the loss in
        // the next, could not be told from a whole one. What the last one lost the log has.
        if let Err(e) = flush(&mut full).and_then(|()| full.file.sync()) {
            state.current = Some(full);
            return Err(self.io("write", number, e));
        }
        let map = self.fs.map(&path(&self.dir, number)).map_err(|e| self.io("map", number, e))?;
        self.sources().insert(number, Source::Sealed(map));
        Ok(())
    }

    fn begin_file(&self, state: &mut State) -> Result<(), StorageError> {
        self.end_file(state)?;
        let number = state.last_number + 1;
        let name = path(&self.dir, number);
        let made = || -> std::io::Result<Current> {
            let mut file = self.fs.create(&name)?;
            file.append(&file::file_header())?;
            let reader: Arc<dyn FileRead> = self.fs.open_read(&name)?.into();
            self.fs.sync_dir(&self.dir)?;
            Ok(Current { number, file, reader, buffer: Vec::new() })
        };
        let current = made().map_err(|e| self.io("create", number, e))?;
        self.sources().insert(number, Source::Growing(current.reader.clone()));
        state.last_number = number;
        state.cut = false;
        state.current = Some(current);
        Ok(())
    }

    /// Writes out what has gathered.
    ///
    /// # Errors
    /// The system's, also from earlier.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        let mut state = self.state();
        if let Some(why) = &state.failed {
            return Err(StorageError::ReadOnly(why.to_string()));
        }
        let Some(current) = &mut state.current else { return Ok(()) };
        let number = current.number;
        flush(current).map_err(|e| self.io("write", number, e))
    }

    /// Why the disk refused, if it did.
    pub(crate) fn failed(&self) -> Option<Arc<str>> {
        self.state().failed.clone()
    }

    /// Deletes all files. Nothing may be put or read any more.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn discard(&self) -> Result<(), StorageError> {
        self.state().current = None;
        self.sources().clear();
        for n in numbers(&*self.fs, &self.dir)? {
            self.fs.remove_file(&path(&self.dir, n)).map_err(|e| self.io("remove", n, e))?;
        }
        Ok(())
    }

    /// Writes out what has gathered and syncs it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn close(&self) -> Result<(), StorageError> {
        self.flush()?;
        let mut state = self.state();
        let Some(current) = &mut state.current else { return Ok(()) };
        let number = current.number;
        current.file.sync().map_err(|e| self.io("sync", number, e))
    }

    fn corrupt(&self, place: ChunkPlace, why: &str) -> StorageError {
        let name = path(&self.dir, place.file);
        let at = place.offset;
        StorageError::Corrupt(format!("corruption in head chunk file {} at {at}: {why}", name.display()))
    }

    /// Copies the data of a chunk to `out`, which becomes exactly that, and says how it is encoded.
    ///
    /// # Errors
    /// Where the file cannot be read or the bytes are damaged.
    pub(crate) fn read(&self, place: ChunkPlace, out: &mut Vec<u8>) -> Result<Encoding, StorageError> {
        out.clear();
        let corrupt = |why: String| self.corrupt(place, &why);
        let source = self.sources.read().unwrap_or_else(PoisonError::into_inner).get(&place.file).cloned();
        let at = place.offset as usize;
        let take = |bytes: &[u8], out: &mut Vec<u8>| {
            let (chunk, _) = file::read_chunk(bytes)?.ok_or("no chunk here")?;
            out.extend_from_slice(chunk.data);
            Encoding::try_from(chunk.encoding).map_err(|e| e.to_string())
        };
        match source {
            None if place.file == STRANDED => {
                take(self.state().stranded.get(at).map_or(&[], Vec::as_slice), out).map_err(corrupt)
            }
            None => Err(corrupt("head chunk file does not exist".to_owned())),
            Some(Source::Sealed(map)) => take(map.get(at..).unwrap_or(&[]), out).map_err(corrupt),
            Some(Source::Growing(reader)) => {
                {
                    let state = self.state();
                    if let Some(c) = state.current.as_ref().filter(|c| c.number == place.file)
                        && let Some(from) = at.checked_sub(c.file.len() as usize)
                    {
                        return take(c.buffer.get(from..).unwrap_or(&[]), out).map_err(corrupt);
                    }
                }
                // Written already. Chunks of floats are about 1 KiB at most.
                let mut bytes = vec![0; 2048];
                let read = |bytes: &mut [u8]| {
                    let n = reader.read_at(u64::from(place.offset), bytes);
                    n.map_err(|e| self.io("read", place.file, e))
                };
                let mut n = read(&mut bytes)?;
                if let Some(more) =
                    file::chunk_bytes(&bytes[..n]).filter(|more| *more > n && n == bytes.len())
                {
                    bytes.resize(more, 0);
                    n = read(&mut bytes)?;
                }
                take(&bytes[..n], out).map_err(corrupt)
            }
        }
    }

    /// Appends the samples of a chunk with `min_ms ≤ t ≤ max_ms` to `columns`; `scratch` is memory
    /// to work in.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn decode(
        &self,
        place: ChunkPlace,
        (min_ms, max_ms): (TimestampMs, TimestampMs),
        scratch: &mut Vec<u8>,
        columns: &mut Columns,
    ) -> Result<(), StorageError> {
        let encoding = self.read(place, scratch)?;
        chunk::decode(encoding, scratch, min_ms, max_ms, columns)
            .map_err(|e| self.corrupt(place, &e.to_string()))
    }

    /// Ends the file being written where it is large, so that reading all of its chunks is reading
    /// memory: mapped instead of a system call for each.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn seal(&self) -> Result<(), StorageError> {
        let mut state = self.state();
        match &state.current {
            Some(c) if c.file.len() >= SEAL_BYTES_MIN && state.failed.is_none() => self.end_file(&mut state),
            _ => Ok(()),
        }
    }

    /// Deletes the files below number `keep_from`, and begins a new file with the next chunk, so
    /// that the current one can go in its turn.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn truncate(&self, keep_from: u32) -> Result<(), StorageError> {
        let current = {
            let mut state = self.state();
            state.cut = state.current.is_some();
            state.current.as_ref().map(|c| c.number)
        };
        for number in numbers(&*self.fs, &self.dir)? {
            if number >= keep_from || Some(number) == current {
                break;
            }
            self.sources().remove(&number);
            self.fs.remove_file(&path(&self.dir, number)).map_err(|e| self.io("remove", number, e))?;
        }
        Ok(())
    }

    /// Bytes of all files.
    pub(crate) fn size(&self) -> u64 {
        self.fs.read_dir(&self.dir).map_or(0, |d| d.iter().map(|e| e.len).sum())
    }
}

fn flush(current: &mut Current) -> std::io::Result<()> {
    if !current.buffer.is_empty() {
        current.file.append(&current.buffer)?;
        current.buffer.clear();
    }
    Ok(())
}

fn numbers(fs: &dyn Fs, dir: &Path) -> Result<Vec<u32>, StorageError> {
    let entries = fs.read_dir(dir).map_err(|e| StorageError::io(format!("list {}", dir.display()), e))?;
    let mut numbers: Vec<u32> =
        entries.iter().filter(|e| !e.is_dir).filter_map(|e| e.name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Hands each chunk of a file to `found`.
fn walk(
    data: &[u8],
    number: u32,
    found: &mut impl FnMut(LoadedChunk) -> Result<(), String>,
) -> Result<(), String> {
    file::check_file_header(data)?;
    let mut at = file::FILE_HEADER_BYTES;
    while let Some((chunk, n)) = file::read_chunk(&data[at..])? {
        let offset = u32::try_from(at).map_err(|_| "file is larger than 4 GiB".to_owned())?;
        found(LoadedChunk {
            series: chunk.series,
            place: ChunkPlace { file: number, offset },
            min_ms: chunk.min_ms,
            max_ms: chunk.max_ms,
            encoding: Encoding::try_from(chunk.encoding).ok(),
            out_of_order: chunk.out_of_order,
        })?;
        at += n;
    }
    Ok(())
}
