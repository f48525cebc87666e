//! Histogram chunks: golden bytes, when chunks are cut and recoded, round trips, hostile bytes.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use chunk::histogram::{Appended, CounterReset, NotAppendable, counter_reset, decode_integer};
use chunk::{ChunkError, Encoding, FloatHistogramEncoder, HistogramEncoder};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{Columns, FloatHistogram, Histogram, TimestampMs, stale_nan};
use proptest::prelude::*;

fn decode(encoding: Encoding, data: &[u8]) -> Result<Columns, ChunkError> {
    let mut columns = Columns::default();
    chunk::decode(encoding, data, i64::MIN, i64::MAX, &mut columns)?;
    assert_eq!((columns.t.len(), columns.v.len()), (columns.h.len(), columns.h.len()));
    Ok(columns)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Consecutive positive buckets with these counts from `offset` on.
fn buckets(offset: i32, counts: &[i64]) -> Histogram {
    let mut before = 0;
    let delta = |count: &i64| {
        let delta = count - before;
        before = *count;
        delta
    };
    Histogram {
        count: counts.iter().sum::<i64>() as u64,
        positive_spans: vec![Span { offset, length: counts.len() as u32 }],
        positive_buckets: counts.iter().map(delta).collect(),
        ..Histogram::default()
    }
}

/// Worked out by hand from the description of the format.
#[test]
fn golden_bytes() {
    let empty = Histogram::default();
    for (samples, starts, want) in [
        (vec![], false, "0000 00"),
        // Threshold 00; schema, spans, spans: 000; time 1: 10 001; count, zero count, sum: 66 zeros.
        (vec![(1, 0, empty.clone())], false, "0001 00 00 11 000000000000000000"),
        // The start 1 before as varint, at bit 2 of a byte: 00000010.
        (vec![(2, 1, empty)], true, "0001 80 00 12 0000000000000000 0080"),
        // Schema 0; one span 10001, length 10010, offset 0; none 0; time 0; count 10011; zero count
        // 0; sum; buckets 10001 10001.
        (vec![(0, 0, buckets(0, &[1, 2]))], false, "0001 00 00 46 42 60 00000000000000 08 c4"),
        // Then time 10: 110 001010, count, zero count, sum, buckets: 00000.
        (
            vec![(0, 0, buckets(0, &[1, 2])), (10, 0, buckets(0, &[1, 2]))],
            false,
            "0002 00 00 46 42 60 00000000000000 08 c7 14 00",
        ),
    ] {
        let mut e = HistogramEncoder::new(starts);
        for (t, st, h) in &samples {
            e.append_only(*t, *st, h).unwrap();
        }
        assert_eq!(hex(e.bytes()), want.replace(' ', ""));
        let columns = decode(e.encoding(), e.bytes()).unwrap();
        assert_eq!(columns.t, samples.iter().map(|(t, ..)| *t).collect::<Vec<_>>());
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    InPlace,
    Recoded,
    Cut(CounterReset),
}

/// Appends `second` behind `first` to chunks of all four encodings.
#[track_caller]
fn check(first: &Histogram, second: &Histogram, integer: Outcome, float: Outcome) {
    for starts in [false, true] {
        let mut e = HistogramEncoder::new(starts);
        e.append_only(0, 0, first).unwrap();
        let mut only = e.clone();
        let got = match e.append(None, 1, 0, second) {
            Appended::InPlace => Outcome::InPlace,
            Appended::Recoded => Outcome::Recoded,
            Appended::NewChunk(next) => Outcome::Cut(next.counter_reset()),
        };
        assert_eq!(got, integer);
        let refused = only.append_only(1, 0, second).is_err();
        // A gauge that lacks buckets is filled up, but not where that is all that may happen.
        if first.counter_reset_hint != CounterResetHint::Gauge {
            assert_eq!(refused, got != Outcome::InPlace);
        }
        assert_eq!(only.num_samples(), if refused { 1 } else { 2 });

        let mut e = FloatHistogramEncoder::new(starts);
        e.append_only(0, 0, &first.to_float()).unwrap();
        let got = match e.append(None, 1, 0, &second.to_float()) {
            Appended::InPlace => Outcome::InPlace,
            Appended::Recoded => Outcome::Recoded,
            Appended::NewChunk(next) => Outcome::Cut(next.counter_reset()),
        };
        assert_eq!(got, float);
    }
}

#[test]
fn counters_are_cut_at_resets_and_recoded_at_new_buckets() {
    use Outcome::{Cut, InPlace, Recoded};
    let h = buckets(0, &[1, 0, 3]);
    let with = |f: fn(&mut Histogram)| {
        let mut h = h.clone();
        f(&mut h);
        h
    };
    let unknown = || Cut(CounterReset::Unknown);
    let reset = || Cut(CounterReset::Reset);
    check(&h, &h, InPlace, InPlace);
    check(&h, &buckets(0, &[2, 0, 3]), InPlace, InPlace);
    check(&h, &buckets(0, &[1, 5, 3, 1]), Recoded, Recoded);
    check(&h, &buckets(-2, &[0, 1, 1, 5, 3]), Recoded, Recoded);
    // A bucket fell; a populated one is gone; an empty one is gone.
    check(&h, &buckets(0, &[0, 0, 9]), reset(), reset());
    check(&h, &buckets(1, &[1, 9]), reset(), reset());
    let mut sparse = buckets(0, &[1, 3]);
    sparse.positive_spans = vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }];
    check(&h, &sparse, InPlace, InPlace);
    check(&h, &buckets(0, &[1]), reset(), reset());
    check(&h, &with(|h| h.counter_reset_hint = CounterResetHint::Reset), reset(), reset());
    check(&h, &with(|h| h.schema = 1), unknown(), unknown());
    check(&h, &with(|h| h.zero_threshold = 1.0), unknown(), unknown());
    // Into a chunk of counters a gauge does not go, nor the other way round.
    let gauge = with(|h| h.counter_reset_hint = CounterResetHint::Gauge);
    check(&h, &gauge, Cut(CounterReset::Gauge), Cut(CounterReset::Gauge));
    check(&gauge, &h, Cut(CounterReset::NotReset), unknown());
    // Behind a stale marker only stale markers.
    let stale = with(|h| h.sum = stale_nan());
    check(&h, &stale, InPlace, InPlace);
    check(&stale, &stale, InPlace, InPlace);
    check(&stale, &h, unknown(), unknown());
}

#[test]
fn gauges_may_fall_and_lose_buckets() {
    let gauge = |offset, counts: &[i64]| Histogram {
        counter_reset_hint: CounterResetHint::Gauge,
        ..buckets(offset, counts)
    };
    let h = gauge(0, &[1, 0, 3]);
    check(&h, &gauge(0, &[0, 0, 1]), Outcome::InPlace, Outcome::InPlace);
    check(&h, &gauge(1, &[5]), Outcome::InPlace, Outcome::InPlace);
    check(&h, &gauge(1, &[5, 5, 5]), Outcome::Recoded, Outcome::Recoded);
    let mut e = HistogramEncoder::new(false);
    e.append_only(0, 0, &h).unwrap();
    assert_eq!(e.append_only(1, 0, &gauge(1, &[5])), Err(NotAppendable::LayoutChange));
    assert!(matches!(e.append(None, 1, 0, &gauge(4, &[7])), Appended::Recoded));
    let columns = decode(Encoding::Histogram, e.bytes()).unwrap();
    let counts: Vec<_> = columns.h.iter().map(|(_, h)| h.positive_buckets.clone()).collect();
    assert_eq!(counts, [vec![1.0, 0.0, 3.0, 0.0], vec![0.0, 0.0, 0.0, 7.0]]);
    assert_eq!(columns.h[1].1.positive_spans, [Span { offset: 0, length: 3 }, Span { offset: 1, length: 1 }]);
}

#[test]
fn custom_bounds_must_stay() {
    let custom = |bounds: &[f64]| Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: bounds.to_vec(),
        ..buckets(0, &[1, 1])
    };
    let bounds = [-1.0, 0.001, 0.0005, 33_554.430, 33_554.431, 1e300];
    check(&custom(&bounds), &custom(&bounds), Outcome::InPlace, Outcome::InPlace);
    let reset = || Outcome::Cut(CounterReset::Reset);
    check(&custom(&bounds), &custom(&bounds[..5]), reset(), reset());
    let mut e = HistogramEncoder::new(false);
    e.append_only(0, 0, &custom(&bounds)).unwrap();
    assert_eq!(decode(Encoding::Histogram, e.bytes()).unwrap().h[0].1.custom_values, bounds);
}

#[test]
fn an_empty_chunk_learns_from_the_one_before() {
    let mut previous = HistogramEncoder::new(false);
    previous.append_only(0, 0, &buckets(0, &[5])).unwrap();
    for (h, want) in [
        (buckets(0, &[5, 1]), CounterReset::NotReset),
        (buckets(0, &[4, 1]), CounterReset::Reset),
        (Histogram { schema: 1, ..buckets(0, &[5, 1]) }, CounterReset::Unknown),
    ] {
        let mut e = HistogramEncoder::new(false);
        assert!(matches!(e.append(Some(&previous), 1, 0, &h), Appended::InPlace));
        assert_eq!((e.counter_reset(), counter_reset(e.encoding(), e.bytes()).unwrap()), (want, want));
        // Only within the chunk is a reset excluded.
        e.append_only(2, 0, &h).unwrap();
        let hints: Vec<_> =
            decode(e.encoding(), e.bytes()).unwrap().h.iter().map(|(_, h)| h.counter_reset_hint).collect();
        assert_eq!(hints, [CounterResetHint::Unknown, CounterResetHint::NotReset]);
    }
}

#[test]
fn finer_schemas_of_the_future_are_reduced() {
    let h = Histogram { schema: 10, ..buckets(0, &[1, 1, 1, 1, 1, 1, 1, 1]) };
    let mut e = HistogramEncoder::new(false);
    e.append_only(0, 0, &h).unwrap();
    let got = Arc::clone(&decode(Encoding::Histogram, e.bytes()).unwrap().h[0].1);
    assert_eq!((got.schema, got.positive_buckets.as_slice()), (8, [1.0, 4.0, 3.0].as_slice()));
    let mut e = HistogramEncoder::new(false);
    e.append_only(0, 0, &Histogram { schema: 60, ..h }).unwrap();
    let err = decode(Encoding::Histogram, e.bytes()).unwrap_err();
    assert_eq!(
        err.to_string(),
        "histogram has an unknown schema, which must be between -9 and 52 for exponential buckets, or -53 for custom buckets, got schema 60"
    );
}

#[test]
fn forged_sizes_are_refused() {
    // A histogram of 4096 custom bounds, repeated in five bits as often as the header can say. The
    // encoder cuts in time; a forger need not.
    let h = Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: (0..4096).map(|i| f64::from(i) / 8.0).collect(),
        ..buckets(0, &[1])
    };
    let mut e = HistogramEncoder::new(false);
    let mut t = 0;
    while let Appended::InPlace = e.append(None, t, 0, &h) {
        t += 1;
    }
    assert!((1000..10_000).contains(&t), "{t}");
    assert_eq!(decode(Encoding::Histogram, e.bytes()).unwrap().h.len(), t as usize);
    let mut forged = e.into_bytes();
    forged[..2].fill(0xff);
    forged.resize(forged.len() + (1 << 16), 0);
    assert_eq!(decode(Encoding::Histogram, &forged).unwrap_err(), ChunkError::TooLarge);
    let mut backwards = buckets(0, &[1, 1]);
    backwards.positive_spans = vec![Span { offset: 5, length: 1 }, Span { offset: -1, length: 1 }];
    let mut e = HistogramEncoder::new(false);
    e.append_only(0, 0, &backwards).unwrap();
    assert_eq!(decode(Encoding::Histogram, e.bytes()).unwrap_err(), ChunkError::BadLayout);
}

#[test]
fn trims_and_leaves_columns_after_an_error() {
    let mut e = HistogramEncoder::new(true);
    for i in 0..20i64 {
        e.append_only(i * 10, i * 10 - 3, &buckets(0, &[i, 2 * i])).unwrap();
    }
    let mut columns = Columns::default();
    columns.push(-1, 7.0);
    chunk::decode(Encoding::HistogramSt, e.bytes(), 45, 70, &mut columns).unwrap();
    assert_eq!((&columns.t[..], &columns.st[..]), (&[-1, 50, 60, 70][..], &[0, 47, 57, 67][..]));
    assert_eq!(columns.h.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(columns.h[0].1.positive_buckets, [5.0, 10.0]);
    let cut = &e.bytes()[..e.bytes().len() - 1];
    chunk::decode(Encoding::HistogramSt, cut, 0, i64::MAX, &mut columns).unwrap_err();
    assert_eq!((columns.t.len(), columns.v.len(), columns.st.len(), columns.h.len()), (4, 4, 4, 3));
}

/// A step of a series: time, start, hint, stale, buckets by index, by how much they rose.
type Step = (i64, i64, u8, bool, Vec<(i32, i64)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rises = prop::collection::vec((-6..6i32, -1..50i64), 0..4);
    let hint = prop_oneof![20 => Just(0u8), 1 => 1..4u8];
    prop::collection::vec((1..100_000i64, 0..3i64, hint, prop::bool::weighted(0.03), rises), 1..40)
}

fn series(steps: Vec<Step>, gauge: bool) -> Vec<(TimestampMs, TimestampMs, Histogram)> {
    let hints = [
        CounterResetHint::Unknown,
        CounterResetHint::Reset,
        CounterResetHint::NotReset,
        CounterResetHint::Gauge,
    ];
    let mut counts = std::collections::BTreeMap::new();
    let mut t = 0;
    let mut next = |(step, st, hint, stale, rises): Step| {
        t += step;
        for (index, rise) in rises {
            let count = counts.entry(index).or_insert(0i64);
            *count = (*count + rise).max(0);
        }
        let (mut spans, mut deltas, mut end, mut before) = (Vec::<Span>::new(), Vec::new(), 0, 0);
        for (index, count) in &counts {
            match spans.last_mut() {
                Some(span) if *index == end => span.length += 1,
                _ => spans.push(Span { offset: index - end, length: 1 }),
            }
            end = index + 1;
            deltas.push(count - before);
            before = *count;
        }
        let h = Histogram {
            counter_reset_hint: if gauge && hint == 0 {
                CounterResetHint::Gauge
            } else {
                hints[usize::from(hint)]
            },
            zero_threshold: 1e-3,
            count: counts.values().sum::<i64>() as u64,
            sum: if stale { stale_nan() } else { t as f64 / 7.0 },
            positive_spans: spans.clone(),
            positive_buckets: deltas.clone(),
            negative_spans: spans,
            negative_buckets: deltas,
            ..Histogram::default()
        };
        (t, st * 1000, h)
    };
    steps.into_iter().map(&mut next).collect()
}

/// What a sample means, wherever its empty buckets lie.
fn meaning(h: &FloatHistogram) -> (u64, String) {
    let h = if model::is_stale_nan(h.sum) {
        FloatHistogram { sum: h.sum, ..FloatHistogram::default() }
    } else {
        h.clone()
    };
    (h.sum.to_bits(), h.to_string())
}

macro_rules! chunks_of {
    ($encoder:ty, $samples:expr, $starts:expr, $convert:expr) => {{
        let (mut current, mut done) = (<$encoder>::new($starts), Vec::new());
        for (i, (t, st, h)) in $samples.iter().enumerate() {
            if i % 3 == 1 {
                current = <$encoder>::resume(current.bytes(), $starts).unwrap();
            }
            if let Appended::NewChunk(next) = current.append(None, *t, *st, &$convert(h)) {
                done.push(std::mem::replace(&mut current, next).into_bytes());
            }
        }
        let encoding = current.encoding();
        done.push(current.into_bytes());
        (encoding, done)
    }};
}

proptest! {
    #[test]
    fn round_trip(steps in steps(), gauge in any::<bool>(), starts in any::<bool>(), float in any::<bool>()) {
        let samples = series(steps, gauge);
        let (encoding, chunks) = if float {
            chunks_of!(FloatHistogramEncoder, samples, starts, Histogram::to_float)
        } else {
            chunks_of!(HistogramEncoder, samples, starts, Histogram::clone)
        };
        let mut all = Columns::default();
        for chunk in &chunks {
            chunk::decode(encoding, chunk, i64::MIN, i64::MAX, &mut all).unwrap();
        }
        prop_assert_eq!(all.h.len(), samples.len());
        for (i, (t, st, h)) in samples.iter().enumerate() {
            prop_assert_eq!(all.t[i], *t);
            prop_assert_eq!(all.st.get(i).copied().unwrap_or(0), if starts { *st } else { 0 });
            prop_assert_eq!(meaning(&all.h[i].1), meaning(&h.to_float()));
        }
    }

    #[test]
    fn no_bytes_panic(mut data in prop::collection::vec(any::<u8>(), 0..400), n in 0..300u16, which in 0..4u8) {
        if data.len() > 4 {
            data[..2].copy_from_slice(&n.to_be_bytes());
            // A layout that begins soundly: no threshold, schema 0.
            if n % 2 == 0 {
                data[3] = 0;
                data[4] &= 0x7f;
            }
        }
        let encoding = [2, 3, 5, 6][usize::from(which)];
        let _ = decode(Encoding::try_from(encoding).unwrap(), &data);
        let mut integers = Vec::new();
        if decode_integer(&data, which > 1, i64::MIN, i64::MAX, &mut integers).is_err() {
            prop_assert!(integers.is_empty());
        }
        let _ = HistogramEncoder::resume(&data, which > 1);
        let _ = FloatHistogramEncoder::resume(&data, which > 1);
    }

    #[test]
    fn no_damage_panics(steps in steps(), at in any::<prop::sample::Index>(), mask in 1..=255u8, float in any::<bool>()) {
        let samples = series(steps, false);
        let (encoding, mut chunks) = if float {
            chunks_of!(FloatHistogramEncoder, samples, true, Histogram::to_float)
        } else {
            chunks_of!(HistogramEncoder, samples, true, Histogram::clone)
        };
        let data = &mut chunks[0];
        let at = at.index(data.len());
        data[at] ^= mask;
        let _ = decode(encoding, data);
        let _ = decode(encoding, &data[..at]);
    }
}
