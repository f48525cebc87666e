//! The messages of this format as Prometheus knows them, for [`protobuf::explain`].

use protobuf::explain::Kind::{self, Bytes, Fixed64, PackedFixed64, PackedVarint, Varint};
use protobuf::explain::Message;

/// A family; its metrics are looked at one by one.
pub(super) static FAMILY: Message = Message {
    name: "MetricFamily",
    fields: &[
        (1, "Name", Bytes),
        (2, "Help", Bytes),
        (3, "Type", Varint),
        (4, "Metric", Bytes),
        (5, "Unit", Bytes),
    ],
};

/// A metric; its labels are looked at when they are needed.
pub(super) static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        (1, "Label", Bytes),
        (2, "Gauge", Kind::Message(&Message { name: "Gauge", fields: &[(1, "Value", Fixed64)] })),
        (3, "Counter", Kind::Message(&COUNTER)),
        (4, "Summary", Kind::Message(&SUMMARY)),
        (5, "Untyped", Kind::Message(&Message { name: "Untyped", fields: &[(1, "Value", Fixed64)] })),
        (6, "TimestampMs", Varint),
        (7, "Histogram", Kind::Message(&HISTOGRAM)),
    ],
};

pub(super) static LABEL_PAIR: Message =
    Message { name: "LabelPair", fields: &[(1, "Name", Bytes), (2, "Value", Bytes)] };

static TIMESTAMP: Message =
    Message { name: "Timestamp", fields: &[(1, "Seconds", Varint), (2, "Nanos", Varint)] };

static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[
        (1, "Label", Kind::Message(&LABEL_PAIR)),
        (2, "Value", Fixed64),
        (3, "Timestamp", Kind::Message(&TIMESTAMP)),
    ],
};

static COUNTER: Message = Message {
    name: "Counter",
    fields: &[
        (1, "Value", Fixed64),
        (2, "Exemplar", Kind::Message(&EXEMPLAR)),
        (3, "StartTimestamp", Kind::Message(&TIMESTAMP)),
    ],
};

static QUANTILE: Message =
    Message { name: "Quantile", fields: &[(1, "Quantile", Fixed64), (2, "Value", Fixed64)] };

static SUMMARY: Message = Message {
    name: "Summary",
    fields: &[
        (1, "SampleCount", Varint),
        (2, "SampleSum", Fixed64),
        (3, "Quantile", Kind::Message(&QUANTILE)),
        (4, "StartTimestamp", Kind::Message(&TIMESTAMP)),
    ],
};

static BUCKET: Message = Message {
    name: "Bucket",
    fields: &[
        (1, "CumulativeCount", Varint),
        (2, "UpperBound", Fixed64),
        (3, "Exemplar", Kind::Message(&EXEMPLAR)),
        (4, "CumulativeCountFloat", Fixed64),
    ],
};

static SPAN: Message =
    Message { name: "BucketSpan", fields: &[(1, "Offset", Varint), (2, "Length", Varint)] };

static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        (1, "SampleCount", Varint),
        (2, "SampleSum", Fixed64),
        (3, "Bucket", Kind::Message(&BUCKET)),
        (4, "SampleCountFloat", Fixed64),
        (5, "Schema", Varint),
        (6, "ZeroThreshold", Fixed64),
        (7, "ZeroCount", Varint),
        (8, "ZeroCountFloat", Fixed64),
        (9, "NegativeSpan", Kind::Message(&SPAN)),
        (10, "NegativeDelta", PackedVarint),
        (11, "NegativeCount", PackedFixed64),
        (12, "PositiveSpan", Kind::Message(&SPAN)),
        (13, "PositiveDelta", PackedVarint),
        (14, "PositiveCount", PackedFixed64),
        (15, "StartTimestamp", Kind::Message(&TIMESTAMP)),
        (16, "Exemplars", Kind::Message(&EXEMPLAR)),
    ],
};

#[cfg(test)]
mod tests {
    use protobuf::explain::explain;
    use protobuf::{Error, Fault};

    use super::*;

    const UNEXPECTED_EOF: &str = "unexpected EOF";
    const OVERFLOW: &str = "proto: integer overflow";
    const NEGATIVE_LENGTH: &str = "proto: negative length found during unmarshaling";

    #[test]
    fn faults_have_prometheus_words() {
        let check = |message: &'static Message, bytes: &[u8], want: &str| {
            let fault = Error { fault: Fault::Truncated, offset: 0 };
            assert_eq!(explain(message, bytes, fault), want, "{bytes:?}");
        };
        check(&FAMILY, &[0x08, 1], "proto: wrong wireType = 0 for field Name");
        check(&FAMILY, &[0x0a, 9], UNEXPECTED_EOF);
        check(&FAMILY, &[0x00], "proto: MetricFamily: illegal tag 0 (wire type 0)");
        check(&FAMILY, &[0x3e], "proto: illegal wireType 6");
        check(&FAMILY, &[0xff; 12], OVERFLOW);
        let mut negative = vec![0x0a];
        negative.extend([0xff; 9]);
        negative.push(1);
        check(&FAMILY, &negative, NEGATIVE_LENGTH);
        check(&METRIC, &[0x1a, 2, 0x08, 1], "proto: wrong wireType = 0 for field Value");
        check(&METRIC, &[0x3a, 4, 0x1a, 2, 0x0c, 0], "proto: Bucket: wiretype end group for non-group");
        check(&METRIC, &[0x3a, 3, 0x52, 1, 0x80], UNEXPECTED_EOF);
        check(&METRIC, &[0x3a, 5, 0x4a, 3, 0x08, 1, 0x0d], "proto: wrong wireType = 5 for field Offset");
    }
}
