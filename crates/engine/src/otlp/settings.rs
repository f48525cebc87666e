//! What the configuration's `otlp` section says about translation.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::label_name::LabelNamer;
use super::metric_name::MetricNamer;
use crate::error::EngineError;

/// How names of metrics and labels are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TranslationStrategy {
    /// Other characters become underscores; unit and type are appended.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Other characters become underscores.
    UnderscoreEscapingWithoutSuffixes,
    /// Names keep their characters; unit and type are appended.
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

impl TranslationStrategy {
    /// The strategy that the configuration calls so. Prometheus takes the empty name for no translation.
    ///
    /// # Errors
    /// Another name.
    pub fn parse(name: &str) -> Result<Self, EngineError> {
        Ok(match name {
            "UnderscoreEscapingWithSuffixes" => Self::UnderscoreEscapingWithSuffixes,
            "UnderscoreEscapingWithoutSuffixes" => Self::UnderscoreEscapingWithoutSuffixes,
            "NoUTF8EscapingWithSuffixes" => Self::NoUtf8EscapingWithSuffixes,
            "NoTranslation" | "" => Self::NoTranslation,
            _ => {
                return Err(EngineError::invalid(format!("unsupported OTLP translation strategy {name:?}")));
            }
        })
    }
}

/// Which attributes of a resource become labels of all its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// These.
    Only(BTreeSet<String>),
    /// All but these.
    AllBut(BTreeSet<String>),
}

impl Promotion {
    /// What the configuration's three keys mean together: all but the `ignored`, or those named.
    #[must_use]
    pub fn new(all: bool, ignored: Vec<String>, named: Vec<String>) -> Self {
        if all {
            Self::AllBut(ignored.into_iter().collect())
        } else {
            Self::Only(named.into_iter().collect())
        }
    }

    /// Whether an attribute becomes a label.
    pub(super) fn takes(&self, key: &str) -> bool {
        match self {
            Self::Only(keys) => keys.contains(key),
            Self::AllBut(keys) => !keys.contains(key),
        }
    }
}

/// The `otlp` section; the defaults are Prometheus'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// `translation_strategy`
    pub strategy: TranslationStrategy,
    /// `promote_resource_attributes`, `promote_all_resource_attributes`, `ignore_resource_attributes`
    pub promotion: Promotion,
    /// `keep_identifying_resource_attributes`: `target_info` has those of the service, too.
    pub keep_identifying_resource_attributes: bool,
    /// `convert_histograms_to_nhcb`: explicit bounds become native histograms with custom buckets.
    pub convert_histograms_to_nhcb: bool,
    /// `promote_scope_metadata`: `otel_scope_*` labels.
    pub promote_scope_metadata: bool,
    /// `label_name_underscore_sanitization`
    pub label_name_underscore_sanitization: bool,
    /// `label_name_preserve_multiple_underscores`
    pub label_name_preserve_multiple_underscores: bool,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            strategy: TranslationStrategy::default(),
            promotion: Promotion::Only(BTreeSet::new()),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
        }
    }
}

/// Settings as the translation uses them.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    pub settings: OtlpSettings,
    pub metrics: MetricNamer,
    pub labels: LabelNamer,
    /// The settings as text: a part of each cached key, so that no series outlives the settings that named it.
    pub fingerprint: String,
}

impl Translation {
    pub(super) fn new(settings: OtlpSettings) -> Self {
        use TranslationStrategy::{
            NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes,
        };
        let utf8 = matches!(settings.strategy, NoUtf8EscapingWithSuffixes | NoTranslation);
        let with_suffixes =
            matches!(settings.strategy, UnderscoreEscapingWithSuffixes | NoUtf8EscapingWithSuffixes);
        let mut fingerprint = String::new();
        // Writing to a String cannot fail.
        let _ = write!(fingerprint, "{settings:?}");
        Self {
            metrics: MetricNamer { with_suffixes, utf8 },
            labels: LabelNamer {
                utf8,
                guard_underscore: settings.label_name_underscore_sanitization,
                keep_underscores: settings.label_name_preserve_multiple_underscores,
            },
            settings,
            fingerprint,
        }
    }
}
