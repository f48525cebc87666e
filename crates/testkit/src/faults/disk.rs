//! A disk in memory that knows what of it has reached the platter: files as inodes with the bytes of
//! now and those of the last sync, directories likewise, and a journal of the changes of directories
//! that no sync has made durable yet. Knows nothing of faults.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use crate::series::Noise;

/// Bytes that reach the platter together.
const PAGE: usize = 4096;

/// Number of a file or directory, never used again.
pub(super) type Inode = usize;

pub(super) const ROOT: Inode = 0;

pub(super) type Entries = BTreeMap<String, Inode>;

/// Bytes as they are and as they were when last synced.
#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) bytes: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// A sync has failed: what later ones say means nothing.
    pub(super) doubtful: bool,
}

#[derive(Clone, Default)]
pub(super) struct DirNode {
    pub(super) entries: Entries,
    durable: Entries,
}

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// A change of directories on its way to the platter.
#[derive(Clone)]
enum Change {
    Link { dir: Inode, name: String, node: Inode },
    Unlink { dir: Inode, name: String },
    Rename { from: (Inode, String), to: (Inode, String), node: Inode },
}

impl Change {
    fn touches(&self, inode: Inode) -> bool {
        match self {
            Self::Link { dir, .. } | Self::Unlink { dir, .. } => *dir == inode,
            Self::Rename { from, to, .. } => from.0 == inode || to.0 == inode,
        }
    }
}

#[derive(Clone)]
pub(super) struct Disk {
    nodes: Vec<Node>,
    journal: Vec<Change>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { nodes: vec![Node::Dir(DirNode::default())], journal: Vec::new() }
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{}: no such file or directory", path.display()))
}

fn names(path: &Path) -> impl Iterator<Item = String> + '_ {
    path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    })
}

impl Disk {
    pub(super) fn find(&self, path: &Path) -> Option<Inode> {
        names(path).try_fold(ROOT, |at, name| self.entries(at)?.get(&name).copied())
    }

    pub(super) fn entries(&self, inode: Inode) -> Option<&Entries> {
        match &self.nodes[inode] {
            Node::Dir(d) => Some(&d.entries),
            Node::File(_) => None,
        }
    }

    pub(super) fn file(&self, inode: Inode) -> Option<&FileNode> {
        match &self.nodes[inode] {
            Node::File(f) => Some(f),
            Node::Dir(_) => None,
        }
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> Option<&mut FileNode> {
        match &mut self.nodes[inode] {
            Node::File(f) => Some(f),
            Node::Dir(_) => None,
        }
    }

    pub(super) fn find_file(&self, path: &Path) -> io::Result<Inode> {
        self.find(path).filter(|i| self.file(*i).is_some()).ok_or_else(|| missing(path))
    }

    /// The directory that a path is in, and its name there.
    pub(super) fn parent(&self, path: &Path) -> io::Result<(Inode, String)> {
        let name = names(path).last().ok_or_else(|| missing(path))?;
        let dir = path.parent().and_then(|p| self.find(p)).ok_or_else(|| missing(path))?;
        if self.entries(dir).is_none() {
            return Err(missing(path));
        }
        Ok((dir, name))
    }

    fn dir_mut(&mut self, inode: Inode) -> &mut DirNode {
        match &mut self.nodes[inode] {
            Node::Dir(d) => d,
            Node::File(_) => unreachable!("callers looked for a directory"),
        }
    }

    pub(super) fn link(&mut self, dir: Inode, name: &str, node: Inode) {
        self.dir_mut(dir).entries.insert(name.to_owned(), node);
        self.journal.push(Change::Link { dir, name: name.to_owned(), node });
    }

    pub(super) fn make(&mut self, dir: Inode, name: &str, node: Node) -> Inode {
        self.nodes.push(node);
        let inode = self.nodes.len() - 1;
        self.link(dir, name, inode);
        inode
    }

    pub(super) fn unlink(&mut self, dir: Inode, name: &str) {
        self.dir_mut(dir).entries.remove(name);
        self.journal.push(Change::Unlink { dir, name: name.to_owned() });
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to_path) = (self.parent(from)?, to);
        let node = *self.dir_mut(from.0).entries.get(&from.1).ok_or_else(|| missing(to_path))?;
        let to = self.parent(to_path)?;
        if let Some(there) = self.find(to_path)
            && self.entries(there).is_some_and(|e| !e.is_empty())
        {
            return Err(io::Error::new(ErrorKind::DirectoryNotEmpty, format!("{}", to_path.display())));
        }
        self.dir_mut(from.0).entries.remove(&from.1);
        self.dir_mut(to.0).entries.insert(to.1.clone(), node);
        self.journal.push(Change::Rename { from, to, node });
        Ok(())
    }

    pub(super) fn sync_file(&mut self, inode: Inode) {
        if let Some(f) = self.file_mut(inode).filter(|f| !f.doubtful) {
            f.durable.clone_from(&f.bytes);
        }
    }

    pub(super) fn sync_dir(&mut self, inode: Inode) {
        let (done, left) =
            std::mem::take(&mut self.journal).into_iter().partition(|c: &Change| c.touches(inode));
        self.journal = left;
        done.iter().for_each(|c: &Change| self.settle(c));
    }

    /// Brings a change to the platter.
    fn settle(&mut self, change: &Change) {
        match change {
            Change::Link { dir, name, node } => {
                self.dir_mut(*dir).durable.insert(name.clone(), *node);
            }
            Change::Unlink { dir, name } => {
                self.dir_mut(*dir).durable.remove(name);
            }
            Change::Rename { from, to, node } => {
                let source = self.dir_mut(from.0);
                if source.durable.get(&from.1) == Some(node) {
                    source.durable.remove(&from.1);
                }
                self.dir_mut(to.0).durable.insert(to.1.clone(), *node);
            }
        }
    }

    /// How many bytes of a file would be there in any case after a loss of power.
    pub(super) fn durable_len(&self, path: &Path) -> Option<u64> {
        let durable = names(path).try_fold(ROOT, |at, name| match &self.nodes[at] {
            Node::Dir(d) => d.durable.get(&name).copied(),
            Node::File(_) => None,
        })?;
        let f = self.file(durable)?;
        Some(f.durable.iter().zip(&f.bytes).take_while(|(a, b)| a == b).count() as u64)
    }

    /// Everything of now is on the platter.
    pub(super) fn settle_all(&mut self) {
        self.journal.clear();
        for node in &mut self.nodes {
            match node {
                Node::File(f) => {
                    f.durable.clone_from(&f.bytes);
                    f.doubtful = false;
                }
                Node::Dir(d) => d.durable.clone_from(&d.entries),
            }
        }
    }

    /// What is left when the power goes: all that is durable, and of the rest a choice. Changes of
    /// directories that are kept are the first ones where `ordered`, as in a journal, otherwise any.
    pub(super) fn lose_power(&mut self, ordered: bool, noise: &mut Noise) {
        let journal = std::mem::take(&mut self.journal);
        let kept = noise.below(journal.len() as u64 + 1) as usize;
        for (i, change) in journal.iter().enumerate() {
            if if ordered { i < kept } else { noise.chance(50) } {
                self.settle(change);
            }
        }
        for node in &mut self.nodes {
            match node {
                Node::File(f) => {
                    f.bytes = survivor(&f.durable, &f.bytes, noise);
                    f.durable.clone_from(&f.bytes);
                    f.doubtful = false;
                }
                Node::Dir(d) => d.entries.clone_from(&d.durable),
            }
        }
    }

    /// The paths of all files.
    pub(super) fn paths(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut left = vec![(String::new(), ROOT)];
        while let Some((path, inode)) = left.pop() {
            for (name, node) in self.entries(inode).into_iter().flatten() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                if self.file(*node).is_some() {
                    found.insert(path);
                } else {
                    left.push((path, *node));
                }
            }
        }
        found
    }
}

/// What becomes of a file whose bytes were `durable` at the last sync and are `now`: a file that
/// grew ends anywhere in between, one that was cut has either length, and where bytes are new each
/// page has or has not been written.
fn survivor(durable: &[u8], now: &[u8], noise: &mut Noise) -> Vec<u8> {
    if durable == now {
        return now.to_vec();
    }
    let (short, long) = (durable.len().min(now.len()), durable.len().max(now.len()));
    let len = match noise.below(4) {
        0 => short,
        1 => long,
        _ if now.len() > durable.len() => short + noise.below((long - short) as u64 + 1) as usize,
        _ => [short, long][noise.below(2) as usize],
    };
    let holes = noise.chance(33);
    let mut out = Vec::with_capacity(len);
    for start in (0..len).step_by(PAGE) {
        let end = (start + PAGE).min(len);
        let source = if holes && noise.chance(30) { durable } else { now };
        let there = source.get(start..end.min(source.len())).unwrap_or(&[]);
        out.extend_from_slice(there);
        out.resize(end, 0);
    }
    // What was synced and not overwritten since is there in any case.
    let same = durable.iter().zip(now).take_while(|(a, b)| a == b).count().min(len);
    out[..same].copy_from_slice(&durable[..same]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_nothing_is_invented() {
        let mut noise = Noise::new(7);
        let durable: Vec<u8> = (0..10_000).map(|i| i as u8 | 1).collect();
        let mut now = durable.clone();
        now.extend((0..9000).map(|i| (i / 7) as u8 | 1));
        let mut lengths = BTreeSet::new();
        for _ in 0..200 {
            let left = survivor(&durable, &now, &mut noise);
            lengths.insert(left.len());
            assert_eq!(left[..durable.len()], durable);
            assert!(left.iter().zip(&now).all(|(a, b)| a == b || *a == 0));
        }
        assert!(lengths.len() > 50 && lengths.contains(&now.len()) && lengths.contains(&durable.len()));
        let cut = survivor(&now, &durable, &mut noise);
        assert!(cut == now || cut == durable);
    }
}
