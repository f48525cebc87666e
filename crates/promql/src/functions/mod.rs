//! What the functions compute, over slices and numbers: no rows, no labels, no annotations, no
//! storage. Formulas and special cases are those of Prometheus' promql/functions.go and quantile.go.

pub(crate) mod buckets;
pub(crate) mod extended;
pub(crate) mod kahan;
pub(crate) mod math;
pub(crate) mod native;
pub(crate) mod natural;
pub(crate) mod over_time;
pub(crate) mod rate;
pub(crate) mod regression;
pub(crate) mod sliding;
pub(crate) mod start_time;
pub(crate) mod stretch;
pub(crate) mod time;
