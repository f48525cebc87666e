//! OTLP in JSON, turned into the protobuf that it stands for: one pass, no tree.
//!
//! As lenient as the collector's reader: names in camelCase or snake_case, numbers as numbers or as text, enums by name
//! or number, `null` for what is absent, unknown names passed over, nothing asked of what follows the request.

use std::borrow::Cow;
use std::fmt;

use model::float::parse_go_float;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use protobuf::writer::{put_bytes, put_message, put_varint, zigzag32};

/// Longest protobuf that comes of a body: numbers in lists grow fourfold at most.
const OUTPUT_BYTES_MAX: usize = 4 * super::BODY_BYTES_MAX;

/// Appends the protobuf that `body` stands for to `out`.
///
/// # Errors
/// What is wrong with the body, and where.
pub fn to_protobuf(body: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    MessageSeed { message: &REQUEST, out }.deserialize(&mut json).map_err(|e| e.to_string())
}

/// How a field is written in JSON and in protobuf.
#[derive(Clone, Copy)]
enum Kind {
    Message(&'static Message),
    Messages(&'static Message),
    Text,
    Base64,
    Hex,
    Bool,
    Varint,
    Sint32,
    Uint32,
    Fixed64,
    Sfixed64,
    Double,
    Temporality,
    Varints,
    Fixed64s,
    Doubles,
}

struct Field {
    camel: &'static str,
    snake: &'static str,
    number: u32,
    kind: Kind,
}

struct Message(&'static [Field]);

const fn field(camel: &'static str, snake: &'static str, number: u32, kind: Kind) -> Field {
    Field { camel, snake, number, kind }
}

/// A field whose name is one word.
const fn word(name: &'static str, number: u32, kind: Kind) -> Field {
    field(name, name, number, kind)
}

static REQUEST: Message =
    Message(&[field("resourceMetrics", "resource_metrics", 1, Kind::Messages(&RESOURCE_METRICS))]);

static RESOURCE_METRICS: Message = Message(&[
    word("resource", 1, Kind::Message(&RESOURCE)),
    field("scopeMetrics", "scope_metrics", 2, Kind::Messages(&SCOPE_METRICS)),
    field("schemaUrl", "schema_url", 3, Kind::Text),
]);

static RESOURCE: Message = Message(&[word("attributes", 1, Kind::Messages(&KEY_VALUE))]);

static SCOPE_METRICS: Message = Message(&[
    word("scope", 1, Kind::Message(&SCOPE)),
    word("metrics", 2, Kind::Messages(&METRIC)),
    field("schemaUrl", "schema_url", 3, Kind::Text),
]);

static SCOPE: Message = Message(&[
    word("name", 1, Kind::Text),
    word("version", 2, Kind::Text),
    word("attributes", 3, Kind::Messages(&KEY_VALUE)),
]);

static METRIC: Message = Message(&[
    word("name", 1, Kind::Text),
    word("description", 2, Kind::Text),
    word("unit", 3, Kind::Text),
    word("gauge", 5, Kind::Message(&GAUGE)),
    word("sum", 7, Kind::Message(&SUM)),
    word("histogram", 9, Kind::Message(&HISTOGRAM)),
    field("exponentialHistogram", "exponential_histogram", 10, Kind::Message(&EXPONENTIAL)),
    word("summary", 11, Kind::Message(&SUMMARY)),
]);

static GAUGE: Message = Message(&[field("dataPoints", "data_points", 1, Kind::Messages(&NUMBER_POINT))]);

static SUM: Message = Message(&[
    field("dataPoints", "data_points", 1, Kind::Messages(&NUMBER_POINT)),
    field("aggregationTemporality", "aggregation_temporality", 2, Kind::Temporality),
    field("isMonotonic", "is_monotonic", 3, Kind::Bool),
]);

static HISTOGRAM: Message = Message(&[
    field("dataPoints", "data_points", 1, Kind::Messages(&HISTOGRAM_POINT)),
    field("aggregationTemporality", "aggregation_temporality", 2, Kind::Temporality),
]);

static EXPONENTIAL: Message = Message(&[
    field("dataPoints", "data_points", 1, Kind::Messages(&EXPONENTIAL_POINT)),
    field("aggregationTemporality", "aggregation_temporality", 2, Kind::Temporality),
]);

static SUMMARY: Message = Message(&[field("dataPoints", "data_points", 1, Kind::Messages(&SUMMARY_POINT))]);

static NUMBER_POINT: Message = Message(&[
    word("attributes", 7, Kind::Messages(&KEY_VALUE)),
    field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
    field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
    field("asDouble", "as_double", 4, Kind::Double),
    field("asInt", "as_int", 6, Kind::Sfixed64),
    word("exemplars", 5, Kind::Messages(&EXEMPLAR)),
    word("flags", 8, Kind::Uint32),
]);

static HISTOGRAM_POINT: Message = Message(&[
    word("attributes", 9, Kind::Messages(&KEY_VALUE)),
    field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
    field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
    word("count", 4, Kind::Fixed64),
    word("sum", 5, Kind::Double),
    field("bucketCounts", "bucket_counts", 6, Kind::Fixed64s),
    field("explicitBounds", "explicit_bounds", 7, Kind::Doubles),
    word("exemplars", 8, Kind::Messages(&EXEMPLAR)),
    word("flags", 10, Kind::Uint32),
    word("min", 11, Kind::Double),
    word("max", 12, Kind::Double),
]);

static EXPONENTIAL_POINT: Message = Message(&[
    word("attributes", 1, Kind::Messages(&KEY_VALUE)),
    field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
    field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
    word("count", 4, Kind::Fixed64),
    word("sum", 5, Kind::Double),
    word("scale", 6, Kind::Sint32),
    field("zeroCount", "zero_count", 7, Kind::Fixed64),
    word("positive", 8, Kind::Message(&BUCKETS)),
    word("negative", 9, Kind::Message(&BUCKETS)),
    word("flags", 10, Kind::Uint32),
    word("exemplars", 11, Kind::Messages(&EXEMPLAR)),
    word("min", 12, Kind::Double),
    word("max", 13, Kind::Double),
    field("zeroThreshold", "zero_threshold", 14, Kind::Double),
]);

static BUCKETS: Message =
    Message(&[word("offset", 1, Kind::Sint32), field("bucketCounts", "bucket_counts", 2, Kind::Varints)]);

static SUMMARY_POINT: Message = Message(&[
    word("attributes", 7, Kind::Messages(&KEY_VALUE)),
    field("startTimeUnixNano", "start_time_unix_nano", 2, Kind::Fixed64),
    field("timeUnixNano", "time_unix_nano", 3, Kind::Fixed64),
    word("count", 4, Kind::Fixed64),
    word("sum", 5, Kind::Double),
    field("quantileValues", "quantile_values", 6, Kind::Messages(&QUANTILE)),
    word("flags", 8, Kind::Uint32),
]);

static QUANTILE: Message = Message(&[word("quantile", 1, Kind::Double), word("value", 2, Kind::Double)]);

static EXEMPLAR: Message = Message(&[
    field("filteredAttributes", "filtered_attributes", 7, Kind::Messages(&KEY_VALUE)),
    field("timeUnixNano", "time_unix_nano", 2, Kind::Fixed64),
    field("asDouble", "as_double", 3, Kind::Double),
    field("asInt", "as_int", 6, Kind::Sfixed64),
    field("spanId", "span_id", 4, Kind::Hex),
    field("traceId", "trace_id", 5, Kind::Hex),
]);

static KEY_VALUE: Message =
    Message(&[word("key", 1, Kind::Text), word("value", 2, Kind::Message(&ANY_VALUE))]);

static ANY_VALUE: Message = Message(&[
    field("stringValue", "string_value", 1, Kind::Text),
    field("boolValue", "bool_value", 2, Kind::Bool),
    field("intValue", "int_value", 3, Kind::Varint),
    field("doubleValue", "double_value", 4, Kind::Double),
    field("arrayValue", "array_value", 5, Kind::Message(&VALUES)),
    field("kvlistValue", "kvlist_value", 6, Kind::Message(&KEY_VALUES)),
    field("bytesValue", "bytes_value", 7, Kind::Base64),
]);

static VALUES: Message = Message(&[word("values", 1, Kind::Messages(&ANY_VALUE))]);

static KEY_VALUES: Message = Message(&[word("values", 1, Kind::Messages(&KEY_VALUE))]);

/// Reads the fields of a message.
struct MessageSeed<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { message, out } = self;
        while let Some(Name(name)) = map.next_key()? {
            if out.len() > OUTPUT_BYTES_MAX {
                return Err(A::Error::custom("the request is too large"));
            }
            match message.0.iter().find(|f| f.camel == name || f.snake == name) {
                Some(field) => map.next_value_seed(FieldSeed { field, out })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A key, borrowed where it holds no escape.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(TextVisitor).map(Name)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, s: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(s))
    }

    fn visit_str<E: Error>(self, s: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(s.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }
}

/// Reads the value of one field.
struct FieldSeed<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        let Self { field, out } = self;
        let number = field.number;
        match field.kind {
            Kind::Message(message) => nested(out, number, |out| MessageSeed { message, out }.deserialize(d)),
            Kind::Messages(_) | Kind::Varints | Kind::Fixed64s | Kind::Doubles => {
                d.deserialize_any(ListVisitor { field, out })
            }
            Kind::Text => {
                let text = d.deserialize_any(TextVisitor)?;
                put_bytes(out, number, text.as_bytes());
                Ok(())
            }
            Kind::Base64 | Kind::Hex => {
                let text = d.deserialize_any(TextVisitor)?;
                let is_hex = matches!(field.kind, Kind::Hex);
                let bytes = if is_hex { from_hex(&text) } else { from_base64(&text) };
                let bytes =
                    bytes.ok_or_else(|| D::Error::custom(format!("{}: illegal text", field.camel)))?;
                put_bytes(out, number, &bytes);
                Ok(())
            }
            _ => {
                let scalar: Scalar<'de> = d.deserialize_any(ScalarVisitor)?;
                scalar.put(field, out).map_err(|what| D::Error::custom(format!("{}: {what}", field.camel)))
            }
        }
    }
}

/// A message as a field, even an empty one.
fn nested<E>(
    out: &mut Vec<u8>,
    number: u32,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut result = Ok(());
    put_message(out, number, |out| result = body(out));
    result
}

struct ListVisitor<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
}

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: a list", self.field.camel)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { field, out } = self;
        if let Kind::Messages(message) = field.kind {
            loop {
                let mut more = false;
                nested(out, field.number, |out| {
                    more = list.next_element_seed(MessageSeed { message, out })?.is_some();
                    Ok(())
                })?;
                if !more {
                    // The empty message that was begun for the element that did not come: tag and length 0.
                    out.truncate(out.len() - tag_len(field.number) - 1);
                    return Ok(());
                }
            }
        }
        nested(out, field.number, |out| {
            while let Some(Element(scalar)) = list.next_element()? {
                if out.len() > OUTPUT_BYTES_MAX {
                    return Err(A::Error::custom("the request is too large"));
                }
                let wrong = |what| A::Error::custom(format!("{}: {what}", field.camel));
                match field.kind {
                    Kind::Varints => put_varint(out, scalar.unsigned().map_err(wrong)?),
                    Kind::Fixed64s => out.extend(scalar.unsigned().map_err(wrong)?.to_le_bytes()),
                    _ => out.extend(scalar.double().map_err(wrong)?.to_le_bytes()),
                }
            }
            Ok(())
        })
    }
}

fn tag_len(number: u32) -> usize {
    protobuf::writer::varint_len(u64::from(number << 3 | 2))
}

/// An element of a list of numbers.
struct Element<'de>(Scalar<'de>);

impl<'de> serde::Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ScalarVisitor).map(Element)
    }
}

/// A number or what stands for one.
enum Scalar<'de> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Text(Cow<'de, str>),
}

const UNSUPPORTED: &str = "unsupported value type";

impl Scalar<'_> {
    fn put(&self, field: &Field, out: &mut Vec<u8>) -> Result<(), String> {
        let number = u64::from(field.number) << 3;
        match field.kind {
            Kind::Bool => match self {
                Scalar::Bool(b) => {
                    put_varint(out, number);
                    out.push(u8::from(*b));
                    return Ok(());
                }
                _ => return Err("expected true or false".to_owned()),
            },
            Kind::Double => {
                put_varint(out, number | 1);
                out.extend(self.double()?.to_le_bytes());
            }
            Kind::Fixed64 => {
                put_varint(out, number | 1);
                out.extend(self.unsigned()?.to_le_bytes());
            }
            Kind::Sfixed64 => {
                put_varint(out, number | 1);
                out.extend(self.signed()?.to_le_bytes());
            }
            Kind::Varint => {
                put_varint(out, number);
                put_varint(out, self.signed()? as u64);
            }
            Kind::Uint32 => {
                let value = u32::try_from(self.unsigned()?).map_err(|_| "value out of range")?;
                put_varint(out, number);
                put_varint(out, u64::from(value));
            }
            Kind::Sint32 => {
                let value = i32::try_from(self.signed()?).map_err(|_| "value out of range")?;
                put_varint(out, number);
                put_varint(out, u64::from(zigzag32(value)));
            }
            Kind::Temporality => {
                let value = match self {
                    Scalar::Text(name) => match name.as_ref() {
                        "AGGREGATION_TEMPORALITY_UNSPECIFIED" => 0,
                        "AGGREGATION_TEMPORALITY_DELTA" => 1,
                        "AGGREGATION_TEMPORALITY_CUMULATIVE" => 2,
                        _ => return Err("unknown string value".to_owned()),
                    },
                    other => i32::try_from(other.signed()?).map_err(|_| "value out of range")?,
                };
                put_varint(out, number);
                put_varint(out, u64::from(value as u32));
            }
            _ => return Err(UNSUPPORTED.to_owned()),
        }
        Ok(())
    }

    fn unsigned(&self) -> Result<u64, String> {
        match self {
            Self::Unsigned(n) => Ok(*n),
            Self::Text(text) => text.parse().map_err(|_| format!("{text:?} is no such number")),
            Self::Signed(_) | Self::Double(_) => Err("not an unsigned integer".to_owned()),
            Self::Bool(_) => Err(UNSUPPORTED.to_owned()),
        }
    }

    fn signed(&self) -> Result<i64, String> {
        match self {
            Self::Unsigned(n) => i64::try_from(*n).map_err(|_| "value out of range".to_owned()),
            Self::Signed(n) => Ok(*n),
            Self::Text(text) => text.parse().map_err(|_| format!("{text:?} is no such number")),
            Self::Double(_) => Err("not an integer".to_owned()),
            Self::Bool(_) => Err(UNSUPPORTED.to_owned()),
        }
    }

    fn double(&self) -> Result<f64, String> {
        match self {
            Self::Unsigned(n) => Ok(*n as f64),
            Self::Signed(n) => Ok(*n as f64),
            Self::Double(v) => Ok(*v),
            Self::Text(text) => {
                parse_go_float(text.as_bytes()).ok_or_else(|| format!("{text:?} is no such number"))
            }
            Self::Bool(_) => Err(UNSUPPORTED.to_owned()),
        }
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(b))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Unsigned(n))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Signed(n))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Double(v))
    }

    fn visit_borrowed_str<E: Error>(self, s: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(s)))
    }

    fn visit_str<E: Error>(self, s: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(s.to_owned())))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| (c as char).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    if odd.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// RFC 4648 §4, with padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (groups, odd) = text.as_bytes().as_chunks::<4>();
    let mut out = Vec::with_capacity(groups.len() * 3);
    for (i, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|c| **c == b'=').count();
        if padding > 2 || (padding > 0 && i + 1 < groups.len()) {
            return None;
        }
        let mut word = 0u32;
        for c in &group[..4 - padding] {
            let digit = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(digit);
        }
        word <<= 6 * padding;
        out.extend_from_slice(&word.to_be_bytes()[1..4 - padding]);
    }
    odd.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protobuf::writer::{put_double, put_int, put_string};

    fn convert(json: &str) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        to_protobuf(json.as_bytes(), &mut out).map(|()| out)
    }

    /// A body whose only metric is `metric`.
    fn body(metric: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_message(&mut out, 1, |r| put_message(r, 2, |s| put_bytes(s, 2, metric)));
        out
    }

    fn metric(json: &str) -> Result<Vec<u8>, String> {
        convert(&format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{json}]}}]}}]}}"#))
    }

    #[test]
    fn messages_become_what_they_stand_for() {
        let mut expected = Vec::new();
        put_string(&mut expected, 1, "m");
        put_message(&mut expected, 7, |sum| {
            put_message(sum, 1, |point| {
                put_message(point, 7, |kv| {
                    put_string(kv, 1, "k");
                    put_message(kv, 2, |v| put_int(v, 3, -5));
                });
                point.extend([0x19]);
                point.extend(1_700_000_000_000_000_001u64.to_le_bytes());
                put_double(point, 4, 0.1);
            });
            put_int(sum, 2, 2);
            sum.extend([0x18, 1]);
        });
        let points = r#"[{"attributes":[{"key":"k","value":{"intValue":"-5"}}],
            "timeUnixNano":"1700000000000000001","as_double":0.1,"other":[{"x":null}]}]"#;
        for temporality in ["2", r#""AGGREGATION_TEMPORALITY_CUMULATIVE""#] {
            let json = format!(
                r#"{{"name":"m","sum":{{"dataPoints":{points},"aggregationTemporality":{temporality},"isMonotonic":true}}}}"#
            );
            assert_eq!(metric(&json).unwrap(), body(&expected));
        }
        // What follows the request is not looked at.
        assert_eq!(convert("{}garbage").unwrap().len(), 0);
        assert_eq!(convert(r#"{"resourceMetrics":null}"#).unwrap().len(), 0);
        assert_eq!(convert(r#"{"resourceMetrics":[]}"#).unwrap().len(), 0);
        assert_eq!(convert(r#"{"resourceMetrics":[{}]}"#).unwrap(), [0x0a, 0]);
    }

    #[test]
    fn lists_of_numbers_are_packed() {
        let json = r#"{"histogram":{"dataPoints":[{"bucketCounts":["1",2],"explicitBounds":["NaN",-1.5]}]}}"#;
        let mut expected = Vec::new();
        put_message(&mut expected, 9, |h| {
            put_message(h, 1, |p| {
                put_bytes(p, 6, &[1u64.to_le_bytes(), 2u64.to_le_bytes()].concat());
                put_bytes(p, 7, &[f64::NAN.to_le_bytes(), (-1.5f64).to_le_bytes()].concat());
            });
        });
        let found = metric(json).unwrap();
        assert_eq!(found.len(), body(&expected).len());
        assert_eq!(found[found.len() - 8..], (-1.5f64).to_le_bytes());
    }

    #[test]
    fn bad_bodies_are_refused() {
        for json in ["", "[", "{", "1", "{\"resourceMetrics\":1}", "{\"resourceMetrics\":[{]}", "\u{0}"] {
            assert!(convert(json).is_err(), "{json}");
        }
        for json in [
            r#"{"name":1}"#,
            r#"{"gauge":{"dataPoints":[{"timeUnixNano":1.5}]}}"#,
            r#"{"gauge":{"dataPoints":[{"timeUnixNano":-1}]}}"#,
            r#"{"gauge":{"dataPoints":[{"asInt":"9223372036854775808"}]}}"#,
            r#"{"gauge":{"dataPoints":[{"flags":4294967296}]}}"#,
            r#"{"sum":{"isMonotonic":1}}"#,
            r#"{"sum":{"aggregationTemporality":"DELTA"}}"#,
            r#"{"sum":{"dataPoints":[{"exemplars":[{"traceId":"abc"}]}]}}"#,
            r#"{"gauge":{"dataPoints":[{"attributes":[{"value":{"bytesValue":"a"}}]}]}}"#,
        ] {
            assert!(metric(json).is_err(), "{json}");
        }
        let deep = format!("{}{}", r#"{"arrayValue":{"values":["#.repeat(100), "]}}".repeat(100));
        assert!(
            convert(&format!(
                r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"value":{deep}}}]}}}}]}}"#
            ))
            .is_err()
        );
    }

    #[test]
    fn texts_of_bytes() {
        assert_eq!(from_hex("00fF"), Some(vec![0, 255]));
        assert_eq!((from_hex("0"), from_hex("0g")), (None, None));
        for (text, bytes) in
            [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo"), ("Zm9vYg==", b"foob")]
        {
            assert_eq!(from_base64(text).as_deref(), Some(bytes));
        }
        for text in ["Z", "Zg=", "Z===", "Zg==Zg==", "Zm9v\n"] {
            assert_eq!(from_base64(text), None, "{text}");
        }
    }
}
