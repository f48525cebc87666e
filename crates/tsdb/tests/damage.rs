//! Files of each kind cut short and with bits flipped: opening repairs and says so, or refuses and says
//! why; queries give samples that were written, or an error. Never a panic, never a wrong sample.
//!
//! `NARTHEX_TORTURE_DAMAGE` is the number of damages to each kind.
#![allow(clippy::unwrap_used)]

mod torture;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use storage::Fs;
use testkit::faults::{Crash, FaultFs};
use testkit::series::Noise;
use torture::script::{RANGE_MS, script};
use torture::{Setup, World};
use tsdb::{WalCompression, WalSync};

/// What kind of file a path names.
fn kind(path: &Path) -> Option<&'static str> {
    let text = path.to_str().unwrap();
    if text.contains("snapshots/") {
        return None;
    }
    let kinds = [
        ("/checkpoint.", "checkpoint"),
        ("/wal/", "log segment"),
        ("/wbl/", "out-of-order log"),
        ("/chunks_head/", "head chunks"),
        ("/chunk_snapshot.", "chunk snapshot"),
        ("/chunks/", "chunk segment"),
        ("/index", "index"),
        ("/meta.json", "meta.json"),
        ("/tombstones", "tombstones"),
    ];
    kinds.iter().find(|(part, _)| text.contains(part)).map(|(_, kind)| *kind)
}

fn damage(fs: &FaultFs, path: &Path, noise: &mut Noise) -> String {
    let mut what = String::new();
    let tear = noise.chance(40);
    fs.damage(path, |bytes| {
        let at = noise.below(bytes.len() as u64) as usize;
        if tear {
            bytes.truncate(at);
            what = format!("cut to {at}");
        } else {
            let bit = noise.below(8);
            bytes[at] ^= 1 << bit;
            what = format!("bit {bit} of byte {at}");
        }
    })
    .unwrap();
    what
}

#[test]
fn damaged_files_are_repaired_or_refused() {
    let rounds = std::env::var("NARTHEX_TORTURE_DAMAGE").map_or(40, |text| text.parse::<u64>().unwrap());
    let mut noise = Noise::new(0xda4a6e);
    let mut outcomes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for seed in 1..=3 {
        let setup = Setup {
            sync: WalSync::Segment,
            compression: [WalCompression::None, WalCompression::Snappy][seed as usize % 2],
            snapshot_on_close: true,
            window_ms: [0, 3 * RANGE_MS, 3 * RANGE_MS][seed as usize % 3],
            starts: seed == 2,
        };
        let mut world = World::new(setup);
        for op in &script(seed, 300) {
            world.run(op).unwrap();
        }
        let mut files: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
        for path in world.fs.paths() {
            let len = world.fs.read(&path).unwrap().len();
            if let Some(kind) = kind(&path).filter(|_| len > 0) {
                files.entry(kind).or_default().push(path);
            }
        }
        for (kind, paths) in files {
            for _ in 0..rounds {
                let path = &paths[noise.below(paths.len() as u64) as usize];
                let fs = world.fs.after(Crash::Kill, 0);
                let what = damage(&fs, path, &mut noise);
                let outcome = catch_unwind(AssertUnwindSafe(|| world.judge_damage(fs)));
                let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed}: {}: {what}", path.display()));
                *outcomes.entry((kind, outcome)).or_default() += 1;
            }
        }
    }
    if std::env::var_os("NARTHEX_TORTURE_DAMAGE").is_some() {
        #[expect(clippy::print_stderr, reason = "what became of them is worth seeing")]
        {
            eprintln!("{outcomes:?}");
        }
    }
    // A sealed block is read as it was written or not at all.
    for kind in ["chunk segment", "index"] {
        let lost = outcomes.get(&(kind, "lost in silence"));
        assert!(lost.is_none(), "{kind}: {lost:?} lost in silence");
    }
    for kind in
        ["checkpoint", "log segment", "head chunks", "chunk segment", "index", "meta.json", "tombstones"]
    {
        assert!(outcomes.keys().any(|(k, _)| *k == kind), "{kind}: none was there: {outcomes:?}");
    }
}
