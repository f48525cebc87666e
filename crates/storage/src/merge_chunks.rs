//! Several queriers of chunks as one.

use std::sync::Arc;

use model::{Labels, Matcher};

use crate::StorageError;
use crate::meeting::{Meeting, union};
use crate::querier::{
    ChunkQuerier, ChunkSeriesSet, EncodedChunk, LabelHints, LabelQuerier, Projection, SelectHints,
};

/// Makes one list of the chunks that several stores have of a series, each list in order of time. In
/// the result no chunk overlaps another.
pub type MergeChunks =
    Arc<dyn Fn(&Labels, Vec<Vec<EncodedChunk>>) -> Result<Vec<EncodedChunk>, StorageError> + Send + Sync>;

/// One querier over several; `merge` is asked about series that more than one has. The order of the
/// queriers decides as with [`crate::merge_queriers`].
#[must_use]
pub fn merge_chunk_queriers(
    mut queriers: Vec<Box<dyn ChunkQuerier>>,
    merge: MergeChunks,
) -> Box<dyn ChunkQuerier> {
    if queriers.len() == 1 {
        return queriers.remove(0);
    }
    Box::new(MergeChunkQuerier { queriers, merge })
}

struct MergeChunkQuerier {
    queriers: Vec<Box<dyn ChunkQuerier>>,
    merge: MergeChunks,
}

impl LabelQuerier for MergeChunkQuerier {
    fn label_values(
        &self,
        name: &str,
        hints: LabelHints,
        matchers: &[Matcher],
    ) -> Result<Vec<String>, StorageError> {
        union(&self.queriers, hints, |q| q.label_values(name, hints, matchers))
    }

    fn label_names(&self, hints: LabelHints, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        union(&self.queriers, hints, |q| q.label_names(hints, matchers))
    }
}

impl ChunkQuerier for MergeChunkQuerier {
    fn select_chunks(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn ChunkSeriesSet>, StorageError> {
        // Series meet by their labels, in order.
        let whole = SelectHints { projection: Projection::All, any_order: false, ..hints.clone() };
        let mut sets = Vec::new();
        for q in &self.queriers {
            let set = q.select_chunks(&whole, matchers)?;
            if !set.is_empty() {
                sets.push(set);
            }
        }
        if sets.len() == 1 {
            return Ok(sets.remove(0));
        }
        let lens: Vec<usize> = sets.iter().map(|set| set.len()).collect();
        let series = Meeting::new(&lens, &|set, at| sets[set].labels(at), hints.limit, &hints.stop)?;
        Ok(Box::new(MergeChunkSeriesSet { sets, series, merge: self.merge.clone() }))
    }
}

struct MergeChunkSeriesSet {
    sets: Vec<Box<dyn ChunkSeriesSet>>,
    series: Meeting,
    merge: MergeChunks,
}

impl ChunkSeriesSet for MergeChunkSeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series.labels(i).clone()
    }

    fn chunks(&self, i: usize, out: &mut Vec<EncodedChunk>) -> Result<(), StorageError> {
        let read =
            |&(s, j): &(u32, u32), out: &mut Vec<EncodedChunk>| self.sets[s as usize].chunks(j as usize, out);
        let places = self.series.places(i);
        if let [only] = places {
            return read(only, out);
        }
        let mut lists = Vec::with_capacity(places.len());
        for place in places {
            let mut list = Vec::new();
            read(place, &mut list)?;
            lists.push(list);
        }
        out.extend((self.merge)(self.series.labels(i), lists)?);
        Ok(())
    }
}
