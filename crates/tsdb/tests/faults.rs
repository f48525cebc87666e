//! A disk that is full or fails: writes are refused with a clear error, reads go on, and what was
//! acknowledged is there after the next start.
#![allow(clippy::unwrap_used)]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::{Columns, Labels, SeriesRef};
use storage::{
    AppendError, DirEntry, FileAppend, FileLock, FileRead, Fs, Inline, ManualClock, Map, MemFs, Queryable,
    SelectHints, StorageError,
};
use tsdb::{Db, DbOptions, WalSync};

/// Files in memory on a disk that has room for `left` bytes; below zero it has room but fails to sync.
#[derive(Clone)]
struct SmallDisk {
    fs: MemFs,
    left: Arc<AtomicI64>,
}

struct File(Box<dyn FileAppend>, Arc<AtomicI64>);

fn no_space() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on device")
}

impl FileAppend for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let n = bytes.len() as i64;
        let left = self.1.load(Ordering::SeqCst);
        if (0..n).contains(&left) {
            // What fits is written, as a disk would.
            self.0.append(&bytes[..left as usize])?;
            return Err(no_space());
        }
        self.1.fetch_sub(n, Ordering::SeqCst);
        self.0.append(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) < 0 {
            Err(io::Error::other("input/output error"))
        } else {
            self.0.sync()
        }
    }
}

impl Fs for SmallDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(Box::new(File(self.fs.create(path)?, self.left.clone())))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        Ok(Box::new(File(self.fs.open_append(path)?, self.left.clone())))
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

fn open(disk: &SmallDisk) -> Db {
    let mut o =
        DbOptions::new("data", Arc::new(disk.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    o.wal_sync = WalSync::Commit;
    Db::open(o).unwrap()
}

fn disk(left: i64) -> SmallDisk {
    SmallDisk { fs: MemFs::new(), left: Arc::new(AtomicI64::new(left)) }
}

fn series(i: i64) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())])
}

fn add(db: &Db, t: i64) -> Result<(), StorageError> {
    let mut a = db.appender();
    for i in 0..20 {
        // Noise, so that chunks and log do not compress away.
        let v = (t * (i + 7)) as f64 * 1.000_7;
        a.append(SeriesRef::NONE, &series(i), t, 0, v).map_err(|e| match e {
            AppendError::ReadOnly(why) => StorageError::ReadOnly(why),
            other => panic!("{other}"),
        })?;
    }
    a.commit()
}

fn times(db: &Db) -> Vec<i64> {
    let hints = SelectHints { start_ms: 0, end_ms: i64::MAX, ..SelectHints::default() };
    let set = db.querier(0, i64::MAX).unwrap().select(&hints, &[]).unwrap();
    let mut all: Vec<Vec<i64>> = Vec::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c).unwrap();
        all.push(c.t);
    }
    assert!(all.windows(2).all(|w| w[0] == w[1]), "all series have the same samples");
    all.pop().unwrap_or_default()
}

/// Appends until it is refused; returns the times acknowledged.
fn fill(db: &Db) -> (Vec<i64>, StorageError) {
    let mut acknowledged = Vec::new();
    loop {
        let t = 1000 * (1 + acknowledged.len() as i64);
        match add(db, t) {
            Ok(()) => acknowledged.push(t),
            Err(e) => return (acknowledged, e),
        }
    }
}

#[test]
fn a_full_disk_stops_writes_and_not_reads() {
    for room in [3_000, 40_001, 150_007] {
        let disk = disk(room);
        let db = open(&disk);
        let (acknowledged, e) = fill(&db);
        assert!(e.to_string().contains("no space left on device"), "{e}");
        assert_eq!(times(&db), acknowledged, "what was refused is not seen");
        let refusal = db.refuses_writes().unwrap();
        assert!(refusal.contains("data/wal/00000000"), "{refusal}");
        disk.left.store(1 << 40, Ordering::SeqCst);
        assert!(matches!(add(&db, 1 << 40), Err(StorageError::ReadOnly(_))), "room alone does not heal it");
        let refused = db.appender().append(SeriesRef::NONE, &series(99), 1 << 40, 0, 1.0);
        assert!(matches!(refused, Err(AppendError::ReadOnly(_))));
        let failed =
            db.metrics().into_iter().find(|m| m.name == "prometheus_tsdb_wal_writes_failed_total").unwrap();
        assert!(failed.value >= 1.0);
        drop(db);
        let disk = SmallDisk { fs: disk.fs.snapshot(), left: disk.left.clone() };
        let db = open(&disk);
        assert_eq!(times(&db), acknowledged);
        add(&db, 1 << 20).unwrap();
    }
}

#[test]
fn a_failed_sync_stops_writes() {
    let disk = disk(1 << 30);
    let db = open(&disk);
    add(&db, 1000).unwrap();
    disk.left.store(-1, Ordering::SeqCst);
    let e = add(&db, 2000).unwrap_err();
    assert!(e.to_string().contains("data/wal/00000000"), "{e}");
    disk.left.store(1 << 30, Ordering::SeqCst);
    assert!(matches!(add(&db, 3000), Err(StorageError::ReadOnly(_))));
    assert_eq!(times(&db), [1000]);
}

#[test]
fn one_process_at_a_time() {
    let disk = disk(1 << 30);
    let db = open(&disk);
    let o = DbOptions::new("data", Arc::new(disk.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    let e = Db::open(o.clone()).err().unwrap();
    assert!(e.to_string().starts_with("lock DB directory: "), "{e}");
    let mut late = db.appender();
    late.append(SeriesRef::NONE, &series(1), 1, 0, 1.0).unwrap();
    db.close().unwrap();
    db.close().unwrap();
    assert!(matches!(late.commit(), Err(StorageError::Closed)));
    assert!(matches!(db.querier(0, 1).err(), Some(StorageError::Closed)));
    assert!(matches!(db.tick(), Err(StorageError::Closed)));
    Db::open(o).unwrap();
}
