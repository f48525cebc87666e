//! Prometheus' words for bytes that are no protobuf: those of the code that gogo/protobuf generates, and of the code that
//! OpenTelemetry's collector generates for its own messages.
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
    /// Nothing, or so many bytes: an identifier, and what is said of any other length.
    Id(usize, &'static str),
}

/// Messages within each other that are looked into; what is deeper counts as sound.
const DEPTH_MAX: usize = 64;

/// Whose code reads the message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Generator {
    Gogo,
    Collector,
}

/// A message's name and its fields: number, name, encoding.
#[derive(Debug)]
pub struct Message {
    /// In Go.
    pub name: &'static str,
    /// Each field's number, name in Go, and encoding.
    pub fields: &'static [(u64, &'static str, Kind)],
}

/// Why `bytes` are no `message`, as gogo/protobuf has it.
#[cold]
#[must_use]
pub fn explain(message: &'static Message, bytes: &[u8], fault: Error) -> String {
    // Groups are the one thing that Prometheus passes over and we do not.
    walk(Generator::Gogo, message, bytes, 0)
        .err()
        .unwrap_or_else(|| format!("proto: {}: {}", message.name, fault.fault))
}

/// Why `bytes` are no `message`, as OpenTelemetry's collector has it (`pdata`); `None` where it takes them.
#[cold]
#[must_use]
pub fn explain_collector(message: &'static Message, bytes: &[u8]) -> Option<String> {
    walk(Generator::Collector, message, bytes, 0).err()
}

fn walk(generator: Generator, message: &Message, bytes: &[u8], depth: usize) -> Result<(), String> {
    if depth >= DEPTH_MAX {
        return Ok(());
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let wire = key & 7;
        if generator == Generator::Gogo && wire == 4 {
            return Err(format!("proto: {}: wiretype end group for non-group", message.name));
        }
        let number = field_number(generator, message, key, bytes.len() - rest.len())?;
        match message.fields.iter().find(|(n, ..)| *n == u64::from(number)) {
            Some((_, _, Kind::Message(inner))) if wire == 2 => {
                let inside = bytes_field(&mut rest)?;
                walk(generator, inner, inside, depth + 1)?;
            }
            Some((_, name, kind)) => walk_field(generator, *kind, wire, name, &mut rest)?,
            None if generator == Generator::Gogo => pass(wire, &mut rest)?,
            None => pass_collector(message, wire, bytes.len(), &mut rest)?,
        }
    }
    Ok(())
}

/// Field numbers are integers of 32 bits to both.
fn field_number(generator: Generator, message: &Message, key: u64, behind: usize) -> Result<u32, String> {
    let number = (key >> 3) as i32;
    if number > 0 {
        return Ok(number as u32);
    }
    Err(match generator {
        Generator::Gogo => format!("proto: {}: illegal tag {number} (wire type {key})", message.name),
        Generator::Collector => format!("proto: Link: illegal field={number} (tag={key}, pos={behind})"),
    })
}

fn walk_field(
    generator: Generator,
    kind: Kind,
    wire: u64,
    name: &str,
    rest: &mut &[u8],
) -> Result<(), String> {
    match (kind, wire) {
        (Kind::Varint | Kind::PackedVarint, 0) => varint(rest).map(drop),
        (Kind::Fixed64 | Kind::PackedFixed64, 1) => fixed64(rest),
        (Kind::Bytes, 2) => bytes_field(rest).map(drop),
        (Kind::PackedVarint, 2) => each(bytes_field(rest)?, |packed| varint(packed).map(drop)),
        (Kind::PackedFixed64, 2) if generator == Generator::Collector => match bytes_field(rest)?.len() % 8 {
            0 => Ok(()),
            left => Err(format!("proto: invalid field len = {left} for field {name}")),
        },
        (Kind::PackedFixed64, 2) => each(bytes_field(rest)?, fixed64),
        (Kind::Id(length, otherwise), 2) => {
            let found = bytes_field(rest)?.len();
            if found == 0 || found == length { Ok(()) } else { Err(otherwise.to_owned()) }
        }
        _ => Err(format!("proto: wrong wireType = {wire} for field {name}")),
    }
}

/// Passes over a field that the message does not have.
fn pass(wire: u64, rest: &mut &[u8]) -> Result<(), String> {
    match wire {
        0 => varint(rest).map(drop),
        1 => fixed64(rest),
        2 => bytes_field(rest).map(drop),
        5 => fixed32(rest),
        // A group: nothing here has any.
        3 => Err("proto: group".to_owned()),
        _ => Err(format!("proto: illegal wireType {wire}")),
    }
}

/// The same as the collector does it: of a group it passes over the first field alone.
fn pass_collector(message: &Message, wire: u64, length: usize, rest: &mut &[u8]) -> Result<(), String> {
    let (mut wire, mut depth) = (wire, 0usize);
    while !rest.is_empty() {
        match wire {
            3 => depth += 1,
            4 if depth == 0 => return Err("proto: unexpected end of group".to_owned()),
            4 => depth -= 1,
            _ => return pass(wire, rest),
        }
        if depth == 0 {
            return Ok(());
        }
        let key = varint(rest)?;
        field_number(Generator::Collector, message, key, length - rest.len())?;
        wire = key & 7;
    }
    Err(UNEXPECTED_EOF.to_owned())
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

fn fixed32(rest: &mut &[u8]) -> Result<(), String> {
    let (_, tail) = rest.split_first_chunk::<4>().ok_or(UNEXPECTED_EOF)?;
    *rest = tail;
    Ok(())
}

fn bytes_field<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
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

    #[test]
    fn the_collector_has_words_of_its_own() {
        static ID: Message = Message { name: "Id", fields: &[(1, "TraceId", Kind::Id(16, "16 bytes"))] };
        static TREE: Message = Message {
            name: "Tree",
            fields: &[
                (1, "Value", Kind::Fixed64),
                (2, "Tree", Kind::Message(&TREE)),
                (3, "Counts", Kind::PackedFixed64),
                (4, "Id", Kind::Message(&ID)),
            ],
        };
        let check = |bytes: &[u8], want: Option<&str>| {
            assert_eq!(explain_collector(&TREE, bytes).as_deref(), want, "{bytes:?}");
        };
        check(&[], None);
        check(&[0x08, 1], Some("proto: wrong wireType = 0 for field Value"));
        check(&[0x12, 2, 0x00, 1], Some("proto: Link: illegal field=0 (tag=0, pos=1)"));
        check(&[0x1a, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9], Some("proto: invalid field len = 1 for field Counts"));
        check(&[0x22, 3, 0x0a, 1, 7], Some("16 bytes"));
        check(&[0x22, 2, 0x0a, 0], None);
        // A group of one field, and the same of two; an end without a beginning; one that is all there is.
        check(&[0x4b, 0x08, 1], None);
        check(&[0x4b, 0x08, 1, 0x4c, 0x48, 1], Some("proto: unexpected end of group"));
        check(&[0x4b, 0x4c], Some(UNEXPECTED_EOF));
        check(&[0x4c], Some(UNEXPECTED_EOF));
        check(&[0x4e, 1], Some("proto: illegal wireType 6"));
        check(&[0x4d, 1], Some(UNEXPECTED_EOF));
        // However deep it goes, it ends.
        let mut deep = Vec::new();
        for _ in 0..100_000 {
            let mut outer = vec![0x12];
            crate::writer::put_varint(&mut outer, deep.len() as u64);
            deep.splice(0..0, outer);
            if deep.len() > 1 << 14 {
                break;
            }
        }
        check(&deep, None);
    }
}
