//! PromQL's lexer, syntax tree, type check and printer.
//!
//! Text goes in, a checked tree comes out ([`parse()`]), and a tree prints as text again. The
//! language is that of Prometheus 3.16, its error messages included. Knows no evaluation.

pub mod ast;
mod check;
pub mod complete;
pub mod edit;
mod error;
mod function;
mod json;
mod lex;
mod number;
mod op;
mod parse;
mod pretty;
mod print;
pub mod series_notation;
mod span;
mod tree_json;
mod value_type;

pub use ast::Expr;
pub use error::{ParseError, ParseErrors};
pub use function::{Function, Signature};
pub use op::{AggregateOp, BinaryOp, UnaryOp};
pub use parse::{DEPTH_MAX, ParseOptions, REGEX_BYTES_MAX, parse, parse_metric_selector};
pub use pretty::pretty;
pub use span::Span;
pub use tree_json::tree_json;
pub use value_type::ValueType;
