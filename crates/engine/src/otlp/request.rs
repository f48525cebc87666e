//! A request: its headers, its body, its transaction, its answer.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::SeriesRef;
use wire::otlp::{BODY_BYTES_MAX, damage, explain, json};

use super::context::Context;
use super::cumulative::Cumulative;
use super::fault::{Fault, Faults};
use super::settings::{OtlpSettings, Translation};
use super::sink::Sink;
use super::translate::{Buffers, Decoded, Deltas, Translator};
use super::warnings::Warnings;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::gzip;
use crate::series_cache::{KeyHash, SeriesCache};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Sets of buffers that are kept for later requests, each with room for so many series at most.
const SCRATCH_KEPT_MAX: usize = 4;
const SCRATCH_SERIES_MAX: usize = 1 << 16;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct OtlpRequest<B> {
    /// The body in pieces, in order.
    pub pieces: Vec<B>,
    /// Content-Type, empty where absent.
    pub content_type: String,
    /// Content-Encoding, empty where absent.
    pub content_encoding: String,
}

/// Why a request was refused, for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpRefusal {
    /// Whether the request itself is bad (status 400), as opposed to one that has no translation (500, as Prometheus
    /// answers; OTLP does not ask senders to try again for it).
    pub is_bad_request: bool,
    /// The reasons, one a line.
    pub text: String,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpReport {
    /// Why nothing was stored; absent where all was.
    pub refusal: Option<OtlpRefusal>,
    /// Float samples stored.
    pub samples: u64,
    /// Histograms stored.
    pub histograms: u64,
    /// Exemplars stored.
    pub exemplars: u64,
}

impl OtlpReport {
    fn bad(text: impl Into<String>) -> Self {
        Self { refusal: Some(OtlpRefusal { is_bad_request: true, text: text.into() }), ..Self::default() }
    }
}

/// What the receiver keeps between requests.
pub(crate) struct Receiver {
    cache: RwLock<SeriesCache>,
    translation: RwLock<Arc<Translation>>,
    cumulative: Mutex<Cumulative>,
    scratch: Mutex<Vec<Scratch>>,
}

/// Buffers of one request, used again by later ones.
#[derive(Default)]
struct Scratch {
    buffers: Buffers,
    decoded: Decoded,
    found: Vec<(KeyHash, SeriesRef)>,
}

impl Receiver {
    /// `seed` makes the cache's hashes unpredictable.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            cache: RwLock::new(SeriesCache::new(seed)),
            translation: RwLock::new(Arc::new(Translation::new(OtlpSettings::default()))),
            cumulative: Mutex::default(),
            scratch: Mutex::default(),
        }
    }
}

impl Engine {
    /// Replaces the settings of OTLP, at first Prometheus' defaults; requests that begin later heed them.
    pub fn apply_otlp(&self, settings: OtlpSettings) {
        let translation = Arc::new(Translation::new(settings));
        *self.inner.otlp.translation.write().unwrap_or_else(PoisonError::into_inner) = translation;
    }

    /// Takes in a request of OTLP metrics. What the sender is to hear is in the report, also where all was refused; an
    /// error is the database's, and worth another try.
    pub fn ingest_otlp<B: AsRef<[u8]> + Send + 'static>(
        &self,
        request: OtlpRequest<B>,
        done: impl FnOnce(Result<OtlpReport, EngineError>) + Send + 'static,
    ) {
        let bytes = request.pieces.iter().map(|p| p.as_ref().len()).sum();
        self.run_ingest(bytes, move |inner| inner.otlp_request(&request), done);
    }
}

impl Inner {
    fn otlp_request<B: AsRef<[u8]>>(&self, request: &OtlpRequest<B>) -> Result<OtlpReport, EngineError> {
        let is_json = match request.content_type.as_str() {
            PROTOBUF => false,
            JSON => true,
            other => {
                let text = format!("unsupported content type: {other}, supported: [{JSON}, {PROTOBUF}]");
                return Ok(OtlpReport::bad(text));
            }
        };
        let mut body = self.bodies.take();
        let read = read_body(&request.pieces, &request.content_encoding, &mut body);
        let report = match read {
            Err(text) => Ok(OtlpReport::bad(text)),
            Ok(()) if !is_json => self.store_otlp(&body),
            Ok(()) => {
                let mut protobuf = self.bodies.take();
                protobuf.clear();
                let report = match json::to_protobuf(&body, &mut protobuf) {
                    Err(text) => Ok(OtlpReport::bad(text)),
                    Ok(()) => self.store_otlp(&protobuf),
                };
                self.bodies.put(protobuf);
                report
            }
        };
        self.bodies.put(body);
        report
    }

    fn store_otlp(&self, body: &[u8]) -> Result<OtlpReport, EngineError> {
        let receiver = &self.otlp;
        let translation = receiver.translation.read().unwrap_or_else(PoisonError::into_inner).clone();
        let kept = receiver.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_default();
        scratch.found.clear();
        let features = &self.options.features;
        let mut cumulative = features
            .otlp_deltatocumulative
            .then(|| receiver.cumulative.lock().unwrap_or_else(PoisonError::into_inner));
        let deltas = match cumulative.as_deref_mut() {
            Some(cumulative) => {
                cumulative.begin(self.clock.now_ms());
                Deltas::Cumulative(cumulative)
            }
            None if features.otlp_native_delta_ingestion => Deltas::Native,
            None => Deltas::Refused,
        };
        let cache = receiver.cache.read().unwrap_or_else(PoisonError::into_inner);
        let mut app = self.db.appender();
        let mut translator = Translator {
            sink: Sink {
                app: app.as_mut(),
                cache: &cache,
                found: &mut scratch.found,
                ahead_ms: self.ahead_ms(),
                keep_metadata: features.metadata_wal_records,
                zero_at_start: features.created_timestamp_zero_ingestion,
                samples: 0,
                histograms: 0,
                exemplars: 0,
                without_metadata: 0,
                late_exemplars: 0,
            },
            context: Context::new(&translation, features.type_and_unit_labels),
            buffers: &mut scratch.buffers,
            deltas,
            lookback_ms: self.options.lookback_delta_ms,
            warnings: Warnings::default(),
            faults: Faults::default(),
            seen: Default::default(),
            delta_scope: KeyHash::default(),
        };
        let result = translator.run(body, &mut scratch.decoded);
        let Translator { sink, warnings, faults, .. } = translator;
        let report = OtlpReport {
            refusal: None,
            samples: sink.samples,
            histograms: sink.histograms,
            exemplars: sink.exemplars,
        };
        self.metrics.otlp(sink.without_metadata, sink.late_exemplars, warnings.counts());
        drop(cache);
        if let Some(text) = warnings.text() {
            self.log_warning(format!(
                "Warnings translating OTLP metrics to Prometheus write request: {text}"
            ));
        }
        let result = match result {
            Err(Fault::Engine(e)) => Err(e),
            Err(Fault::Wire(e)) => Ok(OtlpReport::bad(explain(body, e))),
            Err(Fault::TooMuch(text) | Fault::Sample(text) | Fault::Other(text)) => Ok(OtlpReport::bad(text)),
            Ok(()) => {
                let is_bad_request = faults.of_sample;
                let refusal = faults.finish().map(|text| match damage(body) {
                    // In what was not looked at.
                    Some(text) => OtlpRefusal { is_bad_request: true, text },
                    None => OtlpRefusal { is_bad_request, text },
                });
                Ok(if refusal.is_some() { OtlpReport { refusal, ..OtlpReport::default() } } else { report })
            }
        };
        let result = match result {
            Ok(report) if report.refusal.is_none() => {
                app.commit().map(|()| report).map_err(EngineError::from)
            }
            other => {
                app.rollback();
                other
            }
        };
        self.remember_otlp(scratch);
        result
    }

    fn remember_otlp(&self, scratch: Scratch) {
        let receiver = &self.otlp;
        if !scratch.found.is_empty() {
            let live = self.db.num_series();
            let mut cache = receiver.cache.write().unwrap_or_else(PoisonError::into_inner);
            scratch.found.iter().for_each(|(key, series)| cache.insert(*key, *series, live));
        }
        if scratch.found.capacity() <= SCRATCH_SERIES_MAX
            && scratch.buffers.key.capacity() <= SCRATCH_SERIES_MAX
        {
            let mut kept = receiver.scratch.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < SCRATCH_KEPT_MAX {
                kept.push(scratch);
            }
        }
    }
}

/// Puts the body, decompressed, into `out`.
fn read_body<B: AsRef<[u8]>>(pieces: &[B], encoding: &str, out: &mut Vec<u8>) -> Result<(), String> {
    const LIMIT: u64 = BODY_BYTES_MAX as u64;
    out.clear();
    let too_large = || format!("request body exceeds the {LIMIT} bytes limit");
    match encoding {
        "" => {
            if pieces.iter().map(|p| p.as_ref().len()).sum::<usize>() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            pieces.iter().for_each(|p| out.extend_from_slice(p.as_ref()));
            Ok(())
        }
        "gzip" => {
            let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
            gzip::inflate(&pieces, LIMIT + 1, out)?;
            if out.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(()) }
        }
        other => Err(format!("unsupported compression: {other}. Only \"gzip\" or no compression supported")),
    }
}
