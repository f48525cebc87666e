//! The head as the source of a block: the chunks of its series, cut to a span.

use chunk::Encoding;
use model::{Columns, TimestampMs};
use storage::{Stop, StorageError};

use super::Head;
use super::series::{MappedChunk, Series};
use crate::compact::encode_one;
use crate::head_chunks::HeadChunks;
use crate::tombstones::{Interval, overlaps, remove};

/// A chunk of one series, copied out of the head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BlockChunk {
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    pub(crate) encoding: Encoding,
    pub(crate) data: Vec<u8>,
}

/// Where the chunks of a series are that reach into a span: found under the page's lock, read
/// behind it.
#[derive(Default)]
pub(super) struct FoundChunks {
    mapped: Vec<MappedChunk>,
    open: Option<BlockChunk>,
}

impl FoundChunks {
    /// Full chunks found already.
    pub(super) fn mapped(mapped: Vec<MappedChunk>) -> Self {
        Self { mapped, open: None }
    }

    /// The chunks with samples in `start_ms ..= end_ms`.
    pub(super) fn of(s: &Series, start_ms: TimestampMs, end_ms: TimestampMs) -> Self {
        let within = |min_ms, max_ms| min_ms <= end_ms && max_ms >= start_ms;
        let mapped = s.mapped.iter().filter(|m| within(m.min_ms, m.max_ms)).copied().collect();
        let open = s.open.as_ref().filter(|o| within(o.min_ms(), o.max_ms()));
        let open = open.map(|o| BlockChunk {
            min_ms: o.min_ms(),
            max_ms: o.max_ms(),
            encoding: o.encoding(),
            data: o.bytes().to_vec(),
        });
        Self { mapped, open }
    }

    /// The same chunks with those samples that are in `start_ms ..= end_ms` and not deleted, in
    /// order of time. A chunk that has others too is encoded anew.
    ///
    /// # Errors
    /// Where a chunk cannot be read.
    pub(super) fn read(
        self,
        chunks: &HeadChunks,
        (start_ms, end_ms): (TimestampMs, TimestampMs),
        deleted: &[Interval],
        mut take: impl FnMut(BlockChunk),
    ) -> Result<(), StorageError> {
        let mut one = |c: BlockChunk| {
            let whole = start_ms <= c.min_ms && c.max_ms <= end_ms;
            if whole && !overlaps(deleted, c.min_ms, c.max_ms) {
                take(c);
            } else if let Some(part) = cut(&c, start_ms, end_ms, deleted)? {
                take(part);
            }
            Ok::<(), StorageError>(())
        };
        for MappedChunk { place, min_ms, max_ms } in self.mapped {
            let mut data = Vec::new();
            let encoding = chunks.read(place, &mut data)?;
            one(BlockChunk { min_ms, max_ms, encoding, data })?;
        }
        self.open.map_or(Ok(()), one)
    }

    /// Appends the samples in `start_ms ..= end_ms` to `columns`.
    ///
    /// # Errors
    /// Where a chunk cannot be read, or nobody wants it any more.
    pub(super) fn decode(
        &self,
        chunks: &HeadChunks,
        (start_ms, end_ms): (TimestampMs, TimestampMs),
        stop: &Stop,
        columns: &mut Columns,
    ) -> Result<(), StorageError> {
        let mut scratch = Vec::new();
        for (n, m) in self.mapped.iter().enumerate() {
            stop.check_chunk(n)?;
            chunks.decode(m.place, (start_ms, end_ms), &mut scratch, columns)?;
        }
        if let Some(open) = &self.open {
            chunk::decode(open.encoding, &open.data, start_ms, end_ms, columns)
                .map_err(|e| StorageError::Corrupt(format!("head chunk: {e}")))?;
        }
        Ok(())
    }
}

impl Head {
    /// The chunks of a series with samples in `start_ms ..= end_ms` and no others, into `out`,
    /// whose memory is used again. A chunk that reaches further, or holds deleted samples, is encoded
    /// anew.
    ///
    /// # Errors
    /// Where a chunk cannot be read.
    pub(crate) fn chunks_between(
        &self,
        series: u64,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        out: &mut Vec<BlockChunk>,
    ) -> Result<(), StorageError> {
        out.clear();
        let Some(page) = self.page_of(series) else { return Ok(()) };
        let Some(found) = page.lock().get(series).map(|s| FoundChunks::of(s, start_ms, end_ms)) else {
            return Ok(());
        };
        let tombstones = self.tombstones();
        found.read(&self.chunks, (start_ms, end_ms), tombstones.get(series), |c| out.push(c))
    }
}

/// The part of a chunk within a span that is not deleted; `None` where there is none.
fn cut(
    c: &BlockChunk,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    deleted: &[Interval],
) -> Result<Option<BlockChunk>, StorageError> {
    let fail = |e| StorageError::Corrupt(format!("head chunk: {e}"));
    let mut columns = Columns::default();
    chunk::decode(c.encoding, &c.data, start_ms, end_ms, &mut columns).map_err(fail)?;
    remove(deleted, &mut columns, 0);
    let piece = encode_one(&columns, c.encoding).map_err(fail)?;
    Ok(piece.map(|p| BlockChunk {
        min_ms: p.min_ms,
        max_ms: p.max_ms,
        encoding: p.encoding,
        data: p.data.into_owned(),
    }))
}
