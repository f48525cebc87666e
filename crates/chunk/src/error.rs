//! Why the bytes of a chunk were refused.

use crate::Encoding;

/// Why a chunk could not be decoded. Says nothing about where the chunk lies: the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// Fewer bytes than the number of samples needs.
    #[error("chunk ends in the middle of a sample")]
    Truncated,
    /// A variable-length integer of more than 64 bits.
    #[error("chunk has an integer that is too long")]
    BadVarint,
    /// A value whose leading zeros and significant bits are more than 64.
    #[error("chunk has a value of more than 64 bits")]
    BadValue,
    /// Timestamps that do not rise.
    #[error("timestamps in chunk do not rise")]
    OutOfOrder,
    /// A number that stands for no encoding.
    #[error("invalid chunk encoding {0}")]
    UnknownEncoding(u8),
    /// Histogram buckets that lie nowhere, or in no order.
    #[error("histogram chunk has a bucket layout that makes no sense")]
    BadLayout,
    /// A schema of histograms that nobody knows.
    #[error(
        "histogram has an unknown schema, which must be between -9 and 52 for exponential buckets, or -53 for custom buckets, got schema {0}"
    )]
    UnknownSchema(i32),
    /// An encoding that the caller has no use for in this place.
    #[error("chunk encoding {0} is not supported here")]
    Unsupported(Encoding),
    /// Histograms that would take more memory than any real chunk's.
    #[error("histogram chunk is too large to decode")]
    TooLarge,
}
