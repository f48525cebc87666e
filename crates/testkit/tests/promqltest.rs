//! Scripts of the PromQL test language over the vector store: our own, and the conformance ones.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)] // It prints its table.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use storage::VecStore;
use testkit::promqltest::{Report, run};

/// What has been reached over the statements that count (see `counts`), in percent. Only rises.
const FLOOR_PERCENT: f64 = 100.0;

/// The same over all statements.
const ALL_PERCENT: f64 = 100.0;

fn scripts(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("the folder of scripts is there");
    let mut out: Vec<PathBuf> = entries
        .map(|e| e.expect("the folder can be listed").path())
        .filter(|p| p.extension().is_some_and(|e| e == "test"))
        .collect();
    out.sort();
    out
}

fn report(path: &Path) -> Report {
    let text = fs::read_to_string(path).expect("scripts are UTF-8");
    run(&text, &mut VecStore::new()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn own_scripts_pass() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut failures = String::new();
    for path in scripts(&dir) {
        for s in report(&path).statements {
            if let Some(why) = s.failure {
                writeln!(failures, "{}:{}: {}: {why}", path.display(), s.line, s.query).unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// The conformance vectors, or none where they may be absent and are.
fn conformance() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir =
        std::env::var_os("NARTHEX_CONFORMANCE").map_or_else(|| "../shared/conformance".into(), PathBuf::from);
    let dir = root.join(dir).join("promqltest");
    if dir.is_dir() {
        return Some(dir);
    }
    let required = std::env::var("NARTHEX_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|r| r.trim() == "conformance"),
        "the conformance vectors are required, but {} does not exist",
        dir.display()
    );
    eprintln!("skipped conformance_scripts: {} does not exist", dir.display());
    None
}

#[test]
fn conformance_scripts() {
    let Some(dir) = conformance() else { return };
    let (mut table, mut failures) = (String::new(), String::new());
    let (mut floor, mut all) = ((0, 0), (0, 0));
    for path in scripts(&dir) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (mut file_floor, mut file_all) = ((0, 0), (0, 0));
        for s in report(&path).statements {
            // The floor leaves out native histograms and experimental functions.
            let counts = !s.with_histograms && !s.experimental && !s.histogram_function;
            let passed = usize::from(s.failure.is_none());
            file_all = (file_all.0 + passed, file_all.1 + 1);
            if counts {
                file_floor = (file_floor.0 + passed, file_floor.1 + 1);
            }
            if let Some(why) = s.failure {
                let mark = if counts { "!" } else { " " };
                writeln!(failures, "{mark} {name}:{}: {}: {}", s.line, s.query, short(&why)).unwrap();
            }
        }
        row(&mut table, &name, file_floor, file_all);
        floor = (floor.0 + file_floor.0, floor.1 + file_floor.1);
        all = (all.0 + file_all.0, all.1 + file_all.1);
    }
    row(&mut table, "total", floor, all);
    println!("{:<24} {:>14} {:>14}\n{table}\n{failures}", "script", "floor", "all");
    assert!(floor.1 > 0, "no statement counts");
    for (what, (passed, total), least) in [("counting", floor, FLOOR_PERCENT), ("all", all, ALL_PERCENT)] {
        let percent = 100.0 * passed as f64 / total as f64;
        assert!(percent >= least, "{percent:.2} % of {total} statements ({what}) pass, {least} % are needed");
    }
}

fn short(s: &str) -> String {
    s.chars().take(300).collect()
}

fn row(table: &mut String, name: &str, floor: (usize, usize), all: (usize, usize)) {
    let of = |(passed, total): (usize, usize)| format!("{passed}/{total}");
    writeln!(table, "{name:<24} {:>14} {:>14}", of(floor), of(all)).unwrap();
}
