//! A file system in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fs::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map};

/// A file's content; a map shares it, and a later write copies what is mapped.
type Bytes = Arc<Mutex<Arc<Vec<u8>>>>;

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Bytes>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    disk_bytes: Option<u64>,
}

/// Files in memory; a clone is another handle on the same files.
#[derive(Clone, Default)]
pub struct MemFs(Arc<Mutex<State>>);

impl MemFs {
    /// An empty file system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a file of bytes that are there already, with its parents.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut s = self.state();
        s.dirs.extend(path.ancestors().skip(1).map(Path::to_owned));
        s.files.insert(path.to_owned(), Arc::new(Mutex::new(Arc::new(bytes))));
    }

    /// From now on the file system says that it has this size; before, it does not know.
    pub fn set_disk_bytes(&self, bytes: u64) {
        self.state().disk_bytes = Some(bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, path: &Path) -> io::Result<Bytes> {
        self.state().files.get(path).cloned().ok_or_else(|| missing(path))
    }

    /// A copy of everything as it is now, in new files: what a crash would leave behind if every
    /// write reached the disk.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let s = self.state();
        let files =
            s.files.iter().map(|(p, b)| (p.clone(), Arc::new(Mutex::new(Arc::clone(&guard(b)))))).collect();
        let (dirs, disk_bytes) = (s.dirs.clone(), s.disk_bytes);
        Self(Arc::new(Mutex::new(State { files, dirs, locks: BTreeSet::new(), disk_bytes })))
    }
}

fn guard(b: &Bytes) -> MutexGuard<'_, Arc<Vec<u8>>> {
    b.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{}: no such file or directory", path.display()))
}

struct Content(Arc<Vec<u8>>);

impl Deref for Content {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

struct Handle(Bytes);

impl FileAppend for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        Arc::make_mut(&mut guard(&self.0)).extend_from_slice(bytes);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut b = guard(&self.0);
        let start = usize::try_from(offset).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        let place = start.checked_add(bytes.len()).and_then(|end| Arc::make_mut(&mut b).get_mut(start..end));
        place.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?.copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> u64 {
        guard(&self.0).len() as u64
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileRead for Handle {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let b = guard(&self.0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(b.len());
        let n = buf.len().min(b.len() - start);
        buf[..n].copy_from_slice(&b[start..start + n]);
        Ok(n)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(guard(&self.0).len() as u64)
    }
}

struct Lock(MemFs, PathBuf);

impl FileLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}

impl Fs for MemFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        let b = Bytes::default();
        self.state().files.insert(path.to_owned(), b.clone());
        Ok(Box::new(Handle(b)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(Box::new(Handle(self.file(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn FileRead>> {
        Ok(Box::new(Handle(self.file(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(guard(&self.file(path)?).to_vec())
    }

    fn map(&self, path: &Path) -> io::Result<Map> {
        let content = Arc::clone(&guard(&self.file(path)?));
        Ok(Map::new(Content(content)))
    }

    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        let n = usize::try_from(len).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        Arc::make_mut(&mut guard(&self.file(path)?)).resize(n, 0);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut s = self.state();
        if let Some(b) = s.files.remove(from) {
            s.files.insert(to.to_owned(), b);
            return Ok(());
        }
        if !is_dir(&s, from) {
            return Err(missing(from));
        }
        if is_dir(&s, to) && s.files.keys().any(|p| p.starts_with(to)) {
            return Err(io::Error::new(ErrorKind::DirectoryNotEmpty, format!("{}: not empty", to.display())));
        }
        let moved = |p: &Path| p.strip_prefix(from).ok().map(|rest| to.join(rest));
        let files: Vec<_> = s.files.keys().filter(|p| p.starts_with(from)).cloned().collect();
        for p in files {
            if let (Some(new), Some(b)) = (moved(&p), s.files.remove(&p)) {
                s.files.insert(new, b);
            }
        }
        let dirs: Vec<_> = s.dirs.iter().filter(|p| p.starts_with(from)).cloned().collect();
        for p in dirs {
            s.dirs.remove(&p);
            s.dirs.extend(moved(&p));
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state().files.remove(path).map(drop).ok_or_else(|| missing(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut s = self.state();
        if !is_dir(&s, path) {
            return Err(missing(path));
        }
        s.files.retain(|p, _| !p.starts_with(path));
        s.dirs.retain(|p| !p.starts_with(path));
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.state().dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let s = self.state();
        if !is_dir(&s, path) {
            return Err(missing(path));
        }
        let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut out = Vec::new();
        out.extend(s.files.iter().filter(|(p, _)| p.parent() == Some(path)).map(|(p, b)| DirEntry {
            name: name(p),
            is_dir: false,
            len: guard(b).len() as u64,
        }));
        out.extend(s.dirs.iter().filter(|p| p.parent() == Some(path)).map(|p| DirEntry {
            name: name(p),
            is_dir: true,
            len: 0,
        }));
        out.sort();
        Ok(out)
    }

    fn exists(&self, path: &Path) -> bool {
        let s = self.state();
        s.files.contains_key(path) || is_dir(&s, path)
    }

    fn disk_bytes(&self, _: &Path) -> io::Result<u64> {
        self.state().disk_bytes.ok_or_else(|| io::Error::from(ErrorKind::Unsupported))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let b = self.file(from)?;
        let mut s = self.state();
        if s.files.contains_key(to) || is_dir(&s, to) {
            return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{}: exists", to.display())));
        }
        s.files.insert(to.to_owned(), b);
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        if !self.state().locks.insert(path.to_owned()) {
            return Err(io::Error::new(ErrorKind::WouldBlock, format!("{}: locked", path.display())));
        }
        Ok(Box::new(Lock(self.clone(), path.to_owned())))
    }
}

fn is_dir(s: &State, path: &Path) -> bool {
    s.dirs.contains(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_keeps_what_it_showed() {
        let (fs, path) = (MemFs::new(), Path::new("a/b"));
        fs.put(path, b"one".to_vec());
        assert!(fs.exists(Path::new("a")));
        let map = fs.map(path).unwrap();
        let before = fs.snapshot();
        let mut file = fs.open_append(path).unwrap();
        file.append(b"two").unwrap();
        file.write_at(0, b"O").unwrap();
        assert_eq!((&*map, &*fs.map(path).unwrap()), (&b"one"[..], &b"Onetwo"[..]));
        assert_eq!(before.read(path).unwrap(), b"one");
        fs.set_len(path, 1).unwrap();
        assert_eq!(fs.read(path).unwrap(), b"O");
    }
}
