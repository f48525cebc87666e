//! Queries answered from two databases: one at hand, and one that is reached by remote read.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;

use common::{Bench, T0, wait};
use engine::labels_api::SeriesQuery;
use engine::query::{QueryLimits, QueryTimes};
use engine::remote_read::reads::Inquiry;
use engine::remote_read::{
    Piece, RemoteEndpoint, RemoteReadAnswer, RemoteReadRequest, RemoteReads, RemoteRequest, RemoteResponse,
};
use engine::remote_write::RemoteWriteRequest;
use engine::{EngineError, ErrorCode};
use model::histogram::Span;
use model::{Histogram, Labels};
use promql::Cancel;
use wire::read::{ReadRequest, ResponseType};
use wire::{snappy, write_v1};

const SAMPLES: &str = "application/x-protobuf";
const CHUNKS: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

type Fetched = Result<RemoteResponse, String>;

fn pack(body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    snappy::Compressor::default().compress(body, &mut block).unwrap();
    block
}

fn response(content_type: &str, pieces: Vec<Vec<u8>>) -> Fetched {
    let pieces = pieces.into_iter().map(|p| Box::new(p) as Piece).collect();
    Ok(RemoteResponse { content_type: content_type.to_owned(), pieces })
}

/// Series `labels` with a sample each second from `from` to before `to`, worth `value(second)`.
fn write(b: &Bench, series: &[(&str, i64, i64, f64)]) {
    b.clock.set_ms(T0 + 100_000_000);
    let mut body = Vec::new();
    for (labels, from, to, plus) in series {
        let labels: Vec<(&str, &str)> = labels.split(' ').map(|l| l.split_once('=').unwrap()).collect();
        write_v1::put_series(&mut body, labels, |w| {
            (*from..*to).for_each(|s| w.sample(T0 + s * 1000, s as f64 + plus));
        });
    }
    store(b, &body);
}

fn store(b: &Bench, body: &[u8]) {
    let request = RemoteWriteRequest {
        pieces: vec![pack(body)],
        content_type: String::new(),
        content_encoding: String::new(),
        accepted: Vec::new(),
    };
    assert_eq!(wait(|done| b.engine.ingest_remote_write(request, done)).unwrap().refusal, None);
}

/// The accepted types of a request, and it with others.
fn unpacked(request: &RemoteRequest, use_it: impl FnOnce(&mut ReadRequest<'_>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    let plain = snappy::decompress(&request.body, 1 << 20, &mut buffer).unwrap();
    let mut message = ReadRequest::decode(plain).unwrap();
    use_it(&mut message);
    let mut body = Vec::new();
    message.encode(&mut body);
    pack(&body)
}

/// What `far` answers.
fn fetch(far: &Bench, request: &RemoteRequest, kind: ResponseType, external: &Labels) -> Fetched {
    let body = unpacked(request, |r| {
        assert_eq!(r.accepted_response_types, [ResponseType::StreamedXorChunks, ResponseType::Samples]);
        r.accepted_response_types = vec![kind];
    });
    let request = RemoteReadRequest {
        pieces: vec![body],
        external_labels: external.clone(),
        samples_max: 0,
        frame_bytes_max: 200,
    };
    match wait(|done| far.engine.remote_read(request, Cancel::new(), done)).unwrap() {
        RemoteReadAnswer::Refused(r) => Err(r.text),
        RemoteReadAnswer::Samples(body) => response(SAMPLES, body.pieces),
        RemoteReadAnswer::Chunks(stream) => {
            let mut pieces = Vec::new();
            while let Some(piece) = wait(|done| stream.next(done)).unwrap() {
                // As sockets cut them.
                pieces.extend(piece.chunks(77).map(<[u8]>::to_vec));
            }
            response(CHUNKS, pieces)
        }
    }
}

fn endpoint() -> RemoteEndpoint {
    RemoteEndpoint { read_recent: true, frame_bytes_max: 1 << 20, ..RemoteEndpoint::default() }
}

fn open(b: &Bench, inquiry: Inquiry, endpoints: Vec<RemoteEndpoint>) -> Result<RemoteReads, EngineError> {
    wait(|done| b.engine.open_remote_reads(inquiry, endpoints, Cancel::new(), done))
}

/// The answer's JSON, and how many requests there were in each round.
fn ask(
    b: &Bench,
    inquiry: Inquiry,
    endpoints: Vec<RemoteEndpoint>,
    fetch: impl Fn(&RemoteRequest) -> Fetched,
) -> Result<(String, Vec<usize>), EngineError> {
    let reads = open(b, inquiry, endpoints)?;
    let mut rounds = Vec::new();
    loop {
        let requests = reads.requests()?;
        rounds.push(requests.len());
        for request in &requests {
            reads.answer(request.id, fetch(request));
        }
        assert!(rounds.len() < 5);
        if let Some(body) = wait(|done| reads.json(Cancel::new(), done))? {
            return Ok((String::from_utf8(body.pieces.concat()).unwrap(), rounds));
        }
    }
}

fn instant(query: &str, second: i64) -> Inquiry {
    let times = QueryTimes::Instant(T0 + second * 1000);
    Inquiry::Query { query: query.to_owned(), times, limits: QueryLimits::default() }
}

/// `data.result` and what follows it.
fn result(json: &str) -> &str {
    json.split_once("\"result\":").unwrap().1
}

#[test]
fn both_kinds_of_answers_are_merged_with_what_is_at_hand() {
    let (near, far) = (Bench::new(), Bench::new());
    write(&near, &[("__name__=m x=1", 50, 100, 0.0), ("__name__=m x=3", 50, 100, 0.0)]);
    write(&far, &[("__name__=m x=1", 0, 60, 0.0), ("__name__=m x=2", 0, 100, 0.0)]);
    let h = Histogram {
        count: 5,
        sum: 3.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![2, 1],
        ..Histogram::default()
    };
    let mut body = Vec::new();
    for (x, is_float) in [("int", false), ("float", true)] {
        write_v1::put_series(&mut body, [("__name__", "h"), ("x", x)], |w| {
            (0..60).for_each(|s| match is_float {
                true => w.float_histogram(T0 + s * 1000, &h.to_float()),
                false => w.histogram(T0 + s * 1000, &h),
            });
        });
    }
    store(&far, &body);
    for kind in [ResponseType::Samples, ResponseType::StreamedXorChunks] {
        let fetch = |r: &RemoteRequest| fetch(&far, r, kind, &Labels::empty());
        let ask = |query| ask(&near, instant(query, 100), vec![endpoint()], fetch).unwrap();
        let t = T0 / 1000 + 100;
        let (json, rounds) = ask("count_over_time(m[100s])");
        let want = format!(
            r#"[{{"metric":{{"x":"1"}},"value":[{t},"99"]}},{{"metric":{{"x":"2"}},"value":[{t},"99"]}},{{"metric":{{"x":"3"}},"value":[{t},"50"]}}]}}}}"#
        );
        assert_eq!((result(&json), rounds), (want.as_str(), vec![1]));
        let (json, rounds) = ask("sum(m) - count(m offset 10s) + sum(m)");
        assert_eq!(result(&json), format!(r#"[{{"metric":{{}},"value":[{t},"591"]}}]}}}}"#));
        assert_eq!(rounds, [2]);
        let (json, _) = ask("histogram_count(h) + histogram_sum(h)");
        let both = ["float", "int"].map(|x| format!(r#"{{"metric":{{"x":"{x}"}},"value":[{t},"8"]}}"#));
        assert_eq!(result(&json), format!("[{}]}}}}", both.join(",")));
        let reads = open(&near, instant("m{x='2'}", 100), vec![endpoint()]).unwrap();
        for r in reads.requests().unwrap() {
            reads.answer(r.id, fetch(&r));
        }
        let answer = wait(|done| reads.values(Cancel::new(), done)).unwrap().unwrap();
        assert_eq!(answer.into_columns().series[0].values, [99.0]);
    }
}

#[test]
fn requests_say_what_is_selected() {
    let b = Bench::new();
    let check = |query: &str, endpoint: RemoteEndpoint, want: &[&str]| {
        let reads = open(&b, instant(query, 1000), vec![endpoint]).unwrap();
        let mut got = Vec::new();
        for r in reads.requests().unwrap() {
            unpacked(&r, |message| {
                for q in &message.queries {
                    let h = q.hints.clone().unwrap();
                    let second = |ms: i64| (ms - T0) as f64 / 1000.0;
                    let matchers: Vec<_> =
                        q.matchers.iter().map(|m| (m.op.as_str(), m.name, m.value)).collect();
                    got.push(format!(
                        "{}..{} {}..{} {} {} {:?} {} {matchers:?}",
                        second(q.start_ms),
                        second(q.end_ms),
                        second(h.start_ms),
                        second(h.end_ms),
                        h.func,
                        h.range_ms,
                        h.grouping,
                        h.by
                    ));
                }
            });
        }
        assert_eq!(got, want, "{query}");
        assert!(reads.requests().unwrap().is_empty(), "each is handed out once");
    };
    let name = r#"("=", "__name__", "m")"#;
    check("m", endpoint(), &[&format!("700.001..1000 700.001..1000  0 [] false [{name}]")]);
    check(
        "sum by (b, a) (m) / sum without (c) ((rate(m[1m] offset 5m)))",
        endpoint(),
        &[
            &format!("640.001..1000 700.001..1000 sum 0 [\"b\", \"a\"] true [{name}]"),
            &format!("640.001..1000 640.001..700 rate 60000 [] false [{name}]"),
        ],
    );
    let external =
        RemoteEndpoint { external_labels: Labels::from_pairs([("dc", "eu"), ("x", "y")]), ..endpoint() };
    check(
        "m{x!='z'}",
        external,
        &[&format!(
            r#"700.001..1000 700.001..1000  0 [] false [("!=", "x", "z"), {name}, ("=", "dc", "eu")]"#
        )],
    );
    let required = RemoteEndpoint { required_matchers: vec![("a".into(), "b".into())], ..endpoint() };
    check("m", required.clone(), &[]);
    check("m{a=~'b'}", required, &[]);
    // Without a block, all that is past two of them from now is at hand.
    let old = RemoteEndpoint { read_recent: false, ..endpoint() };
    check("m", old.clone(), &[&format!("700.001..1000 700.001..1000  0 [] false [{name}]")]);
    check("m offset -5h", old, &[]);
}

#[test]
fn external_labels_come_off_the_answer() {
    let (near, far) = (Bench::new(), Bench::new());
    write(&far, &[("__name__=m x=1", 0, 100, 0.0)]);
    let external = Labels::from_pairs([("dc", "eu")]);
    let fetch = |r: &RemoteRequest| fetch(&far, r, ResponseType::StreamedXorChunks, &external);
    let ask = |query, labels: &Labels| {
        let endpoint = RemoteEndpoint { external_labels: labels.clone(), ..endpoint() };
        let json = ask(&near, instant(query, 99), vec![endpoint], fetch).unwrap().0;
        result(&json).to_owned()
    };
    let with = |metric: &str| format!("[{{\"metric\":{metric},\"value\":[{},\"99\"]}}]}}}}", T0 / 1000 + 99);
    assert_eq!(ask("m", &external), with(r#"{"__name__":"m","x":"1"}"#));
    // Whoever asks for the label sees it.
    assert_eq!(ask("m{dc='eu'}", &external), with(r#"{"__name__":"m","dc":"eu","x":"1"}"#));
    assert_eq!(ask("m", &Labels::empty()), with(r#"{"__name__":"m","dc":"eu","x":"1"}"#));
}

#[test]
fn a_server_that_fails_is_a_warning_and_has_no_answers_at_all() {
    let (near, far) = (Bench::new(), Bench::new());
    write(&near, &[("__name__=m x=near", 0, 100, 0.0)]);
    write(&far, &[("__name__=m x=far", 0, 100, 0.0), ("__name__=n x=far", 0, 100, 0.0)]);
    let count = RefCell::new(0);
    let flaky = |r: &RemoteRequest| {
        *count.borrow_mut() += 1;
        match (r.endpoint, *count.borrow()) {
            (0, n) if n > 1 => Err(format!("remote_read: no {}", r.endpoint)),
            _ => fetch(&far, r, ResponseType::Samples, &Labels::empty()),
        }
    };
    let query = instant("count({__name__=~'m|n'}) + (count(n) or vector(10))", 99);
    let (json, rounds) = ask(&near, query, vec![endpoint()], flaky).unwrap();
    assert_eq!(rounds, [2]);
    let t = T0 / 1000 + 99;
    assert_eq!(
        result(&json),
        format!(r#"[{{"metric":{{}},"value":[{t},"11"]}}]}},"warnings":["remote_read: no 0"]}}"#)
    );
    let series = Inquiry::Series(SeriesQuery {
        matches: vec!["m".into(), "n".into()],
        start_ms: T0,
        end_ms: T0 + 1000,
        ..SeriesQuery::default()
    });
    let good = |r: &RemoteRequest| fetch(&far, r, ResponseType::StreamedXorChunks, &Labels::empty());
    let (json, rounds) = ask(&near, series.clone(), vec![endpoint()], good).unwrap();
    assert_eq!(rounds, [2]);
    assert_eq!(
        json,
        r#"{"status":"success","data":[{"__name__":"m","x":"far"},{"__name__":"m","x":"near"},{"__name__":"n","x":"far"}]}"#
    );
    let (json, _) = ask(&near, series, vec![endpoint()], |_| Err("away".into())).unwrap();
    assert_eq!(json, r#"{"status":"success","data":[{"__name__":"m","x":"near"}],"warnings":["away"]}"#);
}

#[test]
fn info_asks_again_for_what_it_finds() {
    let (near, far) = (Bench::new(), Bench::new());
    write(&near, &[("__name__=m instance=a job=j", 0, 100, 0.0)]);
    write(
        &far,
        &[
            ("__name__=m instance=b job=j", 0, 100, 0.0),
            ("__name__=target_info instance=a job=j v=1", 0, 100, 0.0),
            ("__name__=target_info instance=b job=j v=2", 0, 100, 0.0),
        ],
    );
    wait(|done| near.engine.close(done)).unwrap();
    let mut options = engine::EngineOptions::default();
    options.features.experimental_functions = true;
    let threads = std::sync::Arc::new(storage::Inline);
    let near =
        Bench::on(std::sync::Arc::new(near.fs.clone()), near.fs.clone(), T0 + 100_000_000, options, threads);
    let fetch = |r: &RemoteRequest| fetch(&far, r, ResponseType::StreamedXorChunks, &Labels::empty());
    let (json, rounds) = ask(&near, instant("count by (v) (info(m))", 99), vec![endpoint()], fetch).unwrap();
    assert_eq!(rounds, [1, 1]);
    let of = |v: &str| format!(r#"{{"metric":{{"v":"{v}"}},"value":[{},"1"]}}"#, T0 / 1000 + 99);
    assert_eq!(result(&json), format!("[{},{}]}}}}", of("1"), of("2")));
}

#[test]
fn hostile_answers_are_warnings_or_errors() {
    let (near, far) = (Bench::new(), Bench::new());
    write(&near, &[("__name__=m x=near", 0, 100, 0.0)]);
    write(&far, &[("__name__=m x=far", 0, 5000, 0.0)]);
    let outcome = |fetched: &dyn Fn(&RemoteRequest) -> Fetched| {
        // A window of several chunks, each in a frame of its own.
        let query = instant("count(m)", 2000);
        match ask(&near, query, vec![RemoteEndpoint { frame_bytes_max: 5000, ..endpoint() }], fetched) {
            Ok((json, _)) => json.split_once("\"warnings\":").map(|(_, w)| w.to_owned()).unwrap_or(json),
            Err(e) => e.to_string(),
        }
    };
    let warns = |fetched: &dyn Fn(&RemoteRequest) -> Fetched, text: &str| {
        let got = outcome(fetched);
        assert!(got.starts_with(&format!("[\"{text}")), "{got} is not {text}");
    };
    warns(&|_| response("text/html", vec![]), "remote_read: unsupported content type: text/html");
    let corrupt = "remote_read: error reading response: snappy: corrupt input";
    warns(&|_| response(SAMPLES, vec![]), corrupt);
    warns(&|_| response(SAMPLES, vec![b"no snappy".to_vec()]), corrupt);
    warns(&|_| response(SAMPLES, vec![vec![0xff, 0xff, 0xff, 0xff, 0x0f], vec![0]]), corrupt);
    warns(&|_| response(SAMPLES, vec![pack(&[0x0a, 9])]), "remote_read: unable to unmarshal response body: ");
    warns(&|_| response(SAMPLES, vec![pack(&[])]), "remote_read: responses: want 1, got 0");
    warns(&|_| response(SAMPLES, vec![pack(&[0x0a, 0, 0x0a, 0])]), "remote_read: responses: want 1, got 2");
    let series = |labels: &'static [(&str, &str)]| {
        move |_: &RemoteRequest| {
            let (mut body, mut series) = (Vec::new(), Vec::new());
            write_v1::put_series(&mut series, labels.iter().copied(), |w| w.sample(T0, 1.0));
            wire::read::put_query_result(&mut body, |out| out.extend_from_slice(&series));
            response(SAMPLES, vec![pack(&body)])
        }
    };
    warns(&series(&[("__name__", "m"), ("x", "1"), ("x", "2")]), "duplicate label with name: x");
    warns(&series(&[("__name__", "")]), "invalid metric name: ");
    warns(&series(&[("", "1")]), "invalid label name: ");
    let chunks = |r: &RemoteRequest| {
        let answer = fetch(&far, r, ResponseType::StreamedXorChunks, &Labels::empty()).unwrap();
        answer.pieces.iter().flat_map(|p| p.as_ref().as_ref().to_vec()).collect::<Vec<u8>>()
    };
    warns(&|_| response(CHUNKS, vec![vec![0xff; 11]]), "protobuf: ");
    warns(
        &|_| response(CHUNKS, vec![vec![0xff, 0xff, 0x7f]]),
        "chunkedReader: message size exceeded the limit 5000 bytes; got: 2097151 bytes",
    );
    warns(&|r| response(CHUNKS, vec![chunks(r)[..10].to_vec()]), "unexpected EOF");
    let damaged = |at: usize| {
        move |r: &RemoteRequest| {
            let mut body = chunks(r);
            let last = body.len() - 1;
            body[at.min(last)] ^= 1;
            response(CHUNKS, vec![body])
        }
    };
    warns(&damaged(9), "chunkedReader: corrupted frame; checksum mismatch");
    // What had begun well fails the query: the rest would be missing unnoticed.
    let broken = "QUERY_EXECUTION: expanding series: ";
    let got = outcome(&damaged(usize::MAX));
    assert_eq!(got, format!("{broken}chunkedReader: corrupted frame; checksum mismatch"));
    let cut = outcome(&|r| {
        let mut body = chunks(r);
        body.pop();
        response(CHUNKS, vec![body])
    });
    assert_eq!(cut, format!("{broken}unexpected EOF"));
    let frame = |encoding: u32, data: &'static [u8]| {
        move |_: &RemoteRequest| {
            let (mut message, mut body) = (Vec::new(), Vec::new());
            let chunk = wire::read_stream::Chunk { min_t: T0, max_t: T0, encoding, data };
            wire::read_stream::put_chunked_series(&mut message, [("__name__", "m")], [chunk], 0);
            wire::read_stream::put_frame(&mut body, &message);
            response(CHUNKS, vec![body])
        }
    };
    assert_eq!(outcome(&frame(9, &[])), format!("{broken}invalid chunk encoding \"9\""));
    assert!(outcome(&frame(1, &[0, 9, 1])).starts_with(broken));
    assert!(outcome(&frame(2, &[0xff; 40])).starts_with(broken));
}

#[test]
fn an_answer_beyond_the_memory_of_a_query_is_refused() {
    let options =
        engine::EngineOptions { query_memory_bytes_max: 200_000, ..engine::EngineOptions::default() };
    let fs = storage::MemFs::new();
    let threads = std::sync::Arc::new(storage::Inline);
    let near = Bench::on(std::sync::Arc::new(fs.clone()), fs, T0 + 100_000_000, options, threads);
    let far = Bench::new();
    write(&far, &[("__name__=m", 0, 50_000, 0.0)]);
    for kind in [ResponseType::Samples, ResponseType::StreamedXorChunks] {
        let fetch = |r: &RemoteRequest| fetch(&far, r, kind, &Labels::empty());
        let asked = ask(&near, instant("count_over_time(m[20h])", 50_000), vec![endpoint()], fetch);
        let e = asked.unwrap_err();
        assert_eq!(e.code, ErrorCode::QueryExecution);
        assert!(e.message.contains("more than 200000 bytes of memory"), "{e}");
    }
}
