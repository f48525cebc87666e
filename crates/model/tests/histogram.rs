//! Native histograms: tables worked out by hand, properties over random ones, unsound ones.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, Combined, CounterResetHint, HistogramError, Span, bound_exponential,
};
use model::{FloatHistogram, Histogram, stale_nan};
use proptest::prelude::*;

fn spans(list: &[(i32, u32)]) -> Vec<Span> {
    list.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect()
}

/// Positive buckets in `schema`.
fn positive(schema: i32, list: &[(i32, u32)], buckets: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: buckets.iter().sum(),
        positive_spans: spans(list),
        positive_buckets: buckets.to_vec(),
        ..FloatHistogram::default()
    }
}

fn custom(bounds: &[f64], list: &[(i32, u32)], buckets: &[f64]) -> FloatHistogram {
    FloatHistogram { custom_values: bounds.to_vec(), ..positive(CUSTOM_BUCKETS_SCHEMA, list, buckets) }
}

#[test]
fn bounds_of_exponential_schemas() {
    for (schema, index, want) in [
        (0, 0, 1.0),
        (0, 1, 2.0),
        (0, -1, 0.5),
        (-1, 3, 64.0),
        (-4, 1, 65536.0),
        (1, 1, 2f64.sqrt()),
        (2, 2, 2f64.sqrt()),
        (8, 256, 2.0),
        (8, -256, 0.5),
        // The last bucket of numbers, and that of infinities.
        (0, 1024, f64::MAX),
        (0, 1025, f64::INFINITY),
        (-4, 64, f64::MAX),
        (-4, 65, f64::INFINITY),
        (8, 1024 * 256, f64::MAX),
        // Among the subnormal numbers and below.
        (0, -1074, f64::from_bits(1)),
        (0, -1075, 0.0),
        (-4, i32::MIN, 0.0),
        (8, i32::MAX, f64::INFINITY),
    ] {
        let got = bound_exponential(index, schema);
        assert!((got - want).abs() <= want.abs() * 1e-15 || got == want, "{schema} {index}: {got} {want}");
    }
}

#[test]
fn text_has_all_populated_buckets() {
    let mut h = positive(0, &[(0, 2), (1, 1)], &[1.0, 0.0, 2.5]);
    h.negative_spans = spans(&[(1, 2)]);
    h.negative_buckets = vec![3.0, 4.0];
    h.zero_threshold = 0.001;
    h.zero_count = 7.0;
    h.count = 17.5;
    h.sum = 1e6;
    assert_eq!(
        h.to_string(),
        "{count:17.5, sum:1e+06, [-4,-2):4, [-2,-1):3, [-0.001,0.001]:7, (0.5,1]:1, (4,8]:2.5}"
    );
    assert_eq!(
        h.test_expression(),
        "{{count:17.5 sum:1e+06 z_bucket:7 z_bucket_w:0.001 buckets:[1 0 0 2.5] n_offset:1 n_buckets:[3 4]}}"
    );
    let c = custom(&[1.0, 2.5], &[(0, 1), (1, 1)], &[3.0, 4.0]);
    assert_eq!(c.to_string(), "{count:7, sum:0, [-Inf,1]:3, (2.5,+Inf]:4}");
    assert_eq!(c.test_expression(), "{{schema:-53 count:7 custom_values:[1 2.5] buckets:[3 0 4]}}");
    assert_eq!(c.size(), 168 + 8 * (2 + 2 + 2));
}

#[test]
fn all_buckets_are_cut_at_the_zero_bucket() {
    let mut h = positive(0, &[(0, 2)], &[1.0, 2.0]);
    h.negative_spans = spans(&[(0, 1)]);
    h.negative_buckets = vec![5.0];
    h.zero_threshold = 0.75;
    h.zero_count = 4.0;
    let list = |it: &mut dyn Iterator<Item = model::histogram::Bucket<f64>>| -> Vec<_> {
        it.map(|b| (b.lower, b.upper, b.count)).collect()
    };
    let mut want = vec![(-1.0, -0.75, 5.0), (-0.75, 0.75, 4.0), (0.75, 1.0, 1.0), (1.0, 2.0, 2.0)];
    assert_eq!(list(&mut h.all_buckets()), want);
    want.reverse();
    assert_eq!(list(&mut h.all_buckets_reverse()), want);
}

#[test]
fn sums_reconcile_schema_zero_bucket_and_hint() {
    // Schema 1, indices 1…4, becomes schema 0, indices 1 and 2.
    let fine = positive(1, &[(1, 4)], &[1.0, 2.0, 3.0, 4.0]);
    let mut h = positive(0, &[(1, 1)], &[10.0]);
    h.add(&fine).unwrap();
    assert_eq!((h.schema, &h.positive_spans, &h.positive_buckets), (0, &spans(&[(1, 2)]), &vec![13.0, 7.0]));
    let mut h = fine;
    h.sub(&positive(0, &[(1, 1)], &[10.0])).unwrap();
    assert_eq!((h.schema, &h.positive_buckets), (0, &vec![-7.0, 7.0]));

    // A zero bucket that ends inside (0.5, 1] grows to 1 and takes that bucket in.
    let mut h = positive(0, &[(0, 2)], &[5.0, 6.0]);
    h.add(&FloatHistogram { zero_threshold: 0.7, zero_count: 1.0, ..FloatHistogram::default() }).unwrap();
    assert_eq!((h.zero_threshold, h.zero_count), (1.0, 6.0));
    assert_eq!((&h.positive_spans, &h.positive_buckets), (&spans(&[(1, 1)]), &vec![6.0]));

    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    for (a, b, want, collision) in [
        (Unknown, Unknown, Unknown, false),
        (Reset, Reset, Reset, false),
        (Gauge, Reset, Gauge, false),
        (NotReset, Gauge, Gauge, false),
        (Reset, Unknown, Unknown, false),
        (Reset, NotReset, Unknown, true),
    ] {
        let hinted = |counter_reset_hint| FloatHistogram { counter_reset_hint, ..FloatHistogram::default() };
        for (a, b) in [(a, b), (b, a)] {
            let mut h = hinted(a);
            assert_eq!(h.add(&hinted(b)).unwrap().counter_reset_collision, collision);
            assert_eq!(h.counter_reset_hint, want);
        }
    }
}

#[test]
fn sums_reconcile_custom_bounds() {
    let mut h = custom(&[1.0, 2.0, 4.0], &[(0, 4)], &[1.0, 2.0, 3.0, 4.0]);
    let other = custom(&[2.0, 3.0, 4.0], &[(0, 1), (1, 2)], &[10.0, 20.0, 30.0]);
    let combined = h.add(&other).unwrap();
    assert_eq!(combined, Combined { counter_reset_collision: false, bounds_reconciled: true });
    assert_eq!(
        (h.custom_values.as_slice(), h.positive_buckets.as_slice()),
        (&[2.0, 4.0][..], &[13.0, 23.0, 34.0][..])
    );
    let before = h.clone();
    assert_eq!(h.add(&FloatHistogram::default()), Err(HistogramError::IncompatibleSchema));
    assert_eq!(h, before);
}

#[test]
fn compensated_sums_lose_nothing() {
    let mut sum = positive(0, &[(0, 1)], &[1e17]);
    let mut rest = None;
    for _ in 0..1000 {
        sum.kahan_add(&positive(0, &[(0, 2)], &[1.0, 0.5]), &mut rest).unwrap();
    }
    sum.kahan_add(&positive(0, &[(0, 1)], &[-1e17]), &mut rest).unwrap();
    sum.add(&rest.unwrap()).unwrap();
    assert_eq!(sum.positive_buckets, [1000.0, 500.0]);
    assert_eq!(sum.count, 1500.0);
}

#[test]
fn resets() {
    let previous = positive(0, &[(0, 2)], &[5.0, 0.0]);
    let with = |f: fn(&mut FloatHistogram)| {
        let mut h = previous.clone();
        f(&mut h);
        h
    };
    for (current, want) in [
        (with(|_| {}), false),
        (with(|h| h.counter_reset_hint = CounterResetHint::Reset), true),
        (with(|h| h.count = 4.0), true),
        (with(|h| h.positive_buckets[0] = 4.0), true),
        (positive(0, &[(0, 1)], &[5.0]), false),
        (positive(0, &[(1, 1)], &[9.0]), true),
        (with(|h| h.schema = 1), true),
        // The coarser schema takes indices 0 and 1 into 0 and 1: (0.25, 1] and (1, 4].
        (positive(-1, &[(0, 1)], &[5.0]), false),
        (positive(-1, &[(0, 1)], &[4.0]), true),
        // The zero bucket took the populated bucket in, or cut it.
        (FloatHistogram { zero_threshold: 1.0, zero_count: 5.0, count: 5.0, ..Default::default() }, false),
        (FloatHistogram { zero_threshold: 0.7, zero_count: 5.0, count: 5.0, ..Default::default() }, true),
        (custom(&[1.0], &[(0, 1)], &[5.0]), true),
    ] {
        assert_eq!(current.detect_reset(&previous), want, "{current}");
    }
    let previous = custom(&[1.0, 2.0], &[(0, 3)], &[1.0, 1.0, 1.0]);
    assert!(!custom(&[2.0], &[(0, 2)], &[2.0, 1.0]).detect_reset(&previous));
    assert!(custom(&[2.0, 3.0], &[(0, 3)], &[1.0, 1.0, 1.0]).detect_reset(&previous));
    let certain = FloatHistogram { counter_reset_hint: CounterResetHint::NotReset, ..Default::default() };
    assert!(!certain.detect_reset(&previous));
}

#[test]
fn trims() {
    let h = custom(&[1.0, 2.0, 4.0], &[(0, 4)], &[1.0, 2.0, 4.0, 8.0]);
    let trimmed = |limit, upper| {
        let mut h = h.clone();
        h.trim(limit, upper);
        (h.positive_buckets, h.count, h.sum)
    };
    // Half of (2, 4] is left, its middle 2.5; (−Inf, 1] counts as 0.5, (1, 2] as 1.5.
    assert_eq!(trimmed(3.0, true), (vec![1.0, 2.0, 2.0], 5.0, 0.5 + 3.0 + 5.0));
    assert_eq!(trimmed(3.0, false), (vec![2.0, 8.0], 10.0, 3.5 * 2.0 + 4.0 * 8.0));
    // Half of (1, 4] on its scale, and half of a zero bucket that is one-sided.
    let mut h = positive(-1, &[(1, 1)], &[8.0]);
    h.zero_threshold = 0.5;
    h.zero_count = 4.0;
    h.trim(2.0, true);
    assert_eq!((h.zero_count, h.positive_buckets.as_slice(), h.count), (4.0, &[4.0][..], 8.0));
    h.trim(0.25, true);
    assert_eq!((h.zero_count, h.positive_buckets.len(), h.count), (2.0, 0, 2.0));
}

#[test]
fn products_and_quotients() {
    let mut h = positive(0, &[(0, 2)], &[1.0, 2.0]);
    h.mul(-2.0);
    assert_eq!((&h.positive_buckets, h.count), (&vec![-2.0, -4.0], -6.0));
    assert_eq!(h.counter_reset_hint, CounterResetHint::Gauge);
    h.div(-2.0);
    assert_eq!((&h.positive_buckets, h.count), (&vec![1.0, 2.0], 3.0));
    assert!(!h.has_overflow());
    h.div(0.0);
    assert_eq!((h.positive_spans.len(), h.positive_buckets.len(), h.count), (0, 0, f64::INFINITY));
    assert!(h.has_overflow());
}

#[test]
fn faults_are_named_in_prometheus_words() {
    let float = |f: fn(&mut FloatHistogram)| {
        let mut h = positive(0, &[(0, 2)], &[1.0, 2.0]);
        f(&mut h);
        h.validate().unwrap_err().to_string()
    };
    assert_eq!(
        float(|h| h.count = -1.5),
        "observation count is  -1.5: histogram's observation count is negative"
    );
    assert_eq!(
        float(|h| h.positive_buckets[1] = -2.0),
        "positive side: bucket number 2 has observation count of -2: histogram has a bucket whose observation count is negative"
    );
    assert_eq!(
        float(|h| h.negative_buckets.push(1.0)),
        "negative side: spans need 0 buckets, have 1 buckets: histogram spans specify different number of buckets than provided"
    );
    assert_eq!(
        float(|h| h.positive_spans = spans(&[(0, 1), (-1, 1)])),
        "positive side: span number 2 with offset -1: histogram has a span whose offset is negative"
    );
    assert_eq!(
        float(|h| h.positive_spans = spans(&[(i32::MAX, 2)])),
        "positive side: span number 1 ends at bucket index 2147483648: histogram has a span whose bucket index is out of range"
    );
    assert_eq!(
        float(|h| h.schema = 9),
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema 9"
    );
    assert_eq!(
        float(|h| h.custom_values.push(1.0)),
        "histogram with exponential schema must not have custom bounds"
    );
    let bounds =
        |bounds: &[f64]| custom(bounds, &[(0, 2)], &[1.0, 2.0]).validate().map_err(|e| e.to_string());
    assert_eq!(bounds(&[1.0]), Ok(()));
    for (list, want) in [
        (
            &[][..],
            "custom buckets: only 0 custom bounds defined which is insufficient to cover total span length of 2: histogram custom bounds are too few",
        ),
        (
            &[2.0, 1.0],
            "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom bounds must be in strictly increasing order",
        ),
        (&[f64::NAN], "custom buckets: histogram custom bounds must not be NaN"),
        (
            &[1.0, f64::INFINITY],
            "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite",
        ),
    ] {
        assert_eq!(bounds(list), Err(want.to_owned()));
    }
    let integer = |count, sum| {
        let h = Histogram {
            count,
            sum,
            positive_spans: spans(&[(0, 2)]),
            positive_buckets: vec![1, 1],
            ..Histogram::default()
        };
        h.validate().map_err(|e| e.to_string())
    };
    assert_eq!(integer(3, 0.0), Ok(()));
    assert_eq!(integer(4, f64::NAN), Ok(()));
    assert_eq!(
        integer(4, 0.0).unwrap_err(),
        "3 observations found in buckets, but the Count field is 4: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
    );
    assert_eq!(
        integer(2, f64::NAN).unwrap_err(),
        "3 observations found in buckets, but the Count field is 2: histogram's observation count should be at least the number of observations found in the buckets"
    );
}

#[test]
fn custom_buckets_become_classic_ones() {
    let h = Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 9,
        sum: 12.5,
        custom_values: vec![1.0, 2.0, 4.0],
        positive_spans: spans(&[(0, 1), (1, 2)]),
        positive_buckets: vec![2, 1, 1],
        ..Histogram::default()
    };
    let classic = h.classic_counts().unwrap();
    assert_eq!((classic.buckets, classic.count, classic.sum), (vec![2.0, 2.0, 5.0, 9.0], 9.0, 12.5));
    let stale = Histogram { sum: stale_nan(), ..h.clone() }.classic_counts().unwrap();
    assert!(stale.buckets.iter().chain([&stale.count, &stale.sum]).all(|v| model::is_stale_nan(*v)));
    assert_eq!(Histogram::default().classic_counts(), Err(HistogramError::NotCustom));
    assert!(Histogram { count: 8, ..h }.classic_counts().is_err());
}

#[test]
fn sameness_is_of_data() {
    let h = positive(0, &[(0, 1), (2, 1)], &[1.0, 2.0]);
    let mut other = h.clone();
    other.positive_spans = spans(&[(0, 1), (1, 0), (1, 1), (3, 0)]);
    other.counter_reset_hint = CounterResetHint::Gauge;
    assert!(h.same_data(&other));
    assert!(!h.same_data(&positive(0, &[(0, 1), (1, 1)], &[1.0, 2.0])));
    let stale = FloatHistogram { sum: stale_nan(), ..FloatHistogram::default() };
    assert!(stale.same_data(&stale.clone()));
    assert!(!stale.same_data(&FloatHistogram { sum: f64::NAN, ..FloatHistogram::default() }));
}

/// Sound histograms: schema, spans that may touch or be empty, counts that may be 0. The first span
/// is not empty and the zero bucket ends where buckets of every schema do: elsewhere sums may lose
/// a bucket or count it twice, as in Prometheus.
fn histogram() -> impl Strategy<Value = FloatHistogram> {
    let side = || prop::collection::vec((0..4i32, prop::collection::vec(0..5u32, 0..4)), 0..4);
    let threshold = prop::sample::select(vec![0.0, 1.0]);
    (-2..4i32, -4..16i32, side(), side(), threshold, 0..9u32).prop_map(
        |(schema, first, p, n, zero_threshold, zero)| {
            let side = |list: &[(i32, Vec<u32>)]| -> (Vec<Span>, Vec<f64>) {
                let list = &list[list.iter().take_while(|(_, counts)| counts.is_empty()).count()..];
                let span = |(i, (gap, counts)): (usize, &(i32, Vec<u32>))| Span {
                    offset: if i == 0 { first + gap } else { *gap },
                    length: counts.len() as u32,
                };
                let counts = list.iter().flat_map(|(_, counts)| counts.iter().map(|c| f64::from(*c)));
                (list.iter().enumerate().map(span).collect(), counts.collect())
            };
            let ((positive_spans, positive_buckets), (negative_spans, negative_buckets)) =
                (side(&p), side(&n));
            let zero_count = f64::from(zero);
            FloatHistogram {
                schema,
                zero_threshold,
                zero_count,
                count: zero_count + positive_buckets.iter().chain(&negative_buckets).sum::<f64>(),
                positive_spans,
                negative_spans,
                positive_buckets,
                negative_buckets,
                ..FloatHistogram::default()
            }
        },
    )
}

/// Populated buckets by sign and index.
fn populated(h: &FloatHistogram) -> BTreeMap<(bool, i32), f64> {
    let side = |positive: bool| {
        let buckets = if positive { h.positive() } else { h.negative() };
        buckets.filter(|b| b.count != 0.0).map(move |b| ((positive, b.index), b.count)).collect::<Vec<_>>()
    };
    side(true).into_iter().chain(side(false)).collect()
}

fn observations(h: &FloatHistogram) -> f64 {
    h.zero_count + h.positive_buckets.iter().chain(&h.negative_buckets).sum::<f64>()
}

/// As integers, which the counts of [`histogram`] are.
fn integer(h: &FloatHistogram) -> Histogram {
    let deltas = |counts: &[f64]| {
        let before = std::iter::once(&0.0).chain(counts);
        counts.iter().zip(before).map(|(c, b)| *c as i64 - *b as i64).collect()
    };
    Histogram {
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as u64,
        count: h.count as u64,
        positive_spans: h.positive_spans.clone(),
        negative_spans: h.negative_spans.clone(),
        positive_buckets: deltas(&h.positive_buckets),
        negative_buckets: deltas(&h.negative_buckets),
        ..Histogram::default()
    }
}

/// Anything at all.
fn unsound() -> impl Strategy<Value = FloatHistogram> {
    let span = (prop_oneof![-3..5i32, any::<i32>()], prop_oneof![4 => 0..4u32, 1 => any::<u32>()]);
    let side = || prop::collection::vec(span.clone(), 0..4);
    let floats = || prop::collection::vec(prop_oneof![Just(0.0), Just(1.5), any::<f64>()], 0..6);
    let schema = prop_oneof![4 => -4..9i32, 2 => Just(CUSTOM_BUCKETS_SCHEMA), 1 => -9..60i32];
    (schema, side(), side(), floats(), floats(), floats(), any::<f64>(), any::<f64>()).prop_map(
        |(schema, p, n, positive_buckets, negative_buckets, custom_values, zero_threshold, zero_count)| {
            FloatHistogram {
                schema,
                zero_threshold,
                zero_count,
                positive_spans: spans(&p),
                negative_spans: spans(&n),
                positive_buckets,
                negative_buckets,
                custom_values,
                ..FloatHistogram::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn sums_are_those_of_buckets(a in histogram(), b in histogram()) {
        let (a, b) = (
            FloatHistogram { zero_threshold: 0.0, ..a },
            FloatHistogram { schema: a.schema, zero_threshold: 0.0, ..b },
        );
        let mut want = populated(&a);
        for (at, count) in populated(&b) {
            *want.entry(at).or_insert(0.0) += count;
        }
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert_eq!(populated(&sum), want);
        prop_assert_eq!(sum.validate(), Ok(()));
        let mut compensated = a.clone();
        let mut rest = None;
        compensated.kahan_add(&b, &mut rest).unwrap();
        prop_assert!(compensated.same_data(&sum));
        sum.sub(&b).unwrap();
        prop_assert_eq!(populated(&sum), populated(&a));
    }

    #[test]
    fn reconciling_loses_no_observation(a in histogram(), b in histogram()) {
        // Buckets within the zero bucket are dropped, so there must be none.
        let sound = |h: &FloatHistogram| {
            h.positive().all(|b| b.lower >= h.zero_threshold)
                && h.negative().all(|b| b.upper <= -h.zero_threshold)
        };
        prop_assume!(sound(&a) && sound(&b));
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert_eq!(observations(&sum), observations(&a) + observations(&b));
        prop_assert_eq!(sum.schema, a.schema.min(b.schema));
        // A coarser bucket may reach out of a zero bucket that took a finer one in.
        if a.zero_threshold == b.zero_threshold {
            prop_assert!(!sum.detect_reset(&a), "{} {}", sum, a);
        }
    }

    #[test]
    fn compact_keeps_what_is_there(h in histogram(), empty_max in 0..3usize) {
        let mut compact = h.clone();
        compact.compact(empty_max);
        prop_assert_eq!(populated(&compact), populated(&h));
        prop_assert_eq!(compact.validate(), Ok(()));
        prop_assert!(compact.positive_spans.iter().all(|s| s.length > 0));
        prop_assert!(compact.positive_spans.iter().skip(1).all(|s| s.offset as usize > empty_max));
        if empty_max == 0 {
            prop_assert!(compact.positive_buckets.iter().all(|b| *b != 0.0));
        }
        let mut of_integers = integer(&h);
        of_integers.compact(empty_max);
        prop_assert!(of_integers.to_float().same_data(&compact));
        let again = compact.clone();
        compact.compact(empty_max);
        prop_assert_eq!(again, compact);
    }

    #[test]
    fn resolution_falls_alike_for_both_kinds(h in histogram(), by in 1..3i32) {
        let mut reduced = h.clone();
        reduced.reduce_resolution(h.schema - by).unwrap();
        prop_assert_eq!(observations(&reduced), observations(&h));
        let mut of_integers = integer(&h);
        of_integers.reduce_resolution(h.schema - by).unwrap();
        prop_assert!(of_integers.to_float().same_data(&reduced));
        let step = h.copy_to_schema(h.schema - 1).unwrap().copy_to_schema(h.schema - by).unwrap();
        prop_assert!(step.same_data(&reduced));
        prop_assert!(!reduced.detect_reset(&h));
    }

    #[test]
    fn unsound_histograms_panic_nowhere(a in unsound(), b in unsound(), limit in any::<f64>(), upper in any::<bool>()) {
        let (mut sum, mut difference, mut compensated, mut rest) = (a.clone(), a.clone(), a.clone(), None);
        let _ = sum.add(&b);
        let _ = difference.sub(&b);
        let _ = compensated.kahan_add(&b, &mut rest);
        let _ = compensated.kahan_add(&a, &mut rest);
        let _ = (a.validate(), a.detect_reset(&b), a.same_data(&b), a.to_string(), a.has_overflow());
        let _ = (a.all_buckets().count(), a.all_buckets_reverse().count(), a.copy_to_schema(-4));
        let mut trimmed = a.clone();
        trimmed.trim(limit, upper);
        let mut compact = a;
        compact.compact(2);
    }
}
