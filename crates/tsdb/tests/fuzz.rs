//! Every reader of files against damaged files of each kind: our own, made here, changed at random but the same in
//! each run, with and without checksums that fit. What it must hold stands in `tsdb::fuzz`; here also that memory
//! stays in proportion to the input.
//!
//! `NARTHEX_TORTURE_FUZZ` is the number of inputs for each target; `NARTHEX_FUZZ_CORPUS` a directory that gets the
//! undamaged files, for libFuzzer.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod torture;

use std::alloc::System;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use cap::Cap;
use storage::Fs;
use testkit::series::Noise;
use torture::script::{RANGE_MS, script};
use torture::{Setup, World};
use tsdb::fuzz::TARGETS;
use tsdb::{WalCompression, WalSync};

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that may be taken in all, freed ones included: so many, and so many for each byte of the input.
const BYTES_BASE: usize = 8 << 20;
const BYTES_PER_BYTE: usize = 16 << 10;

/// One input takes no longer.
const TIME_MAX: Duration = Duration::from_secs(5);

type Corpora = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// Files of every kind as we write them.
fn corpora() -> Corpora {
    let mut out = Corpora::new();
    for (seed, compression) in
        [(1, WalCompression::None), (2, WalCompression::Snappy), (3, WalCompression::Zstd)]
    {
        let setup = Setup {
            sync: WalSync::Segment,
            compression,
            snapshot_on_close: true,
            window_ms: 3 * RANGE_MS,
            starts: seed != 2,
        };
        let mut world = World::new(setup);
        for op in &script(seed, 200) {
            world.run(op).unwrap();
        }
        world.close();
        for path in world.fs.paths() {
            let text = path.to_str().unwrap();
            let bytes = world.fs.read(&path).unwrap();
            let target = match () {
                () if bytes.is_empty() || text.contains("snapshots/") => continue,
                () if text.contains("/chunk_snapshot.") => "chunk_snapshot",
                () if text.contains("/wal/") || text.contains("/wbl/") => "wal",
                () if text.contains("/chunks_head/") => "head_chunks",
                () if text.contains("/chunks/") => "chunk_segment",
                () if text.ends_with("/index") => "index",
                () if text.ends_with("/tombstones") => "tombstones",
                () => continue,
            };
            match target {
                "chunk_segment" => out.entry("chunk").or_default().extend(chunks(&bytes)),
                "wal" if compression == WalCompression::None => {
                    out.entry("record").or_default().extend(records(&bytes));
                }
                _ => {}
            }
            out.entry(target).or_default().push(bytes);
        }
    }
    out
}

/// The chunks of a segment as the target takes them: a number for the encoding first.
fn chunks(segment: &[u8]) -> Vec<Vec<u8>> {
    let numbers = [(1, 0), (4, 1), (2, 2), (5, 3), (3, 4), (6, 5)];
    let mut out = Vec::new();
    let mut at = 8;
    while at < segment.len() {
        let (mut len, mut shift) = (0, 0);
        loop {
            len |= usize::from(segment[at] & 0x7f) << shift;
            shift += 7;
            at += 1;
            if segment[at - 1] < 0x80 {
                break;
            }
        }
        if let Some((_, number)) = numbers.iter().find(|(e, _)| *e == segment[at]) {
            out.push([&[*number][..], &segment[at + 1..at + 1 + len]].concat());
        }
        at += 1 + len + 4;
    }
    out
}

/// Records of a log that is not compressed, those in one fragment.
fn records(log: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(header) = log.get(at..at + 7) {
        if header[0] == 0 {
            at = (at / 32768 + 1) * 32768;
            continue;
        }
        let end = at + 7 + usize::from(u16::from_be_bytes([header[1], header[2]]));
        if header[0] == 1 {
            out.push(log[at + 7..end].to_vec());
        }
        at = end;
    }
    out
}

/// Changes bytes as damage and malice do.
fn mutate(bytes: &mut Vec<u8>, noise: &mut Noise) {
    const NASTY: [u64; 8] = [0, 1, 0x7f, 0x80, 0xff, u32::MAX as u64, i64::MAX as u64, u64::MAX];
    for _ in 0..1 + noise.below(6) {
        let at = noise.below(bytes.len().max(1) as u64) as usize;
        let n = (1 + noise.below(16) as usize).min(bytes.len() - at.min(bytes.len()));
        match noise.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << noise.below(8),
            1 if at < bytes.len() => bytes[at] = noise.next_bits() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, noise.next_bits().to_le_bytes()[..1 + n % 8].to_vec())),
            4 => drop(bytes.drain(at..at + n)),
            5 => bytes[at..at + n].fill(NASTY[noise.below(5) as usize] as u8),
            6 => {
                let number = NASTY[noise.below(8) as usize].to_be_bytes();
                let place = &mut bytes[at..at + n.min(8)];
                let from = 8 - place.len();
                place.copy_from_slice(&number[from..]);
            }
            _ => {
                let from = noise.below((bytes.len() - n).max(1) as u64) as usize;
                let copy = bytes[from..from + n].to_vec();
                let end = at + copy.len().min(bytes.len() - at);
                bytes.splice(at..end, copy);
            }
        }
    }
}

fn check((name, target): (&str, fn(&[u8])), input: &[u8], what: &str) {
    let (start, before) = (Instant::now(), ALLOCATED.total_allocated());
    let done = catch_unwind(|| target(input));
    let (taken, time) = (ALLOCATED.total_allocated() - before, start.elapsed());
    let shown = &input[..input.len().min(400)];
    if let Err(why) = done {
        let text = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
        panic!("{name}, {what}: {}: {shown:?}", text.unwrap_or("a panic"));
    }
    let bound = BYTES_BASE + BYTES_PER_BYTE * input.len();
    assert!(taken < bound, "{name}, {what}: {taken} bytes for {} bytes: {shown:?}", input.len());
    assert!(time < TIME_MAX, "{name}, {what}: took {time:?}: {shown:?}");
}

/// What once went wrong, and what looks as if it could.
const CASES: [(&str, &[u8]); 12] = [
    ("wal", b""),
    // Snappy that claims a gigabyte.
    ("wal", b"\x09\x00\x06\0\0\0\0\xff\xff\xff\xff\x03\0"),
    // A fragment longer than a page.
    ("wal", b"\x01\xff\xff\0\0\0\0"),
    ("record", b"\x02"),
    // More labels than bytes.
    ("record", b"\x01\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\x0f"),
    ("record", b"\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0"),
    ("chunk", b"\0\xff\xff"),
    ("chunk", b"\x02\xff\xff\0\xff\xff\xff\xff\xff\xff"),
    ("chunk_segment", b"\x85\xbd\x40\xdd\x01\0\0\0\xff\xff\xff\xff\x0f\x01"),
    ("head_chunks", b"\x01\x30\xbc\x91\x01\0\0\0"),
    ("tombstones", b"\x01\x30\xba\x30\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0"),
    ("index", b"\xba\xaa\xd7\x00\x02"),
];

#[test]
fn readers_hold_with_whatever_they_are_given() {
    let inputs = std::env::var("NARTHEX_TORTURE_FUZZ").map_or(400, |text| text.parse::<u64>().unwrap());
    let corpora = corpora();
    if let Some(dir) = std::env::var_os("NARTHEX_FUZZ_CORPUS") {
        write_corpora(Path::new(&dir), &corpora);
    }
    for (name, input) in CASES {
        let target = TARGETS.iter().find(|t| t.0 == name).unwrap();
        check(*target, input, "as it stands in the list");
    }
    std::panic::set_hook(Box::new(|_| {}));
    for target in TARGETS {
        let files = &corpora[target.0];
        files.iter().for_each(|file| check(target, file, "undamaged"));
        let mut noise = Noise::new(0xf022);
        for i in 0..inputs {
            let mut input = files[noise.below(files.len() as u64) as usize].clone();
            mutate(&mut input, &mut noise);
            check(target, &input, &format!("input {i}"));
        }
    }
}

fn write_corpora(dir: &Path, corpora: &Corpora) {
    for (name, files) in corpora {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        for (i, file) in files.iter().enumerate() {
            std::fs::write(dir.join(name).join(format!("{i:04}")), file).unwrap();
        }
    }
}

#[test]
fn each_target_is_one_of_libfuzzer() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut there: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    // Those of PromQL and of exposition are for the tests of testkit, those of OTLP for those of wire.
    there.retain(|name| !["promql_", "exposition", "otlp"].iter().any(|other| name.starts_with(other)));
    there.sort();
    let mut want: Vec<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    want.sort();
    assert_eq!(there, want);
}
