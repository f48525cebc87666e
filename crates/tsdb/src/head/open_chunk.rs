//! The chunk a series is writing.

use model::{Columns, TimestampMs};
use storage::StorageError;

pub(crate) struct OpenChunk {
    samples: Vec<(TimestampMs, f64)>,
}

impl OpenChunk {
    pub(crate) fn new(t: TimestampMs, v: f64) -> Self {
        Self { samples: vec![(t, v)] }
    }
    pub(crate) fn min_ms(&self) -> TimestampMs {
        self.samples[0].0
    }
    pub(crate) fn max_ms(&self) -> TimestampMs {
        self.samples[self.samples.len() - 1].0
    }
    pub(crate) fn last_value(&self) -> f64 {
        self.samples[self.samples.len() - 1].1
    }
    pub(crate) fn num_samples(&self) -> usize {
        self.samples.len()
    }
    pub(crate) fn len(&self) -> usize {
        self.samples.len() * 4
    }
    pub(crate) fn append(&mut self, t: TimestampMs, v: f64) {
        self.samples.push((t, v));
    }
    pub(crate) fn into_bytes(self) -> Box<[u8]> {
        self.samples.iter().flat_map(|(t, v)| t.to_be_bytes().into_iter().chain(v.to_be_bytes())).collect()
    }
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.samples.iter().flat_map(|(t, v)| t.to_be_bytes().into_iter().chain(v.to_be_bytes())).collect()
    }
}

pub(crate) fn decode(data: &[u8], min_ms: i64, max_ms: i64, c: &mut Columns) -> Result<(), StorageError> {
    for s in data.chunks_exact(16) {
        let t = i64::from_be_bytes(s[..8].try_into().unwrap_or_default());
        if t >= min_ms && t <= max_ms {
            c.push(t, f64::from_be_bytes(s[8..].try_into().unwrap_or_default()));
        }
    }
    Ok(())
}
