//! Relabelling rules.

use std::collections::HashMap;

use ::engine::EngineError;
use model::Labels;
use model::relabel::{DEFAULT_REGEX, NameValidation, RelabelAction, RelabelConfig, RelabelParts, process};
use napi::Result;
use napi_derive::napi;

use crate::promise::to_js;

#[napi(object)]
pub struct RelabelRule {
    pub source_labels: Vec<String>,
    pub separator: String,
    pub regex: String,
    pub modulus: f64,
    pub target_label: String,
    pub replacement: String,
    pub action: String,
}

/// Compiles rules.
pub(crate) fn compile(rules: Vec<RelabelRule>, names: NameValidation) -> Result<Vec<RelabelConfig>> {
    rules.into_iter().map(|r| config(r, names)).collect()
}

/// The name validation scheme of that name.
pub(crate) fn scheme(name: &str) -> Result<NameValidation> {
    match name {
        "utf8" => Ok(NameValidation::Utf8),
        "legacy" => Ok(NameValidation::Legacy),
        other => Err(to_js(&EngineError::invalid(format!("unknown name validation scheme {other:?}")))),
    }
}

/// Compiles relabelling rules; needs no database.
#[napi(catch_unwind)]
pub fn compile_relabeler(rules: Vec<RelabelRule>, validation: String) -> Result<Relabeler> {
    Ok(Relabeler::new(compile(rules, scheme(&validation)?)?))
}

#[napi]
pub struct Relabeler {
    rules: Vec<RelabelConfig>,
}

#[napi]
impl Relabeler {
    pub(crate) fn new(rules: Vec<RelabelConfig>) -> Self {
        Self { rules }
    }

    #[napi(catch_unwind)]
    pub fn apply(&self, label_sets: Vec<HashMap<String, String>>) -> Vec<Option<HashMap<String, String>>> {
        let one = |set: HashMap<String, String>| {
            let mut b = Labels::from_pairs(set).to_builder();
            process(&self.rules, &mut b)
                .then(|| b.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
        };
        label_sets.into_iter().map(one).collect()
    }
}

fn config(r: RelabelRule, names: NameValidation) -> Result<RelabelConfig> {
    let invalid = |e: String| to_js(&EngineError::invalid(e));
    let parts = RelabelParts {
        source_labels: (!r.source_labels.is_empty()).then_some(r.source_labels),
        separator: r.separator,
        regex: (r.regex != DEFAULT_REGEX).then_some(r.regex),
        modulus: r.modulus as u64,
        target_label: r.target_label,
        replacement: r.replacement,
        action: RelabelAction::parse(&r.action).map_err(|e| invalid(e.to_string()))?,
    };
    RelabelConfig::new(parts, names).map_err(|e| invalid(e.to_string()))
}
