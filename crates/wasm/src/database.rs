//! One open database, in memory.

use std::path::Path;
use std::sync::Arc;

use engine::block_files::{BlockFile, mount};
use engine::embed::SeriesBatch;
use engine::otlp::OtlpRequest;
use engine::query::{QueryLimits, QueryTimes};
use engine::remote_write::{RefusalKind, RemoteWriteReport, RemoteWriteRequest};
use engine::{Engine, EngineError};
use js_sys::{Array, Error, Float64Array, Object, Uint8Array};
use model::Labels;
use promql::Cancel;
use serde::Deserialize;
use std::collections::HashMap;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::answers::answer;
use crate::convert::{body, finish, from_json, number, object};
use crate::fault::to_js;
use crate::host::host;
use crate::options::{DIR, WasmStorageSettings, query_settings, resolve, storage_settings};
use crate::otlp::{otlp_report_json, otlp_settings};
use crate::questions::{WasmExemplarQuery, WasmFederateQuery, WasmQuery, WasmSeriesQuery};
use crate::target::{Relabeler, WasmTarget, compile, scheme, target_options};

/// The blocks to open: JavaScript fills it file by file, so that each is copied once.
#[wasm_bindgen]
#[derive(Default)]
pub struct Blocks {
    blocks: Vec<Vec<BlockFile>>,
}

#[wasm_bindgen]
impl Blocks {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a block.
    #[wasm_bindgen(js_name = begin)]
    pub fn begin(&mut self) {
        self.blocks.push(Vec::new());
    }

    /// Adds a file to the block begun last.
    #[wasm_bindgen(js_name = add)]
    pub fn add(&mut self, path: String, bytes: Vec<u8>) {
        if let Some(block) = self.blocks.last_mut() {
            block.push((path, bytes));
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deletion {
    #[serde(rename = "match")]
    matches: Vec<String>,
    start_ms: f64,
    end_ms: f64,
}

#[wasm_bindgen]
pub struct Database {
    engine: Engine,
}

#[wasm_bindgen]
impl Database {
    /// Opens a database; `seed` is random.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str, blocks: Blocks, seed: u64) -> Result<Self, Error> {
        let open = || {
            let options =
                resolve(serde_json::from_str(options).map_err(|e| EngineError::invalid(e.to_string()))?)?;
            let fs = mount(Path::new(DIR), blocks.blocks)?;
            Engine::open(options, host(Arc::new(fs)), seed, |_| ())
        };
        Ok(Self { engine: open().map_err(|e| to_js(&e))? })
    }

    #[wasm_bindgen(js_name = openTarget)]
    pub fn open_target(&self, options: &str) -> Result<WasmTarget, Error> {
        Ok(WasmTarget::new(self.engine.open_target(target_options(from_json(options)?)?)))
    }

    #[wasm_bindgen(js_name = relabeler)]
    pub fn relabeler(&self, rules: &str, validation: &str) -> Result<Relabeler, Error> {
        Ok(Relabeler::new(compile(from_json(rules)?, scheme(validation)?)?))
    }

    /// The labels of each series as JSON, and as many columns.
    #[wasm_bindgen(js_name = append)]
    pub fn append(
        &self,
        labels: &str,
        timestamps: Vec<Float64Array>,
        values: Vec<Float64Array>,
    ) -> Result<Object, Error> {
        let labels: Vec<HashMap<String, String>> = from_json(labels)?;
        let columns = timestamps.iter().zip(&values);
        let batch = labels.into_iter().zip(columns).map(|(labels, (t, v))| {
            SeriesBatch::from_floats(Labels::from_pairs(labels), &t.to_vec(), v.to_vec())
                .map_err(|e| to_js(&e))
        });
        let batch = batch.collect::<Result<Vec<_>, _>>()?;
        let report = finish(|done| self.engine.append(batch, done))?;
        Ok(object([
            ("appended", number(report.appended)),
            ("outOfOrder", number(report.out_of_order)),
            ("duplicates", number(report.duplicates)),
            ("outOfBounds", number(report.out_of_bounds)),
        ]))
    }

    #[wasm_bindgen(js_name = ingestRemoteWrite)]
    pub fn ingest_remote_write(
        &self,
        pieces: Vec<Uint8Array>,
        content_type: String,
        content_encoding: String,
    ) -> Result<Object, Error> {
        let pieces: Vec<_> = pieces.iter().map(Uint8Array::to_vec).collect();
        let request = RemoteWriteRequest { pieces, content_type, content_encoding, accepted: Vec::new() };
        Ok(remote_write_report(finish(|done| self.engine.ingest_remote_write(request, done))?))
    }

    #[wasm_bindgen(js_name = ingestOtlp)]
    pub fn ingest_otlp(
        &self,
        pieces: Vec<Uint8Array>,
        content_type: String,
        content_encoding: String,
    ) -> Result<String, Error> {
        let pieces: Vec<_> = pieces.iter().map(Uint8Array::to_vec).collect();
        let request = OtlpRequest { pieces, content_type, content_encoding };
        Ok(otlp_report_json(&finish(|done| self.engine.ingest_otlp(request, done))?))
    }

    #[wasm_bindgen(js_name = applyOtlp)]
    pub fn apply_otlp(&self, settings: &str) -> Result<(), Error> {
        self.engine.apply_otlp(otlp_settings(from_json(settings)?).map_err(|e| to_js(&e))?);
        Ok(())
    }

    #[wasm_bindgen(js_name = queryJson)]
    pub fn query_json(&self, query: &str) -> Result<Object, Error> {
        let (text, times, limits) = parts(query)?;
        Ok(body(finish(|done| self.engine.query_json(text, times, limits, Cancel::new(), done))?))
    }

    #[wasm_bindgen(js_name = queryCostJson)]
    pub fn query_cost_json(&self, query: &str, scrape_interval_ms: f64) -> Result<Object, Error> {
        let (text, times, limits) = parts(query)?;
        let interval_ms = scrape_interval_ms as i64;
        let ask = |done| self.engine.query_cost_json(text, times, limits, interval_ms, Cancel::new(), done);
        Ok(body(finish(ask)?))
    }

    #[wasm_bindgen(js_name = query)]
    pub fn query(&self, query: &str) -> Result<Object, Error> {
        let (text, times, limits) = parts(query)?;
        Ok(answer(finish(|done| self.engine.query(text, times, limits, Cancel::new(), done))?))
    }

    #[wasm_bindgen(js_name = exemplarsJson)]
    pub fn exemplars_json(&self, query: &str) -> Result<Option<Object>, Error> {
        let query: WasmExemplarQuery = from_json(query)?;
        let found = finish(|done| self.engine.exemplars_json(query.into(), Cancel::new(), done))?;
        Ok(found.map(body))
    }

    #[wasm_bindgen(js_name = seriesJson)]
    pub fn series_json(&self, query: &str) -> Result<Object, Error> {
        let query: WasmSeriesQuery = from_json(query)?;
        Ok(body(finish(|done| self.engine.series_json(query.into(), Cancel::new(), done))?))
    }

    #[wasm_bindgen(js_name = labelNamesJson)]
    pub fn label_names_json(&self, query: &str) -> Result<Object, Error> {
        let query: WasmSeriesQuery = from_json(query)?;
        Ok(body(finish(|done| self.engine.label_names_json(query.into(), Cancel::new(), done))?))
    }

    #[wasm_bindgen(js_name = labelValuesJson)]
    pub fn label_values_json(&self, name: String, query: &str) -> Result<Object, Error> {
        let query: WasmSeriesQuery = from_json(query)?;
        Ok(body(finish(|done| self.engine.label_values_json(name, query.into(), Cancel::new(), done))?))
    }

    #[wasm_bindgen(js_name = federate)]
    pub fn federate(&self, query: &str) -> Result<Object, Error> {
        let query: WasmFederateQuery = from_json(query)?;
        Ok(body(finish(|done| self.engine.federate(query.into(), Cancel::new(), done))?))
    }

    #[wasm_bindgen(js_name = formatQuery)]
    pub fn format_query(&self, query: String) -> Result<String, Error> {
        finish(|done| self.engine.format_query(query, done))
    }

    #[wasm_bindgen(js_name = parseQueryJson)]
    pub fn parse_query_json(&self, query: String) -> Result<String, Error> {
        let json = finish(|done| self.engine.parse_query_json(query, done))?;
        Ok(String::from_utf8_lossy(&json).into_owned())
    }

    #[wasm_bindgen(js_name = checkSelectors)]
    pub fn check_selectors(&self, selectors: Vec<String>) -> Result<(), Error> {
        finish(|done| self.engine.check_selectors(selectors, done))
    }

    #[wasm_bindgen(js_name = checkSelector)]
    pub fn check_selector(&self, selector: &str) -> Result<(), Error> {
        self.engine.check_selector(selector).map_err(|e| to_js(&e))
    }

    #[wasm_bindgen(js_name = statusTsdbJson)]
    pub fn status_tsdb_json(&self, limit: u32) -> Result<Object, Error> {
        Ok(body(finish(|done| self.engine.status_tsdb_json(limit as usize, done))?))
    }

    #[wasm_bindgen(js_name = headStats)]
    pub fn head_stats(&self) -> Result<Object, Error> {
        let s = finish(|done| self.engine.head_summary(done))?;
        Ok(object([
            ("numSeries", number(s.num_series)),
            ("numChunks", number(s.num_chunks)),
            ("numLabelPairs", number(s.num_label_pairs)),
            ("minTimeMs", (s.min_time_ms as f64).into()),
            ("maxTimeMs", (s.max_time_ms as f64).into()),
        ]))
    }

    #[wasm_bindgen(js_name = blocks)]
    pub fn blocks(&self) -> Array {
        let all = self.engine.blocks().into_iter().map(|b| {
            object([
                ("ulid", b.ulid.into()),
                ("minTimeMs", (b.min_time_ms as f64).into()),
                ("maxTimeMs", (b.max_time_ms as f64).into()),
                ("numSamples", number(b.num_samples)),
                ("numSeries", number(b.num_series)),
                ("numChunks", number(b.num_chunks)),
                ("metaJson", b.meta_json.into()),
            ])
        });
        all.collect()
    }

    #[wasm_bindgen(js_name = metricsText)]
    pub fn metrics_text(&self) -> Result<String, Error> {
        finish(|done| self.engine.metrics(done))
    }

    #[wasm_bindgen(js_name = takeLogs)]
    pub fn take_logs(&self) -> Array {
        let lines = self.engine.take_logs().into_iter();
        lines.map(|l| object([("level", l.level.into()), ("text", l.text.into())])).collect()
    }

    #[wasm_bindgen(js_name = applyStorage)]
    pub fn apply_storage(&self, settings: &str) -> Result<(), Error> {
        let settings: WasmStorageSettings = from_json(settings)?;
        let settings = storage_settings(settings).map_err(|e| to_js(&e))?;
        finish(|done| self.engine.apply_storage(settings, done))
    }

    #[wasm_bindgen(js_name = applyQueries)]
    pub fn apply_queries(&self, settings: &str) -> Result<(), Error> {
        let settings = query_settings(from_json(settings)?).map_err(|e| to_js(&e))?;
        self.engine.apply_queries(settings).map_err(|e| to_js(&e))
    }

    #[wasm_bindgen(js_name = deleteSeries)]
    pub fn delete_series(&self, query: &str) -> Result<(), Error> {
        let Deletion { matches, start_ms, end_ms } = from_json(query)?;
        let (start_ms, end_ms) = (open_ended(start_ms), open_ended(end_ms));
        finish(|done| self.engine.delete_series(matches, start_ms, end_ms, done))
    }

    #[wasm_bindgen(js_name = cleanTombstones)]
    pub fn clean_tombstones(&self) -> Result<(), Error> {
        finish(|done| self.engine.clean_tombstones(done))
    }

    #[wasm_bindgen(js_name = maintain)]
    pub fn maintain(&self) -> Result<(), Error> {
        finish(|done| self.engine.maintain(done))
    }

    #[wasm_bindgen(js_name = close)]
    pub fn close(&self) -> Result<(), Error> {
        finish(|done| self.engine.close(done))
    }
}

fn parts(query: &str) -> Result<(String, QueryTimes, QueryLimits), Error> {
    Ok(from_json::<WasmQuery>(query)?.parts())
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

fn remote_write_report(r: RemoteWriteReport) -> Object {
    let refusal = r.refusal.map_or(JsValue::UNDEFINED, |r| {
        let kind = match r.kind {
            RefusalKind::MediaType => "media-type",
            RefusalKind::TooLarge => "too-large",
            RefusalKind::Invalid => "invalid",
        };
        object([("kind", kind.into()), ("text", r.text.into())]).into()
    });
    object([
        ("refusal", refusal),
        ("hasCounts", r.has_counts.into()),
        ("samples", number(r.samples)),
        ("histograms", number(r.histograms)),
        ("exemplars", number(r.exemplars)),
    ])
}
