//! Runs of one series' samples that overlap in time, as one run.

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{Columns, FloatHistogram};

/// Appends the samples of `runs`, each strictly rising, to `out` in order of time. Of several
/// samples at one time that of the first run stays. A histogram whose predecessor is now another
/// one no longer says whether a counter was reset.
pub(crate) fn merge_runs(runs: &[Columns], out: &mut Columns) {
    let mut order: Vec<(i64, u32, u32)> = Vec::with_capacity(runs.iter().map(Columns::len).sum());
    for (r, run) in runs.iter().enumerate() {
        order.extend(run.t.iter().enumerate().map(|(i, t)| (*t, r as u32, i as u32)));
    }
    order.sort_unstable();
    order.dedup_by_key(|(t, ..)| *t);
    let mut last = None;
    for (_, r, i) in order {
        let (run, at) = (&runs[r as usize], i as usize);
        let st = run.st.get(at).copied().unwrap_or(0);
        match histogram(run, i) {
            None => out.push_started(run.t[at], st, run.v[at]),
            Some(h) => {
                let follows = i == 0 && last.is_none() || i > 0 && last == Some((r, i - 1));
                out.push_histogram(run.t[at], st, if follows { h.clone() } else { unknown(h) });
            }
        }
        last = Some((r, i));
    }
}

fn histogram(run: &Columns, at: u32) -> Option<&Arc<FloatHistogram>> {
    let found = run.h.binary_search_by_key(&at, |(i, _)| *i).ok()?;
    Some(&run.h[found].1)
}

fn unknown(h: &Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    if matches!(h.counter_reset_hint, CounterResetHint::Gauge | CounterResetHint::Unknown) {
        return h.clone();
    }
    Arc::new(FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..(**h).clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(t: &[i64], v: f64) -> Columns {
        let mut c = Columns::default();
        t.iter().for_each(|t| c.push(*t, v));
        c
    }

    fn check(runs: &[Columns], want: &[(i64, f64)]) {
        let mut out = Columns::default();
        merge_runs(runs, &mut out);
        assert_eq!(out.t.into_iter().zip(out.v).collect::<Vec<_>>(), want);
    }

    #[test]
    fn in_order_of_time_the_first_run_stays() {
        check(&[], &[]);
        check(&[run(&[], 0.0), run(&[1], 1.0)], &[(1, 1.0)]);
        let runs = [run(&[5, 9], 0.0), run(&[1, 5, 6], 1.0), run(&[i64::MIN, 6, i64::MAX], 2.0)];
        check(&runs, &[(i64::MIN, 2.0), (1, 1.0), (5, 0.0), (6, 1.0), (9, 0.0), (i64::MAX, 2.0)]);
    }

    #[test]
    fn histograms_forget_what_their_hint_referred_to() {
        let hinted =
            |counter_reset_hint| Arc::new(FloatHistogram { counter_reset_hint, ..FloatHistogram::default() });
        let (mut a, mut b) = (Columns::default(), Columns::default());
        for t in [1, 2, 5, 6] {
            a.push_histogram(t, 0, hinted(CounterResetHint::NotReset));
        }
        b.push_histogram(3, 7, hinted(CounterResetHint::Gauge));
        b.push_histogram(4, 7, hinted(CounterResetHint::NotReset));
        let mut out = Columns::default();
        merge_runs(&[a, b], &mut out);
        assert_eq!((out.t, out.st), (vec![1, 2, 3, 4, 5, 6], vec![0, 0, 7, 7, 0, 0]));
        let hints: Vec<_> = out.h.iter().map(|(_, h)| h.counter_reset_hint).collect();
        let (unknown, gauge, not) =
            (CounterResetHint::Unknown, CounterResetHint::Gauge, CounterResetHint::NotReset);
        assert_eq!(hints, [not, not, gauge, not, unknown, not]);
    }
}
