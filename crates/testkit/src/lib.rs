//! What tests of several crates share: the runner of the PromQL test language and generated
//! series. Used from `tests/` folders, never from unit tests.

pub mod promqltest;
pub mod series;
