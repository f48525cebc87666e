//! The chunks of one series on their way from blocks to a block: cut, merged, encoded again only
//! where they must be.

use std::borrow::Cow;

use chunk::{ChunkError, Encoding};
use model::{Columns, Labels, TimestampMs};
use storage::chain::chain;
use storage::heap::Heap;

use super::encode::encode_many;
use crate::block::ChunkData;

/// A chunk, its bytes in a mapped file or made here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece<'a> {
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    pub(crate) encoding: Encoding,
    pub(crate) data: Cow<'a, [u8]>,
}

impl Piece<'_> {
    pub(super) fn as_chunk(&self) -> ChunkData<'_> {
        ChunkData { min_ms: self.min_ms, max_ms: self.max_ms, encoding: self.encoding, data: &self.data }
    }

    /// The samples; strictly rising, or it is an error.
    pub(super) fn decode(&self) -> Result<Columns, ChunkError> {
        let mut columns = Columns::default();
        chunk::decode(self.encoding, &self.data, TimestampMs::MIN, TimestampMs::MAX, &mut columns)?;
        if columns.t.is_sorted_by(|a, b| a < b) { Ok(columns) } else { Err(ChunkError::OutOfOrder) }
    }
}

/// The chunks of one series from one block, the next one last. Never empty in the heap.
type Run<'a> = Vec<Piece<'a>>;

fn next<'r, 'a>(run: &'r Run<'a>) -> &'r Piece<'a> {
    run.last().expect("only runs with a chunk left are kept")
}

/// Merges the chunks of one series from several blocks, each list rising in time, and appends the
/// result to `out`. Chunks that overlap no other are passed on as they are; equal ones become one;
/// others that overlap are decoded, merged and encoded
/// anew, floats as `floats` (Prometheus `compactChunkIterator`).
///
/// # Errors
/// Where overlapping chunks cannot be decoded or encoded.
pub(crate) fn merge<'a>(
    labels: &dyn Fn() -> Labels,
    runs: Vec<Run<'a>>,
    floats: Encoding,
    out: &mut Vec<Piece<'a>>,
) -> Result<(), String> {
    let order = |run: &Run<'_>| (next(run).min_ms, next(run).max_ms);
    let mut heap = Heap::new(|a: &Run<'_>, b: &Run<'_>| order(a) < order(b));
    for mut run in runs.into_iter().filter(|run| !run.is_empty()) {
        run.reverse();
        heap.push(run);
    }
    while let Some(mut run) = heap.pop() {
        let first = run.pop().expect("only runs with a chunk left are kept");
        if !run.is_empty() {
            heap.push(run);
        }
        let mut overlapping: Vec<Piece<'a>> = Vec::new();
        let mut end_ms = first.max_ms;
        while heap.top().is_some_and(|run| next(run).min_ms <= end_ms) {
            let mut run = heap.pop().expect("it had a top just now");
            let piece = run.pop().expect("only runs with a chunk left are kept");
            if !run.is_empty() {
                heap.push(run);
            }
            // Chunks that are alike come one behind the other.
            let last = overlapping.last().unwrap_or(&first);
            if (piece.min_ms, piece.max_ms) != (last.min_ms, last.max_ms) || piece.data != last.data {
                end_ms = end_ms.max(piece.max_ms);
                overlapping.push(piece);
            }
        }
        if overlapping.is_empty() {
            out.push(first);
            continue;
        }
        overlapping.push(first);
        let fail = |e: ChunkError| {
            let start_ms = overlapping.iter().map(|p| p.min_ms).min().unwrap_or_default();
            format!("{}: merge overlapping chunks from {start_ms} on: {e}", labels())
        };
        let mut merged = encode_again(&overlapping, floats).map_err(fail)?;
        // What came out first is final; the rest may overlap what is still to come.
        merged.reverse();
        out.extend(merged.pop());
        if !merged.is_empty() {
            heap.push(merged);
        }
    }
    Ok(())
}

fn encode_again(overlapping: &[Piece<'_>], floats: Encoding) -> Result<Vec<Piece<'static>>, ChunkError> {
    let decoded: Vec<Columns> = overlapping.iter().map(Piece::decode).collect::<Result<_, _>>()?;
    let encodings: Vec<Encoding> = overlapping.iter().map(|p| p.encoding).collect();
    let mut merged = Vec::new();
    encode_many(&chain(&decoded), &encodings, floats, &mut merged)?;
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compact::encode::encode_one;

    fn piece(t: impl Iterator<Item = i64>, v: f64) -> Piece<'static> {
        let mut c = Columns::default();
        t.for_each(|t| c.push(t, v));
        encode_one(&c, Encoding::Xor).unwrap().unwrap()
    }

    fn merged(runs: Vec<Run<'static>>) -> Vec<Piece<'static>> {
        let mut out = Vec::new();
        merge(&Labels::empty, runs, Encoding::Xor, &mut out).unwrap();
        assert!(out.windows(2).all(|p| p[0].max_ms < p[1].min_ms), "{out:?}");
        out
    }

    #[test]
    fn apart_they_stay_as_they_are() {
        let (a, b, c) = (piece(0..300, 1.0), piece(300..310, 2.0), piece(310..311, 3.0));
        let got = merged(vec![vec![b.clone()], vec![a.clone(), c.clone()], Vec::new()]);
        assert_eq!(got, [a, b, c]);
    }

    #[test]
    fn alike_they_become_one() {
        let (a, b) = (piece(0..300, 1.0), piece(300..310, 2.0));
        let got = merged(vec![vec![a.clone(), b.clone()], vec![a.clone(), b.clone()], vec![a.clone()]]);
        assert_eq!(got, [a, b]);
    }

    #[test]
    fn overlapping_they_are_encoded_anew() {
        let got = merged(vec![
            vec![piece((0..200).map(|t| 2 * t), 1.0), piece(500..510, 3.0)],
            vec![piece((0..200).map(|t| 2 * t + 1), 2.0)],
        ]);
        let lengths: Vec<_> = got.iter().map(|p| p.decode().unwrap().len()).collect();
        assert_eq!(lengths, [120, 120, 120, 40, 10]);
        assert_eq!(got[0].decode().unwrap().v[..4], [1.0, 2.0, 1.0, 2.0]);
    }

    #[test]
    fn what_comes_out_may_overlap_what_follows() {
        let got = merged(vec![
            vec![piece(0..200, 1.0), piece(200..400, 1.0)],
            vec![piece(100..250, 2.0), piece(260..270, 2.0)],
        ]);
        let t: Vec<_> = got.iter().flat_map(|p| p.decode().unwrap().t).collect();
        assert_eq!(t, (0..400).collect::<Vec<_>>());
    }

    #[test]
    fn chunks_that_overlap_must_be_readable() {
        let cut = |p: Piece<'static>| Piece { data: p.data[..5].to_vec().into(), ..p };
        let apart = vec![vec![cut(piece(0..10, 1.0))], vec![piece(10..20, 1.0)]];
        assert_eq!(merged(apart).len(), 2);
        let overlapping = vec![vec![cut(piece(0..10, 1.0))], vec![piece(5..20, 1.0)]];
        let labels = || Labels::from_pairs([("a", "b")]);
        let got = merge(&labels, overlapping, Encoding::Xor, &mut Vec::new()).unwrap_err();
        assert!(got.starts_with("{a=\"b\"}: merge overlapping chunks from 0 on: "), "{got}");
    }
}
