//! Text as a request of remote write, for a tool.

use ::engine::push::push_body as body_of;
use ::engine::remote_send::Protocol;
use napi::Result;
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::promise::to_js;

#[napi(catch_unwind)]
pub fn push_body(text: Buffer, labels: Vec<Vec<String>>, is_v2: bool, now_ms: f64) -> Result<Buffer> {
    let pairs = labels.into_iter().filter_map(|pair| <[String; 2]>::try_from(pair).ok());
    let labels: Vec<(String, String)> = pairs.map(|[name, value]| (name, value)).collect();
    let protocol = if is_v2 { Protocol::V2 } else { Protocol::V1 };
    body_of(&text, &labels, protocol, now_ms as i64).map(Buffer::from).map_err(|e| to_js(&e))
}
