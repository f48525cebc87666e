//! Relabelling rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ::engine::EngineError;
use model::Labels;
use model::relabel::{DEFAULT_REGEX, NameValidation, RelabelAction, RelabelConfig, RelabelParts, process};
use napi::Result;
use napi_derive::napi;

use crate::promise::to_js;

#[napi(object)]
#[derive(PartialEq)]
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
    rules.into_iter().map(|r| config(&r, names)).collect()
}

/// Rules that are in use, and what they were compiled from.
struct Shared {
    rules: Vec<RelabelRule>,
    names: NameValidation,
    compiled: Weak<[RelabelConfig]>,
}

static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// Compiles rules, or finds those that were compiled before and are in use still: thousands of targets of one job have
/// the same, and an expression may take more memory than all else of a target.
pub(crate) fn compile_shared(rules: Vec<RelabelRule>, names: NameValidation) -> Result<Arc<[RelabelConfig]>> {
    let mut all = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    // The newest first: targets of one job come one after the other.
    let mut same = all.iter().rev().filter(|shared| shared.names == names && shared.rules == rules);
    if let Some(compiled) = same.find_map(|shared| shared.compiled.upgrade()) {
        return Ok(compiled);
    }
    all.retain(|shared| shared.compiled.strong_count() > 0);
    let compiled: Arc<[RelabelConfig]> = rules.iter().map(|r| config(r, names)).collect::<Result<_>>()?;
    all.push(Shared { rules, names, compiled: Arc::downgrade(&compiled) });
    Ok(compiled)
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

fn config(r: &RelabelRule, names: NameValidation) -> Result<RelabelConfig> {
    let invalid = |e: String| to_js(&EngineError::invalid(e));
    let parts = RelabelParts {
        source_labels: (!r.source_labels.is_empty()).then(|| r.source_labels.clone()),
        separator: r.separator.clone(),
        regex: (r.regex != DEFAULT_REGEX).then(|| r.regex.clone()),
        modulus: r.modulus as u64,
        target_label: r.target_label.clone(),
        replacement: r.replacement.clone(),
        action: RelabelAction::parse(&r.action).map_err(|e| invalid(e.to_string()))?,
    };
    RelabelConfig::new(parts, names).map_err(|e| invalid(e.to_string()))
}
