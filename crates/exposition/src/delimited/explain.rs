//! Prometheus' words for bytes that are no protobuf.
//!
//! Reading stops at the first fault and knows its place only. What Prometheus says names the message and the field, so
//! the message is read once more, slowly, by its description.

use protobuf::Reader;

const UNEXPECTED_EOF: &str = "unexpected EOF";
const OVERFLOW: &str = "proto: integer overflow";
const NEGATIVE_LENGTH: &str = "proto: negative length found during unmarshaling";

/// How a field is encoded, and what it holds.
#[derive(Clone, Copy)]
enum Kind {
    Varint,
    Fixed64,
    Bytes,
    Message(&'static Message),
    PackedVarint,
    PackedFixed64,
}

/// A message's name and its fields: number, name, encoding.
pub(super) struct Message {
    name: &'static str,
    fields: &'static [(u64, &'static str, Kind)],
}

use Kind::{Bytes, Fixed64, PackedFixed64, PackedVarint, Varint};

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

/// Why `bytes` are no `message`.
#[cold]
pub(super) fn explain(message: &'static Message, bytes: &[u8], fault: protobuf::Error) -> String {
    // Groups are the one thing that Prometheus passes over and we do not.
    walk(message, bytes).err().unwrap_or_else(|| format!("proto: {}: {}", message.name, fault.fault))
}

fn walk(message: &Message, bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let (number, wire) = (key >> 3, key & 7);
        if wire == 4 {
            return Err(format!("proto: {}: wiretype end group for non-group", message.name));
        }
        // Prometheus has them as integers of 32 bits.
        if number as i32 <= 0 {
            let number = number as i32;
            return Err(format!("proto: {}: illegal tag {number} (wire type {key})", message.name));
        }
        match message.fields.iter().find(|(n, ..)| *n == u64::from(number as u32)) {
            Some((_, name, kind)) => walk_field(*kind, wire, name, &mut rest)?,
            None => pass(wire, &mut rest)?,
        }
    }
    Ok(())
}

fn walk_field(kind: Kind, wire: u64, name: &str, rest: &mut &[u8]) -> Result<(), String> {
    match (kind, wire) {
        (Kind::Varint | Kind::PackedVarint, 0) => varint(rest).map(drop),
        (Kind::Fixed64 | Kind::PackedFixed64, 1) => fixed64(rest),
        (Kind::Bytes, 2) => bytes(rest).map(drop),
        (Kind::Message(inner), 2) => walk(inner, bytes(rest)?),
        (Kind::PackedVarint, 2) => each(bytes(rest)?, |packed| varint(packed).map(drop)),
        (Kind::PackedFixed64, 2) => each(bytes(rest)?, fixed64),
        _ => Err(format!("proto: wrong wireType = {wire} for field {name}")),
    }
}

fn pass(wire: u64, rest: &mut &[u8]) -> Result<(), String> {
    match wire {
        0 => varint(rest).map(drop),
        1 => fixed64(rest),
        2 => bytes(rest).map(drop),
        5 => match rest.split_first_chunk::<4>() {
            Some((_, tail)) => {
                *rest = tail;
                Ok(())
            }
            None => Err(UNEXPECTED_EOF.to_owned()),
        },
        // A group: nothing here has any.
        3 => Err("proto: group".to_owned()),
        _ => Err(format!("proto: illegal wireType {wire}")),
    }
}

fn each(mut packed: &[u8], read: impl Fn(&mut &[u8]) -> Result<(), String>) -> Result<(), String> {
    while !packed.is_empty() {
        read(&mut packed)?;
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut r = Reader::new(rest, 0);
    let error = if rest.len() < 10 { UNEXPECTED_EOF } else { OVERFLOW };
    let value = r.varint().map_err(|_| error.to_owned())?;
    *rest = r.rest();
    Ok(value)
}

fn fixed64(rest: &mut &[u8]) -> Result<(), String> {
    let (_, tail) = rest.split_first_chunk::<8>().ok_or(UNEXPECTED_EOF)?;
    *rest = tail;
    Ok(())
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = varint(rest)?;
    if length > i64::MAX as u64 {
        return Err(NEGATIVE_LENGTH.to_owned());
    }
    let (bytes, tail) =
        usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n)).ok_or(UNEXPECTED_EOF)?;
    *rest = tail;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protobuf::{Error, Fault};

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
