//! What a second thread brings to ingest: finished requests of remote write 1.0 through the engine, without a server,
//! by a pool of one thread and of two in turns.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use engine::remote_write::{RemoteWriteReport, RemoteWriteRequest};
use engine::{Engine, EngineError, EngineOptions, Host};
use storage::{OsFs, OsSpawn, SystemClock};

use crate::http::Error;
use crate::requests::{Plan, Request};

/// Prints `{"samples":…,"one":[…],"two":[…]}`: nanoseconds of each run, from the first request to the last report.
pub(crate) fn run(dir: &str, runs: &str, plan: &[&str]) -> Result<(), Error> {
    let plan = Plan::parse(plan)?;
    let chains: Vec<Arc<[Request]>> = plan.encode()?.into_iter().map(Into::into).collect();
    let runs: usize = runs.parse()?;
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..runs {
        for (i, times) in times.iter_mut().enumerate() {
            let dir = Path::new(dir).join(format!("{run}-{i}"));
            times.push(ingest(&dir, i + 1, &chains, plan.series * plan.samples)?);
            std::fs::remove_dir_all(&dir)?;
        }
    }
    println!("{{\"samples\":{},\"one\":{:?},\"two\":{:?}}}", plan.series * plan.samples, times[0], times[1]);
    Ok(())
}

fn ingest(dir: &Path, threads: usize, chains: &[Arc<[Request]>], samples: usize) -> Result<u128, Error> {
    let pool = |name, threads| OsSpawn::new(name, threads).map(Arc::new);
    let host = Host {
        fs: Arc::new(OsFs),
        clock: Arc::new(SystemClock::default()),
        ingest: pool("ingest", threads)?,
        query: pool("query", 1)?,
        watch: pool("watch", 1)?,
        background: pool("background", 1)?,
        remote: pool("remote", 1)?,
    };
    let options = EngineOptions { dir: dir.to_owned(), ..EngineOptions::default() };
    let engine = Engine::open(options, host, 1, |_| {})?;
    let (ended, ends) = mpsc::channel();
    let started = Instant::now();
    for requests in chains {
        let chain = Chain { engine: engine.clone(), requests: requests.clone(), at: 0, stored: 0 };
        chain.go_on(ended.clone());
    }
    drop(ended);
    let stored: u64 = ends.into_iter().sum::<Result<u64, EngineError>>()?;
    let time = started.elapsed().as_nanos();
    let (closed, close) = mpsc::channel();
    engine.close(move |result| drop(closed.send(result)));
    close.recv()??;
    match stored == samples as u64 {
        true => Ok(time),
        false => Err(format!("{stored} of {samples} samples were stored").into()),
    }
}

/// Requests that must follow each other, as those of a connection do.
struct Chain {
    engine: Engine,
    requests: Arc<[Request]>,
    at: usize,
    stored: u64,
}

impl Chain {
    /// Ingests the next request, on a thread of the pool, and goes on from there; tells `ended` of the last one.
    fn go_on(mut self, ended: mpsc::Sender<Result<u64, EngineError>>) {
        // Where nobody waits any more, there is nobody to tell.
        let Some(request) = self.requests.get(self.at) else { return drop(ended.send(Ok(self.stored))) };
        let input = RemoteWriteRequest {
            pieces: vec![request.body.clone()],
            content_type: "application/x-protobuf".to_owned(),
            content_encoding: "snappy".to_owned(),
            accepted: Vec::new(),
        };
        let engine = self.engine.clone();
        engine.ingest_remote_write(input, move |report| match report {
            Ok(RemoteWriteReport { refusal: Some(refusal), .. }) => {
                drop(ended.send(Err(EngineError::new(engine::ErrorCode::InvalidArgument, refusal.text))));
            }
            Ok(report) => {
                self.stored += report.samples;
                self.at += 1;
                self.go_on(ended);
            }
            Err(e) => drop(ended.send(Err(e))),
        });
    }
}
