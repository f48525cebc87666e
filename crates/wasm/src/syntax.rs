//! Services over the text of queries, without an engine.

use engine::EngineError;
use engine::options::Features;
use engine::syntax;
use js_sys::Error;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::fault::to_js;

/// The services, for a language with certain features on.
#[wasm_bindgen]
pub struct Syntax {
    features: Features,
}

#[wasm_bindgen]
impl Syntax {
    #[wasm_bindgen(constructor)]
    pub fn new(features: Vec<String>) -> Result<Self, Error> {
        Ok(Self { features: switched_on(&features).map_err(|e| to_js(&e))? })
    }

    #[wasm_bindgen(js_name = check)]
    pub fn check(&self, query: &str) -> Option<String> {
        syntax::parse(query, self.features).err().map(|e| e.message)
    }

    #[wasm_bindgen(js_name = formatQuery)]
    pub fn format_query(&self, query: &str) -> Result<String, Error> {
        syntax::format(query, self.features).map_err(|e| to_js(&e))
    }

    #[wasm_bindgen(js_name = parseQueryJson)]
    pub fn parse_query_json(&self, query: &str) -> Result<String, Error> {
        let json = syntax::tree_json(query, self.features).map_err(|e| to_js(&e))?;
        Ok(String::from_utf8_lossy(&json).into_owned())
    }

    #[wasm_bindgen(js_name = setLabelMatcher)]
    pub fn set_label_matcher(&self, query: &str, name: &str, op: &str, value: &str) -> Result<String, Error> {
        syntax::set_label_matcher(query, name, op, value, self.features).map_err(|e| to_js(&e))
    }

    #[wasm_bindgen(js_name = deleteLabelMatchers)]
    pub fn delete_label_matchers(&self, query: &str, name: &str) -> Result<String, Error> {
        syntax::delete_label_matchers(query, name, self.features).map_err(|e| to_js(&e))
    }

    #[wasm_bindgen(js_name = completeJson)]
    pub fn complete_json(&self, text: &str, cursor: f64) -> String {
        syntax::complete_json(text, cursor as usize, true, self.features)
    }
}

pub(crate) fn switched_on(names: &[String]) -> Result<Features, EngineError> {
    let mut features = Features::default();
    for name in names {
        features.enable(name).map_err(|n| EngineError::invalid(format!("unknown feature {n:?}")))?;
    }
    Ok(features)
}
