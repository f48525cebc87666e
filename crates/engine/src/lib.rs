//! The facade over storage, PromQL and exposition: all that a binding needs.
