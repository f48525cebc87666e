//! One float after another, each as its difference to the one before: the values of XOR chunks
//! used as fields of others.

use crate::ChunkError;
use crate::bit_writer::BitWriter;
use crate::bits::BitReader;

/// No window of significant bits has been written yet.
const NO_WINDOW: u8 = 0xff;
/// Most leading zeros that five bits can say.
const LEADING_MAX: u32 = 31;

/// The last value and the window of significant bits in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct XorValue {
    bits: u64,
    leading: u8,
    trailing: u8,
}

impl XorValue {
    /// The first value, which is written elsewhere.
    pub(crate) fn new(value: f64) -> Self {
        Self { bits: value.to_bits(), leading: NO_WINDOW, trailing: 0 }
    }

    #[inline]
    pub(crate) fn get(self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// Writes the next value.
    #[inline]
    pub(crate) fn write(&mut self, out: &mut BitWriter, value: f64) {
        let delta = value.to_bits() ^ self.bits;
        self.bits = value.to_bits();
        if delta == 0 {
            return out.put(0, 1);
        }
        let leading = delta.leading_zeros().min(LEADING_MAX);
        let trailing = delta.trailing_zeros();
        let (old_leading, old_trailing) = (u32::from(self.leading), u32::from(self.trailing));
        if self.leading != NO_WINDOW && leading >= old_leading && trailing >= old_trailing {
            out.put(0b10, 2);
            return out.put(delta >> old_trailing, 64 - old_leading - old_trailing);
        }
        self.leading = leading as u8;
        self.trailing = trailing as u8;
        let significant = 64 - leading - trailing;
        // 64 significant bits are written as 0: six bits have no 64, and 0 never occurs.
        out.put(0b11 << 11 | u64::from(leading << 6 | significant & 63), 13);
        out.put(delta >> trailing, significant);
    }

    /// Reads the next value; past the end, whatever comes of zeros.
    #[inline]
    pub(crate) fn read(&mut self, from: &mut BitReader<'_>) -> Result<(), ChunkError> {
        let word = from.peek57();
        if word >> 63 == 0 {
            from.skip(1);
            return Ok(());
        }
        let mut control = 2;
        if word >> 62 & 1 == 1 {
            let leading = (word >> 57 & 31) as u32;
            let significant = ((word >> 51).wrapping_sub(1) & 63) as u32 + 1;
            if leading + significant > 64 {
                return Err(ChunkError::BadValue);
            }
            self.leading = leading as u8;
            self.trailing = (64 - leading - significant) as u8;
            control = 13;
        }
        // A difference may reuse the window before any was written: it then has all 64 bits.
        let leading = if self.leading == NO_WINDOW { 0 } else { u32::from(self.leading) };
        let significant = 64 - leading - u32::from(self.trailing);
        from.skip(control);
        self.bits ^= from.peek64() >> (64 - significant) << self.trailing;
        from.skip(significant);
        Ok(())
    }
}
