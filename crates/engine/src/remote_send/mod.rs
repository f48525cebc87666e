//! Sending by remote write: each queue follows the log, and hands out finished request bodies, which whoever has sockets
//! sends; see DESIGN.md. Knows neither HTTP nor when to try again.

mod entry;
mod intake;
mod names;
mod nhcb;
mod position;
mod progress;
mod queue;
mod resume;
mod series;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};

use model::relabel::RelabelConfig;
use model::{Labels, TimestampMs};

pub use entry::{Counts, FamilyMetadata, Protocol, RequestBody};
pub(crate) use names::NamePool;
pub use queue::Dropped;
pub use tsdb::tail::TailCounts;

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use position::PositionFile;
use queue::Queue;
use series::Naming;

/// What a queue sends, and how.
#[derive(Clone, Debug)]
pub struct SenderOptions {
    /// The name of the file that remembers the queue's position: letters and digits. One open queue each.
    pub key: String,
    /// What people call the queue.
    pub name: String,
    /// Added to series that have no such label.
    pub external_labels: Labels,
    /// Applied afterwards.
    pub relabel: Vec<RelabelConfig>,
    /// Whether 2.0 takes type and unit from the series' labels.
    pub type_and_unit_labels: bool,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether exemplars are sent.
    pub send_exemplars: bool,
    /// Whether native histograms are sent.
    pub send_native_histograms: bool,
    /// Whether those with custom buckets are sent as classic ones, also where native ones are not sent.
    pub convert_nhcb_to_classic: bool,
    /// Entries of one request at most.
    pub samples_per_send_max: usize,
    /// Entries that wait in a shard; where one has as many, the log is not read on. One more record of the log may come.
    pub capacity: usize,
    /// A smaller request is made when its first entry has waited so long.
    pub batch_send_deadline_ms: u64,
    /// Older samples are not sent; 0: all are.
    pub sample_age_limit_ms: i64,
}

impl SenderOptions {
    fn naming(&self) -> Naming {
        Naming {
            external_labels: self.external_labels.clone(),
            relabel: self.relabel.clone(),
            type_and_unit_labels: self.type_and_unit_labels,
        }
    }
}

/// What is asked of a queue.
#[derive(Clone, Debug, Default)]
pub struct Poll {
    /// How many shards there are to be. Their number changes only while no request is under way.
    pub shards: usize,
    /// Those that can send a request.
    pub free: Vec<u32>,
    /// Requests that are done with: taken by the other side, or refused for good.
    pub finished: Vec<u64>,
    /// Whether small requests are not to wait.
    pub flush: bool,
}

/// A request to be sent. The queue keeps what is in it until it is told that the request is done with.
#[derive(Clone, Debug)]
pub struct SendBatch {
    /// Names the request.
    pub id: u64,
    /// Whose it is.
    pub shard: u32,
    /// It was under way when its queue was left before: the other side may have it.
    pub is_repeated: bool,
    /// What to send.
    pub body: RequestBody,
}

/// What a queue answers. Counts go on from its opening.
#[derive(Clone, Debug, Default)]
pub struct PollReport {
    /// At most one for each free shard.
    pub batches: Vec<SendBatch>,
    /// There is more to read, and room for it: ask again at once.
    pub more: bool,
    /// Everything in the log has been sent.
    pub is_idle: bool,
    /// What waits or is under way.
    pub pending: Counts,
    /// What was read.
    pub read: Counts,
    /// What of it is not sent.
    pub dropped: Dropped,
    /// How often the log was not read on because a shard was full.
    pub enqueue_retries: u64,
    /// The highest time that was read, milliseconds.
    pub highest_ms: TimestampMs,
    /// The segment that is being read.
    pub segment: u32,
    /// Records that were read of the log.
    pub records: TailCounts,
    /// Series that the queue knows.
    pub series: u64,
    /// What somebody should know of.
    pub trouble: Vec<String>,
}

/// An open queue; a clone is another handle on the same.
#[derive(Clone)]
pub struct Sender {
    engine: Engine,
    queue: Arc<Mutex<Queue>>,
}

impl Engine {
    /// Opens the queue of `options.key`: it goes on where it stopped, or begins with what comes from now on.
    pub fn open_sender(
        &self,
        options: SenderOptions,
        done: impl FnOnce(Result<Sender, EngineError>) + Send + 'static,
    ) {
        let engine = self.clone();
        let open = move |inner: &Inner| {
            let (key, name) = (options.key.clone(), options.name.clone());
            let valid = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !valid {
                return Err(EngineError::invalid(format!(
                    "{key:?} is no key of a queue: letters and digits only"
                )));
            }
            let file = PositionFile::new(inner.fs.clone(), &inner.options.dir, &key, &name);
            let shared = (inner.db.clone(), inner.sent_names.clone());
            let queue = Queue::open(options, shared, inner.clock.clone(), file)?;
            Ok(Sender { engine, queue: Arc::new(Mutex::new(queue)) })
        };
        self.run_remote(open, done);
    }

    /// The body of a request of remote write 1.0 that has nothing but metadata.
    pub fn remote_metadata(
        &self,
        families: Vec<FamilyMetadata>,
        done: impl FnOnce(Result<Vec<u8>, EngineError>) + Send + 'static,
    ) {
        let body =
            move |_: &Inner| entry::metadata_body(&families).map_err(|e| EngineError::invalid(e.to_string()));
        self.run_remote(body, done);
    }
}

impl Sender {
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Queue) -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<T, EngineError>) + Send + 'static,
    ) {
        let queue = self.queue.clone();
        self.engine
            .run_remote(move |_| work(&mut queue.lock().unwrap_or_else(PoisonError::into_inner)), done);
    }

    /// Takes note of what has been sent, reads on in the log, and hands out requests.
    pub fn poll(&self, ask: Poll, done: impl FnOnce(Result<PollReport, EngineError>) + Send + 'static) {
        self.run(move |queue| queue.poll(&ask), done);
    }

    /// A request's body anew, without what is too old by now; empty where nothing is left.
    pub fn rebuild(&self, batch: u64, done: impl FnOnce(Result<RequestBody, EngineError>) + Send + 'static) {
        self.run(move |queue| queue.rebuild(batch), done);
    }

    /// What is in a request, for people: no more of it than a log can bear.
    pub fn describe(&self, batch: u64, done: impl FnOnce(Result<String, EngineError>) + Send + 'static) {
        self.run(move |queue| Ok(queue.describe(batch)), done);
    }

    /// Remembers how far the queue has come, and lets go of the log.
    pub fn close(&self, finished: Vec<u64>, done: impl FnOnce(Result<(), EngineError>) + Send + 'static) {
        self.run(
            move |queue| {
                queue.close(&finished);
                Ok(())
            },
            done,
        );
    }
}
