//! A file system that reads another one and keeps every change to itself, in memory.
//!
//! What opens a database to look at it can then repair, truncate and create files as it does
//! always, while the directory below stays as it is: of a server that runs, of a disk that cannot be
//! written, of evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::fs::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map};
use crate::mem_fs::MemFs;

/// What became of names below; the longest entry that begins a path decides.
#[derive(Default)]
struct Changes {
    /// These, and what is in them, are gone.
    hidden: BTreeSet<PathBuf>,
    /// These are what another name is below.
    moved: BTreeMap<PathBuf, PathBuf>,
}

impl Changes {
    /// Where a path is below, if it is there still.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        for ancestor in path.ancestors() {
            if let Some(from) = self.moved.get(ancestor) {
                let rest = path.strip_prefix(ancestor).ok()?;
                return Some(if rest.as_os_str().is_empty() { from.clone() } else { from.join(rest) });
            }
            if self.hidden.contains(ancestor) {
                return None;
            }
        }
        Some(path.to_owned())
    }

    fn hide(&mut self, path: &Path) {
        self.moved.retain(|p, _| !p.starts_with(path));
        self.hidden.retain(|p| !p.starts_with(path));
        self.hidden.insert(path.to_owned());
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let Some(origin) = self.below(from) else { return };
        let renamed = |p: &Path| p.strip_prefix(from).ok().map(|rest| to.join(rest));
        let inner = |p: &Path| p != from && p.starts_with(from);
        let moved: Vec<_> =
            self.moved.iter().filter(|(p, _)| inner(p)).map(|(p, o)| (renamed(p), o.clone())).collect();
        let hidden: Vec<_> = self.hidden.iter().filter(|p| inner(p)).filter_map(|p| renamed(p)).collect();
        self.hide(from);
        self.hide(to);
        self.hidden.remove(to);
        self.moved.insert(to.to_owned(), origin);
        self.moved.extend(moved.into_iter().filter_map(|(p, o)| Some((p?, o))));
        self.hidden.extend(hidden);
    }
}

/// Changes in memory over another file system, which is only read. A clone is another handle on
/// the same changes. Locks are granted to everyone.
#[derive(Clone)]
pub struct OverlayFs {
    lower: Arc<dyn Fs>,
    upper: MemFs,
    changes: Arc<RwLock<Changes>>,
    /// Whether a file of this path may be mapped; otherwise it is read into memory.
    sealed: fn(&Path) -> bool,
}

impl OverlayFs {
    /// An overlay without changes. `sealed` says which files nobody truncates while they are
    /// looked at: only these are mapped.
    #[must_use]
    pub fn new(lower: Arc<dyn Fs>, sealed: fn(&Path) -> bool) -> Self {
        Self { lower, upper: MemFs::new(), changes: Arc::default(), sealed }
    }

    fn changes(&self) -> RwLockReadGuard<'_, Changes> {
        self.changes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes_mut(&self) -> RwLockWriteGuard<'_, Changes> {
        self.changes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path below of a file or directory that is there.
    fn below(&self, path: &Path) -> io::Result<PathBuf> {
        let found = self.changes().below(path).filter(|p| self.lower.exists(p));
        found.ok_or_else(|| {
            io::Error::new(ErrorKind::NotFound, format!("{}: no such file or directory", path.display()))
        })
    }

    /// What is in memory is listed only in directories that are there too.
    fn make_parent(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |parent| self.upper.create_dir_all(parent))
    }

    /// Takes a file into memory, to be changed there.
    fn copy_up(&self, path: &Path) -> io::Result<()> {
        if !self.upper.exists(path) {
            let bytes = self.lower.read(&self.below(path)?)?;
            self.create(path)?.append(&bytes)?;
        }
        Ok(())
    }
}

impl Fs for OverlayFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        self.make_parent(path)?;
        self.upper.create(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        self.copy_up(path)?;
        self.upper.open_append(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn FileRead>> {
        if self.upper.exists(path) {
            return self.upper.open_read(path);
        }
        self.lower.open_read(&self.below(path)?)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.upper.exists(path) {
            return self.upper.read(path);
        }
        self.lower.read(&self.below(path)?)
    }

    fn map(&self, path: &Path) -> io::Result<Map> {
        if self.upper.exists(path) {
            return self.upper.map(path);
        }
        let below = self.below(path)?;
        if (self.sealed)(path) { self.lower.map(&below) } else { self.lower.read(&below).map(Map::new) }
    }

    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        self.copy_up(path)?;
        self.upper.set_len(path, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let below = self.below(from).is_ok();
        let above = self.upper.exists(from);
        if !below && !above {
            self.below(from)?;
        }
        if self.upper.exists(to) {
            // A file gives way; a directory that is not empty does not, as with the system.
            let _ = self.upper.remove_file(to);
        }
        let mut changes = self.changes_mut();
        if below {
            changes.rename(from, to);
        } else {
            changes.hide(to);
        }
        drop(changes);
        self.make_parent(to)?;
        if above { self.upper.rename(from, to) } else { Ok(()) }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let below = self.below(path);
        let above = self.upper.remove_file(path);
        if above.is_err() {
            below?;
        }
        self.changes_mut().hide(path);
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let below = self.below(path);
        let above = self.upper.remove_dir_all(path);
        if above.is_err() {
            below?;
        }
        self.changes_mut().hide(path);
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.upper.create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut all: BTreeMap<String, DirEntry> = BTreeMap::new();
        let below = self.below(path);
        let above = self.upper.read_dir(path);
        if above.is_err() {
            below.as_ref().map_err(|e| io::Error::new(e.kind(), e.to_string()))?;
        }
        if let Ok(below) = below {
            let changes = self.changes();
            for entry in self.lower.read_dir(&below)? {
                if changes.below(&path.join(&entry.name)).as_deref() == Some(&*below.join(&entry.name)) {
                    all.insert(entry.name.clone(), entry);
                }
            }
        }
        let moved: Vec<_> = {
            let changes = self.changes();
            let here = changes.moved.iter().filter(|(p, _)| p.parent() == Some(path));
            here.map(|(p, from)| (p.clone(), from.clone())).collect()
        };
        for (p, from) in moved {
            let (Some(name), Some(parent), Some(old)) = (p.file_name(), from.parent(), from.file_name())
            else {
                continue;
            };
            let (name, old) = (name.to_string_lossy().into_owned(), old.to_string_lossy());
            if let Some(entry) = self.lower.read_dir(parent)?.into_iter().find(|e| e.name == old) {
                all.insert(name.clone(), DirEntry { name, ..entry });
            }
        }
        for entry in above.unwrap_or_default() {
            all.insert(entry.name.clone(), entry);
        }
        Ok(all.into_values().collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.upper.exists(path) || self.below(path).is_ok()
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.exists(to) {
            return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{}: exists", to.display())));
        }
        if self.upper.exists(from) {
            self.make_parent(to)?;
            return self.upper.hard_link(from, to);
        }
        let below = self.below(from)?;
        self.changes_mut().moved.insert(to.to_owned(), below);
        Ok(())
    }

    fn disk_bytes(&self, path: &Path) -> io::Result<u64> {
        self.lower.disk_bytes(path)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn FileLock>> {
        struct Granted;
        impl FileLock for Granted {}
        Ok(Box::new(Granted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lower() -> MemFs {
        let fs = MemFs::new();
        for (path, text) in [("d/a", "one"), ("d/b", "two"), ("d/s/x", "ex"), ("d/s/t/y", "why")] {
            let path = Path::new(path);
            fs.create_dir_all(path.parent().unwrap()).unwrap();
            fs.create(path).unwrap().append(text.as_bytes()).unwrap();
        }
        fs
    }

    fn tree(fs: &dyn Fs, dir: &Path) -> Vec<String> {
        let mut out = Vec::new();
        for e in fs.read_dir(dir).unwrap() {
            let path = dir.join(&e.name);
            if e.is_dir {
                out.extend(tree(fs, &path));
            } else {
                let text = String::from_utf8(fs.read(&path).unwrap()).unwrap();
                assert_eq!(text.len() as u64, e.len);
                assert_eq!(&*fs.map(&path).unwrap(), text.as_bytes());
                out.push(format!("{}={text}", path.display()));
            }
        }
        out
    }

    /// Does the same to an overlay and to files in memory: they must not differ afterwards, and
    /// what is below must be as before.
    fn check(change: &dyn Fn(&dyn Fs) -> io::Result<()>) {
        let (below, plain) = (lower(), lower());
        let before = tree(&below, Path::new("d"));
        let overlay = OverlayFs::new(Arc::new(below.clone()), |_| true);
        let (a, b) = (change(&overlay), change(&plain));
        assert_eq!(a.map_err(|e| e.kind()), b.map_err(|e| e.kind()));
        assert_eq!(tree(&overlay, Path::new("d")), tree(&plain, Path::new("d")));
        assert_eq!(tree(&below, Path::new("d")), before);
    }

    #[test]
    fn changes_stay_above() {
        let p = Path::new;
        check(&|_| Ok(()));
        check(&|fs| fs.remove_file(p("d/a")));
        check(&|fs| fs.remove_file(p("d/missing")));
        check(&|fs| fs.remove_dir_all(p("d/s")));
        check(&|fs| fs.set_len(p("d/a"), 1));
        check(&|fs| fs.set_len(p("d/missing"), 1));
        check(&|fs| fs.open_append(p("d/s/x"))?.append(b" more"));
        check(&|fs| fs.create(p("d/a"))?.append(b"new"));
        check(&|fs| fs.rename(p("d/a"), p("d/b")));
        check(&|fs| fs.rename(p("d/missing"), p("d/b")));
        check(&|fs| fs.rename(p("d/s"), p("d/r")));
        check(&|fs| fs.hard_link(p("d/a"), p("d/c")));
        check(&|fs| fs.hard_link(p("d/a"), p("d/b")));
        check(&|fs| {
            fs.remove_file(p("d/s/x"))?;
            fs.rename(p("d/s"), p("d/r"))?;
            fs.create_dir_all(p("d/s"))?;
            fs.create(p("d/s/x"))?.append(b"again")?;
            fs.rename(p("d/r/t/y"), p("d/a"))
        });
        check(&|fs| {
            fs.rename(p("d/s"), p("d/r"))?;
            fs.create(p("d/r/z"))?.append(b"zed")?;
            fs.rename(p("d/r"), p("d/q"))?;
            fs.remove_file(p("d/q/t/y"))
        });
        check(&|fs| {
            fs.rename(p("d/s"), p("d/r"))?;
            fs.remove_dir_all(p("d/r"))?;
            fs.create_dir_all(p("d/r"))
        });
    }

    #[test]
    fn locks_are_granted_and_files_that_grow_are_not_mapped() {
        let overlay = OverlayFs::new(Arc::new(lower()), |_| false);
        let _one = overlay.lock(Path::new("d/lock")).unwrap();
        let _two = overlay.lock(Path::new("d/lock")).unwrap();
        assert_eq!(&*overlay.map(Path::new("d/a")).unwrap(), b"one");
    }
}
