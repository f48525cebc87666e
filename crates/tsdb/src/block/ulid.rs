//! The names of blocks: 48 bits of time, 80 random ones, 26 letters that sort by time.

use std::fmt;
use std::str::FromStr;

use model::TimestampMs;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters of a ULID.
const TEXT_LEN: usize = 26;
const RANDOM_BITS: u32 = 80;

/// A universally unique, lexicographically sortable identifier (github.com/ulid/spec).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid(u128);

/// A text that is no ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ULID")]
pub struct UlidError;

impl Ulid {
    /// An identifier made at `now_ms` (its low 48 bits) with the low 80 bits of `random`. Both
    /// come from outside, so that tests decide them.
    #[must_use]
    pub fn new(now_ms: TimestampMs, random: u128) -> Self {
        Self((now_ms as u128) << RANDOM_BITS | random & ((1 << RANDOM_BITS) - 1))
    }

    /// The time it was made.
    #[must_use]
    pub fn time_ms(self) -> TimestampMs {
        (self.0 >> RANDOM_BITS) as i64
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_LEN];
        for (i, c) in text.iter_mut().rev().enumerate() {
            *c = ALPHABET[(self.0 >> (5 * i)) as usize & 31];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl FromStr for Ulid {
    type Err = UlidError;

    /// Small letters count as large ones.
    fn from_str(text: &str) -> Result<Self, UlidError> {
        // 26 letters have 130 bits: the first may say 3 of its 5.
        if text.len() != TEXT_LEN || text.as_bytes()[0] > b'7' {
            return Err(UlidError);
        }
        let digit = |c: u8| ALPHABET.iter().position(|a| *a == c.to_ascii_uppercase());
        let add = |n: u128, c| Some(n << 5 | digit(c)? as u128);
        text.bytes().try_fold(0, add).map(Self).ok_or(UlidError)
    }
}

impl Serialize for Ulid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ulid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses() {
        let id = Ulid::new(1_469_918_176_385, 0x0123_4567_89ab_cdef_0123);
        assert_eq!(id.to_string(), "01ARYZ6S4104HMASW9NF6YY093");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
        assert_eq!(id.time_ms(), 1_469_918_176_385);
        assert!(Ulid::new(2, 0) > Ulid::new(1, u128::MAX));
        for bad in
            ["", "01ARYZ6S4104HMASW9NF6YY09", "81ARYZ6S4104HMASW9NF6YY093", "01ARYZ6S4104HMASW9NF6YY09I"]
        {
            assert_eq!(bad.parse::<Ulid>(), Err(UlidError), "{bad}");
        }
    }
}
