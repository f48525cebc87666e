//! Writing one sealed file from front to back: buffered, with its place and a running checksum.

use std::path::{Path, PathBuf};

use storage::{FileAppend, Fs, StorageError};

/// Bytes gathered before they go to the file.
const BUFFER_LEN: usize = 1 << 20;

/// A new file under construction. Errors name it.
pub(crate) struct FileWriter {
    file: Box<dyn FileAppend>,
    path: PathBuf,
    buf: Vec<u8>,
    written: u64,
    crc: u32,
}

impl FileWriter {
    /// Makes the file, replacing one of that name.
    pub(crate) fn create(fs: &dyn Fs, path: &Path) -> Result<Self, StorageError> {
        let file = fs.create(path).map_err(|e| StorageError::io(format!("create {}", path.display()), e))?;
        Ok(Self { file, path: path.to_owned(), buf: Vec::with_capacity(BUFFER_LEN), written: 0, crc: 0 })
    }

    /// Bytes so far.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.buf.len() as u64
    }

    /// Appends bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if self.buf.len() + bytes.len() > BUFFER_LEN {
            self.flush()?;
        }
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends bytes and adds them to the checksum.
    pub(crate) fn put_summed(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.put(bytes)
    }

    /// Appends the checksum and starts a new one.
    pub(crate) fn put_sum(&mut self) -> Result<(), StorageError> {
        let crc = std::mem::take(&mut self.crc);
        self.put(&crc.to_be_bytes())
    }

    /// Appends zeros up to a multiple of `align`.
    pub(crate) fn pad(&mut self, align: usize) -> Result<(), StorageError> {
        const ZEROS: [u8; 16] = [0; 16];
        let over = (self.position() % align as u64) as usize;
        if over == 0 { Ok(()) } else { self.put(&ZEROS[..align - over]) }
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        let written = self.file.append(&self.buf);
        written.map_err(|e| StorageError::io(format!("write {}", self.path.display()), e))?;
        self.written += self.buf.len() as u64;
        self.buf.clear();
        Ok(())
    }

    /// Writes what is buffered and waits until all is on the disk; returns the file's size.
    pub(crate) fn finish(mut self) -> Result<u64, StorageError> {
        self.flush()?;
        let synced = self.file.sync();
        synced.map_err(|e| StorageError::io(format!("sync {}", self.path.display()), e))?;
        Ok(self.written)
    }
}
