//! One open database.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use ::engine::Engine;
use ::engine::embed::{AppendReport, SeriesBatch};
use ::engine::engine::ReplayProgress;
use ::engine::exemplars_api::ExemplarQuery;
use ::engine::federate::FederateQuery;
use ::engine::labels_api::SeriesQuery;
use ::engine::pool::guarded;
use ::engine::query::{QueryLimits, QueryTimes};
use ::engine::query_log::QueryOrigin;
use ::engine::remote_read::reads::Inquiry;
use ::engine::status::HeadSummary;
use model::Labels;
use napi::bindgen_prelude::{Buffer, Float64Array, Function, Object};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Result};
use napi_derive::napi;

use crate::answers::NativeAnswer;
use crate::body::NativeBody;
use crate::cancel::{Cancel, flag};
use crate::options::{
    NativeOptions, NativeQuerySettings, NativeStorageSettings, query_settings, resolve, storage_settings,
};
use crate::otlp::{NativeOtlpReport, NativeOtlpRequest, NativeOtlpSettings, otlp_settings};
use crate::promise::{promise, to_js};
use crate::relabel::{RelabelRule, Relabeler, compile, scheme};
use crate::remote_read::{NativeReadAnswer, NativeRemoteRead};
use crate::remote_reads::{NativeRemoteEndpoint, NativeRemoteReads, endpoints};
use crate::remote_write::{NativeRemoteWrite, NativeRemoteWriteReport};
use crate::sender::{
    NativeFamilyMetadata, NativeSender, NativeSenderOptions, families, options as sender_options,
};
use crate::target::{NativeTarget, NativeTargetOptions, options};

#[napi(object)]
pub struct NativeProgress {
    pub min: u32,
    pub max: u32,
    pub current: u32,
}

#[napi(object)]
pub struct NativeQuery {
    pub query: String,
    pub time_ms: Option<f64>,
    pub start_ms: Option<f64>,
    pub end_ms: Option<f64>,
    pub step_ms: Option<f64>,
    pub timeout_ms: Option<f64>,
    pub lookback_delta_ms: Option<f64>,
    pub limit: Option<f64>,
    pub stats: Option<String>,
    pub accept_encoding: Option<String>,
    pub max_series: Option<f64>,
    pub max_samples_read: Option<f64>,
    pub max_duration_ms: Option<f64>,
    pub compare_cost_ms: Option<f64>,
    pub origin: Option<NativeOrigin>,
}

#[napi(object)]
pub struct NativeOrigin {
    #[napi(js_name = "clientIP")]
    pub client_ip: String,
    pub method: String,
    pub path: String,
}

#[napi(object)]
pub struct NativeSeriesQuery {
    #[napi(js_name = "match")]
    pub matches: Vec<String>,
    pub start_ms: f64,
    pub end_ms: f64,
    pub limit: Option<f64>,
    pub accept_encoding: Option<String>,
    pub remotes: Option<Vec<NativeRemoteEndpoint>>,
}

#[napi(object)]
pub struct NativeFederateQuery {
    #[napi(js_name = "match")]
    pub matches: Vec<String>,
    pub time_ms: f64,
    pub external_labels: HashMap<String, String>,
    pub accept_encoding: Option<String>,
}

#[napi(object)]
pub struct NativeExemplarQuery {
    pub query: String,
    pub start_ms: f64,
    pub end_ms: f64,
    pub accept_encoding: Option<String>,
}

#[napi(object)]
pub struct NativeBatch {
    pub labels: HashMap<String, String>,
    pub timestamps: Float64Array,
    pub values: Float64Array,
}

#[napi(object)]
pub struct NativeAppendReport {
    pub appended: f64,
    pub out_of_order: f64,
    pub duplicates: f64,
    pub out_of_bounds: f64,
}

#[napi(object)]
pub struct NativeHeadStats {
    pub num_series: f64,
    pub num_chunks: f64,
    pub num_label_pairs: f64,
    pub min_time_ms: f64,
    pub max_time_ms: f64,
}

#[napi(object)]
pub struct NativeBlock {
    pub ulid: String,
    pub min_time_ms: f64,
    pub max_time_ms: f64,
    pub num_samples: f64,
    pub num_series: f64,
    pub num_chunks: f64,
    pub meta_json: String,
}

#[napi(object)]
pub struct NativeLogLine {
    pub level: String,
    pub text: String,
}

#[napi]
pub struct NativeEngine {
    engine: Engine,
}

/// Opens a database on a thread of its own; `progress` hears of the log being read.
#[napi(catch_unwind)]
pub fn open_engine<'env>(
    env: &'env Env,
    settings: NativeOptions,
    storage: NativeStorageSettings,
    queries: NativeQuerySettings,
    progress: Function<'env, NativeProgress, ()>,
) -> Result<Object<'env>> {
    let (options, host) = resolve(settings, storage, queries).map_err(|e| to_js(&e))?;
    let progress = progress.build_threadsafe_function().weak::<true>().max_queue_size::<64>().build()?;
    let seed = RandomState::new().hash_one(0u8);
    let threads = host.background.clone();
    promise(
        env,
        |engine| NativeEngine { engine },
        move |done| {
            threads.spawn(Box::new(move || {
                let hear = move |p: ReplayProgress| {
                    let p = NativeProgress { min: p.min, max: p.max, current: p.current };
                    // A full queue loses a step of the progress, nothing else.
                    let _ = progress.call(p, ThreadsafeFunctionCallMode::NonBlocking);
                };
                done(guarded(move || Engine::open(options, host, seed, hear)));
            }));
        },
    )
}

#[napi]
impl NativeEngine {
    #[napi(catch_unwind)]
    pub fn open_target(&self, target: NativeTargetOptions) -> Result<NativeTarget> {
        Ok(NativeTarget::new(self.engine.open_target(options(target)?)))
    }

    #[napi(catch_unwind)]
    pub fn relabeler(&self, rules: Vec<RelabelRule>, validation: String) -> Result<Relabeler> {
        Ok(Relabeler::new(compile(rules, scheme(&validation)?)?))
    }

    #[napi(catch_unwind)]
    pub fn append<'env>(&self, env: &'env Env, batch: Vec<NativeBatch>) -> Result<Object<'env>> {
        let batch = batch.into_iter().map(series_batch).collect::<Result<Vec<_>>>()?;
        let convert = |r: AppendReport| NativeAppendReport {
            appended: r.appended as f64,
            out_of_order: r.out_of_order as f64,
            duplicates: r.duplicates as f64,
            out_of_bounds: r.out_of_bounds as f64,
        };
        promise(env, convert, |done| self.engine.append(batch, done))
    }

    #[napi(catch_unwind)]
    pub fn ingest_remote_write<'env>(
        &self,
        env: &'env Env,
        request: NativeRemoteWrite,
    ) -> Result<Object<'env>> {
        promise(env, NativeRemoteWriteReport::from, |done| {
            self.engine.ingest_remote_write(request.into(), done);
        })
    }

    #[napi(catch_unwind)]
    pub fn remote_read<'env>(
        &self,
        env: &'env Env,
        request: NativeRemoteRead,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        promise(env, NativeReadAnswer::from, |done| {
            self.engine.remote_read(request.into(), flag(cancel), done);
        })
    }

    #[napi(catch_unwind)]
    pub fn open_query_reads<'env>(
        &self,
        env: &'env Env,
        query: NativeQuery,
        remotes: Vec<NativeRemoteEndpoint>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (query, times, limits) = query_parts(query);
        let question = Inquiry::Query { query, times, limits };
        promise(env, NativeRemoteReads::from, |done| {
            self.engine.open_remote_reads(question, endpoints(remotes), flag(cancel), done);
        })
    }

    #[napi(catch_unwind)]
    pub fn open_series_reads<'env>(
        &self,
        env: &'env Env,
        query: NativeSeriesQuery,
        remotes: Vec<NativeRemoteEndpoint>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let question = Inquiry::Series(query.into());
        promise(env, NativeRemoteReads::from, |done| {
            self.engine.open_remote_reads(question, endpoints(remotes), flag(cancel), done);
        })
    }

    #[napi(catch_unwind)]
    pub fn ingest_otlp<'env>(&self, env: &'env Env, request: NativeOtlpRequest) -> Result<Object<'env>> {
        promise(env, NativeOtlpReport::from, |done| self.engine.ingest_otlp(request.into(), done))
    }

    #[napi(catch_unwind)]
    pub fn apply_otlp(&self, settings: NativeOtlpSettings) -> Result<()> {
        self.engine.apply_otlp(otlp_settings(settings).map_err(|e| to_js(&e))?);
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn open_sender<'env>(&self, env: &'env Env, sender: NativeSenderOptions) -> Result<Object<'env>> {
        let options = sender_options(sender)?;
        promise(env, NativeSender::from, |done| self.engine.open_sender(options, done))
    }

    #[napi(catch_unwind)]
    pub fn remote_metadata<'env>(
        &self,
        env: &'env Env,
        metadata: Vec<NativeFamilyMetadata>,
    ) -> Result<Object<'env>> {
        promise(env, Buffer::from, |done| self.engine.remote_metadata(families(metadata), done))
    }

    #[napi(catch_unwind)]
    pub fn query_json<'env>(
        &self,
        env: &'env Env,
        query: NativeQuery,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (text, times, limits) = query_parts(query);
        promise(env, NativeBody::from, |done| self.engine.query_json(text, times, limits, flag(cancel), done))
    }

    #[napi(catch_unwind)]
    pub fn query_cost_json<'env>(
        &self,
        env: &'env Env,
        query: NativeQuery,
        scrape_interval_ms: f64,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (text, times, limits) = query_parts(query);
        let interval_ms = scrape_interval_ms as i64;
        promise(env, NativeBody::from, |done| {
            self.engine.query_cost_json(text, times, limits, interval_ms, flag(cancel), done);
        })
    }

    #[napi(catch_unwind)]
    pub fn query<'env>(
        &self,
        env: &'env Env,
        query: NativeQuery,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (text, times, limits) = query_parts(query);
        promise(env, NativeAnswer::from, |done| self.engine.query(text, times, limits, flag(cancel), done))
    }

    #[napi(catch_unwind)]
    pub fn series_json<'env>(
        &self,
        env: &'env Env,
        query: NativeSeriesQuery,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        promise(env, NativeBody::from, |done| self.engine.series_json(query.into(), flag(cancel), done))
    }

    #[napi(catch_unwind)]
    pub fn label_names_json<'env>(
        &self,
        env: &'env Env,
        query: NativeSeriesQuery,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        promise(env, NativeBody::from, |done| self.engine.label_names_json(query.into(), flag(cancel), done))
    }

    #[napi(catch_unwind)]
    pub fn label_values_json<'env>(
        &self,
        env: &'env Env,
        name: String,
        query: NativeSeriesQuery,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        promise(env, NativeBody::from, |done| {
            self.engine.label_values_json(name, query.into(), flag(cancel), done);
        })
    }

    #[napi(catch_unwind)]
    pub fn exemplars_json<'env>(
        &self,
        env: &'env Env,
        query: NativeExemplarQuery,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let query = ExemplarQuery {
            query: query.query,
            start_ms: query.start_ms as i64,
            end_ms: query.end_ms as i64,
            accept_encoding: query.accept_encoding.unwrap_or_default(),
        };
        let convert = |body: Option<::engine::Body>| body.map(NativeBody::from);
        promise(env, convert, |done| self.engine.exemplars_json(query, flag(cancel), done))
    }

    #[napi(catch_unwind)]
    pub fn federate<'env>(
        &self,
        env: &'env Env,
        query: NativeFederateQuery,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let query = FederateQuery {
            matches: query.matches,
            time_ms: query.time_ms as i64,
            external_labels: Labels::from_pairs(query.external_labels),
            accept_encoding: query.accept_encoding.unwrap_or_default(),
        };
        promise(env, NativeBody::from, |done| self.engine.federate(query, flag(cancel), done))
    }

    #[napi(catch_unwind)]
    pub fn format_query<'env>(&self, env: &'env Env, query: String) -> Result<Object<'env>> {
        promise(env, |text: String| text, |done| self.engine.format_query(query, done))
    }

    #[napi(catch_unwind)]
    pub fn parse_query_json<'env>(&self, env: &'env Env, query: String) -> Result<Object<'env>> {
        let convert = |json: Vec<u8>| String::from_utf8_lossy(&json).into_owned();
        promise(env, convert, |done| self.engine.parse_query_json(query, done))
    }

    #[napi(catch_unwind)]
    pub fn check_selectors<'env>(&self, env: &'env Env, selectors: Vec<String>) -> Result<Object<'env>> {
        promise(env, |()| (), |done| self.engine.check_selectors(selectors, done))
    }

    #[napi(catch_unwind)]
    pub fn check_selector(&self, selector: String) -> Result<()> {
        self.engine.check_selector(&selector).map_err(|e| to_js(&e))
    }

    #[napi(catch_unwind)]
    pub fn status_tsdb_json<'env>(&self, env: &'env Env, limit: u32) -> Result<Object<'env>> {
        promise(env, NativeBody::from, |done| self.engine.status_tsdb_json(limit as usize, done))
    }

    #[napi(catch_unwind)]
    pub fn head_stats<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let convert = |s: HeadSummary| NativeHeadStats {
            num_series: s.num_series as f64,
            num_chunks: s.num_chunks as f64,
            num_label_pairs: s.num_label_pairs as f64,
            min_time_ms: s.min_time_ms as f64,
            max_time_ms: s.max_time_ms as f64,
        };
        promise(env, convert, |done| self.engine.head_summary(done))
    }

    #[napi(catch_unwind)]
    pub fn blocks(&self) -> Vec<NativeBlock> {
        let all = self.engine.blocks().into_iter().map(|b| NativeBlock {
            ulid: b.ulid,
            min_time_ms: b.min_time_ms as f64,
            max_time_ms: b.max_time_ms as f64,
            num_samples: b.num_samples as f64,
            num_series: b.num_series as f64,
            num_chunks: b.num_chunks as f64,
            meta_json: b.meta_json,
        });
        all.collect()
    }

    #[napi(catch_unwind)]
    pub fn metrics_text<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        promise(env, |text: String| text, |done| self.engine.metrics(done))
    }

    #[napi(catch_unwind)]
    pub fn take_logs(&self) -> Vec<NativeLogLine> {
        let lines = self.engine.take_logs().into_iter();
        lines.map(|l| NativeLogLine { level: l.level.to_owned(), text: l.text }).collect()
    }

    #[napi(catch_unwind)]
    pub fn apply_storage<'env>(
        &self,
        env: &'env Env,
        settings: NativeStorageSettings,
    ) -> Result<Object<'env>> {
        let settings = storage_settings(settings).map_err(|e| to_js(&e))?;
        promise(env, |()| (), |done| self.engine.apply_storage(settings, done))
    }

    #[napi(catch_unwind)]
    pub fn apply_queries(&self, settings: NativeQuerySettings) -> Result<()> {
        let settings = query_settings(settings).map_err(|e| to_js(&e))?;
        self.engine.apply_queries(settings).map_err(|e| to_js(&e))
    }

    #[napi(catch_unwind)]
    pub fn delete_series<'env>(&self, env: &'env Env, query: NativeSeriesQuery) -> Result<Object<'env>> {
        let (start_ms, end_ms) = (open_ended(query.start_ms), open_ended(query.end_ms));
        promise(env, |()| (), |done| self.engine.delete_series(query.matches, start_ms, end_ms, done))
    }

    #[napi(catch_unwind)]
    pub fn clean_tombstones<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        promise(env, |()| (), |done| self.engine.clean_tombstones(done))
    }

    #[napi(catch_unwind)]
    pub fn snapshot<'env>(&self, env: &'env Env, name: String, with_head: bool) -> Result<Object<'env>> {
        promise(env, |()| (), |done| self.engine.snapshot(name, with_head, done))
    }

    #[napi(catch_unwind)]
    pub fn maintain<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        promise(env, |()| (), |done| self.engine.maintain(done))
    }

    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        promise(env, |()| (), |done| self.engine.close(done))
    }
}

/// Copies a series: the buffers stay the caller's.
fn series_batch(s: NativeBatch) -> Result<SeriesBatch> {
    SeriesBatch::from_floats(Labels::from_pairs(s.labels), &s.timestamps, s.values.to_vec())
        .map_err(|e| to_js(&e))
}

/// A query with `timeMs` is an instant one.
fn query_parts(q: NativeQuery) -> (String, QueryTimes, QueryLimits) {
    let ms = |v: Option<f64>| v.unwrap_or(0.0) as i64;
    let times = match q.time_ms {
        Some(t) => QueryTimes::Instant(t as i64),
        None => QueryTimes::Range { start_ms: ms(q.start_ms), end_ms: ms(q.end_ms), step_ms: ms(q.step_ms) },
    };
    let limits = QueryLimits {
        timeout_ms: ms(q.timeout_ms),
        lookback_delta_ms: ms(q.lookback_delta_ms),
        limit: q.limit.unwrap_or(0.0) as usize,
        stats: q.stats.unwrap_or_default(),
        accept_encoding: q.accept_encoding.unwrap_or_default(),
        series_max: ms(q.max_series).unsigned_abs(),
        samples_read_max: ms(q.max_samples_read).unsigned_abs(),
        duration_max_ms: ms(q.max_duration_ms),
        compare_cost_ms: q.compare_cost_ms.map(|ms| ms as i64),
        origin: q.origin.map(|o| QueryOrigin { client_ip: o.client_ip, method: o.method, path: o.path }),
    };
    (q.query, times, limits)
}

/// The ends of what JavaScript counts exactly stand for no end.
fn open_ended(t: f64) -> i64 {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    match t {
        t if t <= -SAFE => i64::MIN,
        t if t >= SAFE => i64::MAX,
        t => t as i64,
    }
}

impl From<NativeSeriesQuery> for SeriesQuery {
    fn from(q: NativeSeriesQuery) -> Self {
        Self {
            matches: q.matches,
            start_ms: q.start_ms as i64,
            end_ms: q.end_ms as i64,
            limit: q.limit.unwrap_or(0.0) as usize,
            accept_encoding: q.accept_encoding.unwrap_or_default(),
            remotes: endpoints(q.remotes.unwrap_or_default()),
        }
    }
}
