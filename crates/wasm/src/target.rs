//! One scrape target, and relabelling rules.

use std::collections::HashMap;

use engine::EngineError;
use engine::scrape::{MetricMetadata, ScrapeInput, ScrapeReport, ScrapeTime, Target, TargetOptions};
use js_sys::{Array, Error, Object, Uint8Array};
use model::Labels;
use model::relabel::{DEFAULT_REGEX, NameValidation, RelabelAction, RelabelConfig, RelabelParts, process};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::answers;
use crate::convert::{finish, from_json, number, object};
use crate::fault::to_js;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmTargetOptions {
    labels: HashMap<String, String>,
    honor_labels: bool,
    honor_timestamps: bool,
    track_timestamps_staleness: bool,
    metric_relabel_rules: Vec<RelabelRule>,
    validation_scheme: String,
    fallback_content_type: String,
    body_size_limit_bytes: f64,
    sample_limit: f64,
    label_limit: f64,
    label_name_length_limit: f64,
    label_value_length_limit: f64,
    bucket_limit: f64,
    min_bucket_factor: f64,
    native_histograms: bool,
    always_classic_histograms: bool,
    classic_histograms_to_nhcb: bool,
    extra_scrape_metrics: bool,
    scrape_timeout_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RelabelRule {
    source_labels: Vec<String>,
    separator: String,
    regex: String,
    modulus: f64,
    target_label: String,
    replacement: String,
    action: String,
}

#[wasm_bindgen]
pub struct WasmTarget {
    target: Target,
}

#[wasm_bindgen]
impl WasmTarget {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }

    #[wasm_bindgen(js_name = ingest)]
    pub fn ingest(
        &self,
        pieces: Vec<Uint8Array>,
        content_encoding: String,
        content_type: String,
        timestamp_ms: f64,
        elapsed_seconds: f64,
    ) -> Result<Object, Error> {
        let pieces = pieces.iter().map(Uint8Array::to_vec).collect();
        self.scrape(
            ScrapeInput::Body { pieces, content_encoding, content_type },
            timestamp_ms,
            elapsed_seconds,
        )
    }

    #[wasm_bindgen(js_name = fail)]
    pub fn fail(&self, error: String, timestamp_ms: f64, elapsed_seconds: f64) -> Result<Object, Error> {
        self.scrape(ScrapeInput::Failed(error), timestamp_ms, elapsed_seconds)
    }

    #[wasm_bindgen(js_name = markStale)]
    pub fn mark_stale(&self, timestamp_ms: f64) -> Result<(), Error> {
        finish(|done| self.target.mark_stale(timestamp_ms as i64, done))
    }

    #[wasm_bindgen(js_name = metadata)]
    pub fn metadata(&self) -> Array {
        let all = self.target.metadata();
        let one = |(metric, m): &(String, MetricMetadata)| {
            object([
                ("metric", metric.into()),
                ("type", m.metric_type.as_str().into()),
                ("help", m.help.as_str().into()),
                ("unit", m.unit.as_str().into()),
            ])
        };
        all.iter().map(one).collect()
    }
}

impl WasmTarget {
    fn scrape(
        &self,
        input: ScrapeInput<Vec<u8>>,
        timestamp_ms: f64,
        elapsed_seconds: f64,
    ) -> Result<Object, Error> {
        let time = ScrapeTime { timestamp_ms: timestamp_ms as i64, elapsed_seconds };
        let r: ScrapeReport = finish(|done| self.target.scrape(input, time, done))?;
        Ok(object([
            ("error", r.error.map_or(JsValue::UNDEFINED, JsValue::from)),
            ("samplesScraped", number(r.samples_scraped)),
            ("samplesPostMetricRelabeling", number(r.samples_post_metric_relabeling)),
            ("seriesAdded", number(r.series_added)),
            ("durationSeconds", r.duration_seconds.into()),
            ("bodyBytes", (r.body_bytes as f64).into()),
            ("outOfOrder", number(r.out_of_order)),
            ("duplicates", number(r.duplicates)),
            ("outOfBounds", number(r.out_of_bounds)),
            ("exemplarsOutOfOrder", number(r.exemplars_out_of_order)),
        ]))
    }
}

#[wasm_bindgen]
pub struct Relabeler {
    rules: Vec<RelabelConfig>,
}

#[wasm_bindgen]
impl Relabeler {
    pub(crate) fn new(rules: Vec<RelabelConfig>) -> Self {
        Self { rules }
    }

    /// Label sets as JSON; `null` for one that was dropped.
    #[wasm_bindgen(js_name = apply)]
    pub fn apply(&self, label_sets: &str) -> Result<Array, Error> {
        let sets: Vec<HashMap<String, String>> = from_json(label_sets)?;
        let one = |set: HashMap<String, String>| {
            let mut b = Labels::from_pairs(set).to_builder();
            let kept = process(&self.rules, &mut b);
            if kept { JsValue::from(answers::object_of(b.iter())) } else { JsValue::NULL }
        };
        Ok(sets.into_iter().map(one).collect())
    }
}

/// Compiles a target's options.
pub(crate) fn target_options(o: WasmTargetOptions) -> Result<TargetOptions, Error> {
    let names = scheme(&o.validation_scheme)?;
    Ok(TargetOptions {
        labels: Labels::from_pairs(o.labels),
        honor_labels: o.honor_labels,
        honor_timestamps: o.honor_timestamps,
        track_timestamps_staleness: o.track_timestamps_staleness,
        metric_relabel: compile(o.metric_relabel_rules, names)?.into(),
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

/// Compiles rules.
pub(crate) fn compile(rules: Vec<RelabelRule>, names: NameValidation) -> Result<Vec<RelabelConfig>, Error> {
    rules.into_iter().map(|r| config(r, names).map_err(|e| to_js(&EngineError::invalid(e)))).collect()
}

/// The name validation scheme of that name.
pub(crate) fn scheme(name: &str) -> Result<NameValidation, Error> {
    match name {
        "utf8" => Ok(NameValidation::Utf8),
        "legacy" => Ok(NameValidation::Legacy),
        other => Err(to_js(&EngineError::invalid(format!("unknown name validation scheme {other:?}")))),
    }
}

fn config(r: RelabelRule, names: NameValidation) -> Result<RelabelConfig, String> {
    let parts = RelabelParts {
        source_labels: (!r.source_labels.is_empty()).then_some(r.source_labels),
        separator: r.separator,
        regex: (r.regex != DEFAULT_REGEX).then_some(r.regex),
        modulus: r.modulus as u64,
        target_label: r.target_label,
        replacement: r.replacement,
        action: RelabelAction::parse(&r.action).map_err(|e| e.to_string())?,
    };
    RelabelConfig::new(parts, names).map_err(|e| e.to_string())
}
