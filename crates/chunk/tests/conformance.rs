//! Chunks that Prometheus 3.16 wrote, of every encoding: what they decode to, and that encoding it
//! again gives the same bytes.
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chunk::histogram::CounterReset;
use chunk::{Encoding, FloatHistogramEncoder, HistogramEncoder, Xor2Encoder, XorEncoder};
use flate2::read::GzDecoder;
use model::float::to_string_g;
use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram, Histogram, Labels};
use serde_json::Value;

/// A folder of the conformance data; `None` where there is none, which has been said.
fn folder(test: &str, name: &str) -> Option<PathBuf> {
    let data =
        std::env::var_os("NARTHEX_CONFORMANCE").map_or_else(|| "../shared/conformance".into(), PathBuf::from);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(data).join("tsdb").join(name);
    if dir.is_dir() {
        return Some(dir);
    }
    let required = std::env::var("NARTHEX_REQUIRE")
        .is_ok_and(|list| list.split(',').any(|item| item.trim() == "conformance"));
    assert!(!required, "{test}: {} is not there", dir.display());
    eprintln!("skipped: {test}: {} is not there", dir.display());
    None
}

fn lines(path: PathBuf) -> impl Iterator<Item = String> {
    BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines().map(Result::unwrap)
}

fn json_lines(path: PathBuf) -> impl Iterator<Item = Value> {
    lines(path).map(|line| serde_json::from_str(&line).unwrap())
}

/// The files below `chunks` of each block, by block and number.
fn chunk_files(dir: &Path) -> HashMap<(String, u64), Vec<u8>> {
    let archive = GzDecoder::new(File::open(dir.join("data.tar.gz")).unwrap());
    let mut files = HashMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if let ["data", block, "chunks", number] = path.split('/').collect::<Vec<_>>()[..]
            && let Ok(number) = number.parse()
        {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert((block.to_owned(), number), bytes);
        }
    }
    files
}

/// Encoding and data of the chunk at `offset`.
fn chunk_at(file: &[u8], offset: usize) -> (Encoding, &[u8]) {
    let (mut len, mut at) = (0, offset);
    loop {
        let byte = file[at];
        len |= usize::from(byte & 0x7f) << (7 * (at - offset));
        at += 1;
        if byte < 0x80 {
            break;
        }
    }
    (Encoding::try_from(file[at]).unwrap(), &file[at + 1..at + 1 + len])
}

fn labels(json: &Value) -> Labels {
    let pairs = json.as_object().unwrap();
    Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())))
}

/// The chunk that our encoder makes of the samples of `data`, without the header.
fn encoded_again(encoding: Encoding, data: &[u8], columns: &Columns) -> Vec<u8> {
    let st = |i: usize| columns.st.get(i).copied().unwrap_or(0);
    let samples = || (0..columns.t.len()).map(|i| (i, columns.t[i], st(i)));
    let starts = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    let gauge = encoding.is_histogram()
        && chunk::histogram::counter_reset(encoding, data).unwrap() == CounterReset::Gauge;
    let h = |i: usize| {
        let mut h = FloatHistogram::clone(&columns.h[i].1);
        h.counter_reset_hint = if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
        h
    };
    let mut bytes = match encoding {
        Encoding::Xor => {
            let mut e = XorEncoder::new();
            samples().for_each(|(i, t, _)| e.append(t, columns.v[i]));
            return e.bytes()[2..].to_vec();
        }
        Encoding::Xor2 => {
            let mut e = Xor2Encoder::new();
            samples().for_each(|(i, t, st)| e.append(t, st, columns.v[i]));
            e.into_bytes()
        }
        Encoding::Histogram | Encoding::HistogramSt => {
            let (mut e, mut integers) = (HistogramEncoder::new(starts), Vec::new());
            chunk::histogram::decode_integer(data, starts, i64::MIN, i64::MAX, &mut integers).unwrap();
            for (s, i) in integers.iter().zip(0..) {
                assert!(s.h.to_float().same_data(&h(i)));
                let counter_reset_hint = h(i).counter_reset_hint;
                let histogram = Histogram { counter_reset_hint, ..s.h.clone() };
                e.append_only(s.t, s.st, &histogram).unwrap();
            }
            e.into_bytes()
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            let mut e = FloatHistogramEncoder::new(starts);
            samples().for_each(|(i, t, st)| e.append_only(t, st, &h(i)).unwrap());
            e.into_bytes()
        }
    };
    bytes.split_off(3)
}

/// Checks every chunk of the blocks of a folder; returns how many samples there were, and how many
/// of their start timestamps are known from the WAL.
fn check(dir: &Path) -> (usize, usize) {
    let dump: HashSet<String> = lines(dir.join("dump.txt.gz")).collect();
    let files = chunk_files(dir);
    let (mut starts, mut names) = (HashMap::new(), HashMap::new());
    for record in json_lines(dir.join("wal.jsonl.gz")) {
        for series in record["series"].as_array().into_iter().flatten() {
            names.insert(series["ref"].as_u64().unwrap(), labels(&series["labels"]));
        }
        for sample in record["samples"].as_array().into_iter().flatten() {
            if let (Some(name), Some(st)) = (names.get(&sample[0].as_u64().unwrap()), sample[3].as_i64()) {
                starts.insert((name.to_string(), sample[1].as_i64().unwrap()), st);
            }
        }
    }
    let (mut checked, mut checked_starts) = (0, 0);
    for series in json_lines(dir.join("index.jsonl.gz")).filter(|line| line["chunks"].is_array()) {
        let name = labels(&series["labels"]).to_string();
        for meta in series["chunks"].as_array().unwrap() {
            let block = series["block"].as_str().unwrap().to_owned();
            let file = &files[&(block, meta["segment"].as_u64().unwrap())];
            let (encoding, data) = chunk_at(file, meta["offset"].as_u64().unwrap() as usize);
            let place = format!("{name} {meta}");
            assert_eq!(encoding.as_str(), meta["encoding"], "{place}");
            let mut columns = Columns::default();
            chunk::decode(encoding, data, i64::MIN, i64::MAX, &mut columns).unwrap();
            assert_eq!(columns.t.len() as u64, meta["samples"].as_u64().unwrap(), "{place}");
            let mut histograms = columns.h.iter().peekable();
            for (i, (t, v)) in columns.t.iter().zip(&columns.v).enumerate() {
                let value = match histograms.next_if(|(at, _)| *at as usize == i) {
                    Some((_, h)) => h.to_string(),
                    None => to_string_g(*v),
                };
                let line = format!("{name} {value} {t}");
                assert!(dump.contains(&line), "{line}");
                if let Some(st) = starts.get(&(name.clone(), *t)) {
                    assert_eq!(columns.st.get(i).copied().unwrap_or(0), *st, "start of {line}");
                    checked_starts += 1;
                }
                checked += 1;
            }
            let body = if encoding == Encoding::Xor { 2 } else { 3 };
            assert!(encoded_again(encoding, data, &columns) == data[body..], "bytes of {place}");
        }
    }
    (checked, checked_starts)
}

#[test]
fn histogram_chunks_of_prometheus() {
    if let Some(dir) = folder("histogram_chunks_of_prometheus", "b-histograms") {
        assert_eq!(check(&dir).0, 2983);
    }
}

#[test]
fn xor2_chunks_of_prometheus() {
    if let Some(dir) = folder("xor2_chunks_of_prometheus", "d-xor2") {
        assert!(check(&dir).0 > 10_000);
    }
}

#[test]
fn chunks_with_start_timestamps_of_prometheus() {
    if let Some(dir) = folder("chunks_with_start_timestamps_of_prometheus", "d2-xor2-start-timestamps") {
        let (samples, starts) = check(&dir);
        assert!(samples > 5_000 && starts > 1_000, "{samples} samples, {starts} starts");
    }
}
