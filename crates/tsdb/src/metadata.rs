//! What metrics are, as many series share it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use model::Metadata;

/// With fewer texts nobody looks for those that no series has.
const GC_MIN: usize = 1024;

/// Each text of metadata once.
#[derive(Debug, Default)]
pub(crate) struct SharedMetadata(Mutex<Texts>);

#[derive(Debug, Default)]
struct Texts {
    all: HashSet<Arc<Metadata>>,
    /// So many make it worth looking for those that no series has.
    gc_at: usize,
}

impl SharedMetadata {
    /// The one text that is equal to `metadata`.
    pub(crate) fn share(&self, metadata: &Metadata) -> Arc<Metadata> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.all.get(metadata) {
            return known.clone();
        }
        if texts.all.len() >= texts.gc_at.max(GC_MIN) {
            texts.all.retain(|m| Arc::strong_count(m) > 1);
            texts.gc_at = texts.all.len() * 2;
        }
        let shared = Arc::new(metadata.clone());
        texts.all.insert(shared.clone());
        shared
    }
}
