//! One scrape target.

use std::collections::HashMap;

use ::engine::scrape::{MetricMetadata, ScrapeInput, ScrapeTime, Target, TargetOptions};
use ::engine::{EngineError, ErrorCode};
use model::Labels;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;

use crate::promise::{promise, to_js};
use crate::relabel::{RelabelRule, compile_shared, scheme};

#[napi(object)]
pub struct NativeTargetOptions {
    pub labels: HashMap<String, String>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps_staleness: bool,
    pub metric_relabel_rules: Vec<RelabelRule>,
    pub validation_scheme: String,
    pub fallback_content_type: String,
    pub body_size_limit_bytes: f64,
    pub sample_limit: f64,
    pub label_limit: f64,
    pub label_name_length_limit: f64,
    pub label_value_length_limit: f64,
    pub bucket_limit: f64,
    pub min_bucket_factor: f64,
    pub native_histograms: bool,
    pub always_classic_histograms: bool,
    pub classic_histograms_to_nhcb: bool,
    pub extra_scrape_metrics: bool,
    pub scrape_timeout_ms: f64,
}

#[napi(object)]
pub struct NativeScrapeBody {
    pub pieces: Vec<Uint8Array>,
    pub content_encoding: String,
    pub content_type: String,
    pub timestamp_ms: f64,
    pub elapsed_seconds: f64,
}

#[napi(object)]
pub struct NativeScrapeFailure {
    pub timestamp_ms: f64,
    pub elapsed_seconds: f64,
    pub error: String,
}

#[napi(object)]
pub struct NativeScrapeReport {
    pub error: Option<String>,
    pub samples_scraped: f64,
    pub samples_post_metric_relabeling: f64,
    pub series_added: f64,
    pub duration_seconds: f64,
    pub body_bytes: f64,
    pub out_of_order: f64,
    pub duplicates: f64,
    pub out_of_bounds: f64,
    pub exemplars_out_of_order: f64,
}

#[napi(object)]
pub struct NativeMetadata {
    pub metric: String,
    #[napi(js_name = "type")]
    pub metric_type: String,
    pub help: String,
    pub unit: String,
}

#[napi]
pub struct NativeTarget {
    /// Gone once closed; what is under way keeps its own handle.
    target: Option<Target>,
}

#[napi]
impl NativeTarget {
    pub(crate) fn new(target: Target) -> Self {
        Self { target: Some(target) }
    }

    fn open(&self) -> Result<&Target> {
        let closed = || to_js(&EngineError::new(ErrorCode::Closed, "the target is closed"));
        self.target.as_ref().ok_or_else(closed)
    }

    #[napi(catch_unwind)]
    pub fn ingest<'env>(&self, env: &'env Env, body: NativeScrapeBody) -> Result<Object<'env>> {
        let time =
            ScrapeTime { timestamp_ms: body.timestamp_ms as i64, elapsed_seconds: body.elapsed_seconds };
        let input = ScrapeInput::Body {
            pieces: body.pieces,
            content_encoding: body.content_encoding,
            content_type: body.content_type,
        };
        let target = self.open()?;
        promise(env, NativeScrapeReport::from, |done| target.scrape(input, time, done))
    }

    #[napi(catch_unwind)]
    pub fn fail<'env>(&self, env: &'env Env, failure: NativeScrapeFailure) -> Result<Object<'env>> {
        let time = ScrapeTime {
            timestamp_ms: failure.timestamp_ms as i64,
            elapsed_seconds: failure.elapsed_seconds,
        };
        let input = ScrapeInput::<Uint8Array>::Failed(failure.error);
        let target = self.open()?;
        promise(env, NativeScrapeReport::from, |done| target.scrape(input, time, done))
    }

    #[napi(catch_unwind)]
    pub fn mark_stale<'env>(&self, env: &'env Env, timestamp_ms: f64) -> Result<Object<'env>> {
        let target = self.open()?;
        promise(env, |()| (), |done| target.mark_stale(timestamp_ms as i64, done))
    }

    #[napi(catch_unwind)]
    pub fn metadata(&self) -> Result<Vec<NativeMetadata>> {
        let all = self.open()?.metadata();
        let one = |(metric, m): &(String, MetricMetadata)| NativeMetadata {
            metric: metric.clone(),
            metric_type: m.metric_type.clone(),
            help: m.help.clone(),
            unit: m.unit.clone(),
        };
        Ok(all.iter().map(one).collect())
    }

    /// Families, and the bytes of what is known of them.
    #[napi(catch_unwind)]
    pub fn metadata_size(&self) -> Result<Vec<f64>> {
        let (families, bytes) = self.open()?.metadata_size();
        Ok(vec![families as f64, bytes as f64])
    }

    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.target = None;
    }
}

impl From<::engine::scrape::ScrapeReport> for NativeScrapeReport {
    fn from(r: ::engine::scrape::ScrapeReport) -> Self {
        Self {
            error: r.error,
            samples_scraped: r.samples_scraped as f64,
            samples_post_metric_relabeling: r.samples_post_metric_relabeling as f64,
            series_added: r.series_added as f64,
            duration_seconds: r.duration_seconds,
            body_bytes: r.body_bytes as f64,
            out_of_order: r.out_of_order as f64,
            duplicates: r.duplicates as f64,
            out_of_bounds: r.out_of_bounds as f64,
            exemplars_out_of_order: r.exemplars_out_of_order as f64,
        }
    }
}

/// Compiles a target's options.
pub(crate) fn options(o: NativeTargetOptions) -> Result<TargetOptions> {
    let names = scheme(&o.validation_scheme)?;
    Ok(TargetOptions {
        labels: Labels::from_pairs(o.labels),
        honor_labels: o.honor_labels,
        honor_timestamps: o.honor_timestamps,
        track_timestamps_staleness: o.track_timestamps_staleness,
        metric_relabel: compile_shared(o.metric_relabel_rules, names)?,
        names,
        fallback_content_type: o.fallback_content_type,
        body_size_limit: o.body_size_limit_bytes as u64,
        sample_limit: o.sample_limit as u64,
        label_limit: o.label_limit as u64,
        label_name_length_limit: o.label_name_length_limit as u64,
        label_value_length_limit: o.label_value_length_limit as u64,
        bucket_limit: o.bucket_limit as u64,
        min_bucket_factor: o.min_bucket_factor,
        native_histograms: o.native_histograms,
        always_classic_histograms: o.always_classic_histograms,
        classic_histograms_to_nhcb: o.classic_histograms_to_nhcb,
        extra_scrape_metrics: o.extra_scrape_metrics,
        scrape_timeout_ms: o.scrape_timeout_ms as u64,
    })
}
