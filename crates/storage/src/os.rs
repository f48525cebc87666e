//! The host's files, clocks and threads: the only place that touches them.
#![allow(clippy::disallowed_methods)]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::TimestampMs;

use crate::clock::Clock;
use crate::fs::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map};
use crate::spawn::{Job, Spawn};

/// The host's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFs;

struct OsAppend {
    file: File,
    len: u64,
}

impl FileAppend for OsAppend {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.len {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.file.write_all_at(bytes, offset)
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

struct OsRead(File);

impl FileRead for OsRead {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

struct OsLock {
    _file: File,
    path: PathBuf,
}

impl FileLock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        // The lock itself goes with the descriptor; a file left behind harms nobody.
        let _ = fs::remove_file(&self.path);
    }
}

impl Fs for OsFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(OsAppend { file, len: 0 }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn FileAppend>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let len = file.metadata()?.len();
        Ok(Box::new(OsAppend { file, len }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn FileRead>> {
        Ok(Box::new(OsRead(File::open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn map(&self, path: &Path) -> io::Result<Map> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Map::new(Vec::new()));
        }
        // SAFETY: callers map sealed files only (see `Fs::map`): nobody writes or truncates them
        // while the map lives, the data directory being ours by its lock file.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Map::new(map))
    }

    fn set_len(&self, path: &Path, len: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let meta = match fs::metadata(entry.path()) {
                Ok(meta) => meta,
                // Gone since the listing, or a link to nowhere.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            out.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: meta.is_dir(),
                len: if meta.is_dir() { 0 } else { meta.len() },
            });
        }
        out.sort();
        Ok(out)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn disk_bytes(&self, path: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(path)?;
        Ok(disk.f_blocks.saturating_mul(disk.f_frsize))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(OsLock { _file: file, path: path.to_owned() }))
    }
}

/// The host's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> TimestampMs {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(d) => i64::try_from(d.as_millis()).unwrap_or(i64::MAX),
            Err(e) => -i64::try_from(e.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Stack of every thread. Evaluating a query recurses as deep as the query nests.
const STACK_BYTES: usize = 8 << 20;

/// A bounded number of the host's threads.
///
/// A job takes the parts of its [`Spawn::for_each`] itself, and threads of another kind help it, as far as they are idle. So
/// nobody waits for a helper, least of all for one that another job keeps; and a job goes on where it is, in its core's cache,
/// instead of going to sleep while the system finds two cores for two threads that it wakes on one.
pub struct OsSpawn {
    name: &'static str,
    threads: usize,
    jobs: Sender<Job>,
    /// Made when first needed: not every pool divides its jobs.
    helpers: OnceLock<Option<rayon::ThreadPool>>,
    /// Helpers that nobody has asked to help.
    idle: AtomicUsize,
}

impl OsSpawn {
    /// `threads` ≥ 1 threads called `name`-0, `name`-1 …
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn new(name: &'static str, threads: usize) -> io::Result<Self> {
        Self::with_jobs(name, threads, threads)
    }

    /// As [`Self::new`], with up to `jobs` ≥ 1 jobs at once that share `threads` - 1 helpers: so that a few
    /// long ones do not keep short ones waiting.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn with_jobs(name: &'static str, jobs: usize, threads: usize) -> io::Result<Self> {
        let (threads, jobs_max) = (threads.max(1), jobs.max(1));
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for i in 0..jobs_max {
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("{name}-{i}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work_off(&queue))?;
        }
        Ok(Self { name, threads, jobs, helpers: OnceLock::new(), idle: AtomicUsize::new(threads - 1) })
    }

    fn helpers(&self) -> Option<&rayon::ThreadPool> {
        let make = || {
            let name = self.name;
            rayon::ThreadPoolBuilder::new()
                .num_threads(self.threads - 1)
                .thread_name(move |i| format!("{name}-part-{i}"))
                .stack_size(STACK_BYTES)
                .build()
                .ok()
        };
        self.helpers.get_or_init(make).as_ref()
    }

    /// A helper that is idle, for as long as what is returned lives.
    fn ask(&self) -> Option<Asked<'_>> {
        let asked = self.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |idle| idle.checked_sub(1));
        asked.is_ok().then(|| Asked(&self.idle))
    }
}

/// A helper that somebody has asked to help.
struct Asked<'a>(&'a AtomicUsize);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs jobs until nobody can send any more.
fn work_off(queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // Who sends jobs that may panic catches that; the thread goes on in any case.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

impl Spawn for OsSpawn {
    fn spawn(&self, job: Job) {
        // The threads hold the other end for as long as this one exists.
        let _ = self.jobs.send(job);
    }

    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        // Without the system's threads it is only slower.
        let Some(helpers) = (n > 1 && self.threads > 1).then(|| self.helpers()).flatten() else {
            return (0..n).for_each(f);
        };
        // Parts may differ in weight: whoever is done takes the next one.
        let next = AtomicUsize::new(0);
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|i| *i < n);
        helpers.in_place_scope(|scope| {
            loop {
                // One part is this thread's own.
                while next.load(Ordering::Relaxed) + 1 < n
                    && let Some(asked) = self.ask()
                {
                    scope.spawn(|_| {
                        let _asked = asked;
                        while let Some(i) = take() {
                            f(i);
                        }
                    });
                }
                let Some(i) = take() else { break };
                f(i);
            }
        });
    }

    fn parallelism(&self) -> usize {
        self.threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_survive_a_panic_and_end_after_the_last_handle() {
        let pool = OsSpawn::new("test", 2).unwrap();
        let (tx, rx) = mpsc::channel();
        for i in 0..20 {
            let tx = tx.clone();
            pool.spawn(Box::new(move || {
                assert!(i % 3 != 0, "a panic that the test expects");
                tx.send(i).unwrap();
            }));
        }
        drop((tx, pool));
        let mut seen: Vec<i32> = rx.iter().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..20).filter(|i| i % 3 != 0).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_waits_for_its_parts_begins_no_other_job() {
        let pool = Arc::new(OsSpawn::new("test", 2).unwrap());
        let running = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = mpsc::channel();
        for _ in 0..50 {
            let (tx, running, parts) = (tx.clone(), running.clone(), pool.clone());
            pool.spawn(Box::new(move || {
                let most = running.fetch_add(1, Ordering::SeqCst) + 1;
                let sum = AtomicUsize::new(0);
                parts.for_each(100, &|i| {
                    sum.fetch_add(i, Ordering::SeqCst);
                });
                running.fetch_sub(1, Ordering::SeqCst);
                tx.send((most, sum.into_inner())).unwrap();
            }));
        }
        drop(tx);
        for (most, sum) in rx {
            assert!(most <= 2, "{most} jobs on 2 threads");
            assert_eq!(sum, 4950);
        }
    }

    #[test]
    fn a_short_job_does_not_wait_for_long_ones() {
        let pool = OsSpawn::with_jobs("test", 3, 1).unwrap();
        assert_eq!(pool.parallelism(), 1);
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        for _ in 0..2 {
            let ended = ended.clone();
            pool.spawn(Box::new(move || {
                let _ = ended.lock().unwrap().recv();
            }));
        }
        let (tx, rx) = mpsc::channel();
        pool.spawn(Box::new(move || tx.send(()).unwrap()));
        rx.recv().unwrap();
        drop(end);
    }

    #[test]
    fn a_job_does_not_wait_for_helpers_of_another() {
        let pool = Arc::new(OsSpawn::with_jobs("test", 2, 2).unwrap());
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let busy = pool.clone();
        let (began, begun) = mpsc::channel();
        let long = thread::spawn(move || {
            busy.for_each(2, &|_| {
                began.send(()).unwrap();
                let _ = ended.lock().unwrap().recv();
            });
        });
        // Both parts have begun: the one helper is taken.
        begun.recv().unwrap();
        begun.recv().unwrap();
        let sum = AtomicUsize::new(0);
        pool.for_each(100, &|i| {
            sum.fetch_add(i, Ordering::SeqCst);
        });
        assert_eq!(sum.into_inner(), 4950);
        drop(end);
        long.join().unwrap();
        assert_eq!(pool.idle.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn parts_may_have_parts() {
        let pool = OsSpawn::new("test", 3).unwrap();
        let sum = AtomicUsize::new(0);
        pool.for_each(10, &|i| {
            pool.for_each(10, &|j| {
                sum.fetch_add(i * j, Ordering::SeqCst);
            });
        });
        assert_eq!(sum.into_inner(), 45 * 45);
        assert_eq!(pool.idle.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_panic_of_a_part_is_passed_on() {
        let pool = OsSpawn::new("test", 2).unwrap();
        let done = AtomicUsize::new(0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            pool.for_each(10, &|i| {
                assert!(i != 3, "a panic that the test expects");
                done.fetch_add(1, Ordering::SeqCst);
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(pool.idle.load(Ordering::Relaxed), 1);
        assert!(done.into_inner() <= 9);
    }
}
