//! Every walker and decoder over random and damaged bytes: no panic, and no endless walk.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use wire::read::{ReadRequest, ReadResponse};
use wire::read_stream::{ChunkedReadResponse, FRAME_BYTES_MAX, next_frame};
use wire::{EncodedLabels, HistogramSample, SampleColumns, SymbolSpans, TimeSeries, write_v1, write_v2};

fn series(series: &TimeSeries<'_>, columns: &SampleColumns) {
    let _ = series.labels().decode();
    assert!(series.samples.end <= columns.len());
    for exemplar in series.exemplars() {
        let Ok(exemplar) = exemplar else { break };
        let _ = exemplar.labels().decode_exemplar();
    }
    let (mut sample, mut histograms) = (HistogramSample::default(), series.histograms());
    while histograms.next_into(&mut sample).is_ok_and(|more| more) {
        let _ = (sample.int.validate(), sample.float.validate());
    }
}

fn read_v1(body: &[u8]) {
    let mut columns = SampleColumns::default();
    let mut request = write_v1::WriteRequest::new(body);
    while let Ok(Some(each)) = request.next_series(&mut columns) {
        series(&each, &columns);
    }
    assert_eq!(columns.t.len(), columns.v.len());
    assert!(request.metadata().count() <= body.len());
}

fn read_v2(body: &[u8]) {
    let (mut columns, mut spans, mut refs) = (SampleColumns::default(), SymbolSpans::default(), Vec::new());
    let Ok(mut request) = write_v2::Request::new(body, &mut spans) else { return };
    let symbols = request.symbols();
    while let Ok(Some(each)) = request.next_series(&mut refs, &mut columns) {
        let mut key = Vec::new();
        if symbols.resolve(&refs, &mut key).is_ok() {
            let _ = EncodedLabels::new(&key, 0).decode();
        }
        let _ = each.metadata.resolve(&symbols);
        let (mut sample, mut histograms) = (HistogramSample::default(), each.histograms());
        while histograms.next_into(&mut sample).is_ok_and(|more| more) {}
        let mut exemplars = each.exemplars();
        while exemplars.next_into(&mut refs).is_ok_and(|more| more.is_some()) {}
    }
    assert_eq!(columns.t.len(), columns.v.len());
    assert!(columns.st.is_empty() || columns.st.len() == columns.t.len());
}

fn read_all(body: &[u8]) {
    read_v1(body);
    read_v2(body);
    let _ = ReadRequest::decode(body);
    let mut response = ReadResponse::new(body);
    while let Ok(Some(mut result)) = response.next_result() {
        let mut columns = SampleColumns::default();
        while let Ok(Some(each)) = result.next_series(&mut columns) {
            series(&each, &columns);
        }
    }
    if let Ok(answer) = ChunkedReadResponse::decode(body) {
        for each in &answer.series {
            let _ = each.labels().decode();
        }
    }
    let _ = next_frame(body, FRAME_BYTES_MAX);
}

/// A request of each kind with everything in it.
fn sound() -> Vec<Vec<u8>> {
    let labels = || [("__name__", "up"), ("job", "x")];
    let int = model::Histogram {
        count: 3,
        positive_spans: vec![model::histogram::Span { offset: -2, length: 2 }],
        positive_buckets: vec![1, 1],
        ..Default::default()
    };
    let (mut v1, mut v2, mut writer) = (Vec::new(), Vec::new(), write_v2::RequestWriter::default());
    for t in [1_790_000_000_000, 0, -1] {
        write_v1::put_series(&mut v1, labels(), |w| {
            w.sample(t, 1.5);
            w.exemplar(labels(), 1.0, t);
            w.histogram(t, &int);
            w.float_histogram(t, &int.to_float());
        });
        let metadata = write_v2::Metadata { help: "Help.".into(), ..Default::default() };
        writer.put_series(labels(), &metadata, |w| {
            w.sample(t, 1.5, t);
            w.histogram(t, t, &int);
            w.float_histogram(t, 0, &int.to_float());
            w.exemplar(labels(), 1.0, t);
        });
    }
    write_v1::put_metadata(
        &mut v1,
        &write_v1::Metadata { family: "up", help: "Help.", ..Default::default() },
    );
    writer.finish(&mut v2);
    vec![v1, v2]
}

#[test]
fn every_prefix_of_a_sound_body() {
    for body in sound() {
        for end in 0..=body.len() {
            read_all(&body[..end]);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&body);
    }

    #[test]
    fn damaged_bodies(
        which in 0usize..2,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
    ) {
        let mut body = sound().remove(which);
        for (at, byte, insert) in damage {
            let at = at.index(body.len());
            if insert { body.insert(at, byte) } else { body[at] = byte }
        }
        read_all(&body);
    }
}

/// A body with something of everything.
fn otlp_body() -> Vec<u8> {
    let json = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}},
        {"key":"l","value":{"arrayValue":{"values":[{"intValue":1},{"kvlistValue":{"values":[{"key":"k","value":{"doubleValue":0.5}}]}}]}}}]},
        "scopeMetrics":[{"scope":{"name":"n","version":"v","attributes":[{"key":"a","value":{"boolValue":true}}]},"metrics":[
        {"name":"g","unit":"s","gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000","asDouble":1.5}]}},
        {"name":"c","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1","asInt":"7",
          "exemplars":[{"asInt":1,"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708"}]}]}},
        {"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":3,"sum":1,"bucketCounts":[1,2],"explicitBounds":[0.5]}]}},
        {"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":3,"scale":2,"zeroCount":1,
          "positive":{"offset":-3,"bucketCounts":[1,1]},"negative":{"offset":1,"bucketCounts":["300"]}}]}},
        {"name":"s","summary":{"dataPoints":[{"count":1,"sum":2,"quantileValues":[{"quantile":0.5,"value":2}]}]}}]}]}]}"#;
    let mut out = Vec::new();
    wire::otlp::json::to_protobuf(json.as_bytes(), &mut out).unwrap();
    out
}

#[test]
fn every_cut_and_every_byte_of_otlp() {
    let body = otlp_body();
    for at in 0..body.len() {
        wire::fuzz::otlp(&body[..at]);
        for byte in [0, 1, 0x7f, 0x80, 0xff, body[at] ^ 1, body[at].wrapping_add(1)] {
            let mut damaged = body.clone();
            damaged[at] = byte;
            wire::fuzz::otlp(&damaged);
        }
    }
}

proptest! {
    #[test]
    fn otlp_takes_any_bytes(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        wire::fuzz::otlp(&body);
        wire::fuzz::otlp_json(&body);
    }

    #[test]
    fn otlp_takes_any_json(body in "[{}\\[\\]:,\"0-9a-zA-Z.-]{0,200}") {
        wire::fuzz::otlp_json(body.as_bytes());
        let inside = format!("{{\"resourceMetrics\":[{{\"scopeMetrics\":[{body}]}}]}}");
        wire::fuzz::otlp_json(inside.as_bytes());
    }
}
