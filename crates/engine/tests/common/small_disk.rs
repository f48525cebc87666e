//! Files in memory on a disk that fills up.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use storage::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map, MemFs};

/// A disk with room for `left` bytes more. What fits of a write is written, as on a real one.
#[derive(Clone)]
pub(crate) struct SmallDisk {
    pub(crate) fs: MemFs,
    left: Arc<AtomicI64>,
    panics: Arc<AtomicBool>,
}

impl SmallDisk {
    pub(crate) fn new(fs: MemFs, left: i64) -> Self {
        Self { fs, left: Arc::new(AtomicI64::new(left)), panics: Arc::default() }
    }

    /// Whether listing a directory panics, as a fault in our own code would.
    pub(crate) fn set_panics(&self, panics: bool) {
        self.panics.store(panics, Ordering::SeqCst);
    }

    pub(crate) fn set_left(&self, left: i64) {
        self.left.store(left, Ordering::SeqCst);
    }

    fn append(&self, file: Box<dyn FileAppend>) -> Box<dyn FileAppend> {
        Box::new(File { file, left: self.left.clone() })
    }
}

struct File {
    file: Box<dyn FileAppend>,
    left: Arc<AtomicI64>,
}

impl FileAppend for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let n = i64::try_from(bytes.len()).unwrap();
        let left = self.left.fetch_sub(n, Ordering::SeqCst);
        if left >= n {
            return self.file.append(bytes);
        }
        self.left.store(0, Ordering::SeqCst);
        self.file.append(&bytes[..usize::try_from(left.max(0)).unwrap()])?;
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Fs for SmallDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(self.append(self.fs.create(path)?))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(self.append(self.fs.open_append(path)?))
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn FileRead>> {
        self.fs.open_read(path)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.fs.read(path)
    }
    fn map(&self, path: &Path) -> io::Result<Map> {
        self.fs.map(path)
    }
    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        self.fs.set_len(path, len)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fs.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.fs.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.fs.remove_dir_all(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.fs.create_dir_all(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        assert!(!self.panics.load(Ordering::SeqCst), "a fault while listing");
        self.fs.read_dir(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.fs.exists(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.fs.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.fs.lock(path)
    }
}
