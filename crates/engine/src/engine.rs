//! One open database with its query engine.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use promql::Cancel;
use storage::{Clock, Fs};

use crate::active_queries::ActiveQueries;
use crate::error::{EngineError, ErrorCode};
use crate::metrics::EngineMetrics;
use crate::open_store::open_store;
use crate::options::{EngineOptions, Host, QuerySettings};
use crate::otlp;
use crate::pool::{Pool, PoolLimits};
use crate::query_log::QueryLog;
use crate::query_metrics::QueryMetrics;
use crate::remote_send::NamePool;
use crate::remote_write::Receiver;
use crate::running::Running;
use crate::scrape::BodyBuffers;
use crate::stop::Stop;
use crate::store::Store;

/// What may wait for the ingest threads: bodies and batches as they came.
const INGEST_MAX: PoolLimits = PoolLimits { jobs_max: 100_000, bytes_max: 512 << 20 };
/// What may wait for the query threads: the texts of queries.
const QUERY_MAX: PoolLimits = PoolLimits { jobs_max: 1000, bytes_max: 64 << 20 };
/// What may wait for the background threads.
const BACKGROUND_MAX: PoolLimits = PoolLimits { jobs_max: 100, bytes_max: 0 };

/// What may wait for the thread that makes requests of remote write: a few calls for each queue.
const REMOTE_MAX: PoolLimits = PoolLimits { jobs_max: 10_000, bytes_max: 0 };

/// Queries that the file of active queries has room for.
const ACTIVE_QUERIES_MAX: usize = 10_000;

/// Lines of the log that wait to be fetched; the oldest go first.
const LOG_LINES_MAX: usize = 1000;

/// How far the write-ahead log has been read, in numbers of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Lowest segment.
    pub min: u32,
    /// Highest segment.
    pub max: u32,
    /// The last that has been read.
    pub current: u32,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `info`, `warn` or `error`.
    pub level: &'static str,
    /// What happened.
    pub text: String,
}

/// An open engine; a clone is another handle on the same.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Store,
    pub(crate) options: EngineOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ingest: Pool,
    pub(crate) query: Pool,
    pub(crate) background: Pool,
    pub(crate) remote: Pool,
    pub(crate) metrics: EngineMetrics,
    pub(crate) fs: Arc<dyn Fs>,
    /// What may change while the engine is open.
    pub(crate) query_settings: RwLock<QuerySettings>,
    pub(crate) query_log: QueryLog,
    pub(crate) query_metrics: QueryMetrics,
    pub(crate) active_queries: ActiveQueries,
    /// Makes the hashes of the scrape caches unpredictable.
    pub(crate) seed: AtomicU64,
    /// What runs, and whether more may begin.
    pub(crate) running: Running,
    pub(crate) bodies: BodyBuffers,
    pub(crate) remote_write: Receiver,
    /// Names of series as queues of remote write send them.
    pub(crate) sent_names: NamePool,
    pub(crate) otlp: otlp::Receiver,
    logs: Logs,
    refusal_logged: AtomicBool,
    /// What a background thread panicked with.
    fault: OnceLock<String>,
}

pub(crate) type Logs = Arc<Mutex<VecDeque<LogLine>>>;

impl Engine {
    /// Opens the database in `options.dir`, reading its log, and calls `progress` while it does.
    /// Takes as long as the log is large.
    ///
    /// # Errors
    /// [`crate::ErrorCode::Locked`] where another process has the directory,
    /// [`crate::ErrorCode::InvalidArgument`] where settings contradict each other; otherwise what
    /// the file system or the files say.
    pub fn open(
        options: EngineOptions,
        host: Host,
        seed: u64,
        progress: impl Fn(ReplayProgress) + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let logs = Logs::default();
        let db = open_store(&options, &host, seed, logs.clone(), progress)?;
        let query_log = QueryLog::default();
        query_log.reopen(host.fs.as_ref(), options.queries.log_file.as_deref())?;
        let active_queries = match options.track_queries {
            true => {
                let slots = options.query_concurrency_max.min(ACTIVE_QUERIES_MAX);
                let (active, unfinished, why) = ActiveQueries::open(host.fs.as_ref(), &options.dir, slots);
                if let Some(list) = unfinished {
                    let text = format!("These queries didn't finish in prometheus' last run: queries={list}");
                    push(&logs, LogLine { level: "info", text });
                }
                if let Some(text) = why {
                    push(&logs, LogLine { level: "error", text });
                }
                active
            }
            false => ActiveQueries::default(),
        };
        let query_settings = RwLock::new(options.queries.clone());
        let concurrency_max = options.query_concurrency_max;
        Ok(Self {
            inner: Arc::new(Inner {
                db,
                options,
                clock: host.clock,
                ingest: Pool::new("ingest", host.ingest, INGEST_MAX),
                query: Pool::new("query", host.query, QUERY_MAX).watched(concurrency_max, host.watch),
                background: Pool::new("background", host.background, BACKGROUND_MAX),
                remote: Pool::new("remote write", host.remote, REMOTE_MAX),
                metrics: EngineMetrics::default(),
                fs: host.fs,
                query_settings,
                query_log,
                query_metrics: QueryMetrics::default(),
                active_queries,
                seed: AtomicU64::new(seed),
                running: Running::default(),
                bodies: BodyBuffers::default(),
                remote_write: Receiver::new(!seed),
                sent_names: NamePool::default(),
                otlp: otlp::Receiver::new(seed.rotate_left(32)),
                logs,
                refusal_logged: AtomicBool::new(false),
                fault: OnceLock::new(),
            }),
        })
    }

    /// Replaces the settings of queries and opens the query log anew; queries that begin later heed them.
    ///
    /// # Errors
    /// Where the log cannot be opened; the old settings stay then.
    pub fn apply_queries(&self, settings: QuerySettings) -> Result<(), EngineError> {
        self.inner.query_log.reopen(self.inner.fs.as_ref(), settings.log_file.as_deref())?;
        *self.inner.query_settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    /// What the database had to say since the last call.
    #[must_use]
    pub fn take_logs(&self) -> Vec<LogLine> {
        self.inner.logs.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Cuts blocks and frees memory where that is due.
    pub fn maintain(&self, done: impl FnOnce(Result<(), EngineError>) + Send + 'static) {
        self.run_background(|inner| Ok(inner.db.tick()?), done);
    }

    /// Finishes what has been accepted for ingest, cancels queries, writes everything out and
    /// releases the directory. Calls after this fail with [`crate::ErrorCode::Closed`]; a second
    /// `close` waits for the first and does nothing.
    pub fn close(&self, done: impl FnOnce(Result<(), EngineError>) + Send + 'static) {
        self.inner.running.close();
        let inner = self.inner.clone();
        let work = move || {
            inner.ingest.wait_idle();
            inner.query.wait_idle();
            inner.remote.wait_idle();
            inner.db.close().map_err(EngineError::from)
        };
        self.inner.background.run_always(work, done);
    }

    /// Runs `work`, which holds about `bytes`, on the ingest pool.
    pub(crate) fn run_ingest<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        if self.inner.running.is_closed() {
            return done(Err(EngineError::closed()));
        }
        let inner = self.inner.clone();
        let work = move || work(&inner).inspect_err(|e| inner.note_refusal(e));
        self.inner.ingest.run(bytes, work, done);
    }

    /// Runs `work`, which changes what is on disk, on the background pool. Where it panics nobody
    /// knows what it left behind: from then on writes and such work are refused, and queries go on.
    pub(crate) fn run_background<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        if self.inner.running.is_closed() {
            return done(Err(EngineError::closed()));
        }
        let inner = self.inner.clone();
        let work = move || {
            if let Some(why) = inner.fault.get() {
                return Err(EngineError::new(ErrorCode::ReadOnly, why));
            }
            let result = catch_unwind(AssertUnwindSafe(|| work(&inner)));
            result.unwrap_or_else(|panic| Err(inner.note_fault(panic.as_ref())))
        };
        self.inner.background.run(0, work, done);
    }

    /// Runs `work`, which follows the log for remote write.
    pub(crate) fn run_remote<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        if self.inner.running.is_closed() {
            return done(Err(EngineError::closed()));
        }
        let inner = self.inner.clone();
        self.inner.remote.run(0, move || work(&inner), done);
    }

    /// As [`Self::run_query_until`], with the time that every query has.
    pub(crate) fn run_query<T: Send + 'static>(
        &self,
        bytes: usize,
        cancel: Cancel,
        work: impl FnOnce(&Inner, &Cancel) -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        let stop = Stop::new(&self.inner, &cancel, self.inner.clock.monotonic_ns());
        self.run_query_until(bytes, stop, work, done);
    }

    /// Runs `work`, which holds about `bytes` and heeds what it is given, on the query pool. Where
    /// `stop` comes while it waits for a thread there, it never runs.
    pub(crate) fn run_query_until<T: Send + 'static>(
        &self,
        bytes: usize,
        stop: Stop,
        work: impl FnOnce(&Inner, &Cancel) -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        let inner = self.inner.clone();
        let wanted = {
            let (inner, stop) = (inner.clone(), stop.clone());
            move || if inner.running.is_closed() { Err(EngineError::closed()) } else { stop.check_waiting() }
        };
        if let Err(e) = wanted() {
            return done(Err(e));
        }
        let still_wanted = wanted.clone();
        let work = move || {
            let _running = inner.running.enter(stop.cancel());
            still_wanted()?;
            work(&inner, stop.cancel()).map_err(|e| match e.code {
                ErrorCode::QueryCanceled => inner.running.canceled(),
                _ => e,
            })
        };
        self.inner.query.run_while(bytes, wanted, work, done);
    }
}

impl Inner {
    /// Refuses writes after a panic in the background, and says so in the log.
    fn note_fault(&self, panic: &(dyn Any + Send)) -> EngineError {
        let error = EngineError::panicked(panic);
        // Of several at once the first is told to those who come later.
        let _ = self.fault.set(error.message.clone());
        self.db.refuse(&error.message);
        self.note_refusal(&error);
        error
    }

    /// Says something in the log that its operator should look at.
    pub(crate) fn log_warning(&self, text: String) {
        push(&self.logs, LogLine { level: "warn", text });
    }

    /// Says once in the log that writes are refused; each refused call says so to its caller.
    fn note_refusal(&self, e: &EngineError) {
        if !matches!(e.code, ErrorCode::Io | ErrorCode::ReadOnly | ErrorCode::Internal) {
            return;
        }
        let Some(why) = self.db.refuses_writes() else { return };
        if !self.refusal_logged.swap(true, Ordering::AcqRel) {
            let text = format!("nothing more is stored until a restart, queries go on: {why}");
            push(&self.logs, LogLine { level: "error", text });
        }
    }
}

/// Adds a line; the oldest goes where there are too many.
pub(crate) fn push(logs: &Logs, line: LogLine) {
    let mut logs = logs.lock().unwrap_or_else(PoisonError::into_inner);
    if logs.len() >= LOG_LINES_MAX {
        logs.pop_front();
    }
    logs.push_back(line);
}
