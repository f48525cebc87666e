//! Why bytes were refused.

use protobuf::Fault;

/// Why a body, or a part of it, was refused. Offsets count bytes of the decompressed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes are no protobuf of the message expected.
    #[error("protobuf: {fault} at byte {offset}")]
    Protobuf {
        /// What is wrong.
        fault: Fault,
        /// Where the faulty part begins.
        offset: usize,
    },
    /// A list of label references has no partner for its last one.
    #[error("invalid labelRefs length {0}")]
    OddLabelRefs(usize),
    /// A label refers to a symbol that is not there.
    #[error("labelRefs {name} (name) = {value} (value) outside of symbols table (size {size})")]
    LabelRefOutside {
        /// Reference of the name.
        name: u32,
        /// Reference of the value.
        value: u32,
        /// Number of symbols.
        size: usize,
    },
    /// A metadata field refers to a symbol that is not there.
    #[error("metadata {field} {reference} outside of symbols table (size {size})")]
    MetadataRefOutside {
        /// `unit_ref` or `help_ref`.
        field: &'static str,
        /// The reference.
        reference: u32,
        /// Number of symbols.
        size: usize,
    },
    /// A remote-read request has too many of something.
    #[error("too many {what}: more than {limit}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// An identifier of a trace or span that is neither empty nor as long as it must be.
    #[error("identifier of a wrong length at byte {offset}")]
    IdLength {
        /// Where it begins.
        offset: usize,
    },
    /// A matcher of a type that does not exist.
    #[error("invalid matcher type")]
    MatcherType,
    /// A body exceeds its limit before decompression.
    #[error("request body exceeds the {limit_bytes} bytes limit")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A body exceeds its limit after decompression.
    #[error("decoded size exceeds the {limit_bytes} bytes limit")]
    DecodedTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body is no snappy block.
    #[error("s2: corrupt input")]
    Snappy,
    /// A frame of a streamed answer exceeds its limit.
    #[error("chunkedReader: message size exceeded the limit {limit_bytes} bytes; got: {size_bytes} bytes")]
    FrameTooLarge {
        /// The limit.
        limit_bytes: u64,
        /// What the frame announces.
        size_bytes: u64,
    },
    /// The checksum of a frame does not match its bytes.
    #[error("chunkedReader: corrupted frame; checksum mismatch")]
    FrameChecksum,
}

impl From<protobuf::Error> for WireError {
    fn from(e: protobuf::Error) -> Self {
        Self::Protobuf { fault: e.fault, offset: e.offset }
    }
}
