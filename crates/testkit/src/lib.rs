//! What tests of several crates share: the runner of the PromQL test language, generated
//! series, and disks that fail. Used from `tests/` folders, never from unit tests.

pub mod faults;
pub mod promqltest;
pub mod series;
