//! XOR2 chunks: golden bytes, round trips, resuming, start timestamps, hostile bytes.

use chunk::{ChunkError, Xor2Encoder, xor2};
use model::{Columns, STALE_NAN_BITS, TimestampMs, stale_nan};
use proptest::prelude::*;

type Sample = (TimestampMs, TimestampMs, f64);

fn encode(samples: &[Sample]) -> Xor2Encoder {
    let mut e = Xor2Encoder::new();
    for (t, st, v) in samples {
        e.append(*t, *st, *v);
    }
    e
}

fn decode(data: &[u8], min_ms: i64, max_ms: i64) -> Result<Vec<(TimestampMs, TimestampMs, u64)>, ChunkError> {
    let mut c = Columns::default();
    xor2::decode(data, min_ms, max_ms, &mut c)?;
    assert_eq!(c.t.len(), c.v.len());
    assert!(c.st.is_empty() || c.st.len() == c.t.len());
    let st = |i: usize| c.st.get(i).copied().unwrap_or(0);
    Ok((0..c.t.len()).map(|i| (c.t[i], st(i), c.v[i].to_bits())).collect())
}

fn bits(samples: &[Sample]) -> Vec<(TimestampMs, TimestampMs, u64)> {
    samples.iter().map(|(t, st, v)| (*t, *st, v.to_bits())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Worked out by hand from the description of the format.
#[test]
fn golden_bytes() {
    let one = "3ff0000000000000";
    for (samples, want) in [
        (vec![], "0000 00".to_owned()),
        (vec![(1, 0, 1.0)], format!("0001 00 02 {one}")),
        (vec![(5, 4, 1.0)], format!("0001 80 0a {one} 02")),
        // Delta 15000, value unchanged; then a zero bit for time and value.
        (vec![(0, 0, 1.0), (15000, 0, 1.0), (30000, 0, 1.0)], format!("0003 00 00 {one} 9875 00")),
        // 1 ^ 2: 1 leading, 11 significant: 110 00001 001011 11111111111.
        (vec![(0, 0, 1.0), (1, 0, 2.0)], format!("0002 00 00 {one} 01 c12fff 80")),
        // Then the step unchanged and the window reused: 100 11111111111.
        (vec![(0, 0, 1.0), (1, 0, 2.0), (2, 0, 1.0)], format!("0003 00 00 {one} 01 c12fff cffe")),
        // A stale marker at the same step: 0, then 11111.
        (vec![(0, 0, 1.0), (1, 0, 1.0), (2, 0, stale_nan())], format!("0003 00 00 {one} 01 7c")),
        // A step longer by 4095: 0, 110 0111111111111, value 0.
        (vec![(0, 0, 1.0), (1, 0, 1.0), (4097, 0, 1.0)], format!("0003 00 00 {one} 01 67ff80")),
    ] {
        let e = encode(&samples);
        assert_eq!(hex(e.bytes()), want.replace(' ', ""), "{samples:?}");
        assert_eq!(usize::from(e.num_samples()), samples.len());
        assert_eq!(decode(e.bytes(), i64::MIN, i64::MAX).unwrap(), bits(&samples));
    }
}

#[test]
fn every_width_of_delta_of_deltas() {
    for dod in
        [0, 1, 4095, 4096, 4097, 524_287, 524_288, 524_289, 1 << 40].into_iter().flat_map(|d: i64| [d, -d])
    {
        let base = 1i64 << 41;
        let samples =
            [(0, 0, 0.5), (base, 0, 0.5), (base * 2 + dod, 0, 0.25), (base * 3 + dod, 0, stale_nan())];
        assert_eq!(decode(encode(&samples).bytes(), i64::MIN, i64::MAX).unwrap(), bits(&samples), "{dod}");
    }
}

/// Where the starts begin to change decides the header; sample 127 is the last that it can name.
#[test]
fn starts_may_begin_anywhere() {
    for change in [0, 1, 2, 3, 126, 127, 128, 200, 300] {
        for first in [0, -77] {
            let st = |i: i64| if i < change { first } else { i * 10 - (i % 5) };
            let samples: Vec<_> = (0..300).map(|i| (i * 10, st(i), i as f64)).collect();
            let got = decode(encode(&samples).bytes(), i64::MIN, i64::MAX).unwrap();
            assert_eq!(got, bits(&samples), "change {change} first {first}");
        }
    }
}

#[test]
fn trims_and_appends_behind_what_is_there() {
    for st in [0, 5] {
        let samples: Vec<_> = (0..50).map(|i| (i * 10, st, (i / 7) as f64)).collect();
        let e = encode(&samples);
        for (min, max) in [(0, 490), (5, 485), (10, 10), (11, 19), (-5, -1), (491, 600), (300, 100)] {
            let want: Vec<_> = bits(&samples).into_iter().filter(|(t, ..)| (min..=max).contains(t)).collect();
            assert_eq!(decode(e.bytes(), min, max).unwrap(), want, "{min}..={max}");
            let mut columns = Columns::default();
            columns.push(-100, 1.0);
            columns.push_started(-99, -200, 2.0);
            xor2::decode(e.bytes(), min, max, &mut columns).unwrap();
            assert_eq!(columns.st[..2], [0, -200]);
            assert_eq!((columns.t.len(), columns.st.len()), (2 + want.len(), 2 + want.len()));
            let before = columns.t.clone();
            assert!(xor2::decode(&e.bytes()[..e.len() - 1], 491, 600, &mut columns).is_err());
            assert_eq!(
                (&columns.t, columns.st.len(), columns.v.len()),
                (&before, before.len(), before.len())
            );
        }
    }
}

#[test]
fn a_chunk_without_starts_leaves_the_column_empty() {
    // The header says nothing of starts, or from sample 127 on that there are none.
    for n in [10, 300] {
        let samples: Vec<_> = (0..n).map(|i| (i * 10, 0, 1.0)).collect();
        let mut columns = Columns::default();
        xor2::decode(encode(&samples).bytes(), i64::MIN, i64::MAX, &mut columns).unwrap();
        assert_eq!((columns.t.len(), columns.st.len()), (n as usize, 0));
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0..5u32).prop_map(f64::from),
        2 => any::<u64>().prop_map(f64::from_bits),
        2 => (0..100_000i32).prop_map(|v| f64::from(v) / 1000.0),
        1 => Just(f64::from_bits(STALE_NAN_BITS)),
    ]
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let step = prop_oneof![4 => Just(15_000i64), 2 => 14_990..15_010i64, 1 => 1..1i64 << 40];
    let start = prop_oneof![3 => Just(None), 1 => (0..100_000i64).prop_map(Some)];
    (any::<i32>(), prop::collection::vec((step, start, value()), 0..200)).prop_map(|(first, steps)| {
        let (mut t, mut st) = (i64::from(first), 0);
        let sample = |(step, start, v): (i64, Option<i64>, f64)| {
            t += step;
            st = start.map_or(st, |before| t - before);
            (t, st, v)
        };
        steps.into_iter().map(sample).collect()
    })
}

proptest! {
    #[test]
    fn round_trip(samples in samples(), cut in any::<prop::sample::Index>()) {
        let e = encode(&samples);
        prop_assert_eq!(decode(e.bytes(), i64::MIN, i64::MAX).unwrap(), bits(&samples));
        let mut resumed = encode(&samples[..cut.index(samples.len() + 1)]);
        for (t, st, v) in &samples[usize::from(resumed.num_samples())..] {
            resumed = Xor2Encoder::resume(resumed.bytes()).unwrap();
            resumed.append(*t, *st, *v);
        }
        prop_assert_eq!(resumed.bytes(), e.bytes());
    }

    #[test]
    fn no_bytes_panic(mut data in prop::collection::vec(any::<u8>(), 0..300), n in 0..300u16) {
        if data.len() > 1 {
            data[..2].copy_from_slice(&n.to_be_bytes());
        }
        let _ = decode(&data, i64::MIN, i64::MAX);
        let _ = Xor2Encoder::resume(&data);
    }

    #[test]
    fn no_damage_panics(samples in samples(), at in any::<prop::sample::Index>(), mask in 1..=255u8) {
        let mut data = encode(&samples).into_bytes();
        let at = at.index(data.len());
        data[at] ^= mask;
        let _ = decode(&data, i64::MIN, i64::MAX);
        let _ = decode(&data[..at], i64::MIN, i64::MAX);
    }
}
