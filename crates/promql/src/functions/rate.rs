//! `rate`, `increase`, `delta` and their instant forms over the floats of one window.

use super::sliding::Windows;
use super::start_time::{is_reset, st_at};

/// The window's bounds and samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) t: &'a [i64],
    pub(crate) v: &'a [f64],
    /// As long as `t`, or empty.
    pub(crate) st: &'a [i64],
    /// The range: (start, end], milliseconds.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// The places in a series where its counter was reset: `i` where sample `i` began anew.
pub(crate) fn find_resets(t: &[i64], v: &[f64], st: &[i64], out: &mut Vec<u32>) {
    out.clear();
    if st.is_empty() {
        const BLOCK: usize = 64;
        for from in (1..v.len()).step_by(BLOCK) {
            let to = v.len().min(from + BLOCK);
            // Few blocks have any, and whether they do is soon known.
            let pairs = v[from - 1..to - 1].iter().zip(&v[from..to]);
            if pairs.clone().fold(false, |any, (before, v)| any | (v < before)) {
                out.extend(pairs.zip(from as u32..).filter(|((before, v), _)| v < before).map(|(_, i)| i));
            }
        }
        return;
    }
    for i in 1..v.len() {
        if v[i] < v[i - 1] || is_reset(st[i - 1], t[i - 1], st[i], t[i]) {
            out.push(i as u32);
        }
    }
}

/// When counting began, if that was within the window: the first sample's start timestamp.
pub(crate) fn began_within(t: &[i64], st: &[i64], start_ms: i64) -> Option<i64> {
    Some(st_at(st, 0)).filter(|st| *st != 0 && *st > start_ms && t.first().is_some_and(|t| st < t))
}

/// The seconds between first and last sample of a window, and how far beyond each of them the gain
/// reaches: to the window's bounds where those are near.
#[derive(Clone, Copy, Debug)]
struct Span {
    sampled: f64,
    to_start: f64,
    to_end: f64,
}

impl Span {
    #[inline]
    fn of(first_t: i64, last_t: i64, gaps: usize, (start_ms, end_ms): (i64, i64)) -> Self {
        let to_start = (first_t - start_ms) as f64 / 1000.0;
        let to_end = (end_ms - last_t) as f64 / 1000.0;
        let sampled = (last_t - first_t) as f64 / 1000.0;
        let average = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
        let threshold = average * 1.1;
        // Selects rather than branches: which way they go is hard to predict.
        Self {
            sampled,
            to_start: if to_start >= threshold { average / 2.0 } else { to_start },
            to_end: if to_end >= threshold { average / 2.0 } else { to_end },
        }
    }

    /// The time to the left goes no further than where a counter was zero.
    #[inline]
    fn not_below_zero(mut self, to_zero: f64) -> Self {
        let to_zero = self.sampled * to_zero;
        self.to_start = if to_zero < self.to_start { to_zero } else { self.to_start };
        self
    }

    #[inline]
    fn factor(self) -> f64 {
        // The quotient is always taken, so that several windows can be computed side by side.
        let factor = (self.sampled + self.to_start + self.to_end) / self.sampled;
        if self.sampled == 0.0 { 1.0 } else { factor }
    }
}

/// What to multiply the gain between first and last sample by, so that it is the gain between the
/// window's bounds as far as samples reach near them. A counter that `began` within is not
/// extrapolated to the left; others no further than where they were zero: at the part `to_zero` of
/// the time between first and last sample before the first, infinite for never. None where there is too little to go by.
#[inline]
pub(crate) fn factor(
    t: &[i64],
    (start_ms, end_ms): (i64, i64),
    began: Option<i64>,
    to_zero: f64,
    per_second: bool,
) -> Option<f64> {
    let last = t.len().checked_sub(1)?;
    let mut span = Span::of(t[0], t[last], last, (start_ms, end_ms));
    if let Some(began) = began {
        span.to_start = 0.0;
        span.sampled = (t[last] - began) as f64 / 1000.0;
    } else if last == 0 {
        return None;
    } else {
        span = span.not_below_zero(to_zero);
    }
    let mut factor = span.factor();
    if per_second {
        factor /= (end_ms - start_ms) as f64 / 1000.0;
    }
    Some(factor)
}

/// The [`Span`]s of all windows of a series.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    sampled: Vec<f64>,
    to_start: Vec<f64>,
    to_end: Vec<f64>,
}

impl Spans {
    /// Adds the window of the samples at `t`, two at least.
    pub(crate) fn push(&mut self, t: &[i64], bounds_ms: (i64, i64)) {
        let Span { sampled, to_start, to_end } = Span::of(t[0], t[t.len() - 1], t.len() - 1, bounds_ms);
        self.sampled.push(sampled);
        self.to_start.push(to_start);
        self.to_end.push(to_end);
    }

    /// The numbers of `n` windows.
    fn part(&self, from: usize, n: usize) -> (&[f64], &[f64], &[f64]) {
        (&self.sampled[from..][..n], &self.to_start[from..][..n], &self.to_end[from..][..n])
    }
}

/// Windows that [`slide`] takes at once.
const BLOCK: usize = 64;

/// As [`extrapolated`], of all windows of a series without start timestamps. `resets` are those of the whole
/// series, empty for gauges; the result is divided by `per` seconds.
pub(crate) fn slide(
    v: &[f64],
    w: Windows<'_>,
    spans: &Spans,
    resets: &[u32],
    is_counter: bool,
    per: f64,
    out: &mut Vec<f64>,
) {
    let (mut first, mut gain) = ([0.0; BLOCK], [0.0; BLOCK]);
    let mut lost = Lost::default();
    let mut next_reset = 0;
    for from in (0..w.len()).step_by(BLOCK) {
        let n = BLOCK.min(w.len() - from);
        let (first, gain) = (&mut first[..n], &mut gain[..n]);
        let (lo, hi) = (&w.lo[from..][..n], &w.hi[from..][..n]);
        let is_even = is_run(lo) && is_run(hi);
        if is_even {
            let last = &v[hi[0] as usize - 1..][..n];
            first.copy_from_slice(&v[lo[0] as usize..][..n]);
            for ((gain, last), first) in gain.iter_mut().zip(last).zip(&*first) {
                *gain = last - first;
            }
        } else {
            for i in 0..n {
                first[i] = v[lo[i] as usize];
                gain[i] = v[hi[i] as usize - 1] - first[i];
            }
        }
        while resets.get(next_reset).is_some_and(|r| *r <= lo[0]) {
            next_reset += 1;
        }
        let resets = &resets[next_reset..];
        let within = resets.partition_point(|r| *r < hi[n - 1]);
        if is_even && within * Lost::DENSE > (hi[n - 1] - lo[0]) as usize {
            lost.fill(v, &resets[..within], lo[0] + 1, hi[n - 1]);
            lost.add_to(gain, (hi[0] - lo[0]) as usize - 1);
        } else if within > 0 {
            let mut next = 0;
            for i in 0..n {
                next += resets[next..].iter().take_while(|r| **r <= lo[i]).count();
                let within = resets[next..].iter().take_while(|r| **r < hi[i]);
                gain[i] = within.fold(gain[i], |gain, r| gain + v[*r as usize - 1]);
            }
        }
        let spans = spans.part(from, n);
        if is_counter {
            extrapolate::<true>(first, gain, spans, per);
        } else {
            extrapolate::<false>(first, gain, spans, per);
        }
        out.extend_from_slice(gain);
    }
}

/// What a counter lost at each sample of a part of a series: zero but at resets. For where resets are many, and windows lie a
/// sample apart: then each addition is one for many windows, and adding a zero costs less than asking whether to.
#[derive(Default)]
struct Lost(Vec<f64>);

impl Lost {
    /// One sample in so many is a reset where this pays.
    const DENSE: usize = 8;
    /// Windows side by side, in registers.
    const LANES: usize = 16;

    /// Takes the samples from `from` up to `to`.
    fn fill(&mut self, v: &[f64], resets: &[u32], from: u32, to: u32) {
        self.0.clear();
        // The last windows are padded to a full set of lanes.
        self.0.resize((to - from) as usize + Self::LANES, 0.0);
        for r in resets {
            self.0[(r - from) as usize] = v[*r as usize - 1];
        }
    }

    /// Adds to each window's gain, in the order of the samples, what is lost at the first `n` of those filled in; the next
    /// window begins a sample later.
    fn add_to(&self, gain: &mut [f64], n: usize) {
        for (i, gain) in gain.chunks_mut(Self::LANES).enumerate() {
            let mut sums = [0.0; Self::LANES];
            sums[..gain.len()].copy_from_slice(gain);
            for lost in self.0[i * Self::LANES..].windows(Self::LANES).take(n) {
                for (sum, lost) in sums.iter_mut().zip(lost) {
                    *sum += lost;
                }
            }
            gain.copy_from_slice(&sums[..gain.len()]);
        }
    }
}

/// Whether each place is the one behind the place before: samples as far apart as the steps.
#[inline]
fn is_run(places: &[u32]) -> bool {
    places.iter().zip(places[0]..).fold(true, |run, (place, next)| run & (*place == next))
}

/// Makes of what was gained in each window the result; several windows fit into a register.
#[inline]
fn extrapolate<const IS_COUNTER: bool>(
    first: &[f64],
    gain: &mut [f64],
    (sampled, to_start, to_end): (&[f64], &[f64], &[f64]),
    per: f64,
) {
    let n = gain.len();
    let (first, sampled, to_start, to_end) = (&first[..n], &sampled[..n], &to_start[..n], &to_end[..n]);
    for i in 0..n {
        let mut span = Span { sampled: sampled[i], to_start: to_start[i], to_end: to_end[i] };
        if IS_COUNTER {
            span = span.not_below_zero(part_to_zero(first[i], gain[i]));
        }
        gain[i] *= span.factor() / per;
    }
}

/// Where a counter was zero, as a part of the time in which it gained `gain`.
#[inline]
fn part_to_zero(first: f64, gain: f64) -> f64 {
    let part = first / gain;
    if gain > 0.0 && first >= 0.0 { part } else { f64::INFINITY }
}

/// What a counter or gauge gained in the window, extrapolated by [`factor`]. `lost` adds the values
/// before resets; it is not called for gauges. Per second if `per_second`.
#[inline]
pub(crate) fn extrapolated(
    s: Samples<'_>,
    lost: impl Fn(f64) -> f64,
    is_counter: bool,
    per_second: bool,
) -> Option<f64> {
    let last = s.v.len().checked_sub(1)?;
    let mut result = s.v[last] - s.v[0];
    let (mut began, mut to_zero) = (None, f64::INFINITY);
    if is_counter {
        result = lost(result);
        to_zero = part_to_zero(s.v[0], result);
        began = began_within(s.t, s.st, s.start_ms);
        if began.is_some() {
            result += s.v[0];
        }
    }
    Some(result * factor(s.t, (s.start_ms, s.end_ms), began, to_zero, per_second)?)
}

/// `irate` (`is_rate`) and `idelta`: from the last two samples.
pub(crate) fn instant(s: Samples<'_>, is_rate: bool) -> Option<f64> {
    let n = s.t.len();
    if n < 2 {
        return None;
    }
    let (a, b) = (n - 2, n - 1);
    let interval_ms = s.t[b] - s.t[a];
    if interval_ms == 0 {
        return None;
    }
    let reset = is_rate && (s.v[b] < s.v[a] || is_reset(st_at(s.st, a), s.t[a], st_at(s.st, b), s.t[b]));
    let result = if reset { s.v[b] } else { s.v[b] - s.v[a] };
    Some(if is_rate { result / (interval_ms as f64 / 1000.0) } else { result })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extrapolates_to_near_bounds_only() {
        let (t, v) = ([0, 10_000, 20_000], [10.0, 20.0, 30.0]);
        let gain = |start_ms, end_ms| {
            extrapolated(Samples { t: &t, v: &v, st: &[], start_ms, end_ms }, |r| r, true, false).unwrap()
        };
        assert_eq!(gain(-1, 20_000), 20.001);
        assert_eq!(gain(-100_000, 20_000), 25.0);
        assert_eq!(gain(-1, 100_000), 25.001);
    }

    #[test]
    fn all_windows_at_once_give_what_each_gives() {
        let mut bits = 1u64;
        let mut random = |n: u64| {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (bits >> 33) % n
        };
        for (step, width, rare) in [(1, 20, 2), (1, 20, 30), (1, 2, 2), (1, 150, 3), (2, 9, 2), (1, 33, 1000)]
        {
            let t: Vec<i64> = (0..500).map(|i| i * 1000).collect();
            let mut last = 0.0;
            let v: Vec<f64> = (0..500)
                .map(|_| {
                    last = if random(rare) == 0 {
                        random(90) as f64 / 7.0
                    } else {
                        last + random(1000) as f64 / 3.0
                    };
                    last
                })
                .collect();
            let lo: Vec<u32> = (0..(500 - width) / step).map(|i| i * step).collect();
            let hi: Vec<u32> = lo.iter().map(|lo| lo + width).collect();
            let (mut spans, mut resets) = (Spans::default(), Vec::new());
            find_resets(&t, &v, &[], &mut resets);
            let bounds = |i: usize| (t[lo[i] as usize] - 300, t[hi[i] as usize - 1] + 500);
            for i in 0..lo.len() {
                spans.push(&t[lo[i] as usize..hi[i] as usize], bounds(i));
            }
            for is_counter in [true, false] {
                let resets = if is_counter { &resets[..] } else { &[] };
                let mut all = Vec::new();
                let per = ((width - 1) * 1000 + 800) as f64 / 1000.0;
                slide(&v, Windows { lo: &lo, hi: &hi }, &spans, resets, is_counter, per, &mut all);
                assert_eq!(all.len(), lo.len());
                for (i, got) in all.iter().enumerate() {
                    let (from, to) = (lo[i] as usize, hi[i] as usize);
                    let (start_ms, end_ms) = bounds(i);
                    let lost = |gain: f64| {
                        (from + 1..to).filter(|i| v[*i] < v[*i - 1]).fold(gain, |gain, i| gain + v[i - 1])
                    };
                    let s = Samples { t: &t[from..to], v: &v[from..to], st: &[], start_ms, end_ms };
                    let want = extrapolated(s, lost, is_counter, true).unwrap();
                    assert_eq!(got.to_bits(), want.to_bits(), "{step} {width} {rare} {i}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn finds_resets() {
        let mut out = Vec::new();
        find_resets(&[1, 2, 3, 4], &[1.0, 2.0, 1.0, 3.0], &[], &mut out);
        assert_eq!(out, [2]);
        find_resets(&[10, 20, 30], &[1.0, 2.0, 3.0], &[5, 5, 25], &mut out);
        assert_eq!(out, [2]);
    }
}
