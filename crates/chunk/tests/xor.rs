//! XOR chunks: golden bytes, round trips, resuming, hostile bytes.

use chunk::{ChunkError, XorEncoder, xor};
use model::{Columns, TimestampMs};
use proptest::prelude::*;

fn encode(samples: &[(TimestampMs, f64)]) -> XorEncoder {
    let mut e = XorEncoder::new();
    for (t, v) in samples {
        e.append(*t, *v);
    }
    e
}

fn decode(data: &[u8], min_ms: i64, max_ms: i64) -> Result<Vec<(TimestampMs, u64)>, ChunkError> {
    let mut columns = Columns::default();
    xor::decode(data, min_ms, max_ms, &mut columns)?;
    assert_eq!(columns.t.len(), columns.v.len());
    Ok(columns.t.iter().copied().zip(columns.v.iter().map(|v| v.to_bits())).collect())
}

fn all(data: &[u8]) -> Result<Vec<(TimestampMs, u64)>, ChunkError> {
    decode(data, i64::MIN, i64::MAX)
}

fn bits(samples: &[(TimestampMs, f64)]) -> Vec<(TimestampMs, u64)> {
    samples.iter().map(|(t, v)| (*t, v.to_bits())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Worked out by hand from the description of the format.
#[test]
fn golden_bytes() {
    for (samples, want) in [
        (vec![], "0000"),
        (vec![(1, 1.0)], "0001 02 3ff0000000000000"),
        // Delta 15000 = d875 01..., value unchanged: one zero bit.
        (vec![(0, 1.0), (15000, 1.0)], "0002 00 3ff0000000000000 9875 00"),
        // 1 ^ 2: bits 62…52, so 1 leading zero, 11 significant, 52 trailing: 11 00001 001011 11111111111.
        (vec![(0, 1.0), (1, 2.0)], "0002 00 3ff0000000000000 01 c25fff"),
        // Then delta of deltas 0 and the window reused: 0 10 11111111111.
        (vec![(0, 1.0), (1, 2.0), (2, 1.0)], "0003 00 3ff0000000000000 01 c25fff 5ffc"),
        // Delta of deltas 8192, the largest in 14 bits, positive: 10 10000000000000, value 0.
        (vec![(0, 1.0), (1, 1.0), (8194, 1.0)], "0003 00 3ff0000000000000 01 500000"),
    ] {
        let want = want.replace(' ', "");
        let e = encode(&samples);
        assert_eq!(hex(e.bytes()), want, "{samples:?}");
        assert_eq!(usize::from(e.num_samples()), samples.len());
        assert_eq!(all(e.bytes()).unwrap(), bits(&samples));
    }
}

#[test]
fn every_width_of_delta_of_deltas() {
    let edges = [0, 1, -1, 8191, 8192, 8193, 65535, 65536, 65537, 524_287, 524_288, 524_289, 1 << 40];
    for dod in edges.into_iter().flat_map(|d: i64| [d, -d]) {
        let base = 1i64 << 41;
        let samples = [(0, 0.5), (base, 0.5), (base * 2 + dod, 0.25), (base * 3 + dod, -0.0)];
        assert_eq!(all(encode(&samples).bytes()).unwrap(), bits(&samples), "{dod}");
    }
}

#[test]
fn trims_to_the_span() {
    let samples: Vec<_> = (0..50).map(|i| (i * 10, i as f64)).collect();
    let e = encode(&samples);
    for (min, max) in [(0, 490), (5, 485), (10, 10), (11, 19), (-5, -1), (491, 600), (300, 100)] {
        let want: Vec<_> = bits(&samples).into_iter().filter(|(t, _)| (min..=max).contains(t)).collect();
        assert_eq!(decode(e.bytes(), min, max).unwrap(), want, "{min}..={max}");
    }
}

#[test]
fn appends_behind_what_is_there_and_leaves_it_after_an_error() {
    let mut columns = Columns::default();
    columns.push_started(1, 1, 1.0);
    let e = encode(&[(10, 1.0), (20, 2.0), (30, 3.0)]);
    xor::decode(e.bytes(), 15, 100, &mut columns).unwrap();
    assert_eq!((columns.t.as_slice(), columns.st.as_slice()), (&[1, 20, 30][..], &[1, 0, 0][..]));
    let cut = &e.bytes()[..e.len() - 1];
    assert!(xor::decode(cut, 0, 100, &mut columns).is_err());
    assert_eq!(columns.t, [1, 20, 30]);
    assert_eq!(columns.v.len(), 3);
}

#[test]
fn refuses_times_that_do_not_rise() {
    for samples in [[(5, 1.0), (5, 1.0), (6, 1.0)], [(5, 1.0), (9, 1.0), (8, 1.0)]] {
        assert_eq!(all(encode(&samples).bytes()), Err(ChunkError::OutOfOrder));
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0i32..100).prop_map(f64::from),
        2 => any::<u64>().prop_map(f64::from_bits),
        2 => (-1e6..1e6).prop_map(|v: f64| (v * 100.0).round() / 100.0),
        1 => Just(f64::from_bits(model::STALE_NAN_BITS)),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(5e-324), Just(1e308)],
    ]
}

fn samples() -> impl Strategy<Value = Vec<(TimestampMs, f64)>> {
    let delta = prop_oneof![
        5 => Just(15_000i64),
        3 => 14_900i64..15_100,
        1 => 1i64..1_000_000,
        1 => 1i64..(1 << 45)
    ];
    (-(1i64 << 50)..(1 << 50), prop::collection::vec((delta, value()), 0..300)).prop_map(|(start, steps)| {
        let mut t = start;
        let next = |(delta, v)| {
            t += delta;
            (t, v)
        };
        steps.into_iter().map(next).collect()
    })
}

proptest! {
    #[test]
    fn round_trip(samples in samples()) {
        let e = encode(&samples);
        prop_assert_eq!(all(e.bytes()).unwrap(), bits(&samples));
        prop_assert_eq!(usize::from(e.num_samples()), samples.len());
    }

    #[test]
    fn resuming_is_as_never_having_stopped(samples in samples(), at in 0usize..300) {
        let at = at.min(samples.len());
        let mut e = XorEncoder::resume(encode(&samples[..at]).bytes()).unwrap();
        for (t, v) in &samples[at..] {
            e.append(*t, *v);
        }
        let whole = encode(&samples);
        prop_assert_eq!(e.bytes(), whole.bytes());
    }

    #[test]
    fn spans(samples in samples(), a in 0usize..300, b in 0usize..300) {
        let edge = |i: usize| samples.get(i).map_or(0, |s| s.0);
        let (min, max) = (edge(a), edge(b));
        let want: Vec<_> = bits(&samples).into_iter().filter(|(t, _)| min <= *t && *t <= max).collect();
        prop_assert_eq!(decode(encode(&samples).bytes(), min, max).unwrap(), want);
    }

    #[test]
    fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = all(&data);
        let _ = XorEncoder::resume(&data);
    }

    #[test]
    fn no_damage_panics(samples in samples(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut data = encode(&samples).bytes().to_vec();
        let i = at.index(data.len());
        data[i] = byte;
        let _ = all(&data);
        let _ = all(&data[..i]);
    }
}
