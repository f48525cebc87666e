//! Samples of several runs of one series as one run.

use std::sync::Arc;

use model::{Columns, FloatHistogram};

use crate::heap::Heap;

/// Before the first sample of a run.
const BEFORE: usize = usize::MAX;

/// Samples of several runs, merged.
#[derive(Debug, Default)]
pub struct Chained {
    /// The samples.
    pub columns: Columns,
    /// For each sample where it is from.
    pub origins: Vec<Origin>,
}

/// Where a merged sample is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The number of its run.
    pub run: usize,
    /// The sample before it in the result is also the one before it in its run.
    pub consecutive: bool,
}

/// The samples of `runs`, each strictly rising, in order of time, one per time. Which one it is
/// among several follows Prometheus' `chainSampleIterator`: the current run goes on while it is
/// ahead of the others; at a time that another run has too, the other one takes over.
#[must_use]
pub fn chain(runs: &[Columns]) -> Chained {
    let mut out = Chained::default();
    let mut at = vec![0; runs.len()];
    let mut waiting = Heap::new(|a: &(i64, usize), b: &(i64, usize)| a.0 < b.0);
    for (r, run) in runs.iter().enumerate().skip(1) {
        waiting.extend_from(run, r, 0);
    }
    let Some(first) = at.first_mut() else { return out };
    *first = BEFORE;
    let (mut current, mut last, mut consecutive) = (0, None, false);
    loop {
        at[current] = at[current].wrapping_add(1);
        match (runs[current].t.get(at[current]).copied(), waiting.top()) {
            (None, None) => return out,
            (Some(t), _) if Some(t) == last => continue,
            (Some(t), top) if top.is_none_or(|(next, _)| t < *next) => {
                out.push(runs, at[current], Origin { run: current, consecutive });
                (last, consecutive) = (Some(t), true);
                continue;
            }
            (Some(t), _) => waiting.push((t, current)),
            (None, Some(_)) => {}
        }
        let (t, run) = waiting.pop().expect("it had a top just now");
        (current, consecutive) = (run, false);
        if Some(t) != last {
            out.push(runs, at[current], Origin { run, consecutive });
            (last, consecutive) = (Some(t), true);
        }
    }
}

impl<F: Fn(&(i64, usize), &(i64, usize)) -> bool> Heap<(i64, usize), F> {
    fn extend_from(&mut self, run: &Columns, number: usize, at: usize) {
        if let Some(t) = run.t.get(at) {
            self.push((*t, number));
        }
    }
}

impl Chained {
    fn push(&mut self, runs: &[Columns], at: usize, origin: Origin) {
        let (from, out) = (&runs[origin.run], &mut self.columns);
        let (t, st) = (from.t[at], from.st.get(at).copied().unwrap_or(0));
        match histogram(from, at) {
            Some(h) => out.push_histogram(t, st, h.clone()),
            None => out.push_started(t, st, from.v[at]),
        }
        self.origins.push(origin);
    }
}

/// The sample at index `at`, if it is a histogram.
#[must_use]
pub fn histogram(columns: &Columns, at: usize) -> Option<&Arc<FloatHistogram>> {
    if columns.h.is_empty() {
        return None;
    }
    let found = columns.h.binary_search_by_key(&at, |(i, _)| *i as usize).ok()?;
    Some(&columns.h[found].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(t: &[i64], v: f64) -> Columns {
        let mut c = Columns::default();
        t.iter().for_each(|t| c.push(*t, v));
        c
    }

    fn check(runs: &[&[i64]], want: &[(i64, f64)]) {
        let runs: Vec<_> = (0..).zip(runs).map(|(i, t)| run(t, f64::from(i))).collect();
        let out = chain(&runs).columns;
        assert_eq!(out.t.iter().copied().zip(out.v).collect::<Vec<_>>(), want);
    }

    #[test]
    fn merges() {
        check(&[], &[]);
        check(&[&[1, 2]], &[(1, 0.0), (2, 0.0)]);
        check(&[&[], &[]], &[]);
        check(&[&[1, 4], &[2, 3, 5]], &[(1, 0.0), (2, 1.0), (3, 1.0), (4, 0.0), (5, 1.0)]);
        check(&[&[], &[2], &[1]], &[(1, 2.0), (2, 1.0)]);
    }

    #[test]
    fn the_other_run_takes_over() {
        check(&[&[1, 2, 3], &[1, 2, 3]], &[(1, 1.0), (2, 1.0), (3, 1.0)]);
        check(&[&[1, 2, 3], &[2]], &[(1, 0.0), (2, 1.0), (3, 0.0)]);
        check(&[&[2], &[1, 2, 3]], &[(1, 1.0), (2, 0.0), (3, 1.0)]);
        check(&[&[1, 5], &[1, 5], &[1, 5]], &[(1, 1.0), (5, 0.0)]);
        check(&[&[i64::MIN, i64::MAX], &[i64::MIN]], &[(i64::MIN, 1.0), (i64::MAX, 0.0)]);
    }

    #[test]
    fn keeps_start_times_and_histograms() {
        let mut a = Columns::default();
        a.push_started(1, 1, 1.0);
        a.push_histogram(3, 1, Arc::default());
        let Chained { columns: out, origins } = chain(&[a, run(&[2, 4, 5], 2.0)]);
        assert_eq!((out.t, out.st), (vec![1, 2, 3, 4, 5], vec![1, 0, 1, 0, 0]));
        assert_eq!(out.h.len(), 1);
        assert_eq!(out.h[0].0, 2);
        let origin = |(run, consecutive)| Origin { run, consecutive };
        assert_eq!(origins, [(0, false), (1, false), (0, false), (1, false), (1, true)].map(origin));
    }
}
