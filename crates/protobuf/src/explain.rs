//! Prometheus' words for bytes that are no protobuf: those of the code that gogo/protobuf generates.
//!
//! Reading stops at the first fault and knows its place only. What Prometheus says names the message and the field, so
//! the message is read once more, slowly, by its description.

use crate::{Error, Reader};

const UNEXPECTED_EOF: &str = "unexpected EOF";
const OVERFLOW: &str = "proto: integer overflow";
const NEGATIVE_LENGTH: &str = "proto: negative length found during unmarshaling";

/// How a field is encoded, and what it holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A number of any length.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// A string, or what is not looked into.
    Bytes,
    /// A message.
    Message(&'static Message),
    /// Numbers of any length, packed or not.
    PackedVarint,
    /// Of eight bytes each, packed or not.
    PackedFixed64,
}

/// A message's name and its fields: number, name, encoding.
#[derive(Debug)]
pub struct Message {
    /// In Go.
    pub name: &'static str,
    /// Each field's number, name in Go, and encoding.
    pub fields: &'static [(u64, &'static str, Kind)],
}

/// Why `bytes` are no `message`.
#[cold]
#[must_use]
pub fn explain(message: &'static Message, bytes: &[u8], fault: Error) -> String {
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
    use crate::Fault;

    static INNER: Message = Message { name: "Inner", fields: &[(1, "Offset", Kind::Varint)] };
    static OUTER: Message = Message {
        name: "Outer",
        fields: &[
            (1, "Name", Kind::Bytes),
            (2, "Value", Kind::Fixed64),
            (3, "Inner", Kind::Message(&INNER)),
            (4, "Deltas", Kind::PackedVarint),
        ],
    };

    #[test]
    fn faults_have_prometheus_words() {
        let check = |bytes: &[u8], want: &str| {
            let fault = Error { fault: Fault::Truncated, offset: 0 };
            assert_eq!(explain(&OUTER, bytes, fault), want, "{bytes:?}");
        };
        check(&[0x08, 1], "proto: wrong wireType = 0 for field Name");
        check(&[0x0a, 9], UNEXPECTED_EOF);
        check(&[0x11, 1, 2], UNEXPECTED_EOF);
        check(&[0x00], "proto: Outer: illegal tag 0 (wire type 0)");
        check(&[0x3e], "proto: illegal wireType 6");
        check(&[0xff; 12], OVERFLOW);
        check(&[0x22, 1, 0x80], UNEXPECTED_EOF);
        check(&[0x1a, 2, 0x0c, 0], "proto: Inner: wiretype end group for non-group");
        check(&[0x1a, 1, 0x0d], "proto: wrong wireType = 5 for field Offset");
    }
}
