//! Label pairs and the exemplars that carry them.

use protobuf::{Error, Reader};

use crate::entry::Exemplar;

/// Calls `f` for name and value of each `LabelPair` among fields 1 of a message, in the order of the bytes. Stops at
/// bytes that are no label pair.
pub(crate) fn for_each_label<'a>(message: &'a [u8], mut f: impl FnMut(&'a [u8], &'a [u8])) {
    let mut r = Reader::new(message, 0);
    while let Ok(Some(tag)) = r.tag() {
        match tag.raw() {
            0x0a => match r.message().and_then(pair) {
                Ok((name, value)) => f(name, value),
                Err(_) => return,
            },
            _ if r.skip(tag, 0).is_err() => return,
            _ => {}
        }
    }
}

/// Name and value of a `LabelPair`.
pub(super) fn pair(mut r: Reader<'_>) -> Result<(&[u8], &[u8]), Error> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    while let Some(tag) = r.tag()? {
        match tag.raw() {
            0x0a => name = r.bytes()?,
            0x12 => value = r.bytes()?,
            _ => r.skip(tag, 0b110)?,
        }
    }
    Ok((name, value))
}

/// Decodes an `Exemplar`; its labels are only looked over.
pub(super) fn exemplar(mut r: Reader<'_>) -> Result<Exemplar<'_>, Error> {
    let labels = r.rest();
    let (mut value, mut timestamp_ms) = (0.0, None);
    while let Some(tag) = r.tag()? {
        match tag.raw() {
            0x0a => drop(pair(r.message()?)?),
            0x11 => value = r.double()?,
            0x1a => timestamp_ms = Some(timestamp(r.message()?)?),
            _ => r.skip(tag, 0b1110)?,
        }
    }
    Ok(Exemplar::delimited(labels, value, timestamp_ms))
}

/// Decodes a `google.protobuf.Timestamp` to milliseconds, cut.
pub(super) fn timestamp(mut r: Reader<'_>) -> Result<i64, Error> {
    let (mut seconds, mut nanos) = (0i64, 0i32);
    while let Some(tag) = r.tag()? {
        match tag.raw() {
            0x08 => seconds = r.int64()?,
            0x10 => nanos = r.uint32()? as i32,
            _ => r.skip(tag, 0b110)?,
        }
    }
    Ok(seconds.wrapping_mul(1000).wrapping_add(i64::from(nanos / 1_000_000)))
}
