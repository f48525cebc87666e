//! One scrape target.

use std::collections::HashMap;

use ::engine::scrape::{MetricMetadata, ScrapeInput, ScrapeReport, ScrapeTime, Target, TargetOptions};
use ::engine::{EngineError, ErrorCode};
use model::Labels;
use napi::bindgen_prelude::{Either, Object, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;

use crate::promise::{Lent, promise, to_js};
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

    /// Positions instead of objects: each named property costs more than a thousandth of a scrape.
    #[napi(catch_unwind)]
    pub fn ingest<'env>(
        &self,
        env: &'env Env,
        pieces: Vec<Uint8Array>,
        content_encoding: String,
        content_type: String,
        timestamp_ms: f64,
        elapsed_seconds: f64,
    ) -> Result<Object<'env>> {
        let time = ScrapeTime { timestamp_ms: timestamp_ms as i64, elapsed_seconds };
        let pieces = pieces.into_iter().map(Lent::from).collect();
        let input = ScrapeInput::Body { pieces, content_encoding, content_type };
        let target = self.open()?;
        promise(env, report, |done| target.scrape(input, time, done))
    }

    #[napi(catch_unwind)]
    pub fn fail<'env>(
        &self,
        env: &'env Env,
        timestamp_ms: f64,
        elapsed_seconds: f64,
        error: String,
    ) -> Result<Object<'env>> {
        let time = ScrapeTime { timestamp_ms: timestamp_ms as i64, elapsed_seconds };
        let input = ScrapeInput::<Lent>::Failed(error);
        let target = self.open()?;
        promise(env, report, |done| target.scrape(input, time, done))
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

/// The numbers of a report in their order, behind them the error where there is one.
fn report(r: ScrapeReport) -> Vec<Either<f64, String>> {
    let numbers = [
        r.samples_scraped as f64,
        r.samples_post_metric_relabeling as f64,
        r.series_added as f64,
        r.duration_seconds,
        r.body_bytes as f64,
        r.out_of_order as f64,
        r.duplicates as f64,
        r.out_of_bounds as f64,
        r.exemplars_out_of_order as f64,
    ];
    numbers.into_iter().map(Either::A).chain(r.error.map(Either::B)).collect()
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
