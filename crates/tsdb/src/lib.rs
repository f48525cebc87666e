//! One database in one directory, in Prometheus' format.
