//! Samples as the runs tell them apart: each is known again by its value wherever it turns up.

use std::collections::{BTreeMap, BTreeSet};

use model::histogram::Span;
use model::{Columns, FloatHistogram, Histogram, Labels, Matcher};
use storage::{Queryable, SelectHints, StorageError};

use super::script::SERIES;

/// A value: the bits of a float, or the number of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Float(u64),
    Histogram(u16),
}

pub(crate) type Samples = BTreeMap<i64, Value>;

/// Samples by series; no series without samples.
pub(crate) type Samplings = BTreeMap<usize, Samples>;

/// Which series have histograms: integer and float ones.
pub(super) fn is_histogram(series: usize) -> bool {
    series >= SERIES - 2
}

/// Tests write few enough samples for every histogram to tell its number by its sum.
pub(crate) fn histogram(k: u16) -> Histogram {
    let n = i64::from(k);
    let buckets = vec![n % 5 + 1, 2, -1, n % 3];
    let mut absolute = 0;
    let in_buckets: i64 = buckets
        .iter()
        .map(|d| {
            absolute += d;
            absolute
        })
        .sum();
    let zero_count = u64::from(k % 7);
    Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count,
        count: zero_count + in_buckets as u64,
        sum: f64::from(k),
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 2 }],
        positive_buckets: buckets,
        ..Histogram::default()
    }
}

fn value_of(h: &FloatHistogram) -> Value {
    let k = h.sum as u16;
    let want = FloatHistogram { counter_reset_hint: h.counter_reset_hint, ..histogram(k).to_float() };
    assert_eq!(*h, want, "a histogram that was never sent");
    Value::Histogram(k)
}

pub(crate) fn labels(series: usize) -> Labels {
    let name = format!("m{}", series % 3);
    Labels::from_pairs([("__name__", name.as_str()), ("i", &series.to_string()), ("all", "yes")])
}

/// Since when the counter of a sample has counted.
pub(crate) fn start_of(series: usize, t: i64) -> i64 {
    t - 1000 - series as i64
}

/// Everything that a query sees; where `starts`, histograms have their start timestamps, and floats may
/// have lost them to an encoding without room for them.
///
/// # Errors
/// The query's.
pub(crate) fn read(db: &dyn Queryable, starts: bool) -> Result<Samplings, StorageError> {
    let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
    let set = db.querier(i64::MIN, i64::MAX)?.select(&hints, &[Matcher::equal("all", "yes")])?;
    let mut out = Samplings::new();
    for i in 0..set.len() {
        let mut c = Columns::default();
        set.read(i, &mut c)?;
        assert!(c.t.windows(2).all(|w| w[0] < w[1]), "times rise");
        let labels_found = set.labels(i);
        let series: usize = labels_found.get("i").unwrap_or_default().parse().unwrap_or(usize::MAX);
        assert_eq!(labels_found, labels(series), "labels that were never sent");
        let started = |(st, t): (&i64, &i64)| *st == start_of(series, *t);
        let wrong = c.st.iter().zip(&c.t).find(|s| *s.0 != 0 && !started(*s));
        assert_eq!(wrong, None, "series {series}: a start timestamp that was never sent");
        if starts && is_histogram(series) {
            let there = c.st.len() == c.t.len() && c.st.iter().zip(&c.t).all(started);
            assert!(there, "series {series}: start timestamps lost: {:?}", c.st);
        }
        let mut values: Vec<Value> = c.v.iter().map(|v| Value::Float(v.to_bits())).collect();
        c.h.iter().for_each(|(at, h)| values[*at as usize] = value_of(h));
        if !c.t.is_empty() {
            let old = out.insert(series, c.t.into_iter().zip(values).collect());
            assert!(old.is_none(), "a series comes once");
        }
    }
    Ok(out)
}

/// Compares what is there with what must be; samples that `may_miss` names need not be there,
/// those that `may_have` names may be.
pub(super) fn compare(
    got: &Samplings,
    want: &Samplings,
    may_miss: impl Fn(usize, i64) -> bool,
    may_have: impl Fn(usize, i64, Value) -> bool,
    when: &str,
) {
    let empty = Samples::new();
    for series in want.keys().chain(got.keys()).collect::<BTreeSet<_>>() {
        let (got, want) = (got.get(series).unwrap_or(&empty), want.get(series).unwrap_or(&empty));
        let lost: Vec<_> =
            want.iter().filter(|(t, v)| got.get(t) != Some(v) && !may_miss(*series, **t)).collect();
        let new: Vec<_> =
            got.iter().filter(|(t, v)| want.get(t) != Some(v) && !may_have(*series, **t, **v)).collect();
        assert!(
            lost.is_empty() && new.is_empty(),
            "{when}: series {series}: lost {} {:?}, never sent or deleted {} {:?}",
            lost.len(),
            lost.iter().take(3).collect::<Vec<_>>(),
            new.len(),
            new.iter().take(3).collect::<Vec<_>>()
        );
    }
}
