//! Threads behind a seam.

/// A piece of work.
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// Where work runs. What a result is must never depend on how many threads there are.
pub trait Spawn: Send + Sync {
    /// Runs `job` some time, on some thread.
    fn spawn(&self, job: Job);

    /// Calls `f(i)` once for every `i < n`, perhaps in parallel but begun in order, and returns when all are
    /// done. A panic of `f` is passed on after all others have ended.
    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync));

    /// How many calls may run at once.
    fn parallelism(&self) -> usize;
}

/// Runs everything at once, on the caller's thread: WASM and deterministic tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Spawn for Inline {
    fn spawn(&self, job: Job) {
        job();
    }

    fn for_each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
        for i in 0..n {
            f(i);
        }
    }

    fn parallelism(&self) -> usize {
        1
    }
}
