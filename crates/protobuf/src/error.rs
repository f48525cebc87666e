//! Why bytes were refused.

/// What is wrong with bytes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("protobuf: {fault} at byte {offset}")]
pub struct Error {
    /// What is wrong.
    pub fault: Fault,
    /// Where the faulty part begins, counted from the start of the body.
    pub offset: usize,
}

impl Error {
    /// The same error where an element of a packed field was read.
    #[cold]
    #[must_use]
    pub fn in_packed(self) -> Self {
        match self.fault {
            Fault::Truncated => Self { fault: Fault::Packed, ..self },
            _ => self,
        }
    }
}

/// What can be wrong with protobuf bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The message ends within a field.
    #[error("unexpected end")]
    Truncated,
    /// A variable-length integer has more than ten bytes.
    #[error("integer overflow")]
    Overflow,
    /// A field number of 0 or above 2^29 − 1.
    #[error("illegal field number")]
    FieldNumber,
    /// A wire type that does not exist.
    #[error("illegal wire type")]
    WireType,
    /// A known field of another wire type than its own.
    #[error("wrong wire type for a known field")]
    WrongWireType,
    /// A group; no message here has any.
    #[error("group")]
    Group,
    /// A string that must be UTF-8 and is not.
    #[error("invalid UTF-8")]
    Utf8,
    /// An element of a packed field reaches beyond its end. Prometheus' decoder reads on there.
    #[error("packed field cut within an element")]
    Packed,
}
