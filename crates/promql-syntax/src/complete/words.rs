//! The words that can stand in a place.

use crate::function::Function;
use crate::op::{AggregateOp, BinaryOp};
use crate::parse::ParseOptions;

pub(super) const GROUPING: &[&str] = &["by", "without"];
pub(super) const MATCH_OPERATORS: &[&str] = &["=", "!=", "=~", "!~"];
pub(super) const UNITS: &[&str] = &["ms", "s", "m", "h", "d", "w", "y"];
/// The functions that durations may be made of.
pub(super) const OF_DURATIONS: &[&str] = &["step()", "range()", "min_of", "max_of"];
pub(super) const OF_AT: &[&str] = &["start()", "end()"];

const BINARY: &[BinaryOp] = &[
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::Pow,
    BinaryOp::Atan2,
    BinaryOp::Eql,
    BinaryOp::Neq,
    BinaryOp::Lss,
    BinaryOp::Lte,
    BinaryOp::Gtr,
    BinaryOp::Gte,
    BinaryOp::TrimUpper,
    BinaryOp::TrimLower,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Unless,
];

pub(super) fn functions(options: &ParseOptions) -> Vec<&'static str> {
    let signatures = Function::ALL.iter().map(|f| f.signature());
    signatures.filter(|s| options.experimental_functions || !s.experimental).map(|s| s.name).collect()
}

pub(super) fn aggregations(options: &ParseOptions) -> Vec<&'static str> {
    let all = AggregateOp::ALL.iter();
    all.filter(|op| options.experimental_functions || !op.is_experimental()).map(|op| op.as_str()).collect()
}

pub(super) fn binary_operators() -> Vec<&'static str> {
    BINARY.iter().map(|op| op.as_str()).collect()
}
