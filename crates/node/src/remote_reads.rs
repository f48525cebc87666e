//! What a question needs of other servers.

use std::collections::HashMap;

use ::engine::Body;
use ::engine::query::Answer;
use ::engine::remote_read::{Piece, RemoteEndpoint, RemoteReads, RemoteRequest, RemoteResponse};
use model::Labels;
use napi::bindgen_prelude::{Buffer, Object, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;

use crate::answers::NativeAnswer;
use crate::body::NativeBody;
use crate::cancel::{Cancel, flag};
use crate::promise::{promise, to_js};

#[napi(object)]
pub struct NativeRemoteEndpoint {
    pub external_labels: HashMap<String, String>,
    pub required_matchers: HashMap<String, String>,
    pub read_recent: bool,
    pub chunked_read_limit: f64,
}

#[napi(object)]
pub struct NativeRemoteRequest {
    pub id: u32,
    pub endpoint: u32,
    pub body: Buffer,
    pub timeout_ms: f64,
}

/// Either the first two, or the last.
#[napi(object)]
pub struct NativeRemoteResponse {
    pub content_type: Option<String>,
    pub pieces: Option<Vec<Uint8Array>>,
    pub error: Option<String>,
}

#[napi]
pub struct NativeRemoteReads {
    reads: RemoteReads,
}

#[napi]
impl NativeRemoteReads {
    #[napi(catch_unwind)]
    pub fn requests(&self) -> Result<Vec<NativeRemoteRequest>> {
        let all = self.reads.requests().map_err(|e| to_js(&e))?;
        Ok(all.into_iter().map(NativeRemoteRequest::from).collect())
    }

    #[napi(catch_unwind)]
    pub fn answer(&self, id: u32, response: NativeRemoteResponse) {
        let piece = |bytes: Uint8Array| Box::new(bytes) as Piece;
        let response = match response.error {
            Some(text) => Err(text),
            None => Ok(RemoteResponse {
                content_type: response.content_type.unwrap_or_default(),
                pieces: response.pieces.unwrap_or_default().into_iter().map(piece).collect(),
            }),
        };
        self.reads.answer(id as usize, response);
    }

    #[napi(catch_unwind)]
    pub fn json<'env>(&self, env: &'env Env, cancel: Option<&Cancel>) -> Result<Object<'env>> {
        let convert = |body: Option<Body>| body.map(NativeBody::from);
        promise(env, convert, |done| self.reads.json(flag(cancel), done))
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.reads.close();
    }

    #[napi(catch_unwind)]
    pub fn values<'env>(&self, env: &'env Env, cancel: Option<&Cancel>) -> Result<Object<'env>> {
        let convert = |answer: Option<Answer>| answer.map(NativeAnswer::from);
        promise(env, convert, |done| self.reads.values(flag(cancel), done))
    }
}

impl From<RemoteReads> for NativeRemoteReads {
    fn from(reads: RemoteReads) -> Self {
        Self { reads }
    }
}

impl From<RemoteRequest> for NativeRemoteRequest {
    fn from(r: RemoteRequest) -> Self {
        Self {
            id: r.id as u32,
            endpoint: r.endpoint as u32,
            body: r.body.into(),
            timeout_ms: r.timeout_ms as f64,
        }
    }
}

impl From<NativeRemoteEndpoint> for RemoteEndpoint {
    fn from(e: NativeRemoteEndpoint) -> Self {
        Self {
            external_labels: Labels::from_pairs(e.external_labels),
            required_matchers: e.required_matchers.into_iter().collect(),
            read_recent: e.read_recent,
            frame_bytes_max: e.chunked_read_limit as u64,
        }
    }
}

/// The endpoints as the engine takes them.
pub(crate) fn endpoints(all: Vec<NativeRemoteEndpoint>) -> Vec<RemoteEndpoint> {
    all.into_iter().map(RemoteEndpoint::from).collect()
}
