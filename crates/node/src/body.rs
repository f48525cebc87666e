//! Finished bytes, handed out in pieces.

use napi::bindgen_prelude::BufferSlice;
use napi::{Env, Result};
use napi_derive::napi;

/// Most bytes of one piece.
const PIECE_BYTES: usize = 1 << 20;

#[napi]
pub struct NativeBody {
    body: ::engine::Body,
    byte_length: usize,
    at: usize,
}

#[napi]
impl NativeBody {
    #[napi(getter, catch_unwind)]
    pub fn byte_length(&self) -> f64 {
        self.byte_length as f64
    }

    #[napi(getter, catch_unwind)]
    pub fn content_encoding(&self) -> &'static str {
        self.body.encoding
    }

    #[napi(catch_unwind)]
    pub fn next<'env>(&mut self, env: &'env Env) -> Result<Option<BufferSlice<'env>>> {
        let rest = &self.body.bytes[self.at..];
        if rest.is_empty() {
            self.free();
            return Ok(None);
        }
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        let out = BufferSlice::copy_from(env, piece)?;
        self.at += piece.len();
        Ok(Some(out))
    }

    /// JavaScript's collector does not see how much memory this holds.
    #[napi(catch_unwind)]
    pub fn free(&mut self) {
        self.body.bytes = Vec::new();
        self.at = 0;
    }
}

impl From<::engine::Body> for NativeBody {
    fn from(body: ::engine::Body) -> Self {
        Self { byte_length: body.bytes.len(), body, at: 0 }
    }
}
