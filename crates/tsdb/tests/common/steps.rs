//! Files whose every state can be opened, as after a crash.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use storage::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map, MemFs};

/// Files in memory that remember how they were after each step.
#[derive(Clone)]
pub(crate) struct Steps {
    pub(crate) fs: MemFs,
    pub(crate) on: Arc<AtomicBool>,
    pub(crate) states: Arc<Mutex<Vec<MemFs>>>,
}

struct StepFile(Box<dyn FileAppend>, Steps);

impl Steps {
    pub(crate) fn new() -> Self {
        let fs = MemFs::new();
        fs.create_dir_all(Path::new("data")).unwrap();
        Self { fs, on: Arc::default(), states: Arc::default() }
    }

    fn step<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if self.on.load(Ordering::SeqCst) {
            self.states.lock().unwrap().push(self.fs.snapshot());
        }
        result
    }
}

impl FileAppend for StepFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Torn in the middle, too.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.1.step(self.0.append(first))?;
        self.1.step(self.0.append(second))
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.1.step(self.0.write_at(offset, bytes))
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

impl Fs for Steps {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        let file = self.step(self.fs.create(path))?;
        Ok(Box::new(StepFile(file, self.clone())))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(Box::new(StepFile(self.fs.open_append(path)?, self.clone())))
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
        self.step(self.fs.set_len(path, len))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(self.fs.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step(self.fs.remove_file(path))
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        // A file at a time, in whatever order.
        for entry in self.fs.read_dir(path)? {
            let inner = path.join(&entry.name);
            if entry.is_dir { self.remove_dir_all(&inner)? } else { self.remove_file(&inner)? }
        }
        self.step(self.fs.remove_dir_all(path))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.step(self.fs.create_dir_all(path))
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.fs.read_dir(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.fs.exists(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(self.fs.hard_link(from, to))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.fs.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.fs.lock(path)
    }
}
