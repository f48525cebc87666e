//! The parser and the evaluator of PromQL, and the parsers of scraped bodies, against random input, the same in each
//! run: expressions and bodies whole and damaged, and expressions over series. What must hold stands in `testkit::fuzz`.
//!
//! `NARTHEX_TORTURE_FUZZ` is the number of inputs for each target, `NARTHEX_TORTURE_SEED` where they begin;
//! `NARTHEX_FUZZ_CORPUS` a directory that gets some of them, for libFuzzer.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

use std::fs;
use std::panic::{catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::fuzz::{Choices, TARGETS, Target, expression};
use testkit::series::Noise;

/// One input takes no longer.
const TIME_MAX: Duration = Duration::from_secs(20);

/// What once went wrong, and what looks as if it could.
const TEXTS: [&str; 12] = [
    "",
    "\u{feff}",
    "1 + # comment",
    "\"\\xff\\u12\"",
    "a[5m:] offset -(step()) @ 1e400",
    "{\"a\\\"b\", 'c.d'=~`(`}",
    "-1^-2^-3",
    "a fill(1) + b",
    "sum by (\"a b\",) (x)",
    "1h2m3s4ms + 0x1F + 1_000 + .5e-3 + -Inf",
    "rate(a[5m] anchored smoothed)",
    "histogram_quantiles(a, \"\", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn bytes(noise: &mut Noise, len: u64) -> Vec<u8> {
    (0..len).map(|_| noise.next_bits() as u8).collect()
}

/// An expression, damaged more often than not.
fn text(noise: &mut Noise) -> Vec<u8> {
    const PIECES: [&str; 20] = [
        "(", ")", "[", "]", "{", "}", "\"", "\\", ",", "@", " offset ", "-", "5m", "by", "0x", "e", "é", "#",
        "\n", "bool",
    ];
    let decisions = bytes(noise, 200);
    let mut out = expression(&mut Choices::new(&decisions), 1 + noise.below(4) as usize).into_bytes();
    for _ in 0..noise.below(4) {
        let at = noise.below(out.len() as u64 + 1) as usize;
        let n = (noise.below(12) as usize).min(out.len() - at);
        match noise.below(4) {
            0 => drop(out.drain(at..at + n)),
            1 => drop(out.splice(at..at, PIECES[noise.below(20) as usize].bytes())),
            2 => drop(out.splice(at..at + n.min(1), [noise.next_bits() as u8])),
            _ => {
                let copy = out[at..at + n].to_vec();
                out.extend(copy);
            }
        }
    }
    out
}

/// A body of pieces that targets send, in text or in protobuf, some of them damaged.
fn body(noise: &mut Noise) -> Vec<u8> {
    const TEXT: [&str; 12] = [
        "# TYPE a histogram\n",
        "a_bucket{le=\"1\"} 1\n",
        "a_bucket{le=\"+Inf\"} 2 # {x=\"y\"} 1 2\n",
        "a_count 2\n",
        "a_sum 3 4\n",
        "a_created 5\n",
        "# HELP a \\n\n",
        "# UNIT a_s s\n",
        "{\"b.c\",d=\"\\\"\"} NaN\n",
        "# TYPE a counter\n",
        "a{b=\"c\"} 1\n",
        "# EOF\n",
    ];
    // Name and type, a label, then values of each kind: simple, with exemplar and start, classic, native.
    const PROTOBUF: [&[u8]; 8] = [
        b"\x0a\x01a\x18\x04",
        b"\x0a\x01b\x18\x00",
        b"\x0a\x06\x0a\x01x\x12\x01y",
        b"\x12\x09\x09\0\0\0\0\0\0\xf0\x3f",
        b"\x1a\x0a\x12\x04\x1a\x02\x08\x01\x1a\x02\x08\x05",
        b"\x3a\x0f\x08\x02\x1a\x0b\x08\x01\x11\0\0\0\0\0\0\xf0\x3f",
        b"\x3a\x0b\x08\x02\x62\x04\x08\x02\x10\x02\x6a\x01\x02",
        b"\x3a\x08\x62\x02\x10\x01\x6a\x02\x02\x04",
    ];
    let choice = noise.next_bits() as u8;
    let mut out = vec![choice];
    for _ in 0..noise.below(12) {
        if choice & 32 != 0 {
            out.extend(TEXT[noise.below(12) as usize].bytes());
            continue;
        }
        let mut family = PROTOBUF[noise.below(2) as usize].to_vec();
        for _ in 0..noise.below(4) {
            let metric = [(); 2].map(|()| PROTOBUF[2 + noise.below(6) as usize]).concat();
            family.extend([0x22, metric.len() as u8]);
            family.extend(metric);
        }
        out.push(family.len() as u8);
        out.extend(family);
    }
    for _ in 0..noise.below(3) {
        let at = noise.below(out.len() as u64) as usize;
        out[at] = noise.next_bits() as u8;
    }
    if noise.chance(20) {
        out.truncate(1 + noise.below(out.len() as u64) as usize);
    }
    out
}

fn check(name: &str, target: Target, input: &[u8]) {
    let start = Instant::now();
    let done = catch_unwind(|| target(input));
    let shown = String::from_utf8_lossy(&input[..input.len().min(400)]);
    if let Err(why) = done {
        drop(take_hook());
        let text = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
        panic!("{name}: {}: {shown:?}", text.unwrap_or("a panic"));
    }
    assert!(start.elapsed() < TIME_MAX, "{name}: took {:?}: {shown:?}", start.elapsed());
}

#[test]
fn queries_hold_with_whatever_they_are_given() {
    let (inputs, seed) = (number("NARTHEX_TORTURE_FUZZ", 500), number("NARTHEX_TORTURE_SEED", 1));
    let corpus = std::env::var_os("NARTHEX_FUZZ_CORPUS");
    set_hook(Box::new(|_| {}));
    for (name, target) in TARGETS {
        if name == "promql_parse" {
            TEXTS.iter().for_each(|text| check(name, target, text.as_bytes()));
        }
        let mut noise = Noise::new(seed);
        for i in 0..inputs {
            let input = match name {
                "promql_parse" => text(&mut noise),
                "exposition" => body(&mut noise),
                _ => bytes(&mut noise, 1500),
            };
            check(name, target, &input);
            if let Some(dir) = corpus.as_ref().filter(|_| i < 200) {
                let dir = Path::new(dir).join(name);
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join(i.to_string()), &input).unwrap();
            }
        }
    }
    drop(take_hook());
}

/// Bytes that decide nothing lead to the same expression as the same bytes, and to different ones where they differ.
#[test]
fn expressions_follow_their_bytes() {
    let mut noise = Noise::new(7);
    let made: Vec<String> = (0..50)
        .map(|_| {
            let decisions = bytes(&mut noise, 200);
            let [one, two] = [(); 2].map(|()| expression(&mut Choices::new(&decisions), 3));
            assert_eq!(one, two);
            one
        })
        .collect();
    let distinct: std::collections::BTreeSet<&String> = made.iter().collect();
    assert!(distinct.len() > 40, "{distinct:?}");
}

#[test]
fn each_target_is_one_of_libfuzzer() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut there: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    // The others are for the tests of tsdb.
    there.retain(|name| name.starts_with("promql_") || name == "exposition.rs");
    there.sort();
    let mut want: Vec<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    want.sort();
    assert_eq!(there, want);
}
