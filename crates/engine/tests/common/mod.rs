//! An engine over files in memory and a clock moved by hand, and what tests ask of it.
#![allow(dead_code, clippy::unwrap_used, reason = "a part of tests, of which each file uses a part")]

use std::sync::Arc;
use std::sync::mpsc;

use engine::query::{Answer, QueryLimits, QueryTimes};
use engine::remote_send::{Protocol, SendBatch};
use engine::scrape::{ScrapeInput, ScrapeReport, ScrapeTime, Target, TargetOptions};
use engine::{Engine, EngineError, EngineOptions, Host};
use model::Labels;
use storage::{Fs, Inline, ManualClock, MemFs, Spawn};
use wire::snappy::decompress;
use wire::{EncodedLabels, SampleColumns, SymbolSpans, write_v1, write_v2};

pub(crate) const T0: i64 = 1_700_000_000_000;
pub(crate) const TEXT: &str = "text/plain; version=0.0.4";

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) fs: MemFs,
}

/// Starts something that ends in a callback, and waits for it.
pub(crate) fn wait<T: Send + 'static>(start: impl FnOnce(Box<dyn FnOnce(T) + Send>)) -> T {
    let (tx, rx) = mpsc::channel();
    start(Box::new(move |v| tx.send(v).unwrap()));
    rx.recv().unwrap()
}

/// A body in one piece.
pub(crate) fn body(bytes: &[u8], content_type: &str, content_encoding: &str) -> ScrapeInput<Vec<u8>> {
    ScrapeInput::Body {
        pieces: vec![bytes.to_vec()],
        content_encoding: content_encoding.to_owned(),
        content_type: content_type.to_owned(),
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::over(MemFs::new(), T0)
    }

    pub(crate) fn over(fs: MemFs, now_ms: i64) -> Self {
        Self::on(Arc::new(fs.clone()), fs, now_ms, EngineOptions::default(), Arc::new(Inline))
    }

    /// Over `disk`, whose bytes are in `fs`, with all work on `threads`.
    pub(crate) fn on(
        disk: Arc<dyn Fs>,
        fs: MemFs,
        now_ms: i64,
        options: EngineOptions,
        threads: Arc<dyn Spawn>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(now_ms));
        let host = Host {
            fs: disk,
            clock: clock.clone(),
            ingest: threads.clone(),
            query: threads.clone(),
            watch: threads.clone(),
            background: threads.clone(),
            remote: threads,
        };
        let engine = Engine::open(options, host, 1, |_| {}).unwrap();
        Self { engine, clock, fs }
    }

    pub(crate) fn target(&self, change: impl FnOnce(&mut TargetOptions)) -> Target {
        let mut options = TargetOptions {
            labels: Labels::from_pairs([("instance", "h:1"), ("job", "j")]),
            honor_timestamps: true,
            ..TargetOptions::default()
        };
        change(&mut options);
        self.engine.open_target(options)
    }

    /// Scrapes a body of text format at `T0` and so many seconds.
    pub(crate) fn scrape(&self, target: &Target, second: i64, text: &str) -> ScrapeReport {
        self.put(target, second, body(text.as_bytes(), TEXT, "")).unwrap()
    }

    pub(crate) fn put(
        &self,
        target: &Target,
        second: i64,
        input: ScrapeInput<Vec<u8>>,
    ) -> Result<ScrapeReport, EngineError> {
        let timestamp_ms = T0 + second * 1000;
        self.clock.set_ms(timestamp_ms);
        wait(|done| target.scrape(input, ScrapeTime { timestamp_ms, elapsed_seconds: 0.25 }, done))
    }

    pub(crate) fn ask(&self, query: &str, times: QueryTimes) -> Result<Answer, EngineError> {
        let cancel = promql::Cancel::new();
        wait(|done| self.engine.query(query.to_owned(), times, QueryLimits::default(), cancel, done))
    }

    /// The samples of an instant query, one `labels value` a line, sorted.
    pub(crate) fn query(&self, second: i64, query: &str) -> Vec<String> {
        let answer = self.ask(query, QueryTimes::Instant(T0 + second * 1000)).unwrap();
        let promql::Value::Vector(samples) = answer.value else { panic!("{:?}", answer.value) };
        let mut lines: Vec<String> = samples
            .iter()
            .map(|s| match s.value {
                promql::SampleValue::Float(v) => format!("{} {v}", s.labels),
                promql::SampleValue::Histogram(_) => panic!("no histogram was scraped"),
            })
            .collect();
        lines.sort();
        lines
    }

    pub(crate) fn check(&self, second: i64, query: &str, expected: &[&str]) {
        assert_eq!(self.query(second, query), expected, "{query} at {second}");
    }

    /// The value of one of the core's own metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.engine.metrics_text();
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing in\n{text}")).parse().unwrap()
    }
}

/// Series and times of what is in a request of remote write, in its order, read by the receiver's own walkers.
pub(crate) fn read_request(protocol: Protocol, batch: &SendBatch) -> Vec<(String, i64)> {
    let mut buffer = Vec::new();
    let raw = decompress(&batch.body.bytes, 1 << 20, &mut buffer).unwrap();
    let (mut columns, mut samples) = (SampleColumns::default(), Vec::new());
    let mut take = |labels: &[u8], times: &[i64]| {
        let labels = EncodedLabels::new(labels, 0).decode().unwrap().to_string();
        samples.extend(times.iter().map(|t| (labels.clone(), *t)));
    };
    match protocol {
        Protocol::V1 => {
            let mut walk = write_v1::WriteRequest::new(raw);
            while let Some(s) = walk.next_series(&mut columns).unwrap() {
                take(s.labels().as_bytes(), &columns.t[s.samples.clone()]);
            }
        }
        Protocol::V2 => {
            let (mut spans, mut refs) = (SymbolSpans::default(), Vec::new());
            let mut walk = write_v2::Request::new(raw, &mut spans).unwrap();
            while let Some(s) = walk.next_series(&mut refs, &mut columns).unwrap() {
                let mut key = Vec::new();
                walk.symbols().resolve(&refs, &mut key).unwrap();
                take(&key, &columns.t[s.samples.clone()]);
            }
        }
    }
    samples
}
