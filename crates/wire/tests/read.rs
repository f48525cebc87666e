//! Remote read against bytes that Prometheus' own packages wrote.

#![allow(clippy::unwrap_used)]

use model::matcher::MatchOp;
use wire::read::{LabelMatcher, Query, ReadHints, ReadRequest, ReadResponse, ResponseType, put_query_result};
use wire::read_stream::{Chunk, ChunkedReadResponse, next_frame, put_chunked_series, put_frame};
use wire::{SampleColumns, WireError, write_v1};

const REQUEST: &str = "0a5e08fbffffffffffffffff011080d8c1a28c341a0e12085f5f6e616d655f5f1a0275701a0508011201611a0a080212\
     01621a03782e2a1a0b08031201631a04c3a97c79221a089875120472617465180120022a036a6f622a00300138e0a712\
     0a000a02220012020100";
const RESPONSE: &str = "0a4a0a360a0e0a085f5f6e616d655f5f120275700a080a036a6f62120178120c09000000000000f83f10e807120c0900\
     0000000000004010d00f0a100a0e0a085f5f6e616d655f5f120275700a00";
const STREAM: &str = "8402ba0c84a50aff010a0e0a085f5f6e616d655f5f120275700a080a036a6f62120178120d08e80710d00f1801220301\
     020312d30108b81710a01f180322c8010707070707070707070707070707070707070707070707070707070707070707\
     070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707\
     070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707\
     070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707\
     070707070707070707070707070707070707070707070707100101a93c5f9378";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

const LABELS: [(&str, &str); 2] = [("__name__", "up"), ("job", "x")];

#[test]
fn requests() {
    let matcher = |op, name, value| LabelMatcher { op, name, value };
    let request = ReadRequest {
        queries: vec![
            Query {
                start_ms: -5,
                end_ms: 1_790_000_000_000,
                matchers: vec![
                    matcher(MatchOp::Equal, "__name__", "up"),
                    matcher(MatchOp::NotEqual, "a", ""),
                    matcher(MatchOp::Regex, "b", "x.*"),
                    matcher(MatchOp::NotRegex, "c", "é|y"),
                ],
                hints: Some(ReadHints {
                    step_ms: 15_000,
                    func: "rate",
                    start_ms: 1,
                    end_ms: 2,
                    grouping: vec!["job", ""],
                    by: true,
                    range_ms: 300_000,
                }),
            },
            Query::default(),
            Query { hints: Some(ReadHints::default()), ..Default::default() },
        ],
        accepted_response_types: vec![ResponseType::StreamedXorChunks, ResponseType::Samples],
    };
    let golden = bytes(REQUEST);
    assert_eq!(ReadRequest::decode(&golden).unwrap(), request);
    let mut out = Vec::new();
    request.encode(&mut out);
    assert_eq!(out, golden);
}

#[test]
fn refuses_what_is_no_request() {
    let decode = |body: &[u8]| ReadRequest::decode(body).unwrap_err().to_string();
    assert_eq!(decode(&[0x0a, 4, 0x1a, 2, 0x08, 4]), "invalid matcher type");
    assert_eq!(decode(&[0x0a, 0].repeat(10_001)), "too many queries: more than 10000");
    assert_eq!(decode(&[0x0d, 0, 0, 0, 0]), "protobuf: wrong wire type for a known field at byte 1");
}

#[test]
fn responses() {
    let golden = bytes(RESPONSE);
    let mut out = Vec::new();
    put_query_result(&mut out, |out| {
        write_v1::put_series(out, LABELS, |w| {
            w.sample(1000, 1.5);
            w.sample(2000, 2.0);
        });
        write_v1::put_series(out, [LABELS[0]], |_| {});
    });
    put_query_result(&mut out, |_| {});
    assert_eq!(out, golden);

    let (mut response, mut columns, mut series) =
        (ReadResponse::new(&golden), SampleColumns::default(), Vec::new());
    while let Some(mut result) = response.next_result().unwrap() {
        series.push(String::new());
        while let Some(each) = result.next_series(&mut columns).unwrap() {
            let labels = each.labels().decode().unwrap();
            series.last_mut().unwrap().push_str(&format!("{labels} {:?} ", each.samples));
        }
    }
    assert_eq!(series, [r#"{__name__="up", job="x"} 0..2 {__name__="up"} 2..2 "#, ""]);
    assert_eq!((columns.t, columns.v), (vec![1000, 2000], vec![1.5, 2.0]));
}

#[test]
fn streams() {
    let golden = bytes(STREAM);
    let chunks = [
        Chunk { min_t: 1000, max_t: 2000, encoding: 1, data: &[1, 2, 3] },
        Chunk { min_t: 3000, max_t: 4000, encoding: 3, data: &[7; 200] },
    ];
    let (mut message, mut out) = (Vec::new(), Vec::new());
    put_chunked_series(&mut message, LABELS, chunks, 1);
    put_frame(&mut out, &message);
    put_frame(&mut out, b"");
    put_frame(&mut out, b"x");
    assert_eq!(out, golden);

    let frame = next_frame(&golden, 1000).unwrap().unwrap();
    assert_eq!(frame.message, message);
    let answer = ChunkedReadResponse::decode(frame.message).unwrap();
    assert_eq!((answer.query_index, answer.series.len()), (1, 1));
    assert_eq!(answer.series[0].chunks, chunks);
    assert_eq!(answer.series[0].labels().decode().unwrap().to_string(), r#"{__name__="up", job="x"}"#);
    let second = next_frame(&golden[frame.length..], 1000).unwrap().unwrap();
    assert_eq!((second.message, second.length), (&b"x"[..], golden.len() - frame.length));

    for end in 0..frame.length {
        assert_eq!(next_frame(&golden[..end], 1000), Ok(None));
    }
    let mut damaged = golden.clone();
    damaged[20] ^= 1;
    assert_eq!(next_frame(&damaged, 1000), Err(WireError::FrameChecksum));
    assert!(matches!(next_frame(&golden, 100), Err(WireError::FrameTooLarge { .. })));
    assert!(next_frame(&[0xff; 11], u64::MAX).is_err());
}
