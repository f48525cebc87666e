//! Queues of remote write whose process is killed at any moment, with a model of the other side: nothing is lost, also to
//! a receiver that refuses a whole request because of one sample that it has, and nothing that it is known to have
//! comes again.
//!
//! `NARTHEX_SEND_KILLS` is the number of lives, `NARTHEX_SEND_SEED` where they come from.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use common::{Bench, read_request};
use engine::embed::SeriesBatch;
use engine::remote_send::{Poll, Protocol, SendBatch, Sender, SenderOptions};
use engine::{EngineError, EngineOptions};
use model::Labels;
use storage::{Inline, MemFs};
use testkit::series::Noise;

const SERIES: usize = 17;
const MOST: usize = 12;
/// Late samples are as much later than they should be; odd, and others are even.
const LATE_MS: i64 = 4001;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap())
}

fn wait<T: Send + 'static>(start: impl FnOnce(Box<dyn FnOnce(Result<T, EngineError>) + Send>)) -> T {
    common::wait(start).unwrap()
}

type Sample = (String, i64);

/// The other side.
#[derive(Default)]
struct Receiver {
    /// One old sample is enough for it to refuse a request.
    is_strict: bool,
    newest: HashMap<String, i64>,
    has: BTreeSet<Sample>,
}

impl Receiver {
    /// Whether it took it.
    fn take(&mut self, request: &[Sample]) -> bool {
        let mut newest = self.newest.clone();
        for (series, t) in request {
            let before = newest.insert(series.clone(), *t);
            if self.is_strict && before.is_some_and(|before| before >= *t) {
                return false;
            }
        }
        self.newest = newest;
        self.has.extend(request.iter().cloned());
        true
    }
}

struct Request {
    id: u64,
    shard: u32,
    samples: Vec<Sample>,
    is_repeated: bool,
    /// The other side has had it, whatever it did with it.
    has_arrived: bool,
}

struct World {
    bench: Bench,
    options: EngineOptions,
    protocol: Protocol,
    noise: Noise,
    receiver: Receiver,
    appended: BTreeSet<Sample>,
    /// The queue was told so.
    finished: BTreeSet<Sample>,
    next_ms: i64,
}

impl World {
    fn new(protocol: Protocol, window_ms: i64, seed: u64) -> Self {
        let mut options = EngineOptions::default();
        options.storage.out_of_order_window_ms = window_ms;
        let fs = MemFs::new();
        let bench = Bench::on(Arc::new(fs.clone()), fs, common::T0, options.clone(), Arc::new(Inline));
        let is_strict = protocol == Protocol::V1 && window_ms == 0;
        let receiver = Receiver { is_strict, ..Receiver::default() };
        let (appended, finished) = (BTreeSet::new(), BTreeSet::new());
        let noise = Noise::new(seed);
        Self { bench, options, protocol, noise, receiver, appended, finished, next_ms: common::T0 }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.noise.below(n)
    }

    fn open(&self) -> Sender {
        let options = SenderOptions {
            key: "a1".to_owned(),
            name: "test".to_owned(),
            external_labels: Labels::default(),
            relabel: Vec::new(),
            type_and_unit_labels: false,
            protocol: self.protocol,
            send_exemplars: true,
            send_native_histograms: true,
            convert_nhcb_to_classic: false,
            samples_per_send_max: MOST,
            capacity: 40,
            batch_send_deadline_ms: 50,
            sample_age_limit_ms: 0,
        };
        wait(|done| self.bench.engine.open_sender(options, done))
    }

    /// A record of some of the series, and perhaps one of late samples.
    fn append(&mut self) {
        self.next_ms += 2;
        let t = self.next_ms;
        self.append_some(t);
        if self.options.storage.out_of_order_window_ms > 0 && self.below(2) == 0 {
            self.append_some(t - LATE_MS);
        }
    }

    fn append_some(&mut self, t: i64) {
        let mut batches = Vec::new();
        for i in 0..SERIES {
            if self.below(3) == 0 {
                continue;
            }
            let labels = Labels::from_pairs([("__name__", format!("s{i:02}"))]);
            self.appended.insert((labels.to_string(), t));
            batches.push(SeriesBatch { labels, timestamps: vec![t], values: vec![t as f64] });
        }
        wait(|done| self.bench.engine.append(batches, done));
    }

    /// Another life of the queue: it ends at any moment, unless everything is to be sent first.
    fn live(&mut self, steps: u64, to_the_end: bool) {
        let sender = self.open();
        let mut under_way: Vec<Request> = Vec::new();
        let mut done = Vec::new();
        let mut shards = 1 + self.below(4) as usize;
        let mut now = shards;
        for step in 0.. {
            if step >= steps && !to_the_end {
                break;
            }
            if step < steps && self.below(2) == 0 {
                self.append();
            }
            if self.below(6) == 0 {
                shards = 1 + self.below(5) as usize;
            }
            let waited = self.below(400) as u32;
            self.bench.clock.advance_ms(waited);
            if under_way.is_empty() {
                now = shards;
            }
            let is_changing = now != shards;
            let is_free = |shard: &u32| !is_changing && under_way.iter().all(|r| r.shard != *shard);
            let free: Vec<u32> = (0..now as u32).filter(is_free).collect();
            let flush = to_the_end || self.below(4) == 0;
            let finished = std::mem::take(&mut done);
            let ask = Poll { shards: now, free, finished, flush };
            let report = wait(|done| sender.poll(ask, done));
            assert_eq!(report.trouble, [""; 0]);
            for batch in report.batches {
                let samples = read_request(self.protocol, &batch);
                assert!(samples.len() <= MOST);
                let again: Vec<_> = samples.iter().filter(|s| self.finished.contains(s)).collect();
                assert!(again.is_empty(), "finished before: {again:?}");
                let SendBatch { id, shard, is_repeated, .. } = batch;
                under_way.push(Request { id, shard, samples, is_repeated, has_arrived: false });
            }
            if report.is_idle && to_the_end && step >= steps {
                break;
            }
            for i in (0..under_way.len()).rev() {
                if self.below(3) > 0 && !to_the_end {
                    continue;
                }
                if !under_way[i].has_arrived {
                    under_way[i].has_arrived = true;
                    let taken = self.receiver.take(&under_way[i].samples);
                    assert!(taken || under_way[i].is_repeated, "{:?}", under_way[i].samples);
                }
                if self.below(3) == 0 || to_the_end {
                    let request = under_way.swap_remove(i);
                    self.finished.extend(request.samples);
                    done.push(request.id);
                }
            }
        }
        // Answers that the queue was not told of are as if they had not come.
        if !done.is_empty() {
            let ask = Poll { shards: now, free: vec![], finished: done, flush: false };
            wait(|done| sender.poll(ask, done));
        }
    }

    /// The whole process begins anew over the files as they are.
    fn start_again(&mut self) {
        let fs = self.bench.fs.snapshot();
        let now_ms = storage::Clock::now_ms(&*self.bench.clock);
        self.bench = Bench::on(Arc::new(fs.clone()), fs, now_ms, self.options.clone(), Arc::new(Inline));
    }
}

fn survives(protocol: Protocol, window_ms: i64) {
    let (lives, seed) = (number("NARTHEX_SEND_KILLS", 150), number("NARTHEX_SEND_SEED", 1));
    let mut world = World::new(protocol, window_ms, seed);
    // A queue begins with what comes when it is there.
    drop(world.open());
    for life in 0..lives {
        let steps = world.below(40);
        world.live(steps, life + 1 == lives);
        if world.below(4) == 0 {
            world.start_again();
        }
    }
    let lost: Vec<_> = world.appended.difference(&world.receiver.has).take(5).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(world.appended.len() > lives as usize);
}

#[test]
fn a_strict_receiver_gets_everything() {
    survives(Protocol::V1, 0);
}

#[test]
fn a_receiver_that_takes_what_it_can_gets_everything() {
    survives(Protocol::V2, 0);
}

#[test]
fn late_samples_come_too() {
    survives(Protocol::V1, 3_600_000);
    survives(Protocol::V2, 3_600_000);
}
