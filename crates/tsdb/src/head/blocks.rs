//! The head as the source of a block: the chunks of its series, cut to a span.

use chunk::XorEncoder;
use model::{Columns, TimestampMs};
use storage::StorageError;

use super::Head;
use crate::tombstones::{Interval, overlaps, remove};

/// A chunk for a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockChunk {
    pub(crate) min_ms: TimestampMs,
    pub(crate) max_ms: TimestampMs,
    pub(crate) data: Vec<u8>,
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
        let mut found = Vec::new();
        let mut open = None;
        {
            let page = page.lock();
            let Some(s) = page.get(series) else { return Ok(()) };
            found.extend(s.mapped.iter().filter(|m| m.min_ms <= end_ms && m.max_ms >= start_ms).copied());
            if let Some(o) = s.open.as_ref().filter(|o| o.min_ms() <= end_ms && o.max_ms() >= start_ms) {
                open = Some(BlockChunk { min_ms: o.min_ms(), max_ms: o.max_ms(), data: o.bytes().to_vec() });
            }
        }
        for m in found {
            let mut data = Vec::new();
            self.chunks.read(m.place, &mut data)?;
            out.push(BlockChunk { min_ms: m.min_ms, max_ms: m.max_ms, data });
        }
        out.extend(open);
        let tombstones = self.tombstones();
        let deleted = tombstones.get(series);
        let whole = |c: &BlockChunk| {
            start_ms <= c.min_ms && c.max_ms <= end_ms && !overlaps(deleted, c.min_ms, c.max_ms)
        };
        for c in out.iter_mut().filter(|c| !whole(c)) {
            *c = cut(c, start_ms, end_ms, deleted)?;
        }
        out.retain(|c| !c.data.is_empty());
        Ok(())
    }
}

/// The part of a chunk within a span that is not deleted; without data where there is none.
fn cut(
    c: &BlockChunk,
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    deleted: &[Interval],
) -> Result<BlockChunk, StorageError> {
    let mut columns = Columns::default();
    chunk::xor::decode(&c.data, start_ms, end_ms, &mut columns)
        .map_err(|e| StorageError::Corrupt(format!("head chunk: {e}")))?;
    remove(deleted, &mut columns, 0);
    let (Some(first), Some(last)) = (columns.t.first(), columns.t.last()) else {
        return Ok(BlockChunk::default());
    };
    let mut encoder = XorEncoder::new();
    for (t, v) in columns.t.iter().zip(&columns.v) {
        encoder.append(*t, *v);
    }
    Ok(BlockChunk { min_ms: *first, max_ms: *last, data: encoder.into_bytes() })
}
