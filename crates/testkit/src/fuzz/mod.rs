//! What the parser and the evaluator of PromQL, and the parsers of scraped bodies, must hold for whatever they are given: they end, do not panic, and
//! agree with themselves. `tests/fuzz.rs` calls the targets with inputs made here, `fuzz/` in the root of the
//! repository with what libFuzzer makes up.

mod choices;
mod evaluate;
mod exposition;
mod expression;
mod parse;
mod world;

pub use choices::Choices;
pub use evaluate::evaluate;
pub use exposition::exposition;
pub use expression::expression;
pub use parse::parse;

/// A check: panics where it does not hold.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 3] =
    [("promql_parse", parse), ("promql_evaluate", evaluate), ("exposition", exposition)];
