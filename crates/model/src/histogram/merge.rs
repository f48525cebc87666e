//! Adding the buckets of one sign into those of another histogram of the same schema.

use super::Span;
use super::bounds::bound_exponential;
use super::kahan::KahanSum;
use super::schema::is_exponential_schema;

/// The buckets that are added into.
pub(super) trait Cells {
    /// Adds to the bucket at position `i`.
    fn add(&mut self, i: usize, value: f64, rest: f64);

    /// Makes a bucket at position `i`.
    fn insert(&mut self, i: usize, value: f64, rest: f64);

    /// Adds bucket for bucket.
    fn add_all(&mut self, values: &[f64], rests: Option<&[f64]>);

    fn len(&self) -> usize;
}

/// Plain sums or differences.
pub(super) struct Plain<'a> {
    pub(super) sums: &'a mut Vec<f64>,
    pub(super) subtract: bool,
}

impl Cells for Plain<'_> {
    fn add(&mut self, i: usize, value: f64, _rest: f64) {
        if let Some(sum) = self.sums.get_mut(i) {
            *sum += if self.subtract { -value } else { value };
        }
    }

    fn insert(&mut self, i: usize, value: f64, _rest: f64) {
        let value = if self.subtract { -value } else { value };
        self.sums.insert(i.min(self.sums.len()), value);
    }

    fn add_all(&mut self, values: &[f64], _rests: Option<&[f64]>) {
        if self.subtract {
            self.sums.iter_mut().zip(values).for_each(|(sum, v)| *sum -= v);
        } else {
            self.sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
        }
    }

    fn len(&self) -> usize {
        self.sums.len()
    }
}

/// Sums with a compensation each.
pub(super) struct Compensated<'a> {
    pub(super) sums: &'a mut Vec<f64>,
    pub(super) rests: &'a mut Vec<f64>,
}

impl Cells for Compensated<'_> {
    fn add(&mut self, i: usize, value: f64, rest: f64) {
        if let (Some(sum), Some(c)) = (self.sums.get_mut(i), self.rests.get_mut(i)) {
            KahanSum::inc(value, sum, c);
            if rest != 0.0 {
                KahanSum::inc(rest, sum, c);
            }
        }
    }

    fn insert(&mut self, i: usize, value: f64, rest: f64) {
        self.sums.insert(i.min(self.sums.len()), value);
        self.rests.insert(i.min(self.rests.len()), rest);
    }

    fn add_all(&mut self, values: &[f64], rests: Option<&[f64]>) {
        for (i, value) in values.iter().enumerate() {
            self.add(i, *value, rests.map_or(0.0, |r| r[i]));
        }
    }

    fn len(&self) -> usize {
        self.sums.len()
    }
}

/// Adds `theirs` (spans, buckets, their compensations) into `spans` and `cells`, making buckets
/// where there are none (Prometheus `addBuckets`). Leading buckets that end at or below
/// `threshold` are left out.
///
/// A new bucket extends the span it follows, else the span it precedes, else is a span of its own.
pub(super) fn merge_buckets<C: Cells>(
    schema: i32,
    threshold: f64,
    spans: &mut Vec<Span>,
    cells: &mut C,
    theirs: (&[Span], &[f64], Option<&[f64]>),
) {
    let (their_spans, values, rests) = theirs;
    let below = |index| is_exponential_schema(schema) && bound_exponential(index, schema) <= threshold;
    if their_spans == spans.as_slice()
        && values.len() == cells.len()
        && rests.is_none_or(|r| r.len() == values.len())
        && their_spans.iter().map(|s| s.length as usize).sum::<usize>() == values.len()
        && !first_index(their_spans).is_some_and(below)
    {
        return cells.add_all(values, rests);
    }
    let mut place = Place::Front;
    let (mut index, mut skipping) = (0i32, true);
    let mut source = values.iter().enumerate();
    for span in their_spans {
        index = index.wrapping_add(span.offset);
        for (i, value) in source.by_ref().take(span.length as usize) {
            skipping = skipping && below(index);
            if !skipping {
                let rest = rests.and_then(|r| r.get(i)).copied().unwrap_or(0.0);
                place = put(spans, cells, place, index, *value, rest);
            }
            index = index.wrapping_add(1);
        }
    }
}

fn first_index(spans: &[Span]) -> Option<i32> {
    let mut index = 0i32;
    spans.iter().find_map(|s| {
        index = index.wrapping_add(s.offset);
        (s.length > 0).then_some(index)
    })
}

/// Where the last bucket went.
#[derive(Clone, Copy)]
enum Place {
    /// Not behind the first bucket yet.
    Front,
    /// In a span, at a position in it, at a position among all buckets, with an index.
    At { span: usize, in_span: i64, bucket: i64, index: i32 },
}

/// Puts one bucket where it belongs, at or behind `place`.
fn put<C: Cells>(
    spans: &mut Vec<Span>,
    cells: &mut C,
    place: Place,
    index: i32,
    value: f64,
    rest: f64,
) -> Place {
    let (mut span, mut in_span, mut bucket, from) = match place {
        Place::At { span, in_span, bucket, index } => (span, in_span, bucket, index),
        Place::Front => match spans.first().map(|s| s.offset) {
            Some(first) if first < index => (0, 0, 0, first),
            Some(first) if first == index => {
                cells.add(0, value, rest);
                return Place::Front;
            }
            _ => {
                put_in_front(spans, index);
                cells.insert(0, value, rest);
                return Place::Front;
            }
        },
    };
    let at = |span, in_span, bucket| Place::At { span, in_span, bucket, index };
    // How far the bucket is from `in_span`.
    let mut distance = i64::from(index.wrapping_sub(from));
    loop {
        let left = i64::from(spans[span].length) - in_span;
        if distance < left {
            bucket += distance;
            if let Ok(i) = usize::try_from(bucket) {
                cells.add(i, value, rest);
            }
            return at(span, in_span + distance, bucket);
        }
        distance -= left;
        bucket += left;
        span += 1;
        match spans.get(span).map(|s| i64::from(s.offset)) {
            // On to the next span.
            Some(gap) if distance >= gap => {
                distance -= gap;
                in_span = 0;
            }
            gap => {
                cells.insert(usize::try_from(bucket).unwrap_or(0), value, rest);
                let (span, in_span) = put_in_gap(spans, span, distance, gap);
                return at(span, in_span, bucket);
            }
        }
    }
}

/// Makes room for a bucket before all others.
fn put_in_front(spans: &mut Vec<Span>, index: i32) {
    match spans.first_mut() {
        Some(first) if first.offset == index.wrapping_add(1) => {
            first.length = first.length.wrapping_add(1);
            first.offset = index;
        }
        first => {
            if let Some(first) = first {
                first.offset = first.offset.wrapping_sub(index).wrapping_sub(1);
            }
            spans.insert(0, Span { offset: index, length: 1 });
        }
    }
}

/// Makes room for a bucket `distance` behind the end of the span before `span`, in a gap of width
/// `gap`, or at the end; returns the span it is in now and the position there.
fn put_in_gap(spans: &mut Vec<Span>, span: usize, distance: i64, gap: Option<i64>) -> (usize, i64) {
    if distance == 0 {
        if let Some(next) = spans.get_mut(span) {
            next.offset = next.offset.wrapping_sub(1);
        }
        let extended = &mut spans[span - 1];
        extended.length = extended.length.wrapping_add(1);
        return (span - 1, i64::from(extended.length) - 1);
    }
    match spans.get_mut(span) {
        Some(next) if gap == Some(distance + 1) => {
            next.offset = next.offset.wrapping_sub(1);
            next.length = next.length.wrapping_add(1);
        }
        next => {
            if let Some(next) = next {
                next.offset = next.offset.wrapping_sub(distance as i32).wrapping_sub(1);
            }
            spans.insert(span, Span { offset: distance as i32, length: 1 });
        }
    }
    (span, 0)
}
