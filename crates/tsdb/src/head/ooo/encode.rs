//! Late samples into chunks. Knows no series and no files.

use model::TimestampMs;

use super::sample::{OooSample, OooValue};
use crate::head::open_chunk::OpenChunk;
use crate::head::series::{ChunkRules, Kind};
use crate::histogram::OwnedHistogram;

impl OooValue {
    fn kind(&self) -> Kind {
        match self {
            Self::Float(_) => Kind::Float,
            Self::Histogram(OwnedHistogram::Integer(_)) => Kind::Histogram,
            Self::Histogram(OwnedHistogram::Float(_)) => Kind::FloatHistogram,
        }
    }
}

/// Encodes samples, which rise in time, and hands over each chunk. A change of kind, a counter reset
/// and a histogram that does not fit begin a new chunk (Prometheus `OOOChunk.ToEncodedChunks`).
pub(crate) fn encode(samples: &[OooSample], rules: &ChunkRules, mut take: impl FnMut(OpenChunk)) {
    let mut open: Option<OpenChunk> = None;
    for s in samples {
        let (t, st) = (s.t, s.st);
        let fits = open.as_mut().filter(|o| Kind::of(o.encoding()) == s.value.kind());
        let next = match (fits, &s.value) {
            (Some(open), OooValue::Float(v)) => {
                open.append(t, st, *v);
                None
            }
            (Some(open), OooValue::Histogram(h)) => open.append_histogram(t, st, h.value()),
            (None, OooValue::Float(v)) => Some(OpenChunk::new(rules.floats, t, st, *v)),
            (None, OooValue::Histogram(h)) => {
                Some(OpenChunk::with_histogram(None, rules.histogram_starts, (t, st), h.value()))
            }
        };
        if next.is_some() {
            std::mem::replace(&mut open, next).into_iter().for_each(&mut take);
        }
    }
    open.into_iter().for_each(take);
}

/// First and last time of a chunk.
pub(crate) fn span(chunk: &OpenChunk) -> (TimestampMs, TimestampMs) {
    (chunk.min_ms(), chunk.max_ms())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chunk::Encoding;
    use model::Columns;
    use model::histogram::{Histogram, Span};

    use super::*;

    const PLAIN: ChunkRules = ChunkRules {
        range_ms: 1000,
        samples: 120,
        floats: Encoding::Xor,
        starts: false,
        histogram_starts: false,
    };
    const STARTS: ChunkRules = ChunkRules {
        range_ms: 1000,
        samples: 120,
        floats: Encoding::Xor2,
        starts: true,
        histogram_starts: true,
    };

    fn integer(n: u64) -> Histogram {
        Histogram {
            count: 2 * n,
            sum: n as f64,
            zero_threshold: 0.001,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![n as i64, 0],
            ..Histogram::default()
        }
    }

    fn sample(t: TimestampMs, value: OooValue) -> OooSample {
        OooSample { t, st: t - 5, seq: 0, value }
    }

    fn float(t: TimestampMs) -> OooSample {
        sample(t, OooValue::Float(t as f64))
    }

    fn histogram(t: TimestampMs, n: u64) -> OooSample {
        sample(t, OooValue::Histogram(OwnedHistogram::Integer(Arc::new(integer(n)))))
    }

    fn float_histogram(t: TimestampMs, n: u64) -> OooSample {
        sample(t, OooValue::Histogram(OwnedHistogram::Float(Arc::new(integer(n).to_float()))))
    }

    fn chunks(samples: &[OooSample], rules: &ChunkRules) -> Vec<OpenChunk> {
        let mut out = Vec::new();
        encode(samples, rules, |c| out.push(c));
        out
    }

    /// The chunks, after a look at whether they hold the samples.
    fn check(samples: &[OooSample], rules: &ChunkRules) -> Vec<(i64, i64, Encoding)> {
        let (mut want, mut got) = (Columns::default(), Columns::default());
        samples.iter().for_each(|s| s.push_to(&mut want));
        let chunks = chunks(samples, rules);
        for c in &chunks {
            let from = got.len();
            chunk::decode(c.encoding(), c.bytes(), i64::MIN, i64::MAX, &mut got).unwrap();
            assert_eq!((got.t[from], *got.t.last().unwrap()), span(c));
        }
        assert_eq!(got.t, want.t);
        for (i, s) in samples.iter().enumerate() {
            match &s.value {
                OooValue::Float(v) => assert_eq!(got.v[i].to_bits(), v.to_bits()),
                _ => {
                    let h = |c: &Columns| c.h.iter().find(|(at, _)| *at as usize == i).unwrap().1.clone();
                    let (got, want) = (h(&got), h(&want));
                    assert_eq!((got.sum, got.count), (want.sum, want.count));
                    assert_eq!(got.positive_buckets, want.positive_buckets);
                }
            }
        }
        if rules.starts {
            assert_eq!(got.st, want.st);
        }
        chunks.iter().map(|c| (c.min_ms(), c.max_ms(), c.encoding())).collect()
    }

    #[test]
    fn one_kind_is_one_chunk() {
        assert_eq!(check(&[], &PLAIN), []);
        let floats: Vec<_> = (0..32).map(float).collect();
        assert_eq!(check(&floats, &PLAIN), [(0, 31, Encoding::Xor)]);
        assert_eq!(check(&floats, &STARTS), [(0, 31, Encoding::Xor2)]);
        let integers: Vec<_> = (0..32).map(|t| histogram(t, 10 + t as u64)).collect();
        assert_eq!(check(&integers, &PLAIN), [(0, 31, Encoding::Histogram)]);
        assert_eq!(check(&integers, &STARTS), [(0, 31, Encoding::HistogramSt)]);
        let floats: Vec<_> = (0..32).map(|t| float_histogram(t, 10 + t as u64)).collect();
        assert_eq!(check(&floats, &PLAIN), [(0, 31, Encoding::FloatHistogram)]);
        assert_eq!(check(&floats, &STARTS), [(0, 31, Encoding::FloatHistogramSt)]);
    }

    #[test]
    fn kinds_and_resets_begin_chunks() {
        let mixed =
            [float(1), float(2), histogram(3, 4), float_histogram(4, 5), histogram(5, 4), histogram(6, 2)];
        let got = check(&mixed, &PLAIN);
        let want = [
            (1, 2, Encoding::Xor),
            (3, 3, Encoding::Histogram),
            (4, 4, Encoding::FloatHistogram),
            (5, 5, Encoding::Histogram),
            (6, 6, Encoding::Histogram),
        ];
        assert_eq!(got, want);
        check(&mixed, &STARTS);
    }

    #[test]
    fn more_buckets_are_no_new_chunk() {
        let mut wide = integer(9);
        wide.positive_spans[0].length = 3;
        wide.positive_buckets.push(0);
        wide.count = 27;
        let samples =
            [histogram(1, 2), sample(2, OooValue::Histogram(OwnedHistogram::Integer(Arc::new(wide))))];
        let chunks = chunks(&samples, &PLAIN);
        assert_eq!(chunks.len(), 1);
        let mut c = Columns::default();
        chunk::decode(chunks[0].encoding(), chunks[0].bytes(), 0, 9, &mut c).unwrap();
        assert_eq!(c.t, [1, 2]);
        assert_eq!(c.h[1].1.count, 27.0);
    }
}
