//! Settings and answers of OTLP, as JSON.

use engine::EngineError;
use engine::otlp::{OtlpReport, OtlpSettings, Promotion, TranslationStrategy};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmOtlpSettings {
    translation_strategy: String,
    promote_all_resource_attributes: bool,
    promote_resource_attributes: Vec<String>,
    ignore_resource_attributes: Vec<String>,
    keep_identifying_resource_attributes: bool,
    convert_histograms_to_nhcb: bool,
    promote_scope_metadata: bool,
    label_name_underscore_sanitization: bool,
    label_name_preserve_multiple_underscores: bool,
}

/// Checks the settings.
pub(crate) fn otlp_settings(s: WasmOtlpSettings) -> Result<OtlpSettings, EngineError> {
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

/// What TypeScript's `OtlpReport` is.
pub(crate) fn otlp_report_json(r: &OtlpReport) -> String {
    let mut report = json!({ "samples": r.samples, "histograms": r.histograms, "exemplars": r.exemplars });
    if let Some(refusal) = &r.refusal {
        report["refusal"] = json!({ "isBadRequest": refusal.is_bad_request, "text": refusal.text });
    }
    report.to_string()
}
