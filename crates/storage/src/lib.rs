//! The seam between the evaluator and databases: what can be asked of a store of series, and what
//! a store may ask of its host (files, time, threads). Knows no database and no PromQL.
//!
//! Traits are synchronous and fill columns that the caller owns; nothing passes sample by sample.

pub mod appender;
pub mod chain;
pub mod clock;
pub mod error;
pub mod fs;
pub mod heap;
mod meeting;
pub mod mem_fs;
pub mod merge;
pub mod merge_chunks;
#[cfg(not(target_family = "wasm"))]
pub mod os;
pub mod overlay;
pub mod querier;
pub mod signal;
pub mod spawn;
pub mod stop;
pub mod vec_store;

pub use appender::{AppendError, Appender, HistogramValue};
pub use clock::{Clock, ManualClock};
pub use error::StorageError;
pub use fs::{DirEntry, FileAppend, FileLock, FileRead, Fs, Map};
pub use mem_fs::MemFs;
pub use merge::merge_queriers;
pub use merge_chunks::{MergeChunks, merge_chunk_queriers};
#[cfg(not(target_family = "wasm"))]
pub use os::{OsFs, OsSpawn, SystemClock};
pub use overlay::OverlayFs;
pub use querier::{
    ChunkQuerier, ChunkSeriesSet, EncodedChunk, Exemplar, ExemplarQuerier, ExemplarSeries, LabelHints,
    LabelQuerier, Projection, Querier, Queryable, SelectHints, SeriesSet,
};
pub use signal::Signal;
pub use spawn::{Inline, Spawn};
pub use stop::{STOP_STRETCH, Stop};
pub use vec_store::VecStore;
