//! Late samples of a series as queries see them.

use model::{Columns, Labels, TimestampMs};
use storage::StorageError;

use super::encode::{encode, span};
use super::merge::merge_runs;
use super::sample::OooSample;
use super::series::{OooChunk, OooSeries};
use crate::compact::{Piece, merge_chunks};
use crate::head::blocks::{BlockChunk, FoundChunks};
use crate::head::isolation::CommitSeq;
use crate::head::series::{ChunkPlace, ChunkRules, MappedChunk};
use crate::head_chunks::HeadChunks;
use crate::tombstones::{Interval, Tombstones, covers, remove};

/// What a view sees of a series' late samples: found under the page's lock, read behind it.
pub(crate) struct FoundLate {
    /// In each `recent` the samples that are not seen.
    mapped: Vec<OooChunk>,
    open: Vec<OooSample>,
}

impl FoundLate {
    /// The late samples in `start_ms ..= end_ms` that lie behind `after` and that a view sees which
    /// sees commits up to `sees`. `None` where there is none.
    pub(crate) fn of(
        ooo: &OooSeries,
        (start_ms, end_ms): (TimestampMs, TimestampMs),
        after: ChunkPlace,
        sees: CommitSeq,
    ) -> Option<Self> {
        let within = |c: &&OooChunk| c.place > after && c.min_ms <= end_ms && c.max_ms >= start_ms;
        let hide = |c: &OooChunk| OooChunk {
            recent: c.recent.iter().filter(|(_, seq)| *seq > sees).copied().collect(),
            ..*c
        };
        let mapped: Vec<_> = ooo.mapped.iter().filter(within).map(hide).collect();
        let seen = |s: &&OooSample| s.seq <= sees && start_ms <= s.t && s.t <= end_ms;
        let open: Vec<_> = ooo.open().iter().filter(seen).cloned().collect();
        (!mapped.is_empty() || !open.is_empty()).then_some(Self { mapped, open })
    }

    /// Appends the samples, and those of `in_order`, to `columns` in order of time. Where several
    /// have one time, the one in order stays, or the first that came.
    ///
    /// # Errors
    /// Where a chunk cannot be read.
    pub(crate) fn merge_into(
        &self,
        chunks: &HeadChunks,
        (start_ms, end_ms): (TimestampMs, TimestampMs),
        in_order: Columns,
        columns: &mut Columns,
    ) -> Result<(), StorageError> {
        let mut runs = vec![in_order];
        let mut scratch = Vec::new();
        for c in &self.mapped {
            let mut run = Columns::default();
            chunks.decode(c.place, (start_ms, end_ms), &mut scratch, &mut run)?;
            if !c.recent.is_empty() {
                remove(&hidden(c), &mut run, 0);
            }
            runs.push(run);
        }
        let mut open = Columns::default();
        self.open.iter().for_each(|s| s.push_to(&mut open));
        runs.push(open);
        merge_runs(&runs, columns);
        Ok(())
    }

    /// The same as chunks without deleted samples, together with those `in_order`, in order of time.
    /// Those that overlap are merged.
    ///
    /// # Errors
    /// Where a chunk cannot be read.
    pub(crate) fn merge_chunks(
        &self,
        labels: &dyn Fn() -> Labels,
        chunks: &HeadChunks,
        (deleted, rules): (&[Interval], &ChunkRules),
        in_order: Vec<BlockChunk>,
    ) -> Result<Vec<Piece<'static>>, StorageError> {
        let piece = |c: BlockChunk| {
            let (min_ms, max_ms, encoding, data) = (c.min_ms, c.max_ms, c.encoding, c.data.into());
            vec![Piece { min_ms, max_ms, encoding, data }]
        };
        let mut runs: Vec<_> = in_order.into_iter().map(piece).collect();
        for c in &self.mapped {
            let mut gone = Tombstones::default();
            deleted.iter().copied().chain(hidden(c)).for_each(|i| gone.add(0, i));
            let (place, min_ms, max_ms) = (c.place, c.min_ms, c.max_ms);
            FoundChunks::mapped(vec![MappedChunk { place, min_ms, max_ms }]).read(
                chunks,
                (TimestampMs::MIN, TimestampMs::MAX),
                gone.get(0),
                |c| runs.push(piece(c)),
            )?;
        }
        let left = |s: &&OooSample| !covers(deleted, s.t, s.t);
        let open: Vec<_> = self.open.iter().filter(left).cloned().collect();
        encode(&open, rules, |c| {
            let ((min_ms, max_ms), encoding, data) = (span(&c), c.encoding(), c.bytes().to_vec());
            runs.push(piece(BlockChunk { min_ms, max_ms, encoding, data }));
        });
        let mut out = Vec::new();
        merge_chunks(labels, runs, rules.floats, &mut out).map_err(StorageError::Corrupt)?;
        Ok(out)
    }
}

/// What of a chunk is not seen.
fn hidden(c: &OooChunk) -> Vec<Interval> {
    c.recent.iter().map(|(t, _)| Interval { min_ms: *t, max_ms: *t }).collect()
}
