//! What several tests need: the conformance data, unpacked into memory, and series to write.
#![allow(dead_code, clippy::disallowed_methods, clippy::print_stderr, clippy::unwrap_used)]

pub(crate) mod head_files;
pub(crate) mod log;
pub(crate) mod steps;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use storage::{Fs, MemFs};

/// Whether a missing `what` is a failure rather than a reason to skip.
pub(crate) fn required(what: &str) -> bool {
    std::env::var("NARTHEX_REQUIRE").is_ok_and(|list| list.split(',').any(|item| item.trim() == what))
}

/// Says that a test is skipped and why, or fails where `what` is required.
pub(crate) fn skip(test: &str, what: &str, why: &str) {
    assert!(!required(what), "{test}: {why}");
    eprintln!("skipped: {test}: {why}");
}

/// A folder of the conformance data about databases; `None` where there is none, which has been said.
pub(crate) fn conformance(test: &str, folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data =
        std::env::var_os("NARTHEX_CONFORMANCE").map_or_else(|| "../shared/conformance".into(), PathBuf::from);
    let dir = root.join(data).join("tsdb").join(folder);
    if dir.is_dir() {
        return Some(dir);
    }
    skip(test, "conformance", &format!("{} is not there", dir.display()));
    None
}

/// The `data.tar.gz` of a folder as files in memory, below `data/`.
pub(crate) fn unpack(dir: &Path) -> Arc<dyn Fs> {
    let fs = MemFs::new();
    let archive = GzDecoder::new(File::open(dir.join("data.tar.gz")).unwrap());
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if entry.header().entry_type().is_dir() {
            fs.create_dir_all(&path).unwrap();
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        fs.create_dir_all(path.parent().unwrap()).unwrap();
        fs.create(&path).unwrap().append(&bytes).unwrap();
    }
    Arc::new(fs)
}

/// The blocks among the directories below `data/`.
pub(crate) fn block_dirs(fs: &dyn Fs) -> Vec<PathBuf> {
    let entries = fs.read_dir(Path::new("data")).unwrap();
    let blocks = entries.into_iter().filter(|e| e.is_dir && e.name.len() == 26);
    blocks.map(|e| Path::new("data").join(e.name)).collect()
}

/// The lines of a compressed file.
pub(crate) fn gz_lines(path: &Path) -> impl Iterator<Item = String> + use<> {
    BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines().map(Result::unwrap)
}

/// Samples by series as `promtool tsdb dump` prints them: time to value, to the bit except that
/// one NaN is as good as another.
pub(crate) type Dump = BTreeMap<String, BTreeMap<i64, u64>>;

/// The bits by which values of a dump are compared.
pub(crate) fn dump_bits(v: f64) -> u64 {
    if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }
}

/// The float samples of `dump.txt.gz`.
pub(crate) fn read_dump(dir: &Path) -> Dump {
    let mut out = Dump::new();
    for line in gz_lines(&dir.join("dump.txt.gz")) {
        let (rest, t) = line.rsplit_once(' ').unwrap();
        // A histogram has spaces within its braces.
        let Some((labels, v)) = rest.rsplit_once(' ') else { continue };
        if let Ok(v) = v.parse::<f64>() {
            out.entry(labels.to_owned()).or_default().insert(t.parse().unwrap(), dump_bits(v));
        }
    }
    out
}
