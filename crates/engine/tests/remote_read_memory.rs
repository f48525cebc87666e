//! How much memory an answer of remote read takes while it is made.
#![allow(clippy::unwrap_used)]

mod common;

use std::alloc::System;

use cap::Cap;
use common::{Bench, T0, wait};
use engine::remote_read::{RemoteReadAnswer, RemoteReadRequest};
use engine::remote_write::RemoteWriteRequest;
use model::Labels;
use model::matcher::MatchOp;
use promql::Cancel;
use wire::read::{LabelMatcher, Query, ReadRequest, ResponseType};
use wire::{snappy, write_v1};

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const SERIES: i64 = 4000;
const SAMPLES: i64 = 480;
const MIB: usize = 1 << 20;

fn pack(body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    snappy::Compressor::default().compress(body, &mut block).unwrap();
    block
}

fn filled() -> Bench {
    let b = Bench::new();
    b.clock.set_ms(T0 + SAMPLES * 1000);
    for part in 0..SERIES / 100 {
        let mut body = Vec::new();
        for i in 0..100 {
            let x = (part * 100 + i).to_string();
            write_v1::put_series(&mut body, [("__name__", "f"), ("x", x.as_str())], |w| {
                (0..SAMPLES).for_each(|s| w.sample(T0 + s * 1000, ((i * 7919 + s * 104_729) as f64).sqrt()));
            });
        }
        let request = RemoteWriteRequest {
            pieces: vec![pack(&body)],
            content_type: String::new(),
            content_encoding: String::new(),
            accepted: Vec::new(),
        };
        assert_eq!(wait(|done| b.engine.ingest_remote_write(request, done)).unwrap().refusal, None);
    }
    b
}

fn request(kind: ResponseType) -> RemoteReadRequest<Vec<u8>> {
    let all = LabelMatcher { op: MatchOp::Regex, name: "__name__", value: ".+" };
    let query = Query { start_ms: T0, end_ms: i64::MAX, matchers: vec![all], hints: None };
    let mut body = Vec::new();
    ReadRequest { queries: vec![query; 3], accepted_response_types: vec![kind] }.encode(&mut body);
    RemoteReadRequest {
        pieces: vec![pack(&body)],
        external_labels: Labels::empty(),
        samples_max: 0,
        frame_bytes_max: MIB as i64,
    }
}

/// What the calls of `f` leave in memory together, beyond what there was, at any time it looks.
fn beyond(before: usize, highest: &mut usize) {
    *highest = (*highest).max(ALLOCATED.allocated().saturating_sub(before));
}

#[test]
fn a_stream_holds_series_and_a_piece_and_samples_are_held_compressed() {
    let b = filled();
    let ask = |kind| wait(|done| b.engine.remote_read(request(kind), Cancel::new(), done)).unwrap();
    let (before, mut highest, mut bytes) = (ALLOCATED.allocated(), 0, 0);
    let RemoteReadAnswer::Chunks(stream) = ask(ResponseType::StreamedXorChunks) else { panic!("no chunks") };
    beyond(before, &mut highest);
    while let Some(piece) = wait(|done| stream.next(done)).unwrap() {
        beyond(before, &mut highest);
        bytes += piece.len();
    }
    assert!(bytes > 30 * MIB, "{bytes} bytes were streamed");
    assert!(highest < 3 * MIB, "{highest} bytes were held");
    drop(stream);

    let before = ALLOCATED.allocated();
    let RemoteReadAnswer::Samples(body) = ask(ResponseType::Samples) else { panic!("no samples") };
    let held = ALLOCATED.allocated() - before;
    assert!(body.len() > 30 * MIB && held < body.len() * 2 + MIB, "{held} for {}", body.len());
}
