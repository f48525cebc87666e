//! To come: symbols.
