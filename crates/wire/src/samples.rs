//! Float samples, decoded into columns. The message is the same in remote write 1.0 and 2.0 but for
//! the start timestamp, which only 2.0 has.

use model::TimestampMs;

use crate::error::WireError;
use protobuf::writer::{put_double, put_int, put_message};
use protobuf::{Reader, last_varint};

/// Float samples of one or more series in the order of the body, one vector per field; owned and
/// reused by the caller. `t` and `v` have equal lengths. `st` is empty while no sample has a start
/// timestamp, else as long as `t` with 0 for "unknown". Nothing is promised about order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleColumns {
    /// Timestamps, milliseconds.
    pub t: Vec<TimestampMs>,
    /// Values.
    pub v: Vec<f64>,
    /// Start timestamps, milliseconds, or empty.
    pub st: Vec<TimestampMs>,
}

impl SampleColumns {
    /// Forgets the samples, keeps the memory.
    pub fn clear(&mut self) {
        self.t.clear();
        self.v.clear();
        self.st.clear();
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.t.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.t.is_empty()
    }

    #[inline]
    fn push(&mut self, t: TimestampMs, v: f64, st: TimestampMs) {
        if st != 0 || !self.st.is_empty() {
            self.st.resize(self.t.len(), 0);
            self.st.push(st);
        }
        self.t.push(t);
        self.v.push(v);
    }

    /// Decodes one `Sample` message; `has_start` says whether field 3 is known.
    #[inline]
    pub(crate) fn decode(&mut self, message: Reader<'_>, has_start: bool) -> Result<(), WireError> {
        // What every sender writes: value, timestamp, perhaps a start timestamp, nothing else.
        let bytes = message.rest();
        if let [0x09, v0, v1, v2, v3, v4, v5, v6, v7, 0x10, ..] = bytes {
            let v = f64::from_le_bytes([*v0, *v1, *v2, *v3, *v4, *v5, *v6, *v7]);
            if let Some(t) = last_varint(bytes, 10) {
                self.push(t as i64, v, 0);
                return Ok(());
            }
            let mut rest = message;
            rest.advance(10);
            let t = rest.int64()?;
            let start = bytes.len() - rest.rest().len();
            if has_start
                && bytes.get(start) == Some(&0x18)
                && let Some(st) = last_varint(bytes, start + 1)
            {
                self.push(t, v, st as i64);
                return Ok(());
            }
        }
        self.decode_any(message, has_start)
    }

    fn decode_any(&mut self, mut message: Reader<'_>, has_start: bool) -> Result<(), WireError> {
        let (mut t, mut v, mut st) = (0, 0.0, 0);
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x09 => v = message.double()?,
                0x10 => t = message.int64()?,
                0x18 if has_start => st = message.int64()?,
                _ => message.skip(tag, if has_start { 0b1110 } else { 0b110 })?,
            }
        }
        self.push(t, v, st);
        Ok(())
    }
}

/// Appends a `Sample` as field 2 of a series. `st` is 0 in 1.0.
#[inline]
pub(crate) fn put_sample(out: &mut Vec<u8>, t: TimestampMs, v: f64, st: TimestampMs) {
    put_message(out, 2, |out| {
        put_double(out, 1, v);
        put_int(out, 2, t);
        put_int(out, 3, st);
    });
}
