//! Start timestamps in records of the second kind: a mark, and where it says so the distance to
//! the first one of the record.

use model::TimestampMs;

use super::super::bytes::{Bytes, Reason, put_varint};

const NONE: u8 = 0;
const AS_BEFORE: u8 = 1;
const EXPLICIT: u8 = 2;

pub(super) fn decode(
    b: &mut Bytes<'_>,
    first: TimestampMs,
    before: TimestampMs,
) -> Result<TimestampMs, Reason> {
    Ok(match b.u8()? {
        NONE => 0,
        AS_BEFORE => before,
        _ => first.wrapping_add(b.varint()?),
    })
}

pub(super) fn put(buf: &mut Vec<u8>, start: TimestampMs, first: TimestampMs, before: TimestampMs) {
    if start == 0 {
        buf.push(NONE);
    } else if start == before {
        buf.push(AS_BEFORE);
    } else {
        buf.push(EXPLICIT);
        put_varint(buf, start.wrapping_sub(first));
    }
}
