//! Sends the workload by remote write 1.0 as fast as it is taken: a request holds one sample of each
//! of so many series of one connection, so that every series comes in order.

use std::time::{Duration, Instant};

use wire::snappy::Compressor;
use wire::write_v1::put_series;

use crate::http::{Destination, Error, Sender};
use crate::requests::Format;
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

pub(crate) fn run(load: Load<'_>) -> Result<(), Error> {
    let started = Instant::now();
    let deadline = started + Duration::from_secs(load.seconds_max);
    let per_connection = load.series.div_ceil(CONNECTIONS);
    let results: Vec<Result<u64, Error>> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..CONNECTIONS)
            .map(|c| {
                let from = c * per_connection;
                let to = (from + per_connection).min(load.series);
                scope.spawn(move || connection(load, from..to.max(from), deadline))
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a sender panicked".into()))).collect()
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
fn connection(load: Load<'_>, all: std::ops::Range<usize>, deadline: Instant) -> Result<u64, Error> {
    let headers = Format::Write1.headers();
    let mut sender = Sender::open(Destination { address: load.address, path: "/api/v1/write", headers })?;
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
            while !sender.post(&packed)? {
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
