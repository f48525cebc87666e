//! Remote read from a request's bytes to the answer's, over what was scraped, written and compacted.
#![allow(clippy::unwrap_used)]

mod common;

use chunk::Encoding;
use common::{Bench, T0, wait};
use engine::remote_read::{FrameStream, Refusal, RemoteReadAnswer, RemoteReadRequest};
use engine::remote_write::RemoteWriteRequest;
use engine::{EngineError, ErrorCode};
use model::histogram::Span;
use model::matcher::MatchOp;
use model::{Columns, FloatHistogram, Histogram, Labels};
use promql::Cancel;
use wire::read::{LabelMatcher, Query, ReadHints, ReadRequest, ReadResponse, ResponseType};
use wire::read_stream::{ChunkedReadResponse, FRAME_BYTES_MAX, next_frame};
use wire::{HistogramSample, SampleColumns, snappy, write_v1};

fn pack(body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    snappy::Compressor::default().compress(body, &mut block).unwrap();
    block
}

fn write(b: &Bench, body: &[u8]) {
    let request = RemoteWriteRequest {
        pieces: vec![pack(body)],
        content_type: String::new(),
        content_encoding: String::new(),
        accepted: Vec::new(),
    };
    let report = wait(|done| b.engine.ingest_remote_write(request, done)).unwrap();
    assert_eq!(report.refusal, None);
}

fn histogram(n: u64) -> Histogram {
    Histogram {
        schema: 1,
        zero_threshold: 0.001,
        count: n + 2,
        sum: n as f64 * 1.5,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![1, n as i64],
        ..Histogram::default()
    }
}

/// Three series of floats, one of each kind of histogram, a sample a second.
fn filled(seconds: i64) -> Bench {
    let b = Bench::new();
    b.clock.set_ms(T0 + seconds * 1000);
    let mut body = Vec::new();
    for x in ["1", "2", "3"] {
        write_v1::put_series(&mut body, [("__name__", "f"), ("x", x)], |w| {
            (0..seconds).for_each(|s| w.sample(T0 + s * 1000, (s * s % 97) as f64));
        });
    }
    write_v1::put_series(&mut body, [("__name__", "h"), ("x", "1")], |w| {
        (0..seconds).for_each(|s| w.histogram(T0 + s * 1000, &histogram(s as u64)));
    });
    write_v1::put_series(&mut body, [("__name__", "h"), ("x", "2")], |w| {
        (0..seconds).for_each(|s| w.float_histogram(T0 + s * 1000, &histogram(s as u64).to_float()));
    });
    write(&b, &body);
    b
}

fn query<'a>(matchers: &[(&'a str, MatchOp, &'a str)], from: i64, to: i64) -> Query<'a> {
    let matchers = matchers.iter().map(|(name, op, value)| LabelMatcher { op: *op, name, value });
    Query { start_ms: T0 + from * 1000, end_ms: T0 + to * 1000, matchers: matchers.collect(), hints: None }
}

fn request(queries: Vec<Query<'_>>, kinds: &[ResponseType]) -> RemoteReadRequest<Vec<u8>> {
    let mut body = Vec::new();
    ReadRequest { queries, accepted_response_types: kinds.to_vec() }.encode(&mut body);
    let packed = pack(&body);
    let (head, tail) = packed.split_at(packed.len() / 2);
    RemoteReadRequest {
        pieces: vec![head.to_vec(), tail.to_vec()],
        external_labels: Labels::empty(),
        samples_max: 0,
        frame_bytes_max: 1 << 20,
    }
}

fn ask(b: &Bench, request: RemoteReadRequest<Vec<u8>>) -> Result<RemoteReadAnswer, EngineError> {
    wait(|done| b.engine.remote_read(request, Cancel::new(), done))
}

fn refused(b: &Bench, request: RemoteReadRequest<Vec<u8>>) -> (u16, String) {
    match ask(b, request).unwrap() {
        RemoteReadAnswer::Refused(Refusal { status, text }) => (status, text),
        _ => panic!("it was answered"),
    }
}

/// A series of an answer: its query, its labels, and its samples as text.
type Got = (usize, String, Vec<String>);

fn shown(t: i64, value: &str) -> String {
    format!("{}:{value}", (t - T0) / 1000)
}

fn shown_histogram(t: i64, h: &FloatHistogram, kind: &str) -> String {
    shown(t, &format!("{kind} {} {} {:?}", h.count, h.sum, h.positive_buckets))
}

fn samples(answer: RemoteReadAnswer) -> Vec<Got> {
    let RemoteReadAnswer::Samples(body) = answer else { panic!("no samples") };
    assert_eq!(body.encoding, "snappy");
    let mut buffer = Vec::new();
    let plain = snappy::decompress(&body.pieces.concat(), 64 << 20, &mut buffer).unwrap();
    let mut response = ReadResponse::new(plain);
    let (mut out, mut columns, mut h) = (Vec::new(), SampleColumns::default(), HistogramSample::default());
    for index in 0.. {
        let Some(mut result) = response.next_result().unwrap() else { break };
        while let Some(series) = result.next_series(&mut columns).unwrap() {
            let floats = series.samples.clone().map(|i| shown(columns.t[i], &columns.v[i].to_string()));
            let mut all: Vec<String> = floats.collect();
            let mut histograms = series.histograms();
            while histograms.next_into(&mut h).unwrap() {
                let (kind, value) =
                    if h.is_float { ("float", h.float.clone()) } else { ("int", h.int.to_float()) };
                all.push(shown_histogram(h.t, &value, kind));
            }
            out.push((index, series.labels().decode().unwrap().to_string(), all));
        }
    }
    out
}

fn pieces(stream: &FrameStream) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(piece) = wait(|done| stream.next(done)).unwrap() {
        out.push(piece);
    }
    out
}

/// The frames' series, those that follow one another as one; and the sizes of the frames.
fn chunks(answer: RemoteReadAnswer) -> (Vec<Got>, Vec<usize>) {
    let RemoteReadAnswer::Chunks(stream) = answer else { panic!("no chunks") };
    let body = pieces(&stream).concat();
    let (mut out, mut sizes, mut at): (Vec<Got>, _, _) = (Vec::new(), Vec::new(), 0);
    while at < body.len() {
        let frame = next_frame(&body[at..], FRAME_BYTES_MAX).unwrap().unwrap();
        at += frame.length;
        sizes.push(frame.message.len());
        let message = ChunkedReadResponse::decode(frame.message).unwrap();
        assert_eq!(message.series.len(), 1);
        let series = &message.series[0];
        let key = (message.query_index as usize, series.labels().decode().unwrap().to_string());
        if out.last().is_none_or(|last| (last.0, &last.1) != (key.0, &key.1)) {
            out.push((key.0, key.1, Vec::new()));
        }
        for c in &series.chunks {
            let encoding = Encoding::try_from(u8::try_from(c.encoding).unwrap()).unwrap();
            let mut columns = Columns::default();
            chunk::decode(encoding, c.data, i64::MIN, i64::MAX, &mut columns).unwrap();
            assert_eq!((columns.t[0], *columns.t.last().unwrap()), (c.min_t, c.max_t));
            let mut histograms = columns.h.iter().peekable();
            for (i, (t, v)) in columns.t.iter().zip(&columns.v).enumerate() {
                let kind = if encoding == Encoding::Histogram { "int" } else { "float" };
                out.last_mut().unwrap().2.push(match histograms.next_if(|(at, _)| *at as usize == i) {
                    Some((_, h)) => shown_histogram(*t, h, kind),
                    None => shown(*t, &v.to_string()),
                });
            }
        }
    }
    (out, sizes)
}

const ALL: (&str, MatchOp, &str) = ("__name__", MatchOp::Regex, ".+");

#[test]
fn both_kinds_of_answers_have_the_same_samples() {
    let b = filled(1000);
    for queries in [
        vec![query(&[ALL], 0, 10_000)],
        vec![query(&[ALL], 117, 131), query(&[("x", MatchOp::Equal, "2")], 990, 2000)],
        vec![query(&[("__name__", MatchOp::Equal, "h")], -5, 0), query(&[ALL], 5000, 6000)],
        vec![query(&[], 0, 1000), query(&[("none", MatchOp::Equal, "x")], 0, 1000)],
        vec![query(&[ALL], 10, 5)],
    ] {
        let ours = samples(ask(&b, request(queries.clone(), &[])).unwrap());
        let (theirs, _) =
            chunks(ask(&b, request(queries.clone(), &[ResponseType::StreamedXorChunks])).unwrap());
        assert_eq!(ours, theirs, "{queries:?}");
        for (index, labels, all) in &ours {
            let q = &queries[*index];
            let (from, to) = ((q.start_ms - T0) / 1000, (q.end_ms - T0) / 1000);
            assert_eq!(all.len() as i64, (to.min(999) - from.max(0)) + 1, "{labels}");
        }
    }
    let got = samples(ask(&b, request(vec![query(&[ALL], 0, 1)], &[])).unwrap());
    assert_eq!(
        got,
        [
            (0, "{__name__=\"f\", x=\"1\"}".into(), vec!["0:0".into(), "1:1".into()]),
            (0, "{__name__=\"f\", x=\"2\"}".into(), vec!["0:0".into(), "1:1".into()]),
            (0, "{__name__=\"f\", x=\"3\"}".into(), vec!["0:0".into(), "1:1".into()]),
            (
                0,
                "{__name__=\"h\", x=\"1\"}".into(),
                vec!["0:int 2 0 [1.0, 1.0]".into(), "1:int 3 1.5 [1.0, 2.0]".into()]
            ),
            (
                0,
                "{__name__=\"h\", x=\"2\"}".into(),
                vec!["0:float 2 0 [1.0, 1.0]".into(), "1:float 3 1.5 [1.0, 2.0]".into()]
            ),
        ]
    );
}

#[test]
fn hints_narrow_and_a_series_hint_leaves_samples_out() {
    let b = filled(100);
    let hints = |func, from: i64, to: i64| {
        Some(ReadHints { func, start_ms: T0 + from * 1000, end_ms: T0 + to * 1000, ..ReadHints::default() })
    };
    let q = Query { hints: hints("rate", 7, 9), ..query(&[("x", MatchOp::Equal, "3")], 0, 50) };
    let want = vec!["7:49".to_owned(), "8:64".into(), "9:81".into()];
    assert_eq!(samples(ask(&b, request(vec![q.clone()], &[])).unwrap())[0].2, want);
    assert_eq!(chunks(ask(&b, request(vec![q], &[ResponseType::StreamedXorChunks])).unwrap()).0[0].2, want);
    let q = Query { hints: hints("series", 0, 50), ..query(&[ALL], 0, 50) };
    let got = samples(ask(&b, request(vec![q], &[])).unwrap());
    assert!(got.len() == 5 && got.iter().all(|(_, _, samples)| samples.is_empty()));
}

#[test]
fn external_labels_are_added_and_asked_for_by_their_absence() {
    let b = filled(3);
    let external = Labels::from_pairs([("dc", "eu"), ("x", "external")]);
    for kind in [ResponseType::Samples, ResponseType::StreamedXorChunks] {
        let ask = |name, op, value| {
            let name_is_f = ("__name__", MatchOp::Equal, "f");
            let mut request = request(vec![query(&[name_is_f, (name, op, value)], 0, 10)], &[kind]);
            request.external_labels = external.clone();
            let answer = ask(&b, request).unwrap();
            let got = if kind == ResponseType::Samples { samples(answer) } else { chunks(answer).0 };
            got.into_iter().map(|(_, labels, _)| labels).collect::<Vec<_>>()
        };
        let all = ["1", "2", "3"].map(|x| format!("{{__name__=\"f\", dc=\"eu\", x=\"{x}\"}}"));
        assert_eq!(ask("dc", MatchOp::Equal, "eu"), all);
        assert_eq!(ask("dc", MatchOp::Equal, "us"), [""; 0]);
        // Only equality is looked at, as with Prometheus.
        assert_eq!(ask("dc", MatchOp::Regex, "eu"), [""; 0]);
        assert_eq!(ask("x", MatchOp::Equal, "external"), [""; 0]);
        assert_eq!(ask("x", MatchOp::NotEqual, "1"), all[1..]);
    }
}

#[test]
fn frames_keep_to_their_size() {
    let b = filled(5000);
    let ask = |bytes_max| {
        let mut request = request(vec![query(&[ALL], 0, 10_000)], &[ResponseType::StreamedXorChunks]);
        request.frame_bytes_max = bytes_max;
        chunks(ask(&b, request).unwrap())
    };
    let (want, sizes) = ask(1 << 20);
    assert_eq!(sizes.len(), 5);
    for bytes_max in [1000, 1, 0, -1] {
        let (got, sizes) = ask(bytes_max);
        assert_eq!(got, want);
        assert!(sizes.len() > 15, "{sizes:?}");
    }
}

#[test]
fn limits_of_samples() {
    let b = filled(100);
    let ask_for = |queries, samples_max, kind| {
        let mut r = request(queries, &[kind]);
        r.samples_max = samples_max;
        r
    };
    let two = || vec![query(&[ALL], 0, 9), query(&[ALL], 10, 19)];
    assert_eq!(samples(ask(&b, ask_for(two(), 50, ResponseType::Samples)).unwrap()).len(), 10);
    let told = refused(&b, ask_for(two(), 49, ResponseType::Samples));
    assert_eq!(told, (400, "exceeded sample limit (49)".to_owned()));
    assert_eq!(chunks(ask(&b, ask_for(two(), 1, ResponseType::StreamedXorChunks)).unwrap()).0.len(), 10);
}

#[test]
fn hostile_requests_are_refused() {
    let b = filled(3);
    let raw = |bytes: &[u8]| RemoteReadRequest {
        pieces: vec![bytes.to_vec()],
        external_labels: Labels::empty(),
        samples_max: 0,
        frame_bytes_max: 1 << 20,
    };
    let corrupt = (400, "snappy: corrupt input".to_owned());
    assert_eq!(refused(&b, raw(b"")), corrupt);
    assert_eq!(refused(&b, raw(b"this is no snappy block")), corrupt);
    assert_eq!(refused(&b, raw(&[0xff, 0xff, 0x07, 0, b'a'])), corrupt);
    // Announces 4 GiB.
    let bomb = refused(&b, raw(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]));
    assert_eq!(bomb, (400, "snappy: decoded length 4294967295 exceeds limit 33554432".to_owned()));
    let zeros = refused(&b, raw(&pack(&vec![0; 33 << 20])));
    assert_eq!(zeros.0, 400);
    let (status, text) = refused(&b, raw(&pack(&[0x08, 0x2a, 0x05])));
    assert!(status == 400 && text.starts_with("protobuf: "), "{text}");
    let many = pack(&[0x0a, 0].repeat(10_001));
    assert_eq!(refused(&b, raw(&many)), (400, "too many queries: more than 10000".to_owned()));
    let (status, text) = refused(&b, request(vec![query(&[("a", MatchOp::Regex, "(")], 0, 1)], &[]));
    assert_eq!((status, text.as_str()), (500, "error parsing regexp: missing closing ): `(`"));
    let unknown = request(vec![], &[ResponseType::Other(7)]);
    assert_eq!(refused(&b, unknown).0, 400);
    let huge = "x{1,1000}".repeat(300);
    let matchers = vec![("a", MatchOp::Regex, huge.as_str()); 30];
    let (status, _) = refused(&b, request(vec![query(&matchers, 0, 1)], &[]));
    assert!(status == 400 || status == 500);
    assert_eq!(samples(ask(&b, request(vec![], &[])).unwrap()), []);
    assert_eq!(
        chunks(ask(&b, request(vec![], &[ResponseType::StreamedXorChunks])).unwrap()),
        (vec![], vec![])
    );
}

#[test]
fn a_long_stream_comes_in_pieces_and_can_be_left() {
    let b = Bench::new();
    b.clock.set_ms(T0 + 1_000_000);
    for chunk in 0..20 {
        let mut body = Vec::new();
        for i in 0..100 {
            let x = (chunk * 100 + i).to_string();
            write_v1::put_series(&mut body, [("__name__", "f"), ("x", x.as_str())], |w| {
                // Digits without a pattern, so that chunks stay large.
                (0..240).for_each(|s| w.sample(T0 + s * 1000, ((i * 7919 + s * 104_729) as f64).sqrt()));
            });
        }
        write(&b, &body);
    }
    let open = || {
        let request = request(vec![query(&[ALL], 0, 10_000)], &[ResponseType::StreamedXorChunks]);
        let RemoteReadAnswer::Chunks(stream) = ask(&b, request).unwrap() else { panic!("no chunks") };
        stream
    };
    let got = pieces(&open());
    assert!(got.len() > 4 && got.iter().all(|p| p.len() < 600 << 10), "{}", got.len());
    let stream = open();
    assert!(wait(|done| stream.next(done)).unwrap().is_some());
    stream.close();
    assert_eq!(wait(|done| stream.next(done)).unwrap(), None);
    // A stream that is open when the database closes ends with an error.
    let stream = open();
    assert!(wait(|done| stream.next(done)).unwrap().is_some());
    wait(|done| b.engine.close(done)).unwrap();
    assert_eq!(wait(|done| stream.next(done)).unwrap_err().code, ErrorCode::Closed);
    let after = wait(|done| b.engine.remote_read(request(vec![], &[]), Cancel::new(), done));
    assert_eq!(after.err().map(|e| e.code), Some(ErrorCode::Closed));
}

#[test]
fn a_read_can_be_cancelled() {
    let b = filled(3);
    let cancel = Cancel::new();
    cancel.cancel();
    let answer = wait(|done| b.engine.remote_read(request(vec![query(&[ALL], 0, 1)], &[]), cancel, done));
    assert_eq!(answer.err().map(|e| e.code), Some(ErrorCode::QueryCanceled));
}
