//! Sends the same finished requests to one server after another.

use std::io::BufRead;
use std::time::{Duration, Instant};

use crate::http::{Destination, Error, Sender};
use crate::latencies::Latencies;
use crate::requests::{Plan, Request};
use crate::under_load;

/// Pause after an answer that asks for one.
pub(crate) const BACKOFF: Duration = Duration::from_millis(50);

/// Encodes all requests, says what there is in a line
/// `{"requests":…,"bytes":…,"samples":…,"sumMiddle":…,"sumLast":…}`, and answers each line of standard input with a
/// line:
/// - `send HOST:PORT PATH SECONDS_MAX`: all of them as fast as they are taken; `{"samples":…,"retries":…,"wallSeconds":…,
///   "p50Ms":…,"p99Ms":…,"maxMs":…}`, the last three of single requests.
/// - `under HOST:PORT PATH CALIBRATE_SECONDS SECONDS EVERY_MS QUERY_PATH`: see [`under_load`].
pub(crate) fn run(words: &[&str]) -> Result<(), Error> {
    let plan = Plan::parse(words)?;
    let all = plan.encode()?;
    let bytes: usize = all.iter().flatten().map(|r| r.body.len()).sum();
    let requests = all.iter().map(Vec::len).sum::<usize>();
    println!(
        "{{\"requests\":{requests},\"bytes\":{bytes},\"samples\":{},\"sumMiddle\":{},\"sumLast\":{}}}",
        plan.series * plan.samples,
        plan.sum(plan.samples / 2),
        plan.sum(plan.samples.saturating_sub(1)),
    );
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let headers = plan.format.headers();
        match *words {
            ["send", address, path, seconds_max] => {
                let to = Destination { address, path, headers };
                send(to, &all, Duration::from_secs(seconds_max.parse()?))?;
            }
            ["under", address, path, calibrate, seconds, every_ms, query] => {
                let command = under_load::Command {
                    to: Destination { address, path, headers },
                    calibrate: Duration::from_secs(calibrate.parse()?),
                    measured: Duration::from_secs(seconds.parse()?),
                    every: Duration::from_millis(every_ms.parse()?),
                    query,
                };
                under_load::run(&plan, &all, command)?;
            }
            _ => return Err(format!("not a command: {line:?}").into()),
        }
    }
    Ok(())
}

struct Sent {
    retries: u64,
    latencies: Latencies,
}

fn send(to: Destination<'_>, all: &[Vec<Request>], most: Duration) -> Result<(), Error> {
    let started = Instant::now();
    let deadline = started + most;
    let results: Vec<Result<Sent, Error>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            all.iter().map(|requests| scope.spawn(move || connection(to, requests, deadline))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a sender panicked".into()))).collect()
    });
    let wall = started.elapsed().as_secs_f64();
    let (mut retries, mut latencies) = (0, Latencies::default());
    for result in results {
        let sent = result?;
        retries += sent.retries;
        latencies.append(sent.latencies);
    }
    let samples: usize = all.iter().flatten().map(|r| r.samples).sum();
    println!("{{\"samples\":{samples},\"retries\":{retries},\"wallSeconds\":{wall},{}}}", latencies.json());
    Ok(())
}

fn connection(to: Destination<'_>, requests: &[Request], deadline: Instant) -> Result<Sent, Error> {
    let mut sender = Sender::open(to)?;
    let mut sent = Sent { retries: 0, latencies: Latencies::default() };
    for request in requests {
        let started = Instant::now();
        while !sender.post(&request.body)? {
            sent.retries += 1;
            std::thread::sleep(BACKOFF);
            if Instant::now() > deadline {
                return Err(format!("not taken in time, in round {}", request.step).into());
            }
        }
        sent.latencies.push(started.elapsed());
        if Instant::now() > deadline {
            return Err(format!("not done in time, in round {}", request.step).into());
        }
    }
    Ok(sent)
}
