//! The protobuf wire format, read and written. Knows no messages, no files and no sockets.
//!
//! What a target exposes and what the remote protocols carry are both protobuf; a message is walked with a [`Reader`]
//! field by field by whoever knows it, and nothing is built.

mod error;
pub mod explain;
mod reader;
pub mod writer;

pub use error::{Error, Fault};
pub use reader::{Reader, Tag, last_varint};
