//! Comparing the buckets of two histograms, and giving a histogram those of another.

use model::histogram::{BucketValue, Span};

/// How the buckets of one sign of a chunk and of a histogram relate.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The histogram has buckets that the chunk has not.
    pub(super) in_chunk: bool,
    /// The chunk has buckets that the histogram has not.
    pub(super) in_histogram: bool,
    /// The buckets of both; empty if neither lacks any.
    pub(super) union: Vec<Span>,
}

/// The indices of the buckets that spans describe.
fn indices(spans: &[Span]) -> impl Iterator<Item = i64> {
    let mut next = 0i64;
    spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    })
}

/// Compares a chunk's buckets with a counter histogram's. `None` if a bucket holds less than in
/// the chunk, or one is missing that is populated there: the counter was reset.
pub(super) fn compare_counters<B: BucketValue>(
    chunk_spans: &[Span],
    chunk: impl Iterator<Item = B>,
    spans: &[Span],
    buckets: &[B],
) -> Option<Gaps> {
    let counts = |mut before: B| {
        move |bucket: B| {
            before = bucket.after(before);
            before
        }
    };
    let zero = B::default();
    let mut old = chunk.map(counts(zero));
    let mut new = buckets.iter().copied().map(counts(zero));
    if chunk_spans == spans {
        let fell = old.zip(new).any(|(old, new)| old > new);
        return (!fell).then(Gaps::default);
    }
    let mut fell = false;
    let gaps = compare(chunk_spans, spans, |here, there| {
        let old = if here { old.next().unwrap_or(zero) } else { zero };
        let new = if there { new.next().unwrap_or(zero) } else { zero };
        fell |= if there { old > new } else { old != zero };
        !fell
    });
    (!fell).then_some(gaps)
}

/// Compares a chunk's buckets with a gauge histogram's.
pub(super) fn compare_gauges(chunk_spans: &[Span], spans: &[Span]) -> Gaps {
    if chunk_spans == spans {
        return Gaps::default();
    }
    compare(chunk_spans, spans, |_, _| true)
}

/// Walks over the buckets of both in order; `each` hears which of the two has the bucket, and
/// says whether to go on.
fn compare(chunk: &[Span], histogram: &[Span], mut each: impl FnMut(bool, bool) -> bool) -> Gaps {
    let mut gaps = Gaps::default();
    let (mut old, mut new) = (indices(chunk).peekable(), indices(histogram).peekable());
    let mut end = 0;
    while let Some(index) = old.peek().copied().into_iter().chain(new.peek().copied()).min() {
        let here = old.next_if_eq(&index).is_some();
        let there = new.next_if_eq(&index).is_some();
        gaps.in_chunk |= !here;
        gaps.in_histogram |= !there;
        match gaps.union.last_mut() {
            Some(span) if end == index => span.length += 1,
            _ => gaps.union.push(Span { offset: (index - end) as i32, length: 1 }),
        }
        end = index + 1;
        if !each(here, there) {
            break;
        }
    }
    gaps
}

/// Buckets of `from` as those of `to`, which has them all: new ones are empty.
pub(super) fn spread<B: BucketValue>(from: &[Span], buckets: impl Iterator<Item = B>, to: &[Span]) -> Vec<B> {
    let mut source = indices(from).zip(buckets).peekable();
    let (mut count, mut before) = (B::default(), B::default());
    let place = |index| {
        let absolute = match source.next_if(|(i, _)| *i == index) {
            Some((_, bucket)) => {
                count = bucket.after(count);
                count
            }
            None => B::default(),
        };
        let stored = absolute.store(before);
        before = absolute;
        stored
    };
    indices(to).map(place).collect()
}
