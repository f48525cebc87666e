//! An engine over an agent's database: everything that takes in and sends on works, and nothing can be asked.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;

use common::{Bench, T0, body, wait};
use engine::options::AgentSettings;
use engine::query::QueryTimes;
use engine::remote_send::{Poll, Protocol, SenderOptions};
use engine::{EngineOptions, ErrorCode};
use model::Labels;
use storage::{Fs, Inline, MemFs};

fn bench(fs: &MemFs) -> Bench {
    let agent = Some(AgentSettings { truncate_frequency_ms: 1000, ..AgentSettings::default() });
    let options = EngineOptions { agent, no_lockfile: true, ..EngineOptions::default() };
    Bench::on(Arc::new(fs.clone()), fs.clone(), T0, options, Arc::new(Inline))
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn an_agent_scrapes_sends_and_answers_nothing() {
    let fs = MemFs::new();
    let b = bench(&fs);
    let options = SenderOptions {
        key: "a".to_owned(),
        name: "a".to_owned(),
        external_labels: Labels::empty(),
        relabel: Vec::new(),
        type_and_unit_labels: false,
        protocol: Protocol::V2,
        send_exemplars: true,
        send_native_histograms: true,
        convert_nhcb_to_classic: false,
        samples_per_send_max: 100,
        capacity: 1000,
        batch_send_deadline_ms: 0,
        sample_age_limit_ms: 0,
    };
    let sender = wait(|done| b.engine.open_sender(options, done)).unwrap();
    let target = b.target(|_| {});
    let text = "# TYPE a counter\na_total 1 # {id=\"x\"} 0.5\n# EOF\n";
    assert_eq!(b.put(&target, 0, body(text.as_bytes(), OPEN_METRICS, "")).unwrap().error, None);
    let poll = |finished: Vec<u64>| {
        wait(|done| sender.poll(Poll { shards: 1, free: vec![0], finished, flush: true }, done)).unwrap()
    };
    let report = poll(vec![]);
    let counts = report.batches[0].body.counts;
    // The sample and the five that each scrape adds; exemplars need no storage of their own here.
    assert_eq!((counts.samples, counts.exemplars), (6, 1));
    assert!(poll(vec![report.batches[0].id]).is_idle);

    let refused = b.ask("a_total", QueryTimes::Instant(T0)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    assert!(refused.message.contains("unsupported operation with WAL-only storage"), "{refused}");
    assert_eq!(b.metric("prometheus_agent_active_series"), 6.0);
    assert_eq!(b.metric("narthex_storage_read_only"), 0.0);
    assert_eq!((b.engine.num_series(), b.engine.blocks().len()), (6, 0));
    wait(|done| b.engine.apply_storage(engine::StorageSettings::default(), done)).unwrap();
    b.clock.advance_ms(2000);
    wait(|done| b.engine.maintain(done)).unwrap();
    assert!(!fs.exists(std::path::Path::new("data/chunks_head")));

    // The target is gone: its series are stale, and that is sent, too.
    wait(|done| target.mark_stale(T0 + 5000, done)).unwrap();
    assert_eq!(poll(vec![]).batches[0].body.counts.samples, 6);
    wait(|done| b.engine.close(done)).unwrap();
    let again = bench(&fs);
    assert_eq!(again.metric("prometheus_agent_active_series"), 6.0);
}
