//! Load for the comparison benches. What a peer is sent while its CPU time is measured is encoded
//! beforehand, so that the generator is never the bottleneck.
//!
//! - `load exporter TARGETS SERIES VARIANTS [churn]`: an HTTP server on a free port of 127.0.0.1 with
//!   `/metrics/N` for each target; prints `{"port":…}`, ends when its standard input closes. `/reset` begins
//!   the bodies anew.
//! - `load series COUNT`: a file for `promtool tsdb bench write`, a label set a line.
//! - `load append FILE SERIES SCRAPES DIR`: `narthex tsdb bench write` without Node around it.
//! - `load remote-write storage|query HOST:PORT SERIES SAMPLES START_MS INTERVAL_MS SECONDS_MAX`: sends the
//!   workload by remote write 1.0, its series named for the one or the other bench; prints
//!   `{"samples":…,"retries":…,"wallSeconds":…}`.
//! - `load replay FORMAT storage|query SERIES SAMPLES BATCH CONNECTIONS START_MS INTERVAL_MS`: finished requests,
//!   sent whenever a line of standard input says where to.
//! - `load ingest DIR RUNS` and a plan as of `replay`: the same through the engine in this process, by one thread
//!   and by two.
//! - `load range-query DIR MILLISECONDS [PART]`: the shapes of Prometheus' BenchmarkRangeQuery, those whose
//!   name has the PART; a line `{"name":…,"ns":…}` for each.
//! - `load threads DIR RUNS`: queries over the blocks of DIR with one thread and with two.
//! - `load query`: sends the requests that it reads from standard input, and times the answers.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that measures")]

mod append;
mod evaluate;
mod exporter;
mod http;
mod ingest;
mod latencies;
mod query;
mod range_query;
mod remote_write;
mod replay;
mod requests;
mod threads;
mod under_load;
mod workload;

use std::process::ExitCode;

/// That of the addon, so that what is measured in this process is what the server does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("load: {e}");
            ExitCode::FAILURE
        }
    }
}

type Error = Box<dyn std::error::Error>;

fn run(words: &[&str]) -> Result<(), Error> {
    match *words {
        ["exporter", targets, series, variants] => {
            exporter::serve(targets.parse()?, series.parse()?, variants.parse()?, false)
        }
        ["exporter", targets, series, variants, "churn"] => {
            exporter::serve(targets.parse()?, series.parse()?, variants.parse()?, true)
        }
        ["series", count] => {
            workload::print_series(count.parse()?);
            Ok(())
        }
        ["append", file, series, scrapes, dir] => append::run(file, series.parse()?, scrapes.parse()?, dir),
        ["query"] => query::run(),
        ["range-query", dir, milliseconds] => range_query::run(dir, milliseconds.parse()?, ""),
        ["range-query", dir, milliseconds, part] => range_query::run(dir, milliseconds.parse()?, part),
        ["threads", dir, runs] => threads::run(dir, runs.parse()?),
        ["remote-write", names, address, series, samples, start_ms, interval_ms, seconds_max] => {
            remote_write::run(remote_write::Load {
                address,
                names: names.parse()?,
                series: series.parse()?,
                samples: samples.parse()?,
                start_ms: start_ms.parse()?,
                interval_ms: interval_ms.parse()?,
                seconds_max: seconds_max.parse()?,
            })
            .map_err(|e| e as Error)
        }
        ["replay", ref plan @ ..] => replay::run(plan).map_err(|e| e as Error),
        ["ingest", dir, runs, ref plan @ ..] => ingest::run(dir, runs, plan).map_err(|e| e as Error),
        _ => Err(
            "usage: load exporter TARGETS SERIES VARIANTS [churn] | series COUNT | append FILE SERIES SCRAPES DIR | remote-write storage|query HOST:PORT SERIES SAMPLES START_MS INTERVAL_MS SECONDS_MAX | replay PLAN | ingest DIR RUNS PLAN | query | range-query DIR MILLISECONDS [PART] | threads DIR RUNS"
                .into(),
        ),
    }
}
