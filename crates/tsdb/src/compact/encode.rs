//! Samples into chunks again, where chunks cannot be copied.

use chunk::histogram::Appended;
use chunk::{ChunkError, Encoding, FloatHistogramEncoder, HistogramEncoder, Xor2Encoder, XorEncoder};
use model::histogram::{CounterResetHint, Histogram};
use model::{Columns, FloatHistogram, TimestampMs};
use storage::chain::{Chained, histogram};

use super::pieces::Piece;

/// Samples per chunk where overlapping chunks are encoded anew.
const SAMPLES_PER_CHUNK: u32 = 120;
/// Counts up to this are whole numbers as floats too.
const EXACT_COUNT_MAX: f64 = (1u64 << 53) as f64;

/// Encodes samples as one chunk of the encoding they had; `None` where there is no sample.
///
/// # Errors
/// Where histograms do not fit into one chunk, or are not those of `encoding`.
pub(crate) fn encode_one(
    columns: &Columns,
    encoding: Encoding,
) -> Result<Option<Piece<'static>>, ChunkError> {
    let mut out = Vec::new();
    let mut chunks = Chunks::new(&mut out);
    chunks.begin(encoding);
    for (i, t) in columns.t.iter().enumerate() {
        let h = histogram(columns, i);
        chunks.append(*t, start(columns, i), columns.v[i], h.map(|h| &**h), true)?;
    }
    chunks.end();
    Ok(out.pop())
}

/// Encodes merged samples as chunks of [`SAMPLES_PER_CHUNK`] each, appended to `out` (Prometheus
/// `seriesToChunkEncoder`): floats in `floats`, or in XOR2 where they have start times; a change
/// of kind, a counter reset and a first start time begin a new chunk. `encodings` says by run what
/// the samples were.
///
/// # Errors
/// Where a histogram cannot be encoded.
pub(super) fn encode_many(
    merged: &Chained,
    encodings: &[Encoding],
    floats: Encoding,
    out: &mut Vec<Piece<'static>>,
) -> Result<(), ChunkError> {
    let columns = &merged.columns;
    let mut chunks = Chunks::new(out);
    for (i, (t, origin)) in columns.t.iter().zip(&merged.origins).enumerate() {
        let st = start(columns, i);
        let desired = encoding_for(encodings[origin.run], floats, st != 0);
        let takes = match chunks.encoding {
            // XOR2 takes samples without a start time as well.
            Some(Encoding::Xor2) => matches!(desired, Encoding::Xor | Encoding::Xor2),
            open => open == Some(desired),
        };
        if !takes || chunks.count >= SAMPLES_PER_CHUNK {
            chunks.begin(desired);
        }
        match histogram(columns, i) {
            // Between samples of different runs nobody knows whether a counter was reset.
            Some(h) if !origin.consecutive && h.counter_reset_hint != CounterResetHint::Gauge => {
                let h = FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..(**h).clone() };
                chunks.append(*t, st, 0.0, Some(&h), false)?;
            }
            h => chunks.append(*t, st, columns.v[i], h.map(|h| &**h), false)?,
        }
    }
    chunks.end();
    Ok(())
}

fn start(columns: &Columns, at: usize) -> TimestampMs {
    columns.st.get(at).copied().unwrap_or(0)
}

/// How a sample is encoded that was in a chunk of encoding `was`.
fn encoding_for(was: Encoding, floats: Encoding, has_st: bool) -> Encoding {
    match was {
        Encoding::Xor | Encoding::Xor2 if has_st => Encoding::Xor2,
        Encoding::Xor | Encoding::Xor2 => floats,
        Encoding::Histogram | Encoding::HistogramSt if has_st => Encoding::HistogramSt,
        Encoding::Histogram | Encoding::HistogramSt => Encoding::Histogram,
        Encoding::FloatHistogram | Encoding::FloatHistogramSt if has_st => Encoding::FloatHistogramSt,
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => Encoding::FloatHistogram,
    }
}

/// The chunk under construction.
enum Open {
    Xor(XorEncoder),
    Xor2(Xor2Encoder),
    Histogram(HistogramEncoder),
    FloatHistogram(FloatHistogramEncoder),
}

impl Open {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Xor(e) => e.into_bytes(),
            Self::Xor2(e) => e.into_bytes(),
            Self::Histogram(e) => e.into_bytes(),
            Self::FloatHistogram(e) => e.into_bytes(),
        }
    }
}

/// Chunks in the making: the open one, and where ended ones go.
struct Chunks<'o> {
    open: Option<Open>,
    encoding: Option<Encoding>,
    count: u32,
    min_ms: TimestampMs,
    max_ms: TimestampMs,
    out: &'o mut Vec<Piece<'static>>,
}

impl<'o> Chunks<'o> {
    fn new(out: &'o mut Vec<Piece<'static>>) -> Self {
        Self { open: None, encoding: None, count: 0, min_ms: 0, max_ms: 0, out }
    }

    /// Ends the open chunk and begins one.
    fn begin(&mut self, encoding: Encoding) {
        let open = match encoding {
            Encoding::Xor => Open::Xor(XorEncoder::new()),
            Encoding::Xor2 => Open::Xor2(Xor2Encoder::new()),
            Encoding::Histogram | Encoding::HistogramSt => {
                Open::Histogram(HistogramEncoder::new(encoding == Encoding::HistogramSt))
            }
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                Open::FloatHistogram(FloatHistogramEncoder::new(encoding == Encoding::FloatHistogramSt))
            }
        };
        self.go_on_with(open, encoding);
    }

    fn go_on_with(&mut self, open: Open, encoding: Encoding) {
        let ended = self.open.replace(open).zip(self.encoding.replace(encoding));
        let (min_ms, max_ms, count) = (self.min_ms, self.max_ms, std::mem::take(&mut self.count));
        if let Some((chunk, encoding)) = ended.filter(|_| count > 0) {
            self.out.push(Piece { min_ms, max_ms, encoding, data: chunk.into_bytes().into() });
        }
    }

    fn end(mut self) {
        if let Some(encoding) = self.encoding {
            self.begin(encoding);
        }
    }

    /// Adds a sample to the open chunk, or, where a histogram does not fit and `only` does not
    /// forbid it, to a new one.
    fn append(
        &mut self,
        t: TimestampMs,
        st: TimestampMs,
        v: f64,
        h: Option<&FloatHistogram>,
        only: bool,
    ) -> Result<(), ChunkError> {
        let (Some(open), Some(encoding)) = (&mut self.open, self.encoding) else { return Ok(()) };
        let next = match (open, h) {
            (Open::Xor(e), None) => {
                e.append(t, v);
                None
            }
            (Open::Xor2(e), None) => {
                e.append(t, st, v);
                None
            }
            (Open::Histogram(e), Some(h)) => {
                let h = to_integer(h).ok_or(ChunkError::Unsupported(encoding))?;
                if only {
                    e.append_only(t, st, &h).map_err(|_| ChunkError::BadLayout)?;
                    None
                } else {
                    next_chunk(e.append(None, t, st, &h)).map(Open::Histogram)
                }
            }
            (Open::FloatHistogram(e), Some(h)) => {
                if only {
                    e.append_only(t, st, h).map_err(|_| ChunkError::BadLayout)?;
                    None
                } else {
                    next_chunk(e.append(None, t, st, h)).map(Open::FloatHistogram)
                }
            }
            // Samples come from chunks of the kind that is open.
            _ => return Err(ChunkError::Unsupported(encoding)),
        };
        if let Some(next) = next {
            self.go_on_with(next, encoding);
        }
        if self.count == 0 {
            self.min_ms = t;
        }
        self.max_ms = t;
        self.count += 1;
        Ok(())
    }
}

fn next_chunk<E>(appended: Appended<E>) -> Option<E> {
    match appended {
        Appended::InPlace | Appended::Recoded => None,
        Appended::NewChunk(next) => Some(next),
    }
}

/// The histogram with integer counts, as it was before it was decoded into columns. `None` where
/// a count is no integer that a float can say.
fn to_integer(h: &FloatHistogram) -> Option<Histogram> {
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() <= EXACT_COUNT_MAX).then_some(x as i64);
    let unsigned = |x: f64| whole(x).and_then(|x| u64::try_from(x).ok());
    let differences = |counts: &[f64]| {
        let mut last = 0;
        let step = |x: &f64| {
            let x = whole(*x)?;
            Some(x - std::mem::replace(&mut last, x))
        };
        counts.iter().map(step).collect::<Option<Vec<i64>>>()
    };
    Some(Histogram {
        counter_reset_hint: h.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: unsigned(h.zero_count)?,
        count: unsigned(h.count)?,
        sum: h.sum,
        positive_spans: h.positive_spans.clone(),
        negative_spans: h.negative_spans.clone(),
        positive_buckets: differences(&h.positive_buckets)?,
        negative_buckets: differences(&h.negative_buckets)?,
        custom_values: h.custom_values.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::histogram::Span;
    use storage::chain::chain;

    use super::*;

    fn counts(n: u32) -> FloatHistogram {
        Histogram {
            count: u64::from(3 * n + 1),
            zero_count: 1,
            sum: f64::from(n),
            zero_threshold: 0.001,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![i64::from(n), i64::from(n)],
            ..Histogram::default()
        }
        .to_float()
    }

    fn columns(t: impl Iterator<Item = i64>, st: i64) -> Columns {
        let mut c = Columns::default();
        (1..).zip(t).for_each(|(n, t)| c.push_histogram(t, st, Arc::new(counts(n))));
        c
    }

    #[test]
    fn integers_survive() {
        for n in [0, 1, 77] {
            let h = counts(n);
            assert_eq!(to_integer(&h).unwrap().to_float(), h);
        }
        for bad in [0.5, -1.0, f64::NAN, f64::INFINITY, 2.0 * EXACT_COUNT_MAX] {
            assert_eq!(to_integer(&FloatHistogram { count: bad, ..counts(1) }), None, "{bad}");
        }
    }

    #[test]
    fn histograms_as_one_chunk() {
        for (encoding, st) in [
            (Encoding::Histogram, 0),
            (Encoding::HistogramSt, 7),
            (Encoding::FloatHistogram, 0),
            (Encoding::FloatHistogramSt, 7),
        ] {
            let c = columns(10..200, st);
            let piece = encode_one(&c, encoding).unwrap().unwrap();
            assert_eq!((piece.min_ms, piece.max_ms, piece.encoding), (10, 199, encoding));
            let again = piece.decode().unwrap();
            assert_eq!((&again.t, &again.st), (&c.t, &c.st));
            assert!(again.h.iter().zip(&c.h).all(|(a, b)| a.1.sum == b.1.sum && a.1.count == b.1.count));
        }
        assert_eq!(encode_one(&Columns::default(), Encoding::Histogram), Ok(None));
        let floats = encode_one(&columns(0..3, 0), Encoding::Xor);
        assert_eq!(floats, Err(ChunkError::Unsupported(Encoding::Xor)));
    }

    #[test]
    fn chunks_end_where_the_kind_changes() {
        let mut floats = Columns::default();
        (50..60).for_each(|t| floats.push(t, 1.0));
        let merged = chain(&[columns((0..50).chain(60..200), 0), floats, columns(200..210, 5)]);
        let mut out = Vec::new();
        let encodings = [Encoding::Histogram, Encoding::Xor, Encoding::FloatHistogram];
        encode_many(&merged, &encodings, Encoding::Xor, &mut out).unwrap();
        let got: Vec<_> = out.iter().map(|p| (p.min_ms, p.encoding)).collect();
        assert_eq!(
            got,
            [
                (0, Encoding::Histogram),
                (50, Encoding::Xor),
                (60, Encoding::Histogram),
                (180, Encoding::Histogram),
                (200, Encoding::FloatHistogramSt),
            ]
        );
        let t: Vec<_> = out.iter().flat_map(|p| p.decode().unwrap().t).collect();
        assert_eq!(t, (0..210).collect::<Vec<_>>());
    }

    #[test]
    fn a_reset_begins_a_chunk() {
        let mut c = columns(0..10, 0);
        c.push_histogram(10, 0, Arc::new(counts(1)));
        let mut out = Vec::new();
        encode_many(&chain(&[c]), &[Encoding::Histogram], Encoding::Xor, &mut out).unwrap();
        assert_eq!(out.iter().map(|p| (p.min_ms, p.max_ms)).collect::<Vec<_>>(), [(0, 9), (10, 10)]);
    }

    #[test]
    fn start_times_need_another_encoding() {
        let mut c = Columns::default();
        (0..300).for_each(|t| c.push_started(t, if (50..60).contains(&t) { 7 } else { 0 }, 1.0));
        let merged = chain(&[c]);
        let mut out = Vec::new();
        encode_many(&merged, &[Encoding::Xor2], Encoding::Xor, &mut out).unwrap();
        let got: Vec<_> = out.iter().map(|p| (p.min_ms, p.encoding)).collect();
        assert_eq!(
            got,
            [(0, Encoding::Xor), (50, Encoding::Xor2), (170, Encoding::Xor), (290, Encoding::Xor)]
        );
        let decoded = out[1].decode().unwrap();
        assert_eq!((decoded.st[9], decoded.st[10], decoded.len()), (7, 0, 120));
        out.clear();
        encode_many(&merged, &[Encoding::Xor2], Encoding::Xor2, &mut out).unwrap();
        assert!(out.len() == 3 && out.iter().all(|p| p.encoding == Encoding::Xor2));
    }
}
