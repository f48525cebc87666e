//! Requests of remote write.

use ::engine::remote_write::{RefusalKind, RemoteWriteReport, RemoteWriteRequest};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::promise::Lent;

#[napi(object)]
pub struct NativeRemoteWrite {
    pub pieces: Vec<Uint8Array>,
    pub content_type: String,
    pub content_encoding: String,
    pub accepted: Option<Vec<String>>,
}

#[napi(object)]
pub struct NativeRefusal {
    pub kind: String,
    pub text: String,
}

#[napi(object)]
pub struct NativeRemoteWriteReport {
    pub refusal: Option<NativeRefusal>,
    pub has_counts: bool,
    pub samples: f64,
    pub histograms: f64,
    pub exemplars: f64,
}

impl From<NativeRemoteWrite> for RemoteWriteRequest<Lent> {
    fn from(r: NativeRemoteWrite) -> Self {
        Self {
            pieces: r.pieces.into_iter().map(Lent::from).collect(),
            content_type: r.content_type,
            content_encoding: r.content_encoding,
            accepted: r.accepted.unwrap_or_default(),
        }
    }
}

impl From<RemoteWriteReport> for NativeRemoteWriteReport {
    fn from(r: RemoteWriteReport) -> Self {
        let refusal = r.refusal.map(|r| {
            let kind = match r.kind {
                RefusalKind::MediaType => "media-type",
                RefusalKind::TooLarge => "too-large",
                RefusalKind::Invalid => "invalid",
            };
            NativeRefusal { kind: kind.to_owned(), text: r.text }
        });
        Self {
            refusal,
            has_counts: r.has_counts,
            samples: r.samples as f64,
            histograms: r.histograms as f64,
            exemplars: r.exemplars as f64,
        }
    }
}
