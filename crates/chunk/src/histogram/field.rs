//! The numbers of a histogram, each followed from sample to sample.

use crate::ChunkError;
use crate::bit_writer::BitWriter;
use crate::bits::BitReader;
use crate::varbit::{put_int, put_uint, read_int, read_uint};
use crate::xor_value::XorValue;

use super::layout::read_raw;

/// A number that every sample has, and how it is written and read.
pub(super) trait Field: Copy + std::fmt::Debug {
    /// What it is.
    type Value: Copy;

    /// A number nobody has written yet.
    fn zero() -> Self;

    /// The last number.
    fn get(self) -> Self::Value;

    fn write_first(out: &mut BitWriter, value: Self::Value) -> Self;
    fn write_next(&mut self, out: &mut BitWriter, value: Self::Value);
    fn read_first(from: &mut BitReader<'_>) -> Self;
    fn read_next(&mut self, from: &mut BitReader<'_>) -> Result<(), ChunkError>;

    /// Writes a stale sample's, which is zero.
    fn write_stale(&mut self, out: &mut BitWriter);
}

/// A count and by how much it rose last.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountField {
    value: u64,
    delta: i64,
}

impl Field for CountField {
    type Value = u64;

    fn zero() -> Self {
        Self { value: 0, delta: 0 }
    }

    fn get(self) -> u64 {
        self.value
    }

    fn write_first(out: &mut BitWriter, value: u64) -> Self {
        put_uint(out, value);
        Self { value, delta: 0 }
    }

    fn write_next(&mut self, out: &mut BitWriter, value: u64) {
        let delta = value.wrapping_sub(self.value) as i64;
        put_int(out, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }

    fn read_first(from: &mut BitReader<'_>) -> Self {
        Self { value: read_uint(from), delta: 0 }
    }

    fn read_next(&mut self, from: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.delta = self.delta.wrapping_add(read_int(from));
        self.value = self.value.wrapping_add(self.delta as u64);
        Ok(())
    }

    fn write_stale(&mut self, out: &mut BitWriter) {
        put_int(out, 0);
        *self = Self { value: 0, delta: 0u64.wrapping_sub(self.value) as i64 };
    }
}

/// A bucket of an integer histogram, itself a difference, and by how much it rose last.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeltaField {
    value: i64,
    delta: i64,
}

impl Field for DeltaField {
    type Value = i64;

    fn zero() -> Self {
        Self { value: 0, delta: 0 }
    }

    fn get(self) -> i64 {
        self.value
    }

    fn write_first(out: &mut BitWriter, value: i64) -> Self {
        put_int(out, value);
        Self { value, delta: 0 }
    }

    fn write_next(&mut self, out: &mut BitWriter, value: i64) {
        let delta = value.wrapping_sub(self.value);
        put_int(out, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }

    fn read_first(from: &mut BitReader<'_>) -> Self {
        Self { value: read_int(from), delta: 0 }
    }

    fn read_next(&mut self, from: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.delta = self.delta.wrapping_add(read_int(from));
        self.value = self.value.wrapping_add(self.delta);
        Ok(())
    }

    fn write_stale(&mut self, _out: &mut BitWriter) {}
}

/// Any number of a float histogram.
#[derive(Clone, Copy, Debug)]
pub(super) struct FloatField(XorValue);

impl Field for FloatField {
    type Value = f64;

    fn zero() -> Self {
        Self(XorValue::new(0.0))
    }

    fn get(self) -> f64 {
        self.0.get()
    }

    fn write_first(out: &mut BitWriter, value: f64) -> Self {
        out.put(value.to_bits(), 64);
        Self(XorValue::new(value))
    }

    fn write_next(&mut self, out: &mut BitWriter, value: f64) {
        self.0.write(out, value);
    }

    fn read_first(from: &mut BitReader<'_>) -> Self {
        Self(XorValue::new(read_raw(from)))
    }

    fn read_next(&mut self, from: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.0.read(from)
    }

    fn write_stale(&mut self, out: &mut BitWriter) {
        self.0.write(out, 0.0);
    }
}
