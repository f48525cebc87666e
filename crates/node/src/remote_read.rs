//! Requests of remote read and their answers.

use std::collections::HashMap;

use ::engine::remote_read::{FrameStream, RemoteReadAnswer, RemoteReadRequest};
use model::Labels;
use napi::bindgen_prelude::{Buffer, Object, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;

use crate::body::NativeBody;
use crate::promise::promise;

#[napi(object)]
pub struct NativeRemoteRead {
    pub pieces: Vec<Uint8Array>,
    pub external_labels: HashMap<String, String>,
    pub sample_limit: f64,
    pub max_bytes_in_frame: f64,
}

#[napi(object)]
pub struct NativeReadRefusal {
    pub status: u32,
    pub text: String,
}

#[napi(object, object_from_js = false)]
pub struct NativeReadAnswer {
    pub refusal: Option<NativeReadRefusal>,
    pub samples: Option<NativeBody>,
    pub chunks: Option<NativeFrameStream>,
}

#[napi]
pub struct NativeFrameStream {
    stream: FrameStream,
}

#[napi]
impl NativeFrameStream {
    #[napi(catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let convert = |piece: Option<Vec<u8>>| piece.map(Buffer::from);
        promise(env, convert, |done| self.stream.next(done))
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.stream.close();
    }
}

impl From<NativeRemoteRead> for RemoteReadRequest<Uint8Array> {
    fn from(r: NativeRemoteRead) -> Self {
        Self {
            pieces: r.pieces,
            external_labels: Labels::from_pairs(r.external_labels),
            samples_max: r.sample_limit as u64,
            frame_bytes_max: r.max_bytes_in_frame as i64,
        }
    }
}

impl From<RemoteReadAnswer> for NativeReadAnswer {
    fn from(answer: RemoteReadAnswer) -> Self {
        let none = Self { refusal: None, samples: None, chunks: None };
        match answer {
            RemoteReadAnswer::Refused(r) => {
                let refusal = NativeReadRefusal { status: u32::from(r.status), text: r.text };
                Self { refusal: Some(refusal), ..none }
            }
            RemoteReadAnswer::Samples(body) => Self { samples: Some(body.into()), ..none },
            RemoteReadAnswer::Chunks(stream) => Self { chunks: Some(NativeFrameStream { stream }), ..none },
        }
    }
}
