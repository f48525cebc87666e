//! Queues of remote write.

use std::collections::HashMap;

use ::engine::EngineError;
use ::engine::remote_send::{
    Counts, Dropped, FamilyMetadata, Poll, PollReport, Protocol, RequestBody, SendBatch, Sender,
    SenderOptions,
};
use model::{Labels, Metadata, MetricType};
use napi::bindgen_prelude::{Buffer, Object};
use napi::{Env, Result};
use napi_derive::napi;

use crate::promise::{promise, to_js};
use crate::relabel::{RelabelRule, compile, scheme};

#[napi(object)]
pub struct NativeSenderOptions {
    pub key: String,
    pub name: String,
    pub external_labels: HashMap<String, String>,
    pub write_relabel_rules: Vec<RelabelRule>,
    pub validation_scheme: String,
    pub type_and_unit_labels: bool,
    pub protocol: String,
    pub send_exemplars: bool,
    pub send_native_histograms: bool,
    pub convert_nhcb_to_classic: bool,
    pub max_samples_per_send: f64,
    pub capacity: f64,
    pub batch_send_deadline_ms: f64,
    pub sample_age_limit_ms: f64,
}

#[napi(object)]
pub struct NativePoll {
    pub shards: u32,
    pub free: Vec<u32>,
    pub finished: Vec<f64>,
    pub flush: bool,
}

#[napi(object)]
pub struct NativeCounts {
    pub samples: f64,
    pub histograms: f64,
    pub exemplars: f64,
}

#[napi(object)]
pub struct NativeRequestBody {
    pub bytes: Buffer,
    pub counts: NativeCounts,
    pub lowest_ms: f64,
    pub highest_ms: f64,
}

#[napi(object)]
pub struct NativeSendBatch {
    pub id: f64,
    pub shard: u32,
    pub is_repeated: bool,
    pub body: NativeRequestBody,
}

#[napi(object)]
pub struct NativeDropped {
    pub too_old: NativeCounts,
    pub by_relabelling: NativeCounts,
    pub unknown_series: NativeCounts,
    pub custom_buckets: f64,
    pub conversion_errors: f64,
}

#[napi(object)]
pub struct NativeRecordCount {
    pub kind: String,
    pub count: f64,
}

#[napi(object)]
pub struct NativePollReport {
    pub batches: Vec<NativeSendBatch>,
    pub more: bool,
    pub is_idle: bool,
    pub pending: NativeCounts,
    pub read: NativeCounts,
    pub dropped: NativeDropped,
    pub enqueue_retries: f64,
    pub highest_ms: f64,
    pub segment: u32,
    pub records: Vec<NativeRecordCount>,
    pub undecodable_records: f64,
    pub series: f64,
    pub trouble: Vec<String>,
}

#[napi(object)]
pub struct NativeFamilyMetadata {
    pub metric: String,
    #[napi(js_name = "type")]
    pub kind: String,
    pub help: String,
    pub unit: String,
}

#[napi]
pub struct NativeSender {
    sender: Sender,
}

#[napi]
impl NativeSender {
    #[napi(catch_unwind)]
    pub fn poll<'env>(&self, env: &'env Env, ask: NativePoll) -> Result<Object<'env>> {
        let ask = Poll {
            shards: ask.shards as usize,
            free: ask.free,
            finished: ids(&ask.finished),
            flush: ask.flush,
        };
        promise(env, NativePollReport::from, |done| self.sender.poll(ask, done))
    }

    #[napi(catch_unwind)]
    pub fn rebuild<'env>(&self, env: &'env Env, batch: f64) -> Result<Object<'env>> {
        promise(env, NativeRequestBody::from, |done| self.sender.rebuild(batch as u64, done))
    }

    #[napi(catch_unwind)]
    pub fn describe<'env>(&self, env: &'env Env, batch: f64) -> Result<Object<'env>> {
        promise(env, |text: String| text, |done| self.sender.describe(batch as u64, done))
    }

    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env, finished: Vec<f64>) -> Result<Object<'env>> {
        promise(env, |()| (), |done| self.sender.close(ids(&finished), done))
    }
}

fn ids(finished: &[f64]) -> Vec<u64> {
    finished.iter().map(|id| *id as u64).collect()
}

impl From<Sender> for NativeSender {
    fn from(sender: Sender) -> Self {
        Self { sender }
    }
}

/// Compiles a queue's options.
pub(crate) fn options(o: NativeSenderOptions) -> Result<SenderOptions> {
    let protocol = match o.protocol.as_str() {
        "prometheus.WriteRequest" => Protocol::V1,
        "io.prometheus.write.v2.Request" => Protocol::V2,
        other => return Err(to_js(&EngineError::invalid(format!("unknown protobuf message {other:?}")))),
    };
    Ok(SenderOptions {
        key: o.key,
        name: o.name,
        external_labels: Labels::from_pairs(o.external_labels),
        relabel: compile(o.write_relabel_rules, scheme(&o.validation_scheme)?)?,
        type_and_unit_labels: o.type_and_unit_labels,
        protocol,
        send_exemplars: o.send_exemplars,
        send_native_histograms: o.send_native_histograms,
        convert_nhcb_to_classic: o.convert_nhcb_to_classic,
        samples_per_send_max: o.max_samples_per_send as usize,
        capacity: o.capacity as usize,
        batch_send_deadline_ms: o.batch_send_deadline_ms as u64,
        sample_age_limit_ms: o.sample_age_limit_ms as i64,
    })
}

/// Metadata of families; a type that is none is unknown.
pub(crate) fn families(all: Vec<NativeFamilyMetadata>) -> Vec<FamilyMetadata> {
    let one = |m: NativeFamilyMetadata| FamilyMetadata {
        family: m.metric,
        metadata: Metadata {
            kind: MetricType::parse(&m.kind).unwrap_or_default(),
            unit: m.unit,
            help: m.help,
        },
    };
    all.into_iter().map(one).collect()
}

impl From<Counts> for NativeCounts {
    fn from(c: Counts) -> Self {
        Self { samples: c.samples as f64, histograms: c.histograms as f64, exemplars: c.exemplars as f64 }
    }
}

impl From<RequestBody> for NativeRequestBody {
    fn from(b: RequestBody) -> Self {
        Self {
            bytes: b.bytes.into(),
            counts: b.counts.into(),
            lowest_ms: b.span_ms.0 as f64,
            highest_ms: b.span_ms.1 as f64,
        }
    }
}

impl From<SendBatch> for NativeSendBatch {
    fn from(b: SendBatch) -> Self {
        Self { id: b.id as f64, shard: b.shard, is_repeated: b.is_repeated, body: b.body.into() }
    }
}

impl From<Dropped> for NativeDropped {
    fn from(d: Dropped) -> Self {
        Self {
            too_old: d.too_old.into(),
            by_relabelling: d.by_relabelling.into(),
            unknown_series: d.unknown_series.into(),
            custom_buckets: d.custom_buckets as f64,
            conversion_errors: d.conversion_errors as f64,
        }
    }
}

impl From<PollReport> for NativePollReport {
    fn from(r: PollReport) -> Self {
        Self {
            batches: r.batches.into_iter().map(NativeSendBatch::from).collect(),
            more: r.more,
            is_idle: r.is_idle,
            pending: r.pending.into(),
            read: r.read.into(),
            dropped: r.dropped.into(),
            enqueue_retries: r.enqueue_retries as f64,
            highest_ms: r.highest_ms as f64,
            segment: r.segment,
            records: r
                .records
                .records()
                .map(|(kind, count)| NativeRecordCount { kind: kind.to_owned(), count: count as f64 })
                .collect(),
            undecodable_records: r.records.undecodable as f64,
            series: r.series as f64,
            trouble: r.trouble,
        }
    }
}
