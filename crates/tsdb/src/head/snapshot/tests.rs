//! Golden bytes and round trips of the records, and what is refused.
#![allow(clippy::unwrap_used)]

use chunk::{Encoding, FloatHistogramEncoder, HistogramEncoder, Xor2Encoder, XorEncoder};
use model::{Histogram, Labels};

use proptest::prelude::*;

use super::record::{
    ChunkRecord, SeriesRecord, SnapshotRecord, decode, put_exemplar_record, put_series, put_tombstones,
};
use crate::head::open_chunk::OpenChunk;
use crate::tombstones::{Interval, Tombstones};
use crate::wal::record::RefExemplar;

fn labels() -> Labels {
    Labels::from_pairs([("a", "bc")])
}

#[test]
fn golden_bytes() {
    let mut buf = Vec::new();
    put_series(&mut buf, 258, &labels(), None);
    assert_eq!(buf, b"\x01\0\0\0\0\0\0\x01\x02\x01\x01a\x02bc\0\0\0\0\0\0\0\0\0");

    let mut xor = XorEncoder::new();
    xor.append(5, 1.0);
    let chunk = ChunkRecord::new((5, 5), Encoding::Xor, xor.bytes(), Some(1.0)).unwrap();
    buf.clear();
    put_series(&mut buf, 1, &labels(), Some(&chunk));
    let mut want = b"\x01\0\0\0\0\0\0\0\x01\x01\x01a\x02bc\0\0\0\0\0\0\0\0\x01".to_vec();
    want.extend(b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x05\x01\x0b\0\x01\x0a\x3f\xf0\0\0\0\0\0\0");
    want.extend([0; 56]);
    want.extend(b"\x3f\xf0\0\0\0\0\0\0");
    assert_eq!(buf, want);
    let series = SeriesRecord { series: 1, labels: labels(), chunk: Some(chunk) };
    assert_eq!(decode(&buf), Ok(SnapshotRecord::Series(series)));

    let mut stones = Tombstones::default();
    stones.add(3, Interval { min_ms: -1, max_ms: 2 });
    buf.clear();
    put_tombstones(&mut buf, &stones);
    assert_eq!(buf, b"\x02\x04\x01\x03\x01\x04");
    assert_eq!(decode(&buf), Ok(SnapshotRecord::Tombstones(stones)));

    let exemplars = vec![RefExemplar { series: 9, t: 3, v: 2.0, labels: labels() }];
    buf.clear();
    put_exemplar_record(&mut buf, &exemplars);
    assert_eq!(buf, b"\x03\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x03\0\0\x40\0\0\0\0\0\0\0\x01\x01a\x02bc");
    assert_eq!(decode(&buf), Ok(SnapshotRecord::Exemplars(exemplars)));
}

#[test]
fn the_last_histogram_stands_behind_its_chunk() {
    let h = |count| Histogram { count, zero_count: count, sum: 1.5, ..Histogram::default() };
    let mut encoder = HistogramEncoder::new(false);
    let _ = encoder.append(None, 5, 0, &h(1));
    let _ = encoder.append(None, 6, 0, &h(2));
    let chunk = ChunkRecord::new((5, 6), Encoding::Histogram, encoder.bytes(), None).unwrap();
    let mut buf = Vec::new();
    put_series(&mut buf, 1, &labels(), Some(&chunk));
    assert!(buf.ends_with(b"\x00\x00\0\0\0\0\0\0\0\0\x02\x02\x3f\xf8\0\0\0\0\0\0\0\0\0\0"));
    let series = SeriesRecord { series: 1, labels: labels(), chunk: Some(chunk) };
    assert_eq!(decode(&buf), Ok(SnapshotRecord::Series(series)));
}

#[test]
fn hostile_bytes_are_refused() {
    let mut buf = Vec::new();
    let mut xor = XorEncoder::new();
    xor.append(5, 1.0);
    let chunk = ChunkRecord::new((5, 5), Encoding::Xor, xor.bytes(), Some(1.0)).unwrap();
    put_series(&mut buf, 1, &labels(), Some(&chunk));
    for n in 0..buf.len() {
        assert!(decode(&buf[..n]).is_err(), "{n}");
    }
    let encoding_at = buf.len() - 64 - 11 - 2;
    for (at, byte, what) in [
        (0, 4, "unknown kind 4 of snapshot record"),
        (encoding_at, 9, "invalid chunk encoding 9"),
        (encoding_at - 1, 4, "chunk ends at 4, before it begins at 5"),
    ] {
        let mut buf = buf.clone();
        buf[at] = byte;
        assert_eq!(decode(&buf).unwrap_err(), what);
    }
    buf.push(0);
    assert_eq!(decode(&buf).unwrap_err(), "unexpected bytes left in entry");
    for (record, what) in [
        (&b""[..], "empty record"),
        (b"\x02\x01\x02", "invalid tombstone format at offset 0"),
        (b"\x02\x02\x01\x05", "unexpected end at offset 2"),
        (b"\x01\0\0", "invalid size"),
        (b"\x03\0\0", "invalid size"),
    ] {
        assert_eq!(decode(record).unwrap_err(), what);
    }
}

/// Records of all encodings.
fn records() -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut xor = XorEncoder::new();
    let mut xor2 = Xor2Encoder::new();
    for k in 0..9 {
        xor.append(1000 * k, k as f64);
        xor2.append(1000 * k, 500 * k, k as f64);
    }
    chunks.push(ChunkRecord::new((0, 8000), Encoding::Xor, xor.bytes(), Some(8.0)).unwrap());
    chunks.push(ChunkRecord::new((0, 8000), Encoding::Xor2, xor2.bytes(), Some(8.0)).unwrap());
    for starts in [false, true] {
        let h = |k: u64| Histogram { count: k, zero_count: k, sum: k as f64, ..Histogram::default() };
        let mut integer = HistogramEncoder::new(starts);
        let mut float = FloatHistogramEncoder::new(starts);
        for k in 0..9 {
            let _ = integer.append(None, 1000 * k, 7, &h(k as u64));
            let _ = float.append(None, 1000 * k, 7, &h(k as u64).to_float());
        }
        for (encoding, bytes) in [(integer.encoding(), integer.bytes()), (float.encoding(), float.bytes())] {
            chunks.push(ChunkRecord::new((0, 8000), encoding, bytes, None).unwrap());
        }
    }
    let series = |(i, c)| {
        let mut buf = Vec::new();
        put_series(&mut buf, i as u64, &labels(), Some(c));
        buf
    };
    chunks.iter().enumerate().map(series).collect()
}

#[test]
fn chunks_of_all_encodings_are_gone_on_with() {
    for record in records() {
        let Ok(SnapshotRecord::Series(s)) = decode(&record) else { panic!("{record:?}") };
        let c = s.chunk.unwrap();
        let open = OpenChunk::resume(c.encoding, &c.data, (c.min_ms, c.max_ms)).unwrap();
        assert_eq!((open.encoding(), open.min_ms(), open.max_ms()), (c.encoding, 0, 8000));
        assert_eq!((open.bytes(), open.num_samples()), (&c.data[..], 9));
        assert!(OpenChunk::resume(c.encoding, &c.data, (c.min_ms, 8001)).is_err(), "it ends elsewhere");
    }
}

proptest! {
    /// A checksum does not say that bytes make sense.
    #[test]
    fn no_bytes_panic(which in 0usize..6, at: prop::sample::Index, bytes in prop::collection::vec(any::<u8>(), 1..12)) {
        let mut record = records().remove(which);
        let from = at.index(record.len());
        let to = record.len().min(from + bytes.len());
        record.splice(from..to, bytes);
        if let Ok(SnapshotRecord::Series(SeriesRecord { chunk: Some(c), .. })) = decode(&record)
            && let Ok(mut open) = OpenChunk::resume(c.encoding, &c.data, (c.min_ms, c.max_ms))
        {
            let t = open.max_ms().saturating_add(1);
            if !c.encoding.is_histogram() && open.num_samples() < 9999 && t > open.max_ms() {
                open.append(t, 0, 1.0);
            }
        }
    }
}
