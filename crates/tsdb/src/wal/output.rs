//! Segments that are written once and as a whole: checkpoints, chunk snapshots.

use std::path::{Path, PathBuf};

use storage::{FileAppend, StorageError};

use super::compress::Compressor;
use super::fragment::Fragmenter;
use super::segment::segment_path;
use super::writer::WalOptions;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Segments under construction, from number 0 on, each full but the last.
pub(crate) struct Output<'a> {
    options: &'a WalOptions,
    dir: PathBuf,
    number: u32,
    file: Box<dyn FileAppend>,
    fragments: Fragmenter,
    buffer: Vec<u8>,
    compressor: Compressor,
    compressed: Vec<u8>,
}

impl<'a> Output<'a> {
    /// In the directory `dir`, which must be empty.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new(options: &'a WalOptions, dir: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            options,
            dir: dir.to_owned(),
            number: 0,
            file: create(options, dir, 0)?,
            fragments: Fragmenter::new(options.segment_bytes),
            buffer: Vec::new(),
            compressor: Compressor::default(),
            compressed: Vec::new(),
        })
    }

    fn io(&self, e: std::io::Error) -> StorageError {
        StorageError::io(format!("write {}", segment_path(&self.dir, self.number).display()), e)
    }

    /// Adds a record, compressed as the options say.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn put(&mut self, record: &[u8]) -> Result<(), StorageError> {
        let bits = self.compressor.compress(self.options.compression, record, &mut self.compressed);
        if self.fragments.overflows(self.compressed.len()) {
            self.end_segment()?;
            self.number += 1;
            self.file = create(self.options, &self.dir, self.number)?;
            self.fragments = Fragmenter::new(self.options.segment_bytes);
        }
        self.fragments.put(bits, &self.compressed, &mut self.buffer);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), StorageError> {
        self.file.append(&self.buffer).map_err(|e| self.io(e))?;
        self.buffer.clear();
        Ok(())
    }

    fn end_segment(&mut self) -> Result<(), StorageError> {
        self.fragments.pad(&mut self.buffer);
        self.write_out()?;
        self.file.sync().map_err(|e| self.io(e))
    }

    /// Fills up the last page, and returns once all is on the disk but the directory's entries.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn finish(mut self) -> Result<(), StorageError> {
        self.end_segment()
    }
}

fn create(options: &WalOptions, dir: &Path, number: u32) -> Result<Box<dyn FileAppend>, StorageError> {
    let path = segment_path(dir, number);
    options.fs.create(&path).map_err(|e| StorageError::io(format!("create {}", path.display()), e))
}
