//! The PromQL evaluator.
//!
//! A parsed query is planned, then executed series by series over all steps at once ([`instant`],
//! [`range`]); [`json`] writes the result as the HTTP API shows it. Results, error texts and
//! remarks are those of Prometheus 3.16. Sees storage only through its traits; knows no files, no
//! threads and no clock of its own.

mod annotations;
mod error;
mod estimate;
mod exec;
mod functions;
mod grid;
pub mod json;
mod labels;
mod options;
mod plan;
mod query;
mod row;
mod value;

pub use annotations::{Annotations, Severity};
pub use error::QueryError;
pub use estimate::{Estimate, estimate};
pub use grid::Grid;
pub use options::{Cancel, Deadline, QueryOptions};
pub use query::{Selects, instant, range, selects};
pub use row::{Cell, Row};
pub use value::{PerStep, QueryResult, QueryStats, SampleValue, Series, Value, VectorSample};
