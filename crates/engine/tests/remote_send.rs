//! Queues of remote write over a real database in memory, read by the receiver's own walkers.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{Bench, read_request};
use engine::embed::SeriesBatch;
use engine::remote_send::{Poll, PollReport, Protocol, SendBatch, Sender, SenderOptions};
use engine::{Engine, EngineError};
use model::Labels;
use wire::snappy::decompress;
use wire::{SampleColumns, SymbolSpans, write_v2};

fn wait<T: Send + 'static>(start: impl FnOnce(Box<dyn FnOnce(Result<T, EngineError>) + Send>)) -> T {
    common::wait(start).unwrap()
}

fn options(protocol: Protocol) -> SenderOptions {
    SenderOptions {
        key: "a1".to_owned(),
        name: "test".to_owned(),
        external_labels: Labels::from_pairs([("dc", "eu")]),
        relabel: Vec::new(),
        type_and_unit_labels: false,
        protocol,
        send_exemplars: true,
        send_native_histograms: true,
        convert_nhcb_to_classic: false,
        samples_per_send_max: 10,
        capacity: 40,
        batch_send_deadline_ms: 5000,
        sample_age_limit_ms: 0,
    }
}

fn open(engine: &Engine, options: SenderOptions) -> Sender {
    wait(|done| engine.open_sender(options, done))
}

fn poll(sender: &Sender, shards: usize, finished: Vec<u64>, flush: bool) -> PollReport {
    let free = (0..shards as u32).collect();
    wait(|done| sender.poll(Poll { shards, free, finished, flush }, done))
}

fn append(engine: &Engine, series: &str, times: std::ops::Range<i64>) {
    let batch = SeriesBatch {
        labels: Labels::from_pairs([("__name__", series)]),
        timestamps: times.clone().collect(),
        values: times.map(|t| t as f64).collect(),
    };
    wait(|done| engine.append(vec![batch], done));
}

type Heard = BTreeMap<String, Vec<i64>>;

/// Series and times of a body.
fn read(protocol: Protocol, batch: &SendBatch, heard: &mut Heard) {
    for (series, t) in read_request(protocol, batch) {
        heard.entry(series).or_default().push(t);
    }
}

/// Sends everything there is.
fn drain(sender: &Sender, protocol: Protocol, shards: usize) -> Heard {
    let mut heard = Heard::new();
    let mut finished = Vec::new();
    loop {
        let report = poll(sender, shards, std::mem::take(&mut finished), true);
        for batch in &report.batches {
            assert!(batch.body.counts.total() <= 10);
            read(protocol, batch, &mut heard);
            finished.push(batch.id);
        }
        if report.is_idle {
            assert_eq!(report.pending.total(), 0);
            return heard;
        }
    }
}

fn all(names: std::ops::Range<usize>, times: std::ops::Range<i64>) -> Heard {
    names.map(|i| (format!(r#"{{__name__="s{i:02}", dc="eu"}}"#), times.clone().collect())).collect()
}

#[test]
fn everything_comes_once_and_in_order() {
    for protocol in [Protocol::V1, Protocol::V2] {
        for shards in [1, 3] {
            let world = Bench::new();
            append(&world.engine, "before", 0..10);
            let sender = open(&world.engine, options(protocol));
            for i in 0..20 {
                append(&world.engine, &format!("s{i:02}"), 1000..1037);
            }
            assert_eq!(drain(&sender, protocol, shards), all(0..20, 1000..1037));
        }
    }
}

#[test]
fn nothing_is_read_ahead_of_a_full_shard_and_small_requests_wait() {
    let world = Bench::new();
    let sender = open(&world.engine, options(Protocol::V1));
    for i in 0..30 {
        append(&world.engine, &format!("s{i:02}"), 1000..1010);
    }
    let report = poll(&sender, 1, vec![], false);
    assert_eq!((report.batches.len(), report.pending.samples, report.more), (1, 40, false));
    // Until the request is done with, the shard asks for no other; what waits stays.
    let again = wait(|done| sender.poll(Poll { shards: 1, ..Poll::default() }, done));
    assert_eq!((again.batches.len(), again.read.samples), (0, 50), "room for what is under way");
    wait(|done| sender.close(vec![], done));

    let world = Bench::new();
    let sender = open(&world.engine, options(Protocol::V1));
    append(&world.engine, "s00", 1000..1003);
    assert!(poll(&sender, 1, vec![], false).batches.is_empty());
    world.clock.advance_ms(5000);
    assert_eq!(poll(&sender, 1, vec![], false).batches[0].body.counts.samples, 3);
}

#[test]
fn goes_on_where_it_stopped_and_sends_again_what_was_under_way() {
    let world = Bench::new();
    let sender = open(&world.engine, options(Protocol::V1));
    append(&world.engine, "s00", 1000..1010);
    append(&world.engine, "s01", 1000..1010);
    append(&world.engine, "s02", 1000..1010);
    let first = poll(&sender, 1, vec![], false);
    let second = poll(&sender, 1, vec![first.batches[0].id], false);
    let mut heard = Heard::new();
    read(Protocol::V1, &first.batches[0], &mut heard);
    assert_eq!(heard, all(0..1, 1000..1010));
    assert_eq!(second.batches.len(), 1);
    // Not told what became of the second.
    wait(|done| sender.close(vec![], done));
    append(&world.engine, "s03", 1000..1010);
    let sender = open(&world.engine, options(Protocol::V1));
    assert_eq!(drain(&sender, Protocol::V1, 1), all(1..4, 1000..1010));
    wait(|done| sender.close(vec![], done));
    let sender = open(&world.engine, options(Protocol::V1));
    assert_eq!(drain(&sender, Protocol::V1, 1), Heard::new());
    // Another queue knows nothing of it.
    let other = open(&world.engine, SenderOptions { key: "b2".to_owned(), ..options(Protocol::V1) });
    assert_eq!(drain(&other, Protocol::V1, 1), Heard::new());
}

#[test]
fn what_is_too_old_is_left_out_at_every_try() {
    let world = Bench::new();
    let now_ms = storage::Clock::now_ms(&*world.clock);
    let limit = SenderOptions { sample_age_limit_ms: 1000, ..options(Protocol::V2) };
    let sender = open(&world.engine, limit);
    append(&world.engine, "s00", now_ms - 1001..now_ms - 996);
    let report = poll(&sender, 1, vec![], true);
    assert_eq!((report.batches[0].body.counts.samples, report.dropped.too_old.samples), (4, 1));
    world.clock.advance_ms(2);
    let id = report.batches[0].id;
    let again = wait(|done| sender.rebuild(id, done));
    assert_eq!(again.counts.samples, 2);
    world.clock.advance_ms(10);
    let none = wait(|done| sender.rebuild(id, done));
    assert_eq!((none.bytes.len(), none.counts.samples), (0, 0));
    let report = poll(&sender, 1, vec![id], true);
    assert_eq!((report.is_idle, report.dropped.too_old.samples), (true, 5));
}

#[test]
fn histograms_with_custom_buckets_become_classic_ones() {
    for protocol in [Protocol::V1, Protocol::V2] {
        let world = Bench::new();
        let convert = SenderOptions {
            convert_nhcb_to_classic: true,
            send_native_histograms: false,
            ..options(protocol)
        };
        let sender = open(&world.engine, convert);
        let native = open(&world.engine, SenderOptions { key: "b2".to_owned(), ..options(Protocol::V1) });
        let target = world.target(|o| o.classic_histograms_to_nhcb = true);
        let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 5\nh_sum 9\nh_count 5\n";
        assert_eq!(world.scrape(&target, 0, text).error, None);
        // Its end is the end of all of them.
        world.scrape(&target, 15, "# TYPE g gauge\ng 1\n");
        let heard = drain(&sender, protocol, 2);
        let rest = "dc=\"eu\", instance=\"h:1\", job=\"j\"";
        let names: Vec<&String> = heard.keys().filter(|name| name.starts_with("{__name__=\"h_")).collect();
        assert_eq!(
            names,
            [
                &format!("{{__name__=\"h_bucket\", {rest}, le=\"+Inf\"}}"),
                &format!("{{__name__=\"h_bucket\", {rest}, le=\"1.0\"}}"),
                &format!("{{__name__=\"h_count\", {rest}}}"),
                &format!("{{__name__=\"h_sum\", {rest}}}"),
            ]
        );
        assert!(names.iter().all(|name| heard[*name] == [common::T0, common::T0 + 15_000]), "{heard:?}");
        drain(&native, Protocol::V1, 1);
        let report = poll(&native, 1, vec![], true);
        assert_eq!((report.dropped.custom_buckets, report.dropped.conversion_errors), (1, 0));
        let records: Vec<_> = report.records.records().map(|(kind, _)| kind).collect();
        assert!(records.contains(&"custom_buckets_histogram_samples"), "{records:?}");
    }
}

#[test]
fn what_is_in_a_request_can_be_told() {
    let world = Bench::new();
    let sender = open(&world.engine, options(Protocol::V2));
    append(&world.engine, "s00", 1000..1002);
    let report = poll(&sender, 1, vec![], true);
    let text = wait(|done| sender.describe(report.batches[0].id, done));
    let series = r#"{__name__="s00", dc="eu"}"#;
    assert_eq!(text, format!("{series} 1000 @1000, {series} 1001 @1001"));
    assert_eq!(wait(|done| sender.describe(77, done)), "");
}

/// By 2.0 no exemplar may come without a sample of its series.
#[test]
fn exemplars_go_with_their_samples() {
    let mut features = engine::options::Features::default();
    features.enable("exemplar-storage").unwrap();
    let fs = storage::MemFs::new();
    let all = engine::EngineOptions { features, ..engine::EngineOptions::default() };
    let world =
        Bench::on(std::sync::Arc::new(fs.clone()), fs, common::T0, all, std::sync::Arc::new(storage::Inline));
    let sender = open(&world.engine, SenderOptions { samples_per_send_max: 4, ..options(Protocol::V2) });
    let mut writer = write_v2::RequestWriter::default();
    for i in 0..5 {
        let name = format!("s{i}");
        writer.put_series([("__name__", name.as_str())], &write_v2::Metadata::default(), |w| {
            w.sample(common::T0, 1.0, 0);
            w.exemplar([("id", name.as_str())], 0.5, common::T0);
        });
    }
    let (mut raw, mut body) = (Vec::new(), Vec::new());
    writer.finish(&mut raw);
    wire::snappy::Compressor::default().compress(&raw, &mut body).unwrap();
    let request = engine::remote_write::RemoteWriteRequest {
        pieces: vec![body],
        content_type: "application/x-protobuf;proto=io.prometheus.write.v2.Request".to_owned(),
        content_encoding: "snappy".to_owned(),
        accepted: Vec::new(),
    };
    wait(|done| world.engine.ingest_remote_write(request, done));
    let mut sent = Vec::new();
    let mut finished = Vec::new();
    loop {
        let report = poll(&sender, 2, std::mem::take(&mut finished), true);
        for batch in &report.batches {
            let mut buffer = Vec::new();
            let raw = decompress(&batch.body.bytes, 1 << 20, &mut buffer).unwrap();
            let (mut spans, mut refs, mut columns) =
                (SymbolSpans::default(), Vec::new(), SampleColumns::default());
            let mut walk = write_v2::Request::new(raw, &mut spans).unwrap();
            while let Some(s) = walk.next_series(&mut refs, &mut columns).unwrap() {
                sent.push((s.samples.len(), s.exemplar_count));
            }
            assert!(batch.body.counts.total() <= 4, "{:?}", batch.body.counts);
            finished.push(batch.id);
        }
        if report.is_idle {
            assert_eq!((report.read.exemplars, report.pending.total()), (5, 0));
            break;
        }
    }
    assert_eq!(sent, [(1, 1); 5]);
}
