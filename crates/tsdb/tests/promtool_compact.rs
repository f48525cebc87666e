//! A directory whose blocks were merged, deleted from, cleaned and copied here is read by promtool:
//! the one that `NARTHEX_PROMTOOL` names, else the one on the path.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use chunk::{Encoding, XorEncoder};
use common::{Dump, dump_bits};
use model::{Labels, Matcher};
use storage::{Fs, Inline, ManualClock, OsFs};
use tsdb::block::{BlockMeta, BlockWriter, ChunkData, Ulid};
use tsdb::{Db, DbOptions};

const START_MS: i64 = 1_767_225_600_000;
const BLOCK_MS: i64 = 7_200_000;

fn promtool(args: &[&str], dir: &Path) -> Option<String> {
    let program =
        std::env::var_os("NARTHEX_PROMTOOL").filter(|p| !p.is_empty()).unwrap_or_else(|| "promtool".into());
    let output = match Command::new(program).args(args).arg(dir).output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => panic!("promtool: {e}"),
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {args:?}: {out}{err}");
    Some(out.into_owned())
}

/// A block of 40 series from `start_ms` on, a sample every `step_ms`.
fn write_block(dir: &Path, number: u128, start_ms: i64, step_ms: i64, want: &mut Dump) {
    let fs: Arc<dyn Fs> = Arc::new(OsFs);
    let meta = BlockMeta::from_head(Ulid::new(START_MS, number), start_ms, start_ms + BLOCK_MS);
    let mut writer = BlockWriter::create(&fs, dir, meta).unwrap();
    for i in 10..50i64 {
        let labels = Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())]);
        let samples: Vec<(i64, f64)> = (start_ms + i..start_ms + BLOCK_MS)
            .step_by(step_ms as usize)
            .map(|t| (t, (t % 977) as f64 / 4.0))
            .collect();
        let encoded: Vec<_> = samples
            .chunks(120)
            .map(|part| {
                let mut e = XorEncoder::new();
                part.iter().for_each(|(t, v)| e.append(*t, *v));
                (part[0].0, part[part.len() - 1].0, e.into_bytes())
            })
            .collect();
        let encoding = Encoding::Xor;
        let chunks = encoded.iter().map(|(a, b, data)| ChunkData { min_ms: *a, max_ms: *b, encoding, data });
        writer.add_series(&labels, &chunks.collect::<Vec<_>>()).unwrap();
        let all = want.entry(labels.to_string()).or_default();
        all.extend(samples.iter().map(|(t, v)| (*t, dump_bits(*v))));
    }
    writer.finish().unwrap().unwrap();
}

fn dumped(dir: &Path) -> Dump {
    let mut out = Dump::new();
    for line in promtool(&["tsdb", "dump"], dir).unwrap().lines() {
        let mut parts = line.rsplitn(3, ' ');
        let (t, v) = (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap());
        out.entry(parts.next().unwrap().to_owned()).or_default().insert(t, dump_bits(v));
    }
    out
}

#[test]
fn merged_blocks_open_in_promtool() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, copy) = (temp.path().join("data"), temp.path().join("copy"));
    OsFs.create_dir_all(&dir).unwrap();
    let mut want = Dump::new();
    for (number, (place, step_ms)) in
        [(0, 15_000), (1, 15_000), (2, 15_000), (2, 37_000), (3, 15_000)].into_iter().enumerate()
    {
        write_block(&dir, number as u128, START_MS + place * BLOCK_MS, step_ms, &mut want);
    }
    let fs: Arc<dyn Fs> = Arc::new(OsFs);
    let db =
        Db::open(DbOptions::new(&dir, fs, Arc::new(ManualClock::new(START_MS)), Arc::new(Inline))).unwrap();
    db.tick().unwrap();
    assert_eq!(db.blocks().iter().map(|m| m.compaction.level).collect::<Vec<_>>(), [3, 1]);
    let (min_ms, max_ms) = (START_MS + 3_600_000, START_MS + BLOCK_MS + 3_600_000);
    let deleted = Matcher::equal("i", "17");
    db.delete(min_ms, max_ms, &[deleted]).unwrap();
    want.get_mut("{__name__=\"m\", i=\"17\"}").unwrap().retain(|t, _| !(min_ms..=max_ms).contains(t));
    db.snapshot(&copy, false).unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(db.blocks()[0].compaction.level, 1);
    db.close().unwrap();
    OsFs.create_dir_all(&copy.join("wal")).unwrap();

    let Some(analyzed) = promtool(&["tsdb", "analyze"], &dir) else {
        let why = "no promtool (NARTHEX_PROMTOOL or on the path)";
        return common::skip("merged_blocks_open_in_promtool", "promtool", why);
    };
    assert!(analyzed.contains("40 m"), "{analyzed}");
    let samples: usize = want.values().map(BTreeMap::len).sum();
    let listed = promtool(&["tsdb", "list"], &dir).unwrap();
    let counted = |row: &str| row.split_whitespace().nth(4).and_then(|n| n.parse::<usize>().ok());
    assert_eq!(listed.lines().filter_map(counted).sum::<usize>(), samples, "{listed}");
    // With the deletion in its file, and with it carried out.
    assert_eq!(dumped(&copy), want);
    assert_eq!(dumped(&dir), want);
}
