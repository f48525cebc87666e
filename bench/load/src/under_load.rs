//! A query's time while samples come in at half of the rate that the server can take: it is found first, at full speed,
//! and the same requests then go on at half of it while the query is asked.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::http::{Destination, Error, Sender};
use crate::latencies::Latencies;
use crate::query::Connection;
use crate::replay::BACKOFF;
use crate::requests::{Plan, Request};

/// Rounds before the query's window is full.
const ROUNDS_MIN: usize = 61;
/// The part of the calibration that is not counted: series are made, code gets warm.
const WARM_UP: f64 = 0.4;
/// Between the calibration and the first query.
const SETTLE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) struct Command<'a> {
    pub(crate) to: Destination<'a>,
    /// How long samples are sent at full speed.
    pub(crate) calibrate: Duration,
    /// How long queries are asked.
    pub(crate) measured: Duration,
    pub(crate) every: Duration,
    /// Path of an instant query, to which `&time=` is added: the newest round that all series have.
    pub(crate) query: &'a str,
}

struct Shared {
    /// Between two requests of a connection, nanoseconds; 0: none.
    pause_ns: AtomicU64,
    stop: AtomicBool,
    samples: AtomicUsize,
    /// Rounds that each connection has behind it.
    rounds: Vec<AtomicUsize>,
}

impl Shared {
    fn rounds(&self) -> usize {
        self.rounds.iter().map(|r| r.load(Ordering::Acquire)).min().unwrap_or(0)
    }
}

/// Prints `{"maximum":…,"taken":…,"queries":…,"p50Ms":…,"p99Ms":…,"maxMs":…}`: samples a second at full speed and while
/// queries were asked. A query's time counts from when it was due, so that one that waits for another is not hidden.
pub(crate) fn run(plan: &Plan, all: &[Vec<Request>], command: Command<'_>) -> Result<(), Error> {
    let shared = Shared {
        pause_ns: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        samples: AtomicUsize::new(0),
        rounds: all.iter().map(|_| AtomicUsize::new(0)).collect(),
    };
    let line = std::thread::scope(|scope| {
        let shared = &shared;
        let senders: Vec<_> = all
            .iter()
            .zip(&shared.rounds)
            .map(|(requests, rounds)| scope.spawn(move || connection(command.to, requests, rounds, shared)))
            .collect();
        let line = measure(plan, command, shared, &|| senders.iter().any(|s| s.is_finished()));
        shared.stop.store(true, Ordering::Release);
        for sender in senders {
            sender.join().unwrap_or_else(|_| Err("a sender panicked".into()))?;
        }
        line
    })?;
    println!("{line}");
    Ok(())
}

fn measure(
    plan: &Plan,
    command: Command<'_>,
    shared: &Shared,
    is_over: &dyn Fn() -> bool,
) -> Result<String, Error> {
    let check = || if is_over() { Err(Error::from("a sender ended early")) } else { Ok(()) };
    let started = Instant::now();
    let sent = || shared.samples.load(Ordering::Acquire);
    std::thread::sleep(command.calibrate.mul_f64(WARM_UP));
    let (warm, at_warm) = (Instant::now(), sent());
    while started.elapsed() < command.calibrate || shared.rounds() < ROUNDS_MIN {
        check()?;
        std::thread::sleep(LOOK_EVERY);
    }
    let maximum = (sent() - at_warm) as f64 / warm.elapsed().as_secs_f64();
    let pause_s = plan.batch as f64 * plan.connections as f64 / (maximum / 2.0);
    shared.pause_ns.store((pause_s * 1e9) as u64, Ordering::Release);
    std::thread::sleep(SETTLE);

    let mut connection = Connection::open(command.to.address).map_err(|e| e.to_string())?;
    let mut latencies = Latencies::default();
    let (began, at_begin) = (Instant::now(), sent());
    let mut due = began;
    while began.elapsed() < command.measured {
        check()?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let time_ms = plan.time_ms(shared.rounds().saturating_sub(1));
        let request = format!(
            "GET {}&time={}.{:03} HTTP/1.1\r\nHost: {}\r\n\r\n",
            command.query,
            time_ms / 1000,
            time_ms % 1000,
            command.to.address
        );
        let status = connection.status_of(&request).map_err(|e| e.to_string())?;
        latencies.push(due.elapsed());
        if status != 200 {
            return Err(format!("status {status} of {}", command.query).into());
        }
        due += command.every;
    }
    let taken = (sent() - at_begin) as f64 / began.elapsed().as_secs_f64();
    let queries = latencies.len();
    Ok(format!("{{\"maximum\":{maximum},\"taken\":{taken},\"queries\":{queries},{}}}", latencies.json()))
}

/// Sends until it is stopped; a pause that was overslept is made up for.
fn connection(
    to: Destination<'_>,
    requests: &[Request],
    rounds: &AtomicUsize,
    shared: &Shared,
) -> Result<(), Error> {
    let mut sender = Sender::open(to)?;
    let mut due = None;
    for request in requests {
        let pause = Duration::from_nanos(shared.pause_ns.load(Ordering::Acquire));
        if !pause.is_zero() {
            let now = Instant::now();
            let next = due.map_or(now, |due: Instant| due + pause);
            std::thread::sleep(next.saturating_duration_since(now));
            due = Some(next);
        }
        while !shared.stop.load(Ordering::Acquire) && !sender.post(&request.body)? {
            std::thread::sleep(BACKOFF);
        }
        if shared.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        shared.samples.fetch_add(request.samples, Ordering::AcqRel);
        // Its requests of the round before are all behind it.
        rounds.store(request.step, Ordering::Release);
    }
    Err("there are not enough samples for a server as fast as this".into())
}
