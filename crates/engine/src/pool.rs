//! A bounded queue in front of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use storage::Spawn;

use crate::error::{EngineError, ErrorCode};

/// Threads with a bound on the jobs that wait for or run on them.
#[derive(Clone)]
pub struct Pool {
    name: &'static str,
    spawn: Arc<dyn Spawn>,
    jobs: Arc<AtomicUsize>,
    jobs_max: usize,
}

impl Pool {
    /// A pool over `spawn` that holds at most `jobs_max` jobs at once.
    #[must_use]
    pub fn new(name: &'static str, spawn: Arc<dyn Spawn>, jobs_max: usize) -> Self {
        Self { name, spawn, jobs: Arc::default(), jobs_max }
    }

    /// Runs `work` and hands its result to `done`, both on a thread of the pool; or, where the pool
    /// is full, hands `done` the error on this thread. `done` is called exactly once: a panic of
    /// `work` becomes an [`ErrorCode::Internal`].
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        if self.jobs.fetch_add(1, Ordering::AcqRel) >= self.jobs_max {
            self.jobs.fetch_sub(1, Ordering::AcqRel);
            let message = format!("too many {} calls at once (limit {})", self.name, self.jobs_max);
            return done(Err(EngineError::new(ErrorCode::Overloaded, message)));
        }
        let jobs = self.jobs.clone();
        self.spawn.spawn(Box::new(move || {
            let result = guarded(work);
            jobs.fetch_sub(1, Ordering::AcqRel);
            done(result);
        }));
    }

    /// Jobs that wait or run.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.jobs.load(Ordering::Acquire)
    }

    /// The threads themselves, for work that one job divides among them.
    #[must_use]
    pub fn spawn(&self) -> &Arc<dyn Spawn> {
        &self.spawn
    }
}

/// Calls `work`; its panic becomes an error.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Err(EngineError::new(ErrorCode::Internal, format!("a fault in the core: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use storage::Inline;

    use super::*;

    #[test]
    fn a_panic_is_an_error_and_frees_its_place() {
        let pool = Pool::new("query", Arc::new(Inline), 1);
        let (tx, rx) = mpsc::channel();
        for _ in 0..2 {
            let tx = tx.clone();
            pool.run(|| -> Result<(), _> { panic!("boom") }, move |r| tx.send(r).unwrap());
            let e = rx.recv().unwrap().unwrap_err();
            assert_eq!(e.to_string(), "INTERNAL: a fault in the core: boom");
        }
        assert_eq!(pool.jobs(), 0);
    }

    #[test]
    fn a_full_pool_refuses() {
        let pool = Pool::new("query", Arc::new(Inline), 0);
        let (tx, rx) = mpsc::channel();
        pool.run(|| Ok(1), move |r| tx.send(r).unwrap());
        assert_eq!(rx.recv().unwrap().unwrap_err().code, ErrorCode::Overloaded);
    }
}
