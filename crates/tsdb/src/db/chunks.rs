//! The chunks of the whole database, for remote read: of head and blocks as one, without their
//! samples being decoded where no two overlap.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chunk::Encoding;
use model::{Columns, Labels, TimestampMs};
use storage::{ChunkQuerier, EncodedChunk, MergeChunks, StorageError, merge_chunk_queriers};

use super::Db;
use crate::compact::{Piece, encode_one, merge_chunks};
use crate::head::HeadQuerier;

impl Db {
    /// A view of the chunks that reach into `start_ms ..= end_ms`. Where several blocks, or head and
    /// blocks, have chunks of a series that overlap, these are merged into new ones (Prometheus
    /// `DB.ChunkQuerier`).
    ///
    /// # Errors
    /// Where the database is closed.
    pub fn chunk_querier(
        &self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
    ) -> Result<Box<dyn ChunkQuerier>, StorageError> {
        let inner = &self.inner;
        if inner.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        // In the order of `Db::querier`, for the same reasons.
        let head = HeadQuerier::new(inner.head.clone(), start_ms, end_ms);
        let blocks = inner.blocks.all();
        let mut queriers: Vec<Box<dyn ChunkQuerier>> = Vec::new();
        let has_blocks = blocks.iter().any(|b| b.overlaps(start_ms, end_ms));
        if head.overlaps() || !has_blocks {
            queriers.push(Box::new(head));
        }
        for block in blocks.iter().filter(|b| b.overlaps(start_ms, end_ms)) {
            queriers.push(block.chunk_querier(start_ms, end_ms));
        }
        Ok(merge_chunk_queriers(queriers, merging(inner.settings().float_encoding)))
    }
}

fn merging(floats: Encoding) -> MergeChunks {
    Arc::new(move |labels: &Labels, lists: Vec<Vec<EncodedChunk>>| {
        let runs: Vec<Vec<Piece<'_>>> =
            lists.iter().map(|list| list.iter().map(Piece::from).collect()).collect();
        let mut merged = Vec::new();
        merge_chunks(&|| labels.clone(), runs, floats, &mut merged).map_err(StorageError::Corrupt)?;
        Ok(merged.into_iter().map(EncodedChunk::from).collect())
    })
}

/// The part of a chunk in `start_ms ..= end_ms`: the chunk itself where all of it is, and a new one
/// with the samples that are otherwise; `None` where there are none.
///
/// # Errors
/// Where a chunk that must be encoded anew cannot be decoded.
pub fn cut_chunk(
    c: EncodedChunk,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
) -> Result<Option<EncodedChunk>, StorageError> {
    if start_ms <= c.min_ms && c.max_ms <= end_ms {
        return Ok(Some(c));
    }
    let fail = |e| StorageError::Corrupt(format!("chunk from {} to {}: {e}", c.min_ms, c.max_ms));
    let mut columns = Columns::default();
    chunk::decode(c.encoding, &c.data, start_ms, end_ms, &mut columns).map_err(fail)?;
    Ok(encode_one(&columns, c.encoding).map_err(fail)?.map(EncodedChunk::from))
}

impl<'a> From<&'a EncodedChunk> for Piece<'a> {
    fn from(c: &'a EncodedChunk) -> Self {
        Self { min_ms: c.min_ms, max_ms: c.max_ms, encoding: c.encoding, data: Cow::Borrowed(&c.data) }
    }
}

impl From<Piece<'_>> for EncodedChunk {
    fn from(p: Piece<'_>) -> Self {
        Self { min_ms: p.min_ms, max_ms: p.max_ms, encoding: p.encoding, data: p.data.into_owned().into() }
    }
}

#[cfg(test)]
mod tests {
    use model::{Matcher, SeriesRef};
    use storage::{Inline, ManualClock, MemFs, Queryable, SelectHints};

    use super::*;
    use crate::db::DbOptions;

    const HOUR_MS: i64 = 3_600_000;

    fn decoded(chunks: &[EncodedChunk], columns: &mut Columns) {
        for c in chunks {
            let (first, len) = (columns.len(), chunk::num_samples(c.encoding, &c.data).unwrap());
            chunk::decode(c.encoding, &c.data, i64::MIN, i64::MAX, columns).unwrap();
            assert_eq!(columns.len() - first, usize::from(len));
            assert_eq!((columns.t[first], columns.t[columns.len() - 1]), (c.min_ms, c.max_ms));
        }
    }

    /// Blocks, late samples in blocks of their own, and the head: the chunks have what a query reads.
    #[test]
    fn chunks_are_those_of_head_and_blocks() {
        let clock = Arc::new(ManualClock::new(0));
        let mut o = DbOptions::new("data", Arc::new(MemFs::new()), clock, Arc::new(Inline));
        o.settings.out_of_order_window_ms = 24 * HOUR_MS;
        let db = Db::open(o).unwrap();
        let append = |name: &str, times: &mut dyn Iterator<Item = i64>| {
            let mut a = db.appender();
            for t in times {
                a.append(SeriesRef::NONE, &Labels::from_pairs([("__name__", name)]), t, 0, t as f64).unwrap();
            }
            a.commit().unwrap();
        };
        append("a", &mut (0..8 * HOUR_MS).step_by(30_000));
        append("b", &mut (6 * HOUR_MS..8 * HOUR_MS).step_by(30_000));
        db.tick().unwrap();
        append("a", &mut (HOUR_MS..7 * HOUR_MS).step_by(45_001));
        db.tick().unwrap();
        append("a", &mut (2 * HOUR_MS..8 * HOUR_MS).step_by(77_003));
        assert!(db.blocks().len() >= 2);
        for (start_ms, end_ms) in [
            (i64::MIN, i64::MAX),
            (0, 8 * HOUR_MS),
            (HOUR_MS + 7, 3 * HOUR_MS),
            (7 * HOUR_MS, 7 * HOUR_MS + 60_000),
            (9 * HOUR_MS, 10 * HOUR_MS),
        ] {
            let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
            let of_all = [Matcher::new(model::MatchOp::Regex, "__name__", ".+").unwrap()];
            let want = db.querier(start_ms, end_ms).unwrap().select(&hints, &of_all).unwrap();
            let got = db.chunk_querier(start_ms, end_ms).unwrap().select_chunks(&hints, &of_all).unwrap();
            assert_eq!(got.len(), want.len());
            for i in 0..got.len() {
                assert_eq!(got.labels(i), want.labels(i));
                let mut chunks = Vec::new();
                got.chunks(i, &mut chunks).unwrap();
                assert!(chunks.windows(2).all(|c| c[0].max_ms < c[1].min_ms));
                let cut = chunks.into_iter().filter_map(|c| cut_chunk(c, start_ms, end_ms).unwrap());
                let (mut ours, mut theirs) = (Columns::default(), Columns::default());
                decoded(&cut.collect::<Vec<_>>(), &mut ours);
                want.read(i, &mut theirs).unwrap();
                assert_eq!((ours.t, ours.v), (theirs.t, theirs.v));
            }
        }
        db.close().unwrap();
        assert!(matches!(db.chunk_querier(0, 1), Err(StorageError::Closed)));
    }
}
