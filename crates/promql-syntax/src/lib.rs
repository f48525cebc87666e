//! PromQL's lexer, syntax tree, type check and printer.
//!
//! Text goes in, a checked tree comes out ([`parse()`]), and a tree prints as text again. The
//! language is that of Prometheus 3.16, its error messages included. Knows no evaluation.

pub mod ast;
mod error;
mod function;
mod op;
mod parse;
mod span;
mod value_type;

pub use ast::Expr;
pub use error::{ParseError, ParseErrors};
pub use function::{Function, Signature};
pub use op::{AggregateOp, BinaryOp, UnaryOp};
pub use parse::{ParseOptions, parse};
pub use span::Span;
pub use value_type::ValueType;
