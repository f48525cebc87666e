//! `KeyValue` and `AnyValue`: attributes of resources, scopes, data points and exemplars.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::error::WireError;
use crate::labels::LabelFields;
use protobuf::Reader;

/// How deeply lists and maps may lie in each other.
const DEPTH_MAX: usize = 100;

/// The attributes of something: its fields `KeyValue` one after another, tags included.
///
/// Equal bytes are equal attributes, so they serve as a part of a cache's key.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a> {
    bytes: Cow<'a, [u8]>,
    offset: usize,
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(fields: LabelFields<'a>) -> Self {
        let (bytes, offset) = fields.finish();
        Self { bytes, offset }
    }

    /// Adds those of a message that is given once more.
    pub(crate) fn merge(&mut self, more: Attributes<'a>) {
        if self.bytes.is_empty() {
            *self = more;
        } else if !more.bytes.is_empty() {
            self.bytes.to_mut().extend_from_slice(&more.bytes);
        }
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Key and value of each in the order of the body; keys may repeat, be empty, or be no UTF-8.
    ///
    /// # Errors
    /// Bytes that are no attributes. Lists and maps are looked into only by [`Value::write_text`].
    pub fn for_each<'s>(&'s self, mut f: impl FnMut(&'s [u8], Value<'s>)) -> Result<(), WireError> {
        let mut fields = Reader::new(&self.bytes, self.offset);
        // There is nothing but fields of one number here.
        while fields.tag()?.is_some() {
            let (key, value) = key_value(fields.message()?)?;
            f(key, value);
        }
        Ok(())
    }

    /// The fields one by one, as bytes: what order-free hashing takes.
    ///
    /// # Errors
    /// Bytes that are no fields.
    pub fn fields(&self) -> Result<Vec<&[u8]>, WireError> {
        let mut out = Vec::new();
        let mut fields = Reader::new(&self.bytes, self.offset);
        while fields.tag()?.is_some() {
            out.push(fields.bytes()?);
        }
        Ok(out)
    }
}

fn key_value<'a>(mut message: Reader<'a>) -> Result<(&'a [u8], Value<'a>), WireError> {
    let (mut key, mut value) = (&b""[..], Value::Empty);
    while let Some(tag) = message.tag()? {
        match tag.raw() {
            0x0a => key = message.bytes()?,
            0x12 => value.decode(message.message()?)?,
            // A key by its number in a table that requests do not have.
            0x18 => drop(message.varint()?),
            _ => message.skip(tag, 0b1110)?,
        }
    }
    Ok((key, value))
}

/// A value of an attribute.
#[derive(Clone, Copy, Debug, Default)]
pub enum Value<'a> {
    /// None.
    #[default]
    Empty,
    /// Text, perhaps no UTF-8.
    Text(&'a [u8]),
    /// A truth.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Double(f64),
    /// A list of values, not looked into yet.
    List(Reader<'a>),
    /// Keys and values, not looked into yet.
    Map(Reader<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn decode(&mut self, mut message: Reader<'a>) -> Result<(), WireError> {
        while let Some(tag) = message.tag()? {
            *self = match tag.raw() {
                0x0a => Self::Text(message.bytes()?),
                0x10 => Self::Bool(message.varint()? != 0),
                0x18 => Self::Int(message.int64()?),
                0x21 => Self::Double(message.double()?),
                0x2a => Self::List(message.message()?),
                0x32 => Self::Map(message.message()?),
                0x3a => Self::Bytes(message.bytes()?),
                // A text by its number in a table that requests do not have.
                0x40 => {
                    message.varint()?;
                    Self::Empty
                }
                _ => {
                    message.skip(tag, 0b1_1111_1110)?;
                    continue;
                }
            };
        }
        Ok(())
    }

    /// Appends the value as text, in the way of the collector's `AsString`: numbers as JavaScript prints them, bytes in
    /// base64, lists and maps as JSON with sorted keys, nothing for those that hold a number JSON does not know.
    ///
    /// # Errors
    /// Bytes that are no value; too many levels of lists and maps.
    pub fn write_text(&self, out: &mut String) -> Result<(), WireError> {
        match self {
            Self::Empty => {}
            Self::Text(text) => push_lossy(out, text),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            // Writing to a String cannot fail.
            Self::Int(n) => {
                let _ = write!(out, "{n}");
            }
            Self::Double(v) if v.is_nan() => out.push_str("NaN"),
            Self::Double(v) if v.is_infinite() => {
                out.push_str(if *v > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Self::Double(v) => push_number(out, *v),
            Self::Bytes(bytes) => push_base64(out, bytes),
            Self::List(_) | Self::Map(_) => {
                let start = out.len();
                if !self.write_json(out, 0)? {
                    out.truncate(start);
                }
            }
        }
        Ok(())
    }

    /// Whether all of it can stand in JSON.
    fn write_json(&self, out: &mut String, depth: usize) -> Result<bool, WireError> {
        if depth > DEPTH_MAX {
            return Err(WireError::TooMany { what: "levels of attribute values", limit: DEPTH_MAX });
        }
        match self {
            Self::Empty => out.push_str("null"),
            Self::Text(text) => push_json_string(out, &String::from_utf8_lossy(text)),
            Self::Bool(_) | Self::Int(_) => self.write_text(out)?,
            Self::Double(v) if !v.is_finite() => return Ok(false),
            Self::Double(v) => push_number(out, *v),
            Self::Bytes(bytes) => {
                out.push('"');
                push_base64(out, bytes);
                out.push('"');
            }
            Self::List(reader) => {
                let mut reader = *reader;
                let mut separator = '[';
                while let Some(tag) = reader.tag()? {
                    if tag.raw() != 0x0a {
                        reader.skip(tag, 0b10)?;
                        continue;
                    }
                    let mut value = Value::Empty;
                    value.decode(reader.message()?)?;
                    out.push(separator);
                    separator = ',';
                    if !value.write_json(out, depth + 1)? {
                        return Ok(false);
                    }
                }
                out.push_str(if separator == '[' { "[]" } else { "]" });
            }
            Self::Map(reader) => {
                let mut reader = *reader;
                let mut entries = BTreeMap::new();
                while let Some(tag) = reader.tag()? {
                    if tag.raw() != 0x0a {
                        reader.skip(tag, 0b10)?;
                        continue;
                    }
                    let (key, value) = key_value(reader.message()?)?;
                    entries.insert(key, value);
                }
                out.push('{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    push_json_string(out, &String::from_utf8_lossy(key));
                    out.push(':');
                    if !value.write_json(out, depth + 1)? {
                        return Ok(false);
                    }
                }
                out.push('}');
            }
        }
        Ok(true)
    }
}

/// Appends text in which each byte that is no UTF-8 becomes U+FFFD, as Go reads it.
pub(crate) fn push_lossy(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

/// A finite number as ECMAScript prints it (Number::toString), and Go's encoding/json.
fn push_number(out: &mut String, v: f64) {
    let size = v.abs();
    if v == 0.0 {
        // Go keeps the sign.
        out.push_str(if v.is_sign_negative() { "-0" } else { "0" });
    } else if (1e-6..1e21).contains(&size) {
        let _ = write!(out, "{v}");
    } else {
        let text = format!("{v:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                let _ = write!(out, "{digits}e+{exponent}");
            }
            _ => out.push_str(&text),
        }
    }
}

/// As Go's encoding/json writes strings where it does not escape for HTML.
fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{2028}' || c == '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// RFC 4648 §4, with padding.
fn push_base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let word = group.iter().enumerate().fold(0u32, |word, (i, b)| word | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= group.len() { digit as char } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protobuf::writer::{put_bytes, put_double, put_int, put_message, put_string};

    fn text(value: Value<'_>) -> String {
        let mut out = String::new();
        value.write_text(&mut out).unwrap();
        out
    }

    #[test]
    fn values_as_text() {
        assert_eq!(text(Value::Empty), "");
        assert_eq!(text(Value::Text(b"a\xffb\xe2\x82")), "a\u{fffd}b\u{fffd}\u{fffd}");
        assert_eq!(text(Value::Int(-7)), "-7");
        for (v, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(Value::Double(v)), expected);
        }
        for (bytes, expected) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v")] {
            assert_eq!(text(Value::Bytes(bytes)), expected);
        }
    }

    #[test]
    fn lists_and_maps_are_json() {
        let mut list = Vec::new();
        put_message(&mut list, 1, |v| put_string(v, 1, "<\"\u{2028}\u{1}"));
        put_message(&mut list, 1, |_| {});
        put_message(&mut list, 1, |v| {
            put_message(v, 6, |m| {
                for (key, n) in [("z", 1), ("a", 2), ("z", 3)] {
                    put_message(m, 1, |kv| {
                        put_string(kv, 1, key);
                        put_message(kv, 2, |v| put_int(v, 3, n));
                    });
                }
            });
        });
        put_message(&mut list, 1, |v| put_bytes(v, 7, &[0xff]));
        let value = Value::List(Reader::new(&list, 0));
        assert_eq!(text(value), r#"["<\"\u2028\u0001",null,{"a":2,"z":3},"/w=="]"#);
        assert_eq!(text(Value::List(Reader::new(&[], 0))), "[]");
        assert_eq!(text(Value::Map(Reader::new(&[], 0))), "{}");
        put_message(&mut list, 1, |v| put_double(v, 4, f64::INFINITY));
        assert_eq!(text(Value::List(Reader::new(&list, 0))), "");
    }

    #[test]
    fn depth_is_bounded() {
        let mut inner = Vec::new();
        for _ in 0..DEPTH_MAX + 2 {
            let mut outer = Vec::new();
            put_message(&mut outer, 1, |v| put_bytes(v, 5, &inner));
            inner = outer;
        }
        let value = Value::List(Reader::new(&inner, 0));
        assert!(matches!(value.write_text(&mut String::new()), Err(WireError::TooMany { .. })));
    }
}
