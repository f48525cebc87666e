//! Files behind a seam: real ones, or a map in memory that a test can crash.
//!
//! Sealed files may be mapped; growing files are read with `read_at`. Nothing here is buffered:
//! one call is one system call, so that a test can fail each.

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The entry's name, without the directory.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_dir: bool,
    /// Bytes of a file, 0 for a directory.
    pub len: u64,
}

/// Read-only bytes of a sealed file; a clone shares them.
#[derive(Clone)]
pub struct Map(Arc<dyn Deref<Target = [u8]> + Send + Sync>);

impl Map {
    /// Wraps bytes that never change.
    pub fn new(bytes: impl Deref<Target = [u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes))
    }
}

impl Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Map({} bytes)", self.len())
    }
}

/// A file open for writing at its end.
pub trait FileAppend: Send + Sync {
    /// Writes all of `bytes` at the end.
    ///
    /// # Errors
    /// The system's; a part may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Overwrites bytes at `offset`, which must lie before the end: headers known only later.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Bytes in the file.
    fn len(&self) -> u64;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the bytes are on the disk.
    ///
    /// # Errors
    /// The system's; what was written may be lost, and a later success says nothing about it.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file open for reading at any place; it may be growing.
pub trait FileRead: Send + Sync {
    /// Fills `buf` from `offset`; returns how many bytes there were, fewer only at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Bytes in the file now.
    ///
    /// # Errors
    /// The system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes now.
    ///
    /// # Errors
    /// The system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Holds a lock file until dropped.
pub trait FileLock: Send + Sync {}

/// A file system. Paths use the host's separators; relative ones mean the host's working directory.
pub trait Fs: Send + Sync {
    /// Makes a new empty file, replacing one of that name, open for appending.
    ///
    /// # Errors
    /// The system's, as for every method here.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>>;
    /// Opens a file for appending at its end; it must exist.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>>;
    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn FileRead>>;
    /// The whole file in memory.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Maps a sealed file: nobody writes or truncates it while the map lives.
    fn map(&self, path: &Path) -> io::Result<Map>;
    /// Cuts or extends (with zeros) a file to `len` bytes.
    fn set_len(&self, path: &Path, len: u64) -> io::Result<()>;
    /// Renames a file or directory, replacing a file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory with its parents; fine if it exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// What a directory holds, by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Whether something of that name exists.
    fn exists(&self, path: &Path) -> bool;
    /// Gives a file a second name. Where the system has no such thing the error is `Unsupported` or
    /// `CrossesDevices`, and callers copy.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
    /// Bytes of the whole file system that `path` is on; `Unsupported` where nobody knows.
    fn disk_bytes(&self, path: &Path) -> io::Result<u64> {
        let _ = path;
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
    /// Waits until the directory's entries are on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the lock file `path`, or fails with `WouldBlock` where another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;
}
