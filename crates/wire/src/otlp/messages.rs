//! The messages of OTLP metrics as OpenTelemetry's collector knows them, whose code Prometheus reads them with, and what
//! that says of bytes that are none.

use protobuf::explain::Kind::{self, Bytes, Fixed64, Id, PackedFixed64, PackedVarint, Varint};
use protobuf::explain::{Message, explain_collector};

use crate::error::WireError;

static REQUEST: Message = Message {
    name: "ExportMetricsServiceRequest",
    fields: &[(1, "ResourceMetrics", Kind::Message(&RESOURCE_METRICS))],
};

static RESOURCE_METRICS: Message = Message {
    name: "ResourceMetrics",
    fields: &[
        (1, "Resource", Kind::Message(&RESOURCE)),
        (2, "ScopeMetrics", Kind::Message(&SCOPE_METRICS)),
        (3, "SchemaUrl", Bytes),
        (1000, "DeprecatedScopeMetrics", Kind::Message(&SCOPE_METRICS)),
    ],
};

static RESOURCE: Message = Message {
    name: "Resource",
    fields: &[
        (1, "Attributes", Kind::Message(&KEY_VALUE)),
        (2, "DroppedAttributesCount", Varint),
        (3, "EntityRefs", Kind::Message(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Message = Message {
    name: "EntityRef",
    fields: &[
        (1, "SchemaUrl", Bytes),
        (2, "Type", Bytes),
        (3, "IdKeys", Bytes),
        (4, "DescriptionKeys", Bytes),
    ],
};

static SCOPE_METRICS: Message = Message {
    name: "ScopeMetrics",
    fields: &[
        (1, "Scope", Kind::Message(&SCOPE)),
        (2, "Metrics", Kind::Message(&METRIC)),
        (3, "SchemaUrl", Bytes),
    ],
};

static SCOPE: Message = Message {
    name: "InstrumentationScope",
    fields: &[
        (1, "Name", Bytes),
        (2, "Version", Bytes),
        (3, "Attributes", Kind::Message(&KEY_VALUE)),
        (4, "DroppedAttributesCount", Varint),
    ],
};

static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        (1, "Name", Bytes),
        (2, "Description", Bytes),
        (3, "Unit", Bytes),
        (5, "Gauge", Kind::Message(&GAUGE)),
        (7, "Sum", Kind::Message(&SUM)),
        (9, "Histogram", Kind::Message(&HISTOGRAM)),
        (10, "ExponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        (11, "Summary", Kind::Message(&SUMMARY)),
        (12, "Metadata", Kind::Message(&KEY_VALUE)),
    ],
};

static GAUGE: Message = Message { name: "Gauge", fields: &[(1, "DataPoints", Kind::Message(&NUMBER_POINT))] };

static SUM: Message = Message {
    name: "Sum",
    fields: &[
        (1, "DataPoints", Kind::Message(&NUMBER_POINT)),
        (2, "AggregationTemporality", Varint),
        (3, "IsMonotonic", Varint),
    ],
};

static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[(1, "DataPoints", Kind::Message(&HISTOGRAM_POINT)), (2, "AggregationTemporality", Varint)],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "ExponentialHistogram",
    fields: &[(1, "DataPoints", Kind::Message(&EXPONENTIAL_POINT)), (2, "AggregationTemporality", Varint)],
};

static SUMMARY: Message =
    Message { name: "Summary", fields: &[(1, "DataPoints", Kind::Message(&SUMMARY_POINT))] };

static NUMBER_POINT: Message = Message {
    name: "NumberDataPoint",
    fields: &[
        (2, "StartTimeUnixNano", Fixed64),
        (3, "TimeUnixNano", Fixed64),
        (4, "AsDouble", Fixed64),
        (5, "Exemplars", Kind::Message(&EXEMPLAR)),
        (6, "AsInt", Fixed64),
        (7, "Attributes", Kind::Message(&KEY_VALUE)),
        (8, "Flags", Varint),
    ],
};

static HISTOGRAM_POINT: Message = Message {
    name: "HistogramDataPoint",
    fields: &[
        (2, "StartTimeUnixNano", Fixed64),
        (3, "TimeUnixNano", Fixed64),
        (4, "Count", Fixed64),
        (5, "Sum", Fixed64),
        (6, "BucketCounts", PackedFixed64),
        (7, "ExplicitBounds", PackedFixed64),
        (8, "Exemplars", Kind::Message(&EXEMPLAR)),
        (9, "Attributes", Kind::Message(&KEY_VALUE)),
        (10, "Flags", Varint),
        (11, "Min", Fixed64),
        (12, "Max", Fixed64),
    ],
};

static EXPONENTIAL_POINT: Message = Message {
    name: "ExponentialHistogramDataPoint",
    fields: &[
        (1, "Attributes", Kind::Message(&KEY_VALUE)),
        (2, "StartTimeUnixNano", Fixed64),
        (3, "TimeUnixNano", Fixed64),
        (4, "Count", Fixed64),
        (5, "Sum", Fixed64),
        (6, "Scale", Varint),
        (7, "ZeroCount", Fixed64),
        (8, "Positive", Kind::Message(&EXPONENTIAL_BUCKETS)),
        (9, "Negative", Kind::Message(&EXPONENTIAL_BUCKETS)),
        (10, "Flags", Varint),
        (11, "Exemplars", Kind::Message(&EXEMPLAR)),
        (12, "Min", Fixed64),
        (13, "Max", Fixed64),
        (14, "ZeroThreshold", Fixed64),
    ],
};

static EXPONENTIAL_BUCKETS: Message = Message {
    name: "ExponentialHistogramDataPointBuckets",
    fields: &[(1, "Offset", Varint), (2, "BucketCounts", PackedVarint)],
};

static SUMMARY_POINT: Message = Message {
    name: "SummaryDataPoint",
    fields: &[
        (2, "StartTimeUnixNano", Fixed64),
        (3, "TimeUnixNano", Fixed64),
        (4, "Count", Fixed64),
        (5, "Sum", Fixed64),
        (6, "QuantileValues", Kind::Message(&QUANTILE)),
        (7, "Attributes", Kind::Message(&KEY_VALUE)),
        (8, "Flags", Varint),
    ],
};

static QUANTILE: Message = Message {
    name: "SummaryDataPointValueAtQuantile",
    fields: &[(1, "Quantile", Fixed64), (2, "Value", Fixed64)],
};

static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[
        (2, "TimeUnixNano", Fixed64),
        (3, "AsDouble", Fixed64),
        (4, "SpanId", Id(8, "unmarshal: invalid SpanID length")),
        (5, "TraceId", Id(16, "unmarshal: invalid TraceID length")),
        (6, "AsInt", Fixed64),
        (7, "FilteredAttributes", Kind::Message(&KEY_VALUE)),
    ],
};

static KEY_VALUE: Message = Message {
    name: "KeyValue",
    fields: &[(1, "Key", Bytes), (2, "Value", Kind::Message(&ANY_VALUE)), (3, "KeyStrindex", Varint)],
};

static ANY_VALUE: Message = Message {
    name: "AnyValue",
    fields: &[
        (1, "StringValue", Bytes),
        (2, "BoolValue", Varint),
        (3, "IntValue", Varint),
        (4, "DoubleValue", Fixed64),
        (5, "ArrayValue", Kind::Message(&ARRAY_VALUE)),
        (6, "KvlistValue", Kind::Message(&KEY_VALUE_LIST)),
        (7, "BytesValue", Bytes),
        (8, "StringValueStrindex", Varint),
    ],
};

static ARRAY_VALUE: Message =
    Message { name: "ArrayValue", fields: &[(1, "Values", Kind::Message(&ANY_VALUE))] };

static KEY_VALUE_LIST: Message =
    Message { name: "KeyValueList", fields: &[(1, "Values", Kind::Message(&KEY_VALUE))] };

/// What Prometheus says of a body that is no such message; `None` where it is one. Prometheus looks before all else, at
/// all of it.
#[cold]
#[must_use]
pub fn damage(body: &[u8]) -> Option<String> {
    explain_collector(&REQUEST, body)
}

/// What Prometheus says of a body in protobuf that was refused with `error`.
#[cold]
#[must_use]
pub fn explain(body: &[u8], error: WireError) -> String {
    match error {
        WireError::Protobuf { .. } | WireError::IdLength { .. } => {
            damage(body).unwrap_or_else(|| error.to_string())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use protobuf::Fault;

    use super::*;

    #[test]
    fn damage_has_prometheus_words() {
        let check = |body: &[u8], want: &str| {
            let error = WireError::Protobuf { fault: Fault::Truncated, offset: 7 };
            assert_eq!(explain(body, error), want, "{body:?}");
        };
        check(&[0x0a, 5, 1], "unexpected EOF");
        check(&[0x08, 5], "proto: wrong wireType = 0 for field ResourceMetrics");
        check(&[0x0a, 4, 0x12, 2, 0x08, 1], "proto: wrong wireType = 0 for field Scope");
        check(&[0x0a, 7, 0x12, 5, 0x12, 3, 0x2a, 1, 0x0c], "proto: wrong wireType = 4 for field DataPoints");
        check(&[0x0a, 5, 0x0a, 3, 0x0a, 1, 0x00], "proto: Link: illegal field=0 (tag=0, pos=1)");
        // What the collector would have taken is told by its place.
        check(&[0x0a, 0], "protobuf: unexpected end at byte 7");
        assert_eq!(explain(&[], WireError::MatcherType), "invalid matcher type");
    }
}
