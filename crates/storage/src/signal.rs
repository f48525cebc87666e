//! Waiting for another thread's change. The library's condition variable asks the kernel to wake whoever waits each time
//! that it is notified; this one does not while nobody does, which is nearly always.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};

/// A condition variable whose notification costs one load while nobody waits.
#[derive(Debug, Default)]
pub struct Signal {
    condvar: Condvar,
    waiting: AtomicUsize,
}

impl Signal {
    /// Lets go of the lock and waits for [`Self::notify_all`]; may return without one. Not poisoned by a panic.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        // Under the lock, so whoever changes what it guards afterwards sees it.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = self.condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Wakes all who wait. To be called after a change under the lock with which they wait, and behind that lock.
    pub fn notify_all(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.condvar.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it is about threads")]
    fn nobody_who_waits_is_left_waiting() {
        let shared = Arc::new((Mutex::new(0u32), Signal::default()));
        let threads: Vec<_> = (0..4u32)
            .map(|me| {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let (turn, signal) = &*shared;
                    for round in 0..2000 {
                        let mut now = turn.lock().unwrap();
                        while *now != round * 4 + me {
                            now = signal.wait(now);
                        }
                        *now += 1;
                        drop(now);
                        signal.notify_all();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(*shared.0.lock().unwrap(), 8000);
        assert_eq!(shared.1.waiting.load(Ordering::Relaxed), 0);
    }
}
