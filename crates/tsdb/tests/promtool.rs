//! A block written here is opened by promtool: the one that `NARTHEX_PROMTOOL` names, else the one
//! on the path.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use chunk::{Encoding, XorEncoder};
use model::Labels;
use storage::{Fs, OsFs};
use tsdb::block::{BlockMeta, BlockWriter, ChunkData, Ulid};

const START_MS: i64 = 1_767_225_600_000;

fn promtool(args: &[&str], dir: &Path) -> Option<std::io::Result<String>> {
    let program = std::env::var_os("NARTHEX_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let output = match Command::new(program).args(args).arg(dir).output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => return Some(Err(e)),
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {args:?}: {out}{err}");
    Some(Ok(out.into_owned()))
}

/// 60 series of 300 samples with jitter; returns what `tsdb dump` is to print.
fn write_block(dir: &Path) -> Vec<String> {
    let fs: Arc<dyn Fs> = Arc::new(OsFs);
    let meta = BlockMeta::from_head(Ulid::new(START_MS, 42), START_MS, START_MS + 7_200_000);
    let mut writer = BlockWriter::create(&fs, dir, meta).unwrap();
    let mut lines = Vec::new();
    for i in 10..70i64 {
        let labels = Labels::from_pairs([
            ("__name__", "narthex_test_total"),
            ("instance", &format!("host-{i}")),
            ("zone", "ü \"quoted\"\n"),
        ]);
        let samples: Vec<(i64, f64)> =
            (0..300).map(|k| (START_MS + k * 15_000 + (k * i) % 7, (k * i) as f64 / 4.0)).collect();
        let encode = |part: &[(i64, f64)]| {
            let mut e = XorEncoder::new();
            for (t, v) in part {
                e.append(*t, *v);
            }
            (part[0].0, part[part.len() - 1].0, e.into_bytes())
        };
        let chunks: Vec<_> = samples.chunks(120).map(encode).collect();
        let encoding = Encoding::Xor;
        let data = chunks.iter().map(|(a, b, data)| ChunkData { min_ms: *a, max_ms: *b, encoding, data });
        writer.add_series(&labels, &data.collect::<Vec<_>>()).unwrap();
        lines.extend(samples.iter().map(|(t, v)| format!("{labels} {v} {t}")));
    }
    writer.finish().unwrap().unwrap();
    lines.sort();
    lines
}

#[test]
fn a_block_opens_in_promtool() {
    let dir = tempfile::tempdir().unwrap();
    let want = write_block(dir.path());
    // promtool wants a log, be it empty.
    OsFs.create_dir_all(&dir.path().join("wal")).unwrap();
    let Some(listed) = promtool(&["tsdb", "list"], dir.path()) else {
        return common::skip(
            "a_block_opens_in_promtool",
            "promtool",
            "no promtool (NARTHEX_PROMTOOL or on the path)",
        );
    };
    let listed = listed.unwrap();
    let row = listed.lines().nth(1).unwrap();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns[0], Ulid::new(START_MS, 42).to_string(), "{listed}");
    for number in ["18000", "180", "60"] {
        assert!(columns.contains(&number), "{number} in {listed}");
    }

    let analyzed = promtool(&["tsdb", "analyze"], dir.path()).unwrap().unwrap();
    assert!(analyzed.contains("60 narthex_test_total"), "{analyzed}");

    let dumped = promtool(&["tsdb", "dump"], dir.path()).unwrap().unwrap();
    let mut got: Vec<&str> = dumped.lines().collect();
    got.sort_unstable();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(&want) {
        // Numbers may be printed otherwise: 1e+06.
        let split = |line: &str| {
            let mut parts = line.rsplitn(3, ' ').map(str::to_owned);
            let (t, v, labels) = (parts.next(), parts.next().map(|v| v.parse::<f64>()), parts.next());
            (labels, t, v)
        };
        assert_eq!(split(got), split(want));
    }
}
