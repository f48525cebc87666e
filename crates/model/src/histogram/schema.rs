//! The numbers of schemas: which exist, which are supported.

/// The schema of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The finest exponential schema: 256 buckets for each power of two.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;
/// The finest exponential schema that is accepted; the resolution is then reduced.
pub const EXPONENTIAL_SCHEMA_MAX_RESERVED: i32 = 52;
/// The coarsest exponential schema: each bucket spans 16 powers of two.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;
/// The coarsest exponential schema that is reserved.
pub const EXPONENTIAL_SCHEMA_MIN_RESERVED: i32 = -9;

/// Whether the bounds are custom ones.
#[must_use]
pub fn is_custom_buckets_schema(schema: i32) -> bool {
    schema == CUSTOM_BUCKETS_SCHEMA
}

/// Whether the schema is exponential and supported.
#[must_use]
pub fn is_exponential_schema(schema: i32) -> bool {
    (EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX).contains(&schema)
}

/// Whether the schema is supported.
#[must_use]
pub fn is_valid_schema(schema: i32) -> bool {
    is_custom_buckets_schema(schema) || is_exponential_schema(schema)
}

/// Whether the schema is supported once its resolution has been reduced.
#[must_use]
pub fn is_known_schema(schema: i32) -> bool {
    is_custom_buckets_schema(schema)
        || (EXPONENTIAL_SCHEMA_MIN_RESERVED..=EXPONENTIAL_SCHEMA_MAX_RESERVED).contains(&schema)
}
