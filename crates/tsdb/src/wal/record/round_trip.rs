//! The bytes of each kind of record, there and back, and bytes that are none.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use model::histogram::{CounterResetHint, Span};
use model::{FloatHistogram, Histogram, Metadata, MetricType};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fuzz::put_record as encode;
use crate::histogram::OwnedHistogram;

fn check(kind: u8, record: &Record, bytes: &[u8]) {
    let mut buf = Vec::new();
    encode(&mut buf, kind, record);
    assert_eq!(buf, bytes, "kind {kind}");
    assert_eq!(decode(&buf).as_ref(), Ok(record), "kind {kind}");
    // Cut anywhere it is an error, or fewer entries; never a panic.
    for n in 0..buf.len() {
        assert_ne!(decode(&buf[..n]).as_ref(), Ok(record), "kind {kind}, {n} bytes");
    }
}

fn integer(schema: i32, custom_values: Vec<f64>) -> OwnedHistogram {
    OwnedHistogram::Integer(Arc::new(Histogram {
        counter_reset_hint: CounterResetHint::NotReset,
        schema,
        zero_threshold: 1.0,
        zero_count: 2,
        count: 300,
        sum: 2.0,
        positive_spans: vec![Span { offset: -3, length: 2 }],
        negative_spans: Vec::new(),
        positive_buckets: vec![4, -1],
        negative_buckets: Vec::new(),
        custom_values,
    }))
}

fn float(schema: i32, custom_values: Vec<f64>) -> OwnedHistogram {
    OwnedHistogram::Float(Arc::new(FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 1.0,
        sum: 2.0,
        positive_spans: Vec::new(),
        negative_spans: vec![Span { offset: 1, length: 1 }],
        positive_buckets: Vec::new(),
        negative_buckets: vec![1.0],
        custom_values,
    }))
}

const ONE: &[u8] = b"\x3f\xf0\0\0\0\0\0\0";
const TWO: &[u8] = b"\x40\0\0\0\0\0\0\0";
const ZERO: &[u8] = b"\0\0\0\0\0\0\0\0";

#[test]
fn golden_bytes_of_what_is_no_sample() {
    let series = vec![(7, Labels::from_pairs([("a", "b"), ("job", "x")]))];
    check(kind::SERIES, &Record::Series(series), b"\x01\0\0\0\0\0\0\0\x07\x02\x01a\x01b\x03job\x01x");
    let stones = vec![Stone { series: 1, min_ms: -1, max_ms: 64 }];
    check(kind::TOMBSTONES, &Record::Tombstones(stones), b"\x03\0\0\0\0\0\0\0\x01\x01\x80\x01");
    check(kind::MIN_VALID_TIME, &Record::MinValidTime(2), b"\x0e\0\0\0\0\0\0\0\x02");
    let markers = vec![Marker { series: 3, chunk: 1 << 32 | 8 }];
    check(kind::MMAP_MARKERS, &Record::Markers(markers), b"\x05\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0\x08");
    let metadata = Metadata { kind: MetricType::Summary, unit: "s".to_owned(), help: "ü".to_owned() };
    let metadata = vec![RefMetadata { series: 300, metadata }];
    let bytes = [&b"\x06\xac\x02\x05\x02\x04UNIT\x01s\x04HELP\x02"[..], "ü".as_bytes()].concat();
    check(kind::METADATA, &Record::Metadata(metadata), &bytes);
    let labels = Labels::from_pairs([("id", "x")]);
    let exemplars = vec![RefExemplar { series: 2, t: -1, v: 1.0, labels }];
    let bytes =
        [b"\x04\0\0\0\0\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\0\0", ONE, b"\x01\x02id\x01x"].concat();
    check(kind::EXEMPLARS, &Record::Exemplars(exemplars), &bytes);
}

#[test]
fn golden_bytes_of_samples() {
    let s = |series, t, v| RefSample { series, t, v };
    let samples = vec![s(7, 1000, 1.0), s(9, 999, 2.0), s(3, 1000 + 200, f64::INFINITY)];
    let infinity = b"\x7f\xf0\0\0\0\0\0\0";
    let bytes = [
        b"\x02\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x03\xe8",
        &b"\0\0"[..],
        ONE,
        b"\x04\x01",
        TWO,
        b"\x07\x90\x03",
        infinity,
    ];
    let record = Record::Samples(Samples { samples: samples.clone(), starts: Vec::new() });
    check(kind::SAMPLES, &record, &bytes.concat());
    let bytes = [b"\x0b\x0e\xd0\x0f\x00", ONE, b"\x04\x01\x00", TWO, b"\x0b\x90\x03\x00", infinity];
    check(kind::SAMPLES_V2, &record, &bytes.concat());
    let record = Record::Samples(Samples { samples, starts: vec![0, 50, 50] });
    let bytes = [b"\x0b\x0e\xd0\x0f\x00", ONE, b"\x04\x01\x02\x64", TWO, b"\x0b\x90\x03\x01", infinity];
    check(kind::SAMPLES_V2, &record, &bytes.concat());
}

/// The histogram of [`integer`] but for its schema.
fn integer_bytes(schema: u8) -> Vec<u8> {
    [&[2, schema], ONE, b"\x02\xac\x02", TWO, b"\x01\x05\x02\x00\x02\x08\x01\x00"].concat()
}

/// The histogram of [`float`] but for its schema.
fn float_bytes(schema: u8) -> Vec<u8> {
    [&[3, schema], ZERO, ZERO, ONE, TWO, b"\x00\x01\x02\x01\x00\x01", ONE].concat()
}

#[test]
fn golden_bytes_of_histograms() {
    let of = |series, t, st, h| RefHistogram { series, t, st, h };
    let base = b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x0a";
    let custom = [b"\x01", ONE].concat();
    for (kinds, plain, custom_h, plain_bytes, custom_bytes) in [
        ([7, 9, 12], integer(3, Vec::new()), integer(-53, vec![1.0]), integer_bytes(6), integer_bytes(105)),
        ([8, 10, 13], float(3, Vec::new()), float(-53, vec![1.0]), float_bytes(6), float_bytes(105)),
    ] {
        let custom_bytes = [custom_bytes, custom.clone()].concat();
        let one = Record::Histograms(vec![of(5, 10, 0, plain.clone())]);
        check(kinds[0], &one, &[&[kinds[0]], &base[..], b"\0\0", &plain_bytes].concat());
        let one = Record::Histograms(vec![of(5, 10, 0, custom_h.clone())]);
        check(kinds[1], &one, &[&[kinds[1]], &base[..], b"\0\0", &custom_bytes].concat());
        let both = Record::Histograms(vec![of(5, 10, 7, custom_h.clone()), of(6, 9, 7, plain.clone())]);
        let bytes = [&[kinds[2], 0x0a, 0x14, 0x0e], &custom_bytes[..], b"\x02\x01\x01", &plain_bytes];
        check(kinds[2], &both, &bytes.concat());

        // In the older records each kind leaves the other out, and the first of either is the base
        // of the plain ones.
        let both = [of(5, 10, 0, custom_h), of(6, 9, 0, plain)];
        let mut buf = Vec::new();
        put_histograms(&mut buf, kinds[0], &both);
        assert_eq!(buf, [&[kinds[0]], &base[..], b"\x02\x01", &plain_bytes].concat());
        assert_eq!(decode(&buf), Ok(Record::Histograms(both[1..].to_vec())));
        buf.clear();
        put_histograms(&mut buf, kinds[1], &both[1..]);
        assert!(buf.is_empty());
    }
}

#[test]
fn histograms_of_a_finer_schema_are_reduced_and_of_an_unknown_one_left_out() {
    let base = b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x0a\0\0";
    let with_schema = |schema: i32| [b"\x07", &base[..], &integer_bytes((schema * 2) as u8)].concat();
    let Ok(Record::Histograms(h)) = decode(&with_schema(9)) else { panic!() };
    let OwnedHistogram::Integer(h) = &h[0].h else { panic!() };
    assert_eq!((h.schema, h.count), (8, 300));
    assert_eq!(decode(&with_schema(53)), Ok(Record::Histograms(Vec::new())));
}

#[test]
fn metadata_may_have_fields_to_come() {
    let bytes = b"\x06\x01\x63\x03\x03NEW\x01x\x04UNIT\x01s\x04HELP\x01h";
    let metadata = Metadata { kind: MetricType::Unknown, unit: "s".to_owned(), help: "h".to_owned() };
    assert_eq!(decode(bytes), Ok(Record::Metadata(vec![RefMetadata { series: 1, metadata }])));
}

#[test]
fn labels_in_disorder_are_put_in_order() {
    let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
    assert_eq!(
        decode(b"\x01\0\0\0\0\0\0\0\x07\x03\x01b\x012\x01a\x011\x01c\x00"),
        Ok(Record::Series(vec![(7, labels)]))
    );
    assert!(decode(b"\x01\0\0\0\0\0\0\0\x07\x01\x01a\x01\xff").is_err());
}

#[test]
fn a_hostile_number_reserves_nothing() {
    let huge = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    let head = b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x0a\0\0";
    let body = [b"\x02\x06", ONE, b"\x02\x05", TWO].concat();
    for lists in [&b""[..], b"\0", b"\0\0", b"\0\0\0"] {
        let record = [b"\x07", &head[..], &body, lists, huge].concat();
        assert!(decode(&record).is_err());
    }
    assert!(decode(&[b"\x01\0\0\0\0\0\0\0\x07", &huge[..]].concat()).is_err());
    assert!(decode(&[b"\x06\x01\x01", &huge[..]].concat()).is_err());
    // A number of more than 64 bits.
    assert!(decode(b"\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01\x00").is_err());
    assert_eq!(decode(b""), Ok(Record::Other));
    assert_eq!(decode(b"\xc8anything"), Ok(Record::Other));
}

fn any_span() -> impl Strategy<Value = Span> {
    (any::<i32>(), any::<u32>()).prop_map(|(offset, length)| Span { offset, length })
}

fn any_histogram() -> impl Strategy<Value = OwnedHistogram> {
    let schema = prop_oneof![-4..=8i32, Just(-53)];
    let hint = prop_oneof![
        Just(CounterResetHint::Unknown),
        Just(CounterResetHint::Reset),
        Just(CounterResetHint::NotReset),
        Just(CounterResetHint::Gauge),
    ];
    let spans = (vec(any_span(), 0..4), vec(any_span(), 0..4));
    let floats = (-1e9..1e9, -1e9..1e9, vec(-1e9..1e9, 0..6), vec(-1e9..1e9, 0..6), vec(-1e9..1e9, 0..4));
    let integers = (any::<u64>(), any::<u64>(), vec(any::<i64>(), 0..6), vec(any::<i64>(), 0..6));
    (schema, hint, spans, floats, integers, any::<bool>()).prop_map(
        |(schema, counter_reset_hint, (positive_spans, negative_spans), f, i, integer)| {
            let custom_values = if schema == -53 { f.4 } else { Vec::new() };
            if integer {
                OwnedHistogram::Integer(Arc::new(Histogram {
                    counter_reset_hint,
                    schema,
                    zero_threshold: f.0,
                    zero_count: i.0,
                    count: i.1,
                    sum: f.1,
                    positive_spans,
                    negative_spans,
                    positive_buckets: i.2,
                    negative_buckets: i.3,
                    custom_values,
                }))
            } else {
                OwnedHistogram::Float(Arc::new(FloatHistogram {
                    counter_reset_hint,
                    schema,
                    zero_threshold: f.0,
                    zero_count: f.1,
                    count: f.0,
                    sum: f.1,
                    positive_spans,
                    negative_spans,
                    positive_buckets: f.2,
                    negative_buckets: f.3,
                    custom_values,
                }))
            }
        },
    )
}

/// Numbers of every length.
fn any_number() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..64u32).prop_map(|(n, shift)| n >> shift)
}

proptest! {
    #[test]
    fn samples_round_trip(all in vec((any_number(), any_number(), -1e9..1e9, any_number()), 0..200)) {
        let samples: Vec<_> = all.iter().map(|(r, t, v, _)| RefSample { series: *r as u64, t: *t, v: *v }).collect();
        let mut starts: Vec<_> = all.iter().map(|s| s.3).collect();
        let mut buf = Vec::new();
        put_samples(&mut buf, &samples);
        let plain = Samples { samples: samples.clone(), starts: Vec::new() };
        prop_assert_eq!(decode(&buf), Ok(Record::Samples(plain)));
        buf.clear();
        put_samples_v2(&mut buf, &samples, &starts);
        if starts.iter().all(|s| *s == 0) {
            starts.clear();
        }
        prop_assert_eq!(decode(&buf), Ok(Record::Samples(Samples { samples, starts })));
    }

    #[test]
    fn histograms_round_trip(all in vec((any_number(), any_number(), any_number(), any_histogram()), 0..20)) {
        let mut all: Vec<_> = all
            .into_iter()
            .map(|(r, t, st, h)| RefHistogram { series: r as u64, t, st, h })
            .collect();
        let is_custom = |h: &RefHistogram| match &h.h {
            OwnedHistogram::Integer(h) => h.uses_custom_buckets(),
            OwnedHistogram::Float(h) => h.uses_custom_buckets(),
        };
        let rank = |h: &RefHistogram| matches!(h.h, OwnedHistogram::Float(_));
        for start_timestamps in [true, false] {
            if start_timestamps {
                all.sort_by_key(rank);
            } else {
                all.sort_by_key(|h| (rank(h), is_custom(h)));
                all.iter_mut().for_each(|h| h.st = 0);
            }
            let mut got = Vec::new();
            for kind in histogram_kinds(start_timestamps) {
                let mut buf = Vec::new();
                put_histograms(&mut buf, *kind, &all);
                match decode(&buf) {
                    Ok(Record::Histograms(h)) => got.extend(h),
                    other => prop_assert_eq!(other, Ok(Record::Other)),
                }
            }
            prop_assert_eq!(&got, &all);
        }
    }

    #[test]
    fn anything_can_be_decoded(kind in 0..16u8, bytes in vec(any::<u8>(), 0..400)) {
        let mut record = vec![kind];
        record.extend(bytes);
        let _ = decode(&record);
    }
}
