//! The PromQL evaluator.
