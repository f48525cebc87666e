//! Requests of OTLP, and the settings of their translation.

use ::engine::EngineError;
use ::engine::otlp::{OtlpReport, OtlpRequest, OtlpSettings, Promotion, TranslationStrategy};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::promise::Lent;

#[napi(object)]
pub struct NativeOtlpRequest {
    pub pieces: Vec<Uint8Array>,
    pub content_type: String,
    pub content_encoding: String,
}

#[napi(object)]
pub struct NativeOtlpRefusal {
    pub is_bad_request: bool,
    pub text: String,
}

#[napi(object)]
pub struct NativeOtlpReport {
    pub refusal: Option<NativeOtlpRefusal>,
    pub samples: f64,
    pub histograms: f64,
    pub exemplars: f64,
}

#[napi(object)]
pub struct NativeOtlpSettings {
    pub translation_strategy: String,
    pub promote_all_resource_attributes: bool,
    pub promote_resource_attributes: Vec<String>,
    pub ignore_resource_attributes: Vec<String>,
    pub keep_identifying_resource_attributes: bool,
    pub convert_histograms_to_nhcb: bool,
    pub promote_scope_metadata: bool,
    pub label_name_underscore_sanitization: bool,
    pub label_name_preserve_multiple_underscores: bool,
}

impl From<NativeOtlpRequest> for OtlpRequest<Lent> {
    fn from(r: NativeOtlpRequest) -> Self {
        Self {
            pieces: r.pieces.into_iter().map(Lent::from).collect(),
            content_type: r.content_type,
            content_encoding: r.content_encoding,
        }
    }
}

impl From<OtlpReport> for NativeOtlpReport {
    fn from(r: OtlpReport) -> Self {
        Self {
            refusal: r.refusal.map(|r| NativeOtlpRefusal { is_bad_request: r.is_bad_request, text: r.text }),
            samples: r.samples as f64,
            histograms: r.histograms as f64,
            exemplars: r.exemplars as f64,
        }
    }
}

/// Checks the settings.
pub(crate) fn otlp_settings(s: NativeOtlpSettings) -> Result<OtlpSettings, EngineError> {
    Ok(OtlpSettings {
        strategy: TranslationStrategy::parse(&s.translation_strategy)?,
        promotion: Promotion::new(
            s.promote_all_resource_attributes,
            s.ignore_resource_attributes,
            s.promote_resource_attributes,
        ),
        keep_identifying_resource_attributes: s.keep_identifying_resource_attributes,
        convert_histograms_to_nhcb: s.convert_histograms_to_nhcb,
        promote_scope_metadata: s.promote_scope_metadata,
        label_name_underscore_sanitization: s.label_name_underscore_sanitization,
        label_name_preserve_multiple_underscores: s.label_name_preserve_multiple_underscores,
    })
}
