//! The messages of remote write as Prometheus knows them, and what it says of bytes that are none.

use protobuf::explain::Kind::{self, Bytes, Fixed64, PackedFixed64, PackedVarint, Varint};
use protobuf::explain::{Message, explain};

use crate::error::WireError;

static LABEL: Message = Message { name: "Label", fields: &[(1, "Name", Bytes), (2, "Value", Bytes)] };

static SPAN: Message =
    Message { name: "BucketSpan", fields: &[(1, "Offset", Varint), (2, "Length", Varint)] };

/// Those of 2.0; 1.0 has all but the last.
static HISTOGRAM_FIELDS: [(u64, &str, Kind); 17] = [
    (1, "CountInt", Varint),
    (2, "CountFloat", Fixed64),
    (3, "Sum", Fixed64),
    (4, "Schema", Varint),
    (5, "ZeroThreshold", Fixed64),
    (6, "ZeroCountInt", Varint),
    (7, "ZeroCountFloat", Fixed64),
    (8, "NegativeSpans", Kind::Message(&SPAN)),
    (9, "NegativeDeltas", PackedVarint),
    (10, "NegativeCounts", PackedFixed64),
    (11, "PositiveSpans", Kind::Message(&SPAN)),
    (12, "PositiveDeltas", PackedVarint),
    (13, "PositiveCounts", PackedFixed64),
    (14, "ResetHint", Varint),
    (15, "Timestamp", Varint),
    (16, "CustomValues", PackedFixed64),
    (17, "StartTimestamp", Varint),
];

static HISTOGRAM: Message = Message { name: "Histogram", fields: HISTOGRAM_FIELDS.split_at(16).0 };

static HISTOGRAM_V2: Message = Message { name: "Histogram", fields: &HISTOGRAM_FIELDS };

static WRITE_REQUEST: Message = Message {
    name: "WriteRequest",
    fields: &[(1, "Timeseries", Kind::Message(&SERIES)), (3, "Metadata", Kind::Message(&METADATA))],
};

static SERIES: Message = Message {
    name: "TimeSeries",
    fields: &[
        (1, "Labels", Kind::Message(&LABEL)),
        (2, "Samples", Kind::Message(&SAMPLE)),
        (3, "Exemplars", Kind::Message(&EXEMPLAR)),
        (4, "Histograms", Kind::Message(&HISTOGRAM)),
    ],
};

static SAMPLE: Message =
    Message { name: "Sample", fields: &[(1, "Value", Fixed64), (2, "Timestamp", Varint)] };

static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[(1, "Labels", Kind::Message(&LABEL)), (2, "Value", Fixed64), (3, "Timestamp", Varint)],
};

static METADATA: Message = Message {
    name: "MetricMetadata",
    fields: &[(1, "Type", Varint), (2, "MetricFamilyName", Bytes), (4, "Help", Bytes), (5, "Unit", Bytes)],
};

static REQUEST_V2: Message = Message {
    name: "Request",
    fields: &[(4, "Symbols", Bytes), (5, "Timeseries", Kind::Message(&SERIES_V2))],
};

static SERIES_V2: Message = Message {
    name: "TimeSeries",
    fields: &[
        (1, "LabelsRefs", PackedVarint),
        (2, "Samples", Kind::Message(&SAMPLE_V2)),
        (3, "Histograms", Kind::Message(&HISTOGRAM_V2)),
        (4, "Exemplars", Kind::Message(&EXEMPLAR_V2)),
        (5, "Metadata", Kind::Message(&METADATA_V2)),
    ],
};

static SAMPLE_V2: Message = Message {
    name: "Sample",
    fields: &[(1, "Value", Fixed64), (2, "Timestamp", Varint), (3, "StartTimestamp", Varint)],
};

static EXEMPLAR_V2: Message = Message {
    name: "Exemplar",
    fields: &[(1, "LabelsRefs", PackedVarint), (2, "Value", Fixed64), (3, "Timestamp", Varint)],
};

static METADATA_V2: Message = Message {
    name: "Metadata",
    fields: &[(1, "Type", Varint), (3, "HelpRef", Varint), (4, "UnitRef", Varint)],
};

/// What Prometheus says of a body of remote write 1.0, or 2.0, that was refused with `error`.
#[cold]
#[must_use]
pub fn explain_write(body: &[u8], is_v2: bool, error: WireError) -> String {
    match error {
        WireError::Protobuf { fault, offset } => {
            let message = if is_v2 { &REQUEST_V2 } else { &WRITE_REQUEST };
            explain(message, body, protobuf::Error { fault, offset })
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
        let check = |is_v2, body: &[u8], want: &str| {
            let error = WireError::Protobuf { fault: Fault::Truncated, offset: 0 };
            assert_eq!(explain_write(body, is_v2, error), want, "{body:?}");
        };
        check(false, &[0x0a, 5, 1], "unexpected EOF");
        check(false, &[0x08, 5], "proto: wrong wireType = 0 for field Timeseries");
        check(false, &[0x0a, 4, 0x12, 2, 0x08, 1], "proto: wrong wireType = 0 for field Value");
        check(true, &[0x28, 1], "proto: wrong wireType = 0 for field Timeseries");
        check(true, &[0x2a, 3, 0x0a, 1, 0x80], "unexpected EOF");
        check(
            true,
            &[0x2a, 5, 0x1a, 3, 0x42, 1, 0x0c],
            "proto: BucketSpan: wiretype end group for non-group",
        );
        assert_eq!(explain_write(&[], true, WireError::Snappy), "s2: corrupt input");
    }
}
