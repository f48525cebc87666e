//! Values and strings printed and read exactly as Go's `strconv` and Prometheus do it, into byte
//! buffers, without allocating. Knows no format but that of one number or one string.

mod format;
mod parse;
mod quote;

pub use format::{
    append_e, append_f, append_g, append_open_metrics, append_timestamp_seconds, format_value, to_string_f,
    to_string_g,
};
pub use parse::{parse_go_float, parse_sample_float};
pub use quote::{append_go_quoted, go_quoted, write_go_quoted};
