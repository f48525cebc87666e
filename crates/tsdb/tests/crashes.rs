//! The database on a disk that goes down at a chosen step of a run: by a kill of the process, by a
//! loss of power, or by an error of the system. After the next start everything is there that
//! `DURABILITY.md` promises, and nothing that was never sent.
//!
//! The short form takes steps here and there. `NARTHEX_TORTURE=seeds[:first]` takes every step of so many
//! seeds, `NARTHEX_TORTURE_AT=step` that one alone.
#![allow(clippy::unwrap_used)]

mod torture;

use std::panic::{AssertUnwindSafe, catch_unwind};

use testkit::faults::{Crash, Fault, Outcome};
use testkit::series::Noise;
use torture::script::{Op, RANGE_MS, script};
use torture::{Setup, World};
use tsdb::{WalCompression, WalSync};

const OPS: usize = 70;

fn setups(seed: u64, sync: WalSync) -> Setup {
    let compression = [WalCompression::Snappy, WalCompression::None, WalCompression::Zstd];
    Setup {
        sync,
        compression: compression[seed as usize % 3],
        snapshot_on_close: seed % 3 != 2,
        window_ms: [0, 3 * RANGE_MS][seed as usize % 2],
        starts: seed % 4 >= 2,
    }
}

/// Seeds of the run, and whether every step of each is taken.
fn seeds(short: u64) -> (std::ops::Range<u64>, bool) {
    let Ok(text) = std::env::var("NARTHEX_TORTURE") else { return (1..1 + short, false) };
    let (count, first) = text.split_once(':').unwrap_or((&text, "1"));
    let first: u64 = first.parse().unwrap();
    (first..first + count.parse::<u64>().unwrap(), true)
}

/// Runs the script until the machine goes down, or to the first error where `stop`; returns how many steps
/// it took.
fn run(world: &mut World, ops: &[Op], stop: bool) -> u64 {
    for op in ops {
        let done = world.run(op);
        if world.fs.is_down() {
            break;
        }
        if let Err(e) = done {
            assert!(world.fs.failed().is_some(), "without a fault: {op:?}: {e}");
            if stop {
                break;
            }
        }
    }
    world.fs.steps()
}

/// Takes the steps of the script of a seed, one run each, with `outcome` at it and `crash` after it.
fn each_step(short: u64, points: u64, sync: WalSync, outcome: Outcome, crash: Crash) {
    let (seeds, full) = seeds(short);
    for seed in seeds {
        let ops = script(seed, OPS);
        let mut world = World::new(setups(seed, sync));
        world.fs.plan(None);
        let steps = run(&mut world, &ops, true);
        world.crash(Crash::Kill, 0);
        world.goes_on(seed);
        let mut noise = Noise::new(seed ^ 0xfa17);
        let chosen: Vec<u64> = match std::env::var("NARTHEX_TORTURE_AT") {
            Ok(at) => vec![at.parse().unwrap()],
            Err(_) if full => (0..steps).collect(),
            Err(_) => (0..points).map(|_| noise.below(steps)).collect(),
        };
        for at in chosen {
            one(seed, &ops, sync, Fault { at, outcome, seed: seed * 1000 + at }, crash);
        }
        if full {
            #[expect(clippy::print_stderr, reason = "progress of a long run")]
            {
                eprintln!("{sync:?} {outcome:?} {crash:?}: seed {seed}: {steps} steps");
            }
        }
    }
}

fn one(seed: u64, ops: &[Op], sync: WalSync, fault: Fault, crash: Crash) {
    let mut failed = None;
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(setups(seed, sync));
        world.fs.plan(Some(fault));
        // After a failed sync a restart shows what only the system's memory has: power loss may take it.
        run(&mut world, ops, crash != Crash::Kill);
        failed = world.fs.failed();
        if world.is_open() && !world.fs.is_down() {
            world.check();
        }
        world.crash(crash, fault.seed);
        world.goes_on(fault.seed);
    }));
    if let Err(why) = done {
        let text = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
        let why = text.unwrap_or("a panic");
        panic!("seed {seed}, {sync:?}, {fault:?}, {crash:?}, {}: {why}", failed.unwrap_or_default());
    }
}

#[test]
fn killed_at_any_step() {
    each_step(3, 40, WalSync::Segment, Outcome::Crash, Crash::Kill);
}

#[test]
fn power_lost_at_any_step_with_a_log_synced_at_each_commit() {
    each_step(3, 40, WalSync::Commit, Outcome::Crash, Crash::Power);
    each_step(1, 20, WalSync::Commit, Outcome::Crash, Crash::PowerUnordered);
}

#[test]
fn power_lost_at_any_step_with_a_log_synced_by_segment() {
    each_step(3, 40, WalSync::Segment, Outcome::Crash, Crash::Power);
    each_step(1, 20, WalSync::Segment, Outcome::Crash, Crash::PowerUnordered);
}

#[test]
fn any_step_fails_once() {
    each_step(2, 40, WalSync::Segment, Outcome::FailOnce, Crash::Kill);
    each_step(2, 20, WalSync::Commit, Outcome::FailOnce, Crash::Power);
}

#[test]
fn every_step_fails_from_one_on() {
    each_step(2, 30, WalSync::Segment, Outcome::FailFromNow, Crash::Kill);
}
