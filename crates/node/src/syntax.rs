//! Services over the text of queries, without an engine.

use ::engine::EngineError;
use ::engine::options::Features;
use ::engine::syntax;
use napi::Result;
use napi_derive::napi;

use crate::promise::to_js;

/// The services, for a language with certain features on.
#[napi]
pub struct NativeSyntax {
    features: Features,
}

#[napi]
impl NativeSyntax {
    #[napi(constructor, catch_unwind)]
    pub fn new(features: Vec<String>) -> Result<Self> {
        let mut on = Features::default();
        for name in &features {
            on.enable(name).map_err(|n| to_js(&EngineError::invalid(format!("unknown feature {n:?}"))))?;
        }
        Ok(Self { features: on })
    }

    #[napi(catch_unwind)]
    pub fn check(&self, query: String) -> Option<String> {
        syntax::parse(&query, self.features).err().map(|e| e.message)
    }

    #[napi(catch_unwind)]
    pub fn format_query(&self, query: String) -> Result<String> {
        syntax::format(&query, self.features).map_err(|e| to_js(&e))
    }

    #[napi(catch_unwind)]
    pub fn parse_query_json(&self, query: String) -> Result<String> {
        let json = syntax::tree_json(&query, self.features).map_err(|e| to_js(&e))?;
        Ok(String::from_utf8_lossy(&json).into_owned())
    }

    #[napi(catch_unwind)]
    pub fn set_label_matcher(
        &self,
        query: String,
        name: String,
        op: String,
        value: String,
    ) -> Result<String> {
        syntax::set_label_matcher(&query, &name, &op, &value, self.features).map_err(|e| to_js(&e))
    }

    #[napi(catch_unwind)]
    pub fn delete_label_matchers(&self, query: String, name: String) -> Result<String> {
        syntax::delete_label_matchers(&query, &name, self.features).map_err(|e| to_js(&e))
    }

    #[napi(catch_unwind)]
    pub fn complete_json(&self, text: String, cursor: f64) -> String {
        syntax::complete_json(&text, cursor as usize, true, self.features)
    }
}
