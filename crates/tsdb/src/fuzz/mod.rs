//! What every reader of files must hold for whatever bytes it is given: it ends, does not panic, takes memory in
//! proportion to what it reads, says what is wrong, and what it does read it writes and reads again as the same.
//! One function a kind of file; `tests/fuzz.rs` calls them with damaged files of our own, `fuzz/` in the root of the
//! repository with what libFuzzer makes up. Not for anybody else.

mod mend;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use chunk::{Encoding, Xor2Encoder, XorEncoder};
use model::Columns;
use storage::{Fs, Inline, ManualClock, Map, MemFs, Queryable, SelectHints};

use crate::block::segment;
use crate::head_chunks::file;
use crate::index::{IndexReader, PostingsIndex};
use crate::tombstones::Tombstones;
use crate::wal::decompress;
use crate::wal::fragment::Records;
use crate::wal::record::{self, Record, kind};
use crate::{Db, DbOptions};

/// A check of one reader: panics where it does not hold.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 8] = [
    ("wal", wal),
    ("record", record),
    ("chunk", chunk),
    ("chunk_segment", chunk_segment),
    ("head_chunks", head_chunks),
    ("index", index),
    ("tombstones", tombstones),
    ("chunk_snapshot", chunk_snapshot),
];

/// So many series of an index are read.
const SERIES_MAX: usize = 1000;

/// The bytes as they are, and with checksums put right, which random changes never get past.
fn both<'a>(data: &'a [u8], mend: fn(&mut [u8])) -> [Cow<'a, [u8]>; 2] {
    let mut mended = data.to_vec();
    mend(&mut mended);
    [data.into(), mended.into()]
}

/// A segment of a log or of a checkpoint.
pub fn wal(data: &[u8]) {
    for data in both(data, mend::fragments) {
        let mut records = Records::new(&data);
        let (mut raw, mut behind) = (Vec::new(), 0);
        loop {
            match records.next() {
                Ok(Some(found)) => {
                    assert!((behind..data.len()).contains(&found.offset), "records follow each other");
                    behind = found.offset + 1;
                    match decompress(found.bits, &found.data, &mut raw) {
                        Ok(()) => record(&raw),
                        Err(why) => assert!(!why.is_empty(), "says why"),
                    }
                }
                Ok(None) => break,
                Err(torn) => {
                    let place = torn.offset <= data.len() && torn.offset >= behind.saturating_sub(1);
                    assert!(place && !torn.reason.is_empty(), "says where and why: {torn:?}");
                    break;
                }
            }
        }
    }
}

/// Writes a record of this kind to the empty `buf`.
pub(crate) fn put_record(buf: &mut Vec<u8>, kind: u8, record: &Record) {
    match record {
        Record::Series(series) => series.iter().for_each(|(r, labels)| record::put_series(buf, *r, labels)),
        Record::Samples(s) if kind == kind::SAMPLES_V2 => record::put_samples_v2(buf, &s.samples, &s.starts),
        Record::Samples(s) => record::put_samples(buf, &s.samples),
        Record::Tombstones(stones) => record::put_tombstones(buf, stones),
        Record::Metadata(entries) => record::put_metadata(buf, entries),
        Record::MinValidTime(t) => record::put_min_valid_time(buf, *t),
        Record::Histograms(histograms) => record::put_histograms(buf, kind, histograms),
        Record::Exemplars(exemplars) => record::put_exemplars(buf, exemplars),
        Record::Markers(markers) => record::put_markers(buf, markers),
        Record::Other => {}
    }
}

/// A record of a log, without fragments and compression.
pub fn record(data: &[u8]) {
    let Some(kind) = data.first().copied() else { return };
    let decoded = match record::decode(data) {
        Ok(Record::Other) => return,
        Ok(decoded) => decoded,
        Err(why) => return assert!(!why.is_empty(), "says why"),
    };
    let mut once = Vec::new();
    put_record(&mut once, kind, &decoded);
    if once.is_empty() {
        return;
    }
    // By bytes: values may be NaN.
    let mut twice = Vec::new();
    match record::decode(&once) {
        Ok(again) => put_record(&mut twice, kind, &again),
        Err(why) => panic!("what was written cannot be read: {why}: {decoded:?}"),
    }
    assert_eq!(once, twice, "what was written is read as something else");
}

const ENCODINGS: [Encoding; 6] = [
    Encoding::Xor,
    Encoding::Xor2,
    Encoding::Histogram,
    Encoding::HistogramSt,
    Encoding::FloatHistogram,
    Encoding::FloatHistogramSt,
];

/// An encoding, as a number in a byte, and the bytes of a chunk.
pub fn chunk(data: &[u8]) {
    let Some((number, data)) = data.split_first() else { return };
    one_chunk(ENCODINGS[usize::from(*number) % ENCODINGS.len()], data);
}

fn one_chunk(encoding: Encoding, data: &[u8]) {
    let mut c = Columns::default();
    if let Err(e) = chunk::decode(encoding, data, i64::MIN, i64::MAX, &mut c) {
        assert!(!e.to_string().is_empty(), "says why");
        assert!(c.is_empty(), "an error leaves nothing behind");
        return;
    }
    assert_eq!(chunk::num_samples(encoding, data).map(usize::from), Ok(c.len()), "says how many");
    assert!(c.v.len() == c.t.len() && (c.st.is_empty() || c.st.len() == c.t.len()));
    let start = |i: usize| c.st.get(i).copied().unwrap_or(0);
    let bytes = match encoding {
        Encoding::Xor => {
            let mut e = XorEncoder::new();
            c.t.iter().zip(&c.v).for_each(|(t, v)| e.append(*t, *v));
            e.into_bytes()
        }
        Encoding::Xor2 => {
            let mut e = Xor2Encoder::new();
            c.t.iter().zip(&c.v).enumerate().for_each(|(i, (t, v))| e.append(*t, start(i), *v));
            e.into_bytes()
        }
        _ => return,
    };
    let mut again = Columns::default();
    let done = chunk::decode(encoding, &bytes, i64::MIN, i64::MAX, &mut again);
    assert_eq!(done, Ok(()), "what was written cannot be read");
    let bits = |c: &Columns| c.v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!((&again.t, bits(&again)), (&c.t, bits(&c)), "what was written is read as something else");
    if c.st.iter().any(|st| *st != 0) {
        assert_eq!(again.st, c.st, "start timestamps change");
    }
}

/// A file of a block's chunks.
pub fn chunk_segment(data: &[u8]) {
    for data in both(data, mend::segment) {
        if segment::check_header(&data).is_err() {
            continue;
        }
        for at in 0..data.len().min(SERIES_MAX) {
            match segment::chunk_at(&data, at) {
                Ok((encoding, bytes)) => one_chunk(encoding, bytes),
                Err(c) => says_where(&c.in_file(Path::new("chunks/000001")).to_string(), "chunks/000001"),
            }
        }
    }
}

fn says_where(text: &str, place: &str) {
    assert!(text.contains(place), "names no place: {text}");
}

/// A file of the head's full chunks.
pub fn head_chunks(data: &[u8]) {
    for data in both(data, mend::head_chunks) {
        if file::check_file_header(&data).is_err() {
            continue;
        }
        let mut at = file::FILE_HEADER_BYTES;
        loop {
            match file::read_chunk(&data[at..]) {
                Ok(Some((c, n))) => {
                    assert!(n > 0 && at + n <= data.len(), "a chunk lies in its file");
                    if let Ok(encoding) = Encoding::try_from(c.encoding) {
                        one_chunk(encoding, c.data);
                        let mut again = Vec::new();
                        let file::FileChunk { series, min_ms, max_ms, out_of_order, data, .. } = c;
                        file::put_chunk(
                            &mut again,
                            &file::NewChunk { series, min_ms, max_ms, encoding, out_of_order, data },
                        );
                        assert_eq!(file::read_chunk(&again).map(|c| c.map(|c| c.0)), Ok(Some(c)));
                    }
                    at += n;
                }
                Ok(None) => break,
                Err(why) => {
                    assert!(!why.is_empty(), "says why");
                    break;
                }
            }
        }
    }
}

/// An index file.
pub fn index(data: &[u8]) {
    const PLACE: &str = "block/index";
    for data in both(data, mend::index) {
        let index = match IndexReader::parse(Map::new(data.into_owned()), Path::new(PLACE)) {
            Ok(index) => index,
            Err(c) => {
                says_where(&c.in_file(Path::new(PLACE)).to_string(), PLACE);
                continue;
            }
        };
        let read = || {
            for name in index.label_names(SERIES_MAX, &[])? {
                for value in index.label_values(&name, SERIES_MAX, &[])? {
                    index.equal(&name, &value)?;
                }
            }
            let mut chunks = Vec::new();
            for id in index.all()?.iter().take(SERIES_MAX) {
                chunks.clear();
                let labels = index.read_series(*id, &mut chunks)?;
                assert!(labels.iter().is_sorted_by(|a, b| a.0 < b.0), "names rise");
                assert!(chunks.iter().all(|c| c.min_ms <= c.max_ms), "chunks begin before they end");
            }
            Ok(())
        };
        if let Err(e) = read() {
            let e: storage::StorageError = e;
            says_where(&e.to_string(), PLACE);
        }
    }
}

/// A block's tombstones.
pub fn tombstones(data: &[u8]) {
    for data in both(data, mend::tombstones) {
        match Tombstones::parse(&data) {
            Ok(read) => assert_eq!(Tombstones::parse(&read.to_bytes()).ok(), Some(read)),
            Err(c) => says_where(&c.in_file(Path::new("tombstones")).to_string(), "tombstones"),
        }
    }
}

/// The file of a chunk snapshot: a database opens with it or without it, says so, and answers.
pub fn chunk_snapshot(data: &[u8]) {
    for data in both(data, mend::fragments) {
        let fs = MemFs::new();
        let dir = Path::new("data/chunk_snapshot.000000.0000000000");
        let path = dir.join("00000000");
        let made = fs.create_dir_all(dir).and_then(|()| fs.create(&path)?.append(&data));
        made.expect("files in memory take what they are given");
        let clock = Arc::new(ManualClock::new(0));
        let mut o = DbOptions::new("data", Arc::new(fs), clock, Arc::new(Inline));
        o.snapshot_on_close = true;
        o.settings.exemplars_max = 100;
        let db = Db::open(o).expect("a damaged snapshot keeps no database from opening");
        let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
        let querier = db.querier(i64::MIN, i64::MAX).expect("the database is open");
        let set = querier.select(&hints, &[]).expect("the head answers");
        let mut c = Columns::default();
        for i in 0..set.len() {
            c.clear();
            if let Err(e) = set.read(i, &mut c) {
                assert!(!e.to_string().is_empty(), "says why");
            }
        }
    }
}
