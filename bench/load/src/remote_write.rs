//! Sends the workload by remote write 1.0 as fast as it is taken: a request holds one sample of each
//! of so many series of one connection, so that every series comes in order.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wire::snappy::Compressor;
use wire::write_v1::put_series;

use crate::workload::{Names, series_labels, value};

/// Series of a request.
const BATCH_SERIES: usize = 4000;
const CONNECTIONS: usize = 2;
/// Pause after an answer that asks for one.
const BACKOFF: Duration = Duration::from_millis(50);

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    /// `host:port`.
    pub(crate) address: &'a str,
    pub(crate) names: Names,
    pub(crate) series: usize,
    pub(crate) samples: usize,
    pub(crate) start_ms: i64,
    pub(crate) interval_ms: i64,
    /// It is an error not to be done by then.
    pub(crate) seconds_max: u64,
}

pub(crate) fn run(load: Load<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let deadline = started + Duration::from_secs(load.seconds_max);
    let per_connection = load.series.div_ceil(CONNECTIONS);
    let results: Vec<Result<u64, String>> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..CONNECTIONS)
            .map(|c| {
                let from = c * per_connection;
                let to = (from + per_connection).min(load.series);
                scope.spawn(move || connection(load, from..to.max(from), deadline).map_err(|e| e.to_string()))
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a sender panicked".to_owned()))).collect()
    });
    let mut retries = 0;
    for result in results {
        retries += result?;
    }
    let samples = load.series * load.samples;
    let wall = started.elapsed().as_secs_f64();
    println!("{{\"samples\":{samples},\"retries\":{retries},\"wallSeconds\":{wall}}}");
    Ok(())
}

/// Sends the series `all`; returns how often it was asked to wait.
fn connection(
    load: Load<'_>,
    all: std::ops::Range<usize>,
    deadline: Instant,
) -> Result<u64, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(load.address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let (mut body, mut packed, mut compressor) = (Vec::new(), Vec::new(), Compressor::default());
    let mut retries = 0;
    for step in 0..load.samples {
        let t = load.start_ms + load.interval_ms * step as i64;
        let mut from = all.start;
        while from < all.end {
            let to = (from + BATCH_SERIES).min(all.end);
            body.clear();
            for id in from..to {
                let labels = series_labels(load.names, id);
                let pairs = labels.iter().map(|(n, v)| (*n, v.as_str()));
                put_series(&mut body, pairs, |w| w.sample(t, value(id, step)));
            }
            packed.clear();
            compressor.compress(&body, &mut packed)?;
            while !post(&stream, &mut answers, load.address, &packed)? {
                retries += 1;
                if Instant::now() > deadline {
                    return Err("not taken in time".into());
                }
                std::thread::sleep(BACKOFF);
            }
            from = to;
        }
        if Instant::now() > deadline {
            return Err(format!("only {step} of {} rounds were taken in time", load.samples).into());
        }
    }
    Ok(retries)
}

/// Sends one body; `false` where the server asks for another try.
fn post(
    mut stream: &TcpStream,
    answers: &mut BufReader<TcpStream>,
    address: &str,
    body: &[u8],
) -> Result<bool, Box<dyn std::error::Error>> {
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let status: u16 = line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no HTTP answer")?;
    let mut length = 0;
    loop {
        line.clear();
        answers.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut text = vec![0; length];
    answers.read_exact(&mut text)?;
    match status {
        200 | 204 => Ok(true),
        429 | 503 => Ok(false),
        _ => Err(format!("status {status}: {}", String::from_utf8_lossy(&text)).into()),
    }
}
