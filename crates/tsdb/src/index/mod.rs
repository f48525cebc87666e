//! Which series satisfy which matchers: postings and their resolution, and the index file of a
//! block. Knows labels and series numbers; knows no samples, no chunk data and no head.
//!
//! [`postings`] and [`matching`] are shared by head and blocks; the rest reads and writes the
//! file drawn in `FORMAT.md`.

pub(crate) mod codec;
pub(crate) mod file_writer;
mod labels;
pub mod matching;
mod offsets;
pub mod postings;
mod reader;
mod symbols;
mod writer;

pub use matching::{PostingsIndex, postings_for_matchers};
pub use reader::{ChunkMeta, IndexReader};
pub(crate) use writer::IndexWriter;
pub use writer::{IndexSeries, write_index};

/// The first four bytes of an index file.
const MAGIC: u32 = 0xBAAA_D700;
/// The format version read and written here.
const VERSION: u8 = 2;
/// Bytes of magic number and version.
const HEADER_LEN: usize = 5;
/// Bytes of the table of contents: six offsets and a checksum.
const TOC_LEN: usize = 6 * 8 + 4;
/// Series begin at multiples of this; a series' number is its offset divided by it.
const SERIES_ALIGN: usize = 16;
/// Postings begin at multiples of this.
const POSTINGS_ALIGN: usize = 4;
