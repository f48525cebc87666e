//! Files in memory on a disk that fills up, fails to sync or takes no writes.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use storage::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map, MemFs};

#[derive(Default)]
struct State {
    left: AtomicI64,
    read_only: AtomicBool,
    fails_sync: AtomicBool,
    panics: AtomicBool,
}

/// A disk with room for so many bytes more. What fits of a write is written, as on a real one. A
/// clone is another handle on it.
#[derive(Clone)]
pub struct SmallDisk {
    fs: MemFs,
    state: Arc<State>,
}

impl SmallDisk {
    /// The files of `fs` with room for `left` bytes more.
    #[must_use]
    pub fn new(fs: MemFs, left: i64) -> Self {
        let state = State { left: AtomicI64::new(left), ..State::default() };
        Self { fs, state: Arc::new(state) }
    }

    /// From now on there is room for `left` bytes.
    pub fn set_left(&self, left: i64) {
        self.state.left.store(left, Ordering::SeqCst);
    }

    /// From now on every change is refused, as on a disk mounted read-only, or no longer.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.read_only.store(read_only, Ordering::SeqCst);
    }

    /// From now on syncing a file fails, or no longer.
    pub fn set_fails_sync(&self, fails: bool) {
        self.state.fails_sync.store(fails, Ordering::SeqCst);
    }

    /// From now on listing a directory panics, as a fault in our own code would, or no longer.
    pub fn set_panics(&self, panics: bool) {
        self.state.panics.store(panics, Ordering::SeqCst);
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &MemFs {
        &self.fs
    }

    fn append(&self, file: Box<dyn FileAppend>) -> Box<dyn FileAppend> {
        Box::new(File { len: file.len(), file, state: self.state.clone() })
    }

    fn writable(&self) -> io::Result<&MemFs> {
        self.state.writable().map(|()| &self.fs)
    }
}

impl State {
    fn writable(&self) -> io::Result<()> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(io::Error::new(ErrorKind::ReadOnlyFilesystem, "read-only file system"));
        }
        Ok(())
    }
}

struct File {
    file: Box<dyn FileAppend>,
    /// Without what a write that failed has left behind: the next one overwrites that, as on a real disk.
    len: u64,
    state: Arc<State>,
}

impl File {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let over = usize::try_from(self.file.len() - self.len).map_err(io::Error::other)?.min(bytes.len());
        self.file.write_at(self.len, &bytes[..over])?;
        self.file.append(&bytes[over..])
    }
}

impl FileAppend for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state.writable()?;
        let n = i64::try_from(bytes.len()).map_err(io::Error::other)?;
        let left = self.state.left.fetch_sub(n, Ordering::SeqCst);
        if left >= n {
            self.put(bytes)?;
            self.len += bytes.len() as u64;
            return Ok(());
        }
        self.state.left.store(0, Ordering::SeqCst);
        self.put(&bytes[..usize::try_from(left).unwrap_or(0)])?;
        Err(io::Error::new(ErrorKind::StorageFull, "no space left on device"))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.state.writable()?;
        self.file.write_at(offset, bytes)
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.state.fails_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.file.sync()
    }
}

impl Fs for SmallDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(self.append(self.writable()?.create(path)?))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(self.append(self.writable()?.open_append(path)?))
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
        self.writable()?.set_len(path, len)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.writable()?.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.writable()?.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.writable()?.remove_dir_all(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if self.fs.exists(path) {
            return Ok(());
        }
        self.writable()?.create_dir_all(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        assert!(!self.state.panics.load(Ordering::SeqCst), "a fault while listing");
        self.fs.read_dir(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.fs.exists(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.writable()?.hard_link(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.fs.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.writable()?.lock(path)
    }
}
