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
    /// Bytes that have been handed out.
    given: usize,
    /// The piece of `body` that comes next, and how much of it is gone.
    piece: usize,
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
        if self.body.pieces.is_empty() {
            return Ok(None);
        }
        let mut bytes = vec![0; (self.byte_length - self.given).min(PIECE_BYTES)];
        self.copy_to(&mut bytes);
        Ok(Some(BufferSlice::from_data(env, bytes)?))
    }

    /// Fills `into` as far as there are bytes, and says how many it took.
    #[napi(catch_unwind)]
    pub fn read(&mut self, mut into: BufferSlice<'_>) -> u32 {
        self.copy_to(&mut into) as u32
    }

    /// JavaScript's collector does not see how much memory this holds.
    #[napi(catch_unwind)]
    pub fn free(&mut self) {
        self.body.pieces = Vec::new();
    }

    fn copy_to(&mut self, into: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(piece) = self.body.pieces.get_mut(self.piece) {
            let n = (piece.len() - self.at).min(into.len() - filled);
            into[filled..filled + n].copy_from_slice(&piece[self.at..self.at + n]);
            filled += n;
            self.at += n;
            if self.at < piece.len() {
                break;
            }
            *piece = Vec::new();
            self.piece += 1;
            self.at = 0;
        }
        self.given += filled;
        if self.given == self.byte_length {
            self.free();
        }
        filled
    }
}

impl From<::engine::Body> for NativeBody {
    fn from(body: ::engine::Body) -> Self {
        Self { byte_length: body.len(), body, given: 0, piece: 0, at: 0 }
    }
}
