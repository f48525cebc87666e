//! The file system over [`Disk`]: counts the steps that change it, and fails or goes down at one.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map};

use super::disk::{DirNode, Disk, FileNode, Inode, Node, ROOT};
use crate::series::Noise;

/// How a machine goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process ends: everything written stays, the last write perhaps in part.
    Kill,
    /// The machine ends: what was synced stays, and any part of what was not. Of the changes of
    /// directories that were not synced the first so many stay, as on a disk with a journal.
    Power,
    /// As [`Crash::Power`], but any of the changes of directories may be lost, in any order.
    PowerUnordered,
}

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The machine goes down: this and everything after fails.
    Crash,
    /// This step alone fails.
    FailOnce,
    /// This step and every later one fails, though reading goes on.
    FailFromNow,
}

/// A step that does not succeed. A write that does not succeed leaves a part of its bytes behind.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Number of the step, from 0.
    pub at: u64,
    /// What happens.
    pub outcome: Outcome,
    /// Decides how much of a write stays.
    pub seed: u64,
}

struct State {
    disk: Disk,
    steps: u64,
    fault: Option<Fault>,
    /// What the step that failed was to do.
    failed: Option<String>,
    down: bool,
    locks: std::collections::BTreeSet<PathBuf>,
}

/// Files in memory whose every step can fail: creating, writing, syncing, renaming, linking, cutting
/// and removing, one file or directory at a time. A clone is another handle on the same.
#[derive(Clone)]
pub struct FaultFs(Arc<Mutex<State>>);

impl Default for FaultFs {
    fn default() -> Self {
        Self::over(Disk::default())
    }
}

impl FaultFs {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn over(disk: Disk) -> Self {
        let (failed, locks) = (None, std::collections::BTreeSet::new());
        Self(Arc::new(Mutex::new(State { disk, steps: 0, fault: None, failed, down: false, locks })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> io::Result<MutexGuard<'_, State>> {
        let s = self.state();
        if s.down { Err(down()) } else { Ok(s) }
    }

    /// Plans a fault, counting the steps from 0 again.
    pub fn plan(&self, fault: Option<Fault>) {
        let mut s = self.state();
        (s.steps, s.fault, s.failed) = (0, fault, None);
    }

    /// Steps done since the fault was planned.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// What the step that failed was to do; `None` where none has failed.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.state().failed.clone()
    }

    /// Whether the machine is down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.state().down
    }

    /// The disk after the machine went down, up again and without faults. This one stays as it is.
    #[must_use]
    pub fn after(&self, crash: Crash, seed: u64) -> Self {
        let mut disk = self.state().disk.clone();
        match crash {
            Crash::Kill => {}
            Crash::Power => disk.lose_power(true, &mut Noise::new(seed)),
            Crash::PowerUnordered => disk.lose_power(false, &mut Noise::new(seed)),
        }
        Self::over(disk)
    }

    /// Makes everything durable, as time does.
    pub fn settle(&self) {
        self.state().disk.settle_all();
    }

    /// How many bytes of a file's beginning a loss of power cannot take; `None` where it can take the
    /// file.
    #[must_use]
    pub fn durable_len(&self, path: &Path) -> Option<u64> {
        self.state().disk.durable_len(path)
    }

    /// The paths of all files, without those of locks.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().disk.paths().into_iter().map(PathBuf::from).collect()
    }

    /// Changes the bytes of a file behind everybody's back, as a failing disk does; they are durable.
    ///
    /// # Errors
    /// Where there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut s = self.state();
        let inode = s.disk.find_file(path)?;
        if let Some(f) = s.disk.file_mut(inode) {
            change(&mut f.bytes);
            f.durable.clone_from(&f.bytes);
        }
        Ok(())
    }

    /// Counts a step; fails where it is to fail.
    fn step(&self, what: &str, path: &Path) -> io::Result<MutexGuard<'_, State>> {
        self.step_or(what, path, |_, _| {})
    }

    /// As [`Self::step`]; a step that fails does `part` of its work.
    fn step_or(
        &self,
        what: &str,
        path: &Path,
        part: impl FnOnce(&mut Disk, &mut Noise),
    ) -> io::Result<MutexGuard<'_, State>> {
        let mut s = self.running()?;
        let number = s.steps;
        s.steps += 1;
        let Some(fault) = s.fault else { return Ok(s) };
        let fails = match fault.outcome {
            Outcome::FailFromNow => number >= fault.at,
            Outcome::Crash | Outcome::FailOnce => number == fault.at,
        };
        if !fails {
            return Ok(s);
        }
        if number == fault.at {
            part(&mut s.disk, &mut Noise::new(fault.seed));
        }
        s.failed.get_or_insert_with(|| format!("step {number}: {what} {}", path.display()));
        if fault.outcome == Outcome::Crash {
            s.down = true;
            return Err(down());
        }
        Err(io::Error::other("input/output error"))
    }

    fn open(&self, inode: Inode, path: &Path, len: usize) -> Handle {
        Handle { fs: self.clone(), inode, path: path.to_owned(), len }
    }
}

fn down() -> io::Error {
    io::Error::other("the machine is down")
}

struct Handle {
    fs: FaultFs,
    inode: Inode,
    path: PathBuf,
    /// Where the next bytes go: behind those that were written in full, as in `OsFs`.
    len: usize,
}

/// Writes bytes at a place and cuts nothing off.
fn put(f: &mut FileNode, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if f.bytes.len() < end {
        f.bytes.resize(end, 0);
    }
    f.bytes[at..end].copy_from_slice(bytes);
}

impl Handle {
    fn file<T>(&self, s: &mut State, f: impl FnOnce(&mut FileNode) -> T) -> io::Result<T> {
        s.disk.file_mut(self.inode).map(f).ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }
}

impl FileAppend for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (inode, at) = (self.inode, self.len);
        let mut s = self.fs.step_or("append to", &self.path, |disk, noise| {
            let n = noise.below(bytes.len() as u64 + 1) as usize;
            if let Some(f) = disk.file_mut(inode) {
                put(f, at, &bytes[..n]);
            }
        })?;
        self.file(&mut s, |f| put(f, at, bytes))?;
        drop(s);
        self.len += bytes.len();
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut s = self.fs.step("write into", &self.path)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        self.file(&mut s, |f| {
            let place = start.checked_add(bytes.len()).and_then(|end| f.bytes.get_mut(start..end));
            place.map(|p| p.copy_from_slice(bytes)).ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))
        })?
    }

    fn len(&self) -> u64 {
        self.len as u64
    }

    fn sync(&mut self) -> io::Result<()> {
        let inode = self.inode;
        let mut s = self.fs.step_or("sync", &self.path, |disk, _| {
            if let Some(f) = disk.file_mut(inode) {
                f.doubtful = true;
            }
        })?;
        s.disk.sync_file(inode);
        Ok(())
    }
}

impl FileRead for Handle {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut s = self.fs.running()?;
        self.file(&mut s, |f| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(f.bytes.len());
            let n = buf.len().min(f.bytes.len() - start);
            buf[..n].copy_from_slice(&f.bytes[start..start + n]);
            n
        })
    }

    fn len(&self) -> io::Result<u64> {
        let s = self.fs.running()?;
        Ok(s.disk.file(self.inode).map_or(0, |f| f.bytes.len() as u64))
    }
}

struct Lock(FaultFs, PathBuf);

impl FileLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}

impl Fs for FaultFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        let mut s = self.step("create", path)?;
        if let Some(inode) = s.disk.find(path).filter(|i| s.disk.file(*i).is_some()) {
            // As open(2) with O_TRUNC: the same file, emptied.
            if let Some(f) = s.disk.file_mut(inode) {
                f.bytes.clear();
            }
            return Ok(Box::new(self.open(inode, path, 0)));
        }
        let (dir, name) = s.disk.parent(path)?;
        let inode = s.disk.make(dir, &name, Node::File(FileNode::default()));
        Ok(Box::new(self.open(inode, path, 0)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        let s = self.running()?;
        let inode = s.disk.find_file(path)?;
        let len = s.disk.file(inode).map_or(0, |f| f.bytes.len());
        drop(s);
        Ok(Box::new(self.open(inode, path, len)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn FileRead>> {
        let s = self.running()?;
        let inode = s.disk.find_file(path)?;
        let len = s.disk.file(inode).map_or(0, |f| f.bytes.len());
        drop(s);
        Ok(Box::new(self.open(inode, path, len)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let s = self.running()?;
        let inode = s.disk.find_file(path)?;
        Ok(s.disk.file(inode).map(|f| f.bytes.clone()).unwrap_or_default())
    }

    fn map(&self, path: &Path) -> io::Result<Map> {
        Ok(Map::new(self.read(path)?))
    }

    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut s = self.step("set the length of", path)?;
        let inode = s.disk.find_file(path)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if let Some(f) = s.disk.file_mut(inode) {
            f.bytes.resize(len, 0);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", from)?.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut s = self.step("remove", path)?;
        s.disk.find_file(path)?;
        let (dir, name) = s.disk.parent(path)?;
        s.disk.unlink(dir, &name);
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        // A file at a time, as the system does.
        for entry in self.read_dir(path)? {
            let inner = path.join(&entry.name);
            if entry.is_dir { self.remove_dir_all(&inner)? } else { self.remove_file(&inner)? }
        }
        let mut s = self.step("remove", path)?;
        let (dir, name) = s.disk.parent(path)?;
        s.disk.unlink(dir, &name);
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut all: Vec<&Path> = path.ancestors().filter(|p| !p.as_os_str().is_empty()).collect();
        all.reverse();
        for dir in all {
            let there = self.running()?.disk.find(dir);
            if there.is_none() {
                let mut s = self.step("create", dir)?;
                let (parent, name) = s.disk.parent(dir)?;
                s.disk.make(parent, &name, Node::Dir(DirNode::default()));
            }
        }
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let s = self.running()?;
        let missing =
            || io::Error::new(ErrorKind::NotFound, format!("{}: no such directory", path.display()));
        let inode = if path.as_os_str().is_empty() { ROOT } else { s.disk.find(path).ok_or_else(missing)? };
        let entries = s.disk.entries(inode).ok_or_else(missing)?;
        Ok(entries
            .iter()
            .map(|(name, node)| {
                let file = s.disk.file(*node);
                let len = file.map_or(0, |f| f.bytes.len() as u64);
                DirEntry { name: name.clone(), is_dir: file.is_none(), len }
            })
            .collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().disk.find(path).is_some()
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut s = self.step("link", from)?;
        let inode = s.disk.find_file(from)?;
        if s.disk.find(to).is_some() {
            return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{}: exists", to.display())));
        }
        let (dir, name) = s.disk.parent(to)?;
        s.disk.link(dir, &name, inode);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut s = self.step("sync", path)?;
        let inode = if path.as_os_str().is_empty() { Some(ROOT) } else { s.disk.find(path) };
        let inode = inode.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        s.disk.sync_dir(inode);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        if !self.running()?.locks.insert(path.to_owned()) {
            return Err(io::Error::new(ErrorKind::WouldBlock, format!("{}: locked", path.display())));
        }
        Ok(Box::new(Lock(self.clone(), path.to_owned())))
    }
}
