//! A bounded queue in front of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use storage::{Signal, Spawn};

use crate::error::{EngineError, ErrorCode};

/// How much may wait for or run on a pool's threads at once.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Jobs.
    pub jobs_max: usize,
    /// Bytes that the jobs hold; a single job may hold more.
    pub bytes_max: usize,
}

/// Threads with a bound on what waits for or runs on them.
#[derive(Clone)]
pub struct Pool {
    name: &'static str,
    spawn: Arc<dyn Spawn>,
    load: Arc<Load>,
    limits: PoolLimits,
    watch: Option<Watch>,
}

#[derive(Default)]
struct Load {
    now: Mutex<Counts>,
    idle: Signal,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    jobs: usize,
    bytes: usize,
}

impl Load {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, bytes: usize) {
        let mut now = self.counts();
        now.jobs -= 1;
        now.bytes -= bytes;
        let is_idle = now.jobs == 0;
        drop(now);
        if is_idle {
            self.idle.notify_all();
        }
    }
}

impl Pool {
    /// A pool over `spawn` within `limits`.
    #[must_use]
    pub fn new(name: &'static str, spawn: Arc<dyn Spawn>, limits: PoolLimits) -> Self {
        Self { name, spawn, load: Arc::default(), limits, watch: None }
    }

    /// The same pool, whose threads run `running_max` jobs at once; on `thread` it is noticed where
    /// one that waits is no longer wanted.
    #[must_use]
    pub fn watched(self, running_max: usize, thread: Arc<dyn Spawn>) -> Self {
        Self { watch: Some(Watch { running_max, thread, waiting: Arc::default() }), ..self }
    }

    /// Runs `work`, which holds about `bytes`, and hands its result to `done`, both on a thread of
    /// the pool; or, where the pool is full, hands `done` the error on this thread. `done` is called
    /// exactly once: a panic of `work` becomes an [`ErrorCode::Internal`].
    pub fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        match self.admit(bytes) {
            Err(e) => done(Err(e)),
            Ok(_) => self.start(bytes, work, done),
        }
    }

    /// As [`Self::run`], but where `wanted` fails while `work` still waits, `done` gets that error at
    /// once, on another thread; what waited keeps its place until a thread of the pool comes upon it.
    pub fn run_while<T: Send + 'static>(
        &self,
        bytes: usize,
        wanted: impl Fn() -> Result<(), EngineError> + Send + 'static,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        let jobs = match self.admit(bytes) {
            Err(e) => return done(Err(e)),
            Ok(jobs) => jobs,
        };
        let Some(watch) = self.watch.as_ref().filter(|w| jobs > w.running_max) else {
            return self.start(bytes, work, done);
        };
        let parked = Arc::new(Mutex::new(Some((work, done))));
        let load = self.load.clone();
        self.spawn.spawn(Box::new({
            let parked = parked.clone();
            move || {
                let Some((work, done)) = lock(&parked).take() else { return load.leave(bytes) };
                let result = guarded(work);
                load.leave(bytes);
                done(result);
            }
        }));
        watch.look_after(Box::new(move || {
            if lock(&parked).is_none() {
                return false;
            }
            let Err(e) = wanted() else { return true };
            // Behind the lock: dropping the work and telling of it may take a while.
            let taken = lock(&parked).take();
            if let Some((_, done)) = taken {
                done(Err(e));
            }
            false
        }));
    }

    /// How many jobs there are with this one, or that there are too many already.
    fn admit(&self, bytes: usize) -> Result<usize, EngineError> {
        let full = {
            let PoolLimits { jobs_max, bytes_max } = self.limits;
            let mut now = self.load.counts();
            if now.jobs >= jobs_max {
                format!("too many {} calls at once (limit {jobs_max})", self.name)
            } else if now.jobs > 0 && now.bytes.saturating_add(bytes) > bytes_max {
                format!("too many bytes in {} calls at once (limit {bytes_max})", self.name)
            } else {
                now.jobs += 1;
                now.bytes = now.bytes.saturating_add(bytes);
                return Ok(now.jobs);
            }
        };
        Err(EngineError::new(ErrorCode::Overloaded, full))
    }

    /// As [`Self::run`], but never refused: for the one call that ends all others.
    pub fn run_always<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        self.load.counts().jobs += 1;
        self.start(0, work, done);
    }

    fn start<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        let load = self.load.clone();
        self.spawn.spawn(Box::new(move || {
            let result = guarded(work);
            load.leave(bytes);
            done(result);
        }));
    }

    /// Waits until no job waits or runs.
    pub fn wait_idle(&self) {
        let mut now = self.load.counts();
        while now.jobs > 0 {
            now = self.load.idle.wait(now);
        }
    }

    /// Jobs that wait or run.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.load.counts().jobs
    }

    /// The threads themselves, for work that one job divides among them.
    #[must_use]
    pub fn spawn(&self) -> &Arc<dyn Spawn> {
        &self.spawn
    }
}

/// How long what waits goes unlooked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Whether something still waits.
type Waits = Box<dyn Fn() -> bool + Send>;

/// Looks after jobs that wait for a thread.
#[derive(Clone)]
struct Watch {
    running_max: usize,
    thread: Arc<dyn Spawn>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    list: Mutex<WaitingList>,
    /// Never notified: waiting for it is how a look is put off.
    pause: Condvar,
}

#[derive(Default)]
struct WaitingList {
    jobs: Vec<Waits>,
    is_watched: bool,
}

impl Watch {
    /// Asks `waits` every [`LOOK_EVERY`] until it says no.
    fn look_after(&self, waits: Waits) {
        if !waits() {
            return;
        }
        let mut list = lock(&self.waiting.list);
        list.jobs.push(waits);
        if !std::mem::replace(&mut list.is_watched, true) {
            let waiting = self.waiting.clone();
            self.thread.spawn(Box::new(move || waiting.watch()));
        }
    }
}

impl Waiting {
    /// Until nothing waits any more.
    fn watch(&self) {
        let mut looked_at = Vec::new();
        loop {
            // Asked behind the lock, so that nobody who comes to wait has to wait for that.
            looked_at.retain(|waits: &Waits| waits());
            let mut list = lock(&self.list);
            looked_at.append(&mut list.jobs);
            if looked_at.is_empty() {
                list.is_watched = false;
                return;
            }
            drop(self.pause.wait_timeout(list, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `work`; its panic becomes an error.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(EngineError::panicked(panic.as_ref())))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use storage::Inline;
    use storage::spawn::Job;

    use super::*;

    const LIMITS: PoolLimits = PoolLimits { jobs_max: 1, bytes_max: 10 };

    #[test]
    fn a_panic_is_an_error_and_frees_its_place() {
        let pool = Pool::new("query", Arc::new(Inline), LIMITS);
        let (tx, rx) = mpsc::channel();
        for _ in 0..2 {
            let tx = tx.clone();
            pool.run(0, || -> Result<(), _> { panic!("boom") }, move |r| tx.send(r).unwrap());
            let e = rx.recv().unwrap().unwrap_err();
            assert_eq!(e.to_string(), "INTERNAL: a fault in the core: boom");
        }
        assert_eq!(pool.jobs(), 0);
    }

    /// Keeps its jobs until they are taken out.
    #[derive(Default)]
    struct Shelf(Mutex<Vec<Job>>);

    impl Spawn for Shelf {
        fn spawn(&self, job: Job) {
            self.0.lock().unwrap().push(job);
        }

        fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
            Inline.for_each(n, f);
        }

        fn parallelism(&self) -> usize {
            1
        }
    }

    #[test]
    fn a_full_pool_refuses() {
        for (jobs_max, bytes, accepted, refusal) in [
            (0, 0, 0, "OVERLOADED: too many query calls at once (limit 0)"),
            (2, 1, 2, "OVERLOADED: too many query calls at once (limit 2)"),
            (9, 4, 2, "OVERLOADED: too many bytes in query calls at once (limit 10)"),
            // One alone may be larger than all together.
            (9, 99, 1, "OVERLOADED: too many bytes in query calls at once (limit 10)"),
        ] {
            let shelf = Arc::new(Shelf::default());
            let pool = Pool::new("query", shelf.clone(), PoolLimits { jobs_max, bytes_max: 10 });
            let (tx, rx) = mpsc::channel();
            for _ in 0..=accepted {
                let tx = tx.clone();
                pool.run(bytes, || Ok(()), move |r| tx.send(r).unwrap());
            }
            assert_eq!(rx.try_recv().unwrap().unwrap_err().to_string(), refusal);
            assert_eq!(pool.jobs(), accepted);
            shelf.0.lock().unwrap().drain(..).for_each(|job| job());
            assert_eq!(rx.try_iter().filter(Result::is_ok).count(), accepted);
            pool.wait_idle();
        }
    }

    #[test]
    fn the_last_call_is_never_refused() {
        let pool = Pool::new("background", Arc::new(Inline), PoolLimits { jobs_max: 0, bytes_max: 0 });
        let (tx, rx) = mpsc::channel();
        pool.run_always(|| Ok(1), move |r| tx.send(r).unwrap());
        assert_eq!(rx.recv().unwrap(), Ok(1));
    }
}
