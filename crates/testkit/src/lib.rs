//! What tests of several crates share: the runner of the PromQL test language, fuzz targets of PromQL, generated
//! series, and disks that fail. Used from `tests/` folders, never from unit tests.

pub mod faults;
#[cfg(not(target_family = "wasm"))]
pub mod fuzz;
pub mod promqltest;
pub mod series;
