//! What a second core brings: the same queries over the same blocks by the engine with one thread and with two, in
//! turns, from text to JSON.

use std::hint::black_box;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use storage::{Inline, OsSpawn, Spawn};

use crate::evaluate::{Error, Steps, open, range};

const BLOCK_MS: i64 = 2 * 3_600_000;

/// Answers each line `START_MS END_MS STEP_MS QUERY` of standard input with a line
/// `{"one":[…],"two":[…]}`: nanoseconds of each run with one and with two threads.
pub(crate) fn run(dir: &str, runs: usize) -> Result<(), Error> {
    let db = open(Path::new(dir), BLOCK_MS)?;
    let two = OsSpawn::new("query", 2)?;
    let spawns: [&dyn Spawn; 2] = [&Inline, &two];
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().ok_or("START_MS END_MS STEP_MS QUERY");
        let steps = Steps { start_ms: word()?.parse()?, end_ms: word()?.parse()?, step_ms: word()?.parse()? };
        let query = word()?;
        let mut times = [Vec::new(), Vec::new()];
        // The first round warms up.
        for run in 0..=runs {
            for (spawn, times) in spawns.iter().zip(&mut times) {
                let started = Instant::now();
                let result = range(&db, *spawn, query, steps)?;
                let mut json = Vec::new();
                promql::json::write_data(&result.value, &mut json);
                black_box(&json);
                if run > 0 {
                    times.push(started.elapsed().as_nanos());
                }
            }
        }
        println!("{{\"one\":{:?},\"two\":{:?}}}", times[0], times[1]);
    }
    db.close()?;
    Ok(())
}
