//! Reading the later samples of an XOR chunk: all that [`super::decode::Cursor`] steps through, with
//! its state in registers and what rarely happens out of the way.

use model::TimestampMs;

use super::decode::Cursor;
use crate::ChunkError;

/// Bits of a look that belong to the stream.
const GOOD_BITS: u32 = 57;
/// Bytes, from the one that a sample begins in, that reading it may look at: 4 control bits and 64 of
/// time, 13 control bits, then 64 of value, the second half of them at the front of a look of its own.
const LOOK_BYTES: usize = 23;

/// The state between two samples.
struct State {
    /// Bits consumed.
    at: usize,
    t: TimestampMs,
    t_delta: u64,
    v_bits: u64,
    /// Significant bits of a value difference and the zeros behind them.
    significant: u32,
    trailing: u32,
}

/// Reads samples behind the second, which `cursor` has read, until one is later than `max_ms` or `ts`
/// and `vs`, of one length, are full. Returns how many are not later.
pub(super) fn read(
    cursor: &Cursor<'_>,
    data: &[u8],
    max_ms: TimestampMs,
    ts: &mut [TimestampMs],
    vs: &mut [f64],
) -> Result<usize, ChunkError> {
    let (significant, trailing) = cursor.significant();
    let (t, t_delta, v_bits) = (cursor.t, cursor.t_delta, cursor.v_bits);
    let mut state = State { at: cursor.reader.position(), t, t_delta, v_bits, significant, trailing };
    let mut read = 0;
    if let Some(until) = data.len().checked_sub(LOOK_BYTES) {
        read = state.run(data, until * 8, max_ms, ts, vs)?;
        if state.t > max_ms || read == ts.len() {
            return Ok(read);
        }
    }
    // What is left, with the zeros behind it that a look past the end sees.
    let first = state.at / 8;
    let rest = data.get(first..).unwrap_or_default();
    let mut padded = [0; 2 * LOOK_BYTES + 8];
    padded[..rest.len()].copy_from_slice(rest);
    state.at -= first * 8;
    let end = rest.len() * 8;
    let more = state.run(&padded, end, max_ms, &mut ts[read..], &mut vs[read..]);
    if state.at > end && more != Err(ChunkError::BadValue) {
        return Err(ChunkError::Truncated);
    }
    Ok(read + more?)
}

/// The next bits from the top of the word; at least [`GOOD_BITS`] of them are good.
#[inline(always)]
fn peek57(data: &[u8], at: usize) -> u64 {
    let bytes = data.get(at >> 3..).and_then(|rest| rest.first_chunk());
    // There are always bytes: the caller stops before.
    bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes)) << (at & 7)
}

/// The next 64 bits.
#[inline(always)]
fn peek64(data: &[u8], at: usize) -> u64 {
    peek57(data, at) | peek57(data, at + 32) >> 32
}

impl State {
    /// Reads samples as long as they begin at or before bit `until`, at most as many as `ts` holds and
    /// up to the first after `max_ms`; returns how many that one is not among.
    #[inline(never)]
    fn run(
        &mut self,
        data: &[u8],
        until: usize,
        max_ms: TimestampMs,
        ts: &mut [TimestampMs],
        vs: &mut [f64],
    ) -> Result<usize, ChunkError> {
        let State { mut at, mut t, mut t_delta, mut v_bits, mut significant, mut trailing } = *self;
        let n = ts.len().min(vs.len());
        let (ts, vs) = (&mut ts[..n], &mut vs[..n]);
        let mut i = 0;
        let mut result = Ok(());
        while i < n && at <= until {
            let mut word = peek57(data, at);
            if word >> 62 == 0 {
                // Time step and value repeat, perhaps often.
                let most = (word.leading_zeros().min(GOOD_BITS) / 2) as usize;
                let mut k = 0;
                while k < most && i < n {
                    let next = t.wrapping_add(t_delta as i64);
                    k += 1;
                    if next <= t {
                        result = Err(ChunkError::OutOfOrder);
                        break;
                    }
                    t = next;
                    if t > max_ms {
                        break;
                    }
                    (ts[i], vs[i]) = (t, f64::from_bits(v_bits));
                    i += 1;
                }
                at += 2 * k;
                if result.is_err() || t > max_ms {
                    break;
                }
                continue;
            }
            let by = t_delta as i64;
            if word >> 61 == 0b010 && significant <= GOOD_BITS - 3 && by > 0 {
                // The time step repeats, and the value changes within the window in force: for most
                // series nearly always so. A time up to `last` can go on without being too late.
                let last = max_ms.saturating_sub(by);
                if t <= last {
                    let (step, shift, trailing) = (3 + significant as usize, 64 - significant, trailing);
                    loop {
                        v_bits ^= (word << 3) >> shift << trailing;
                        at += step;
                        t += by;
                        (ts[i], vs[i]) = (t, f64::from_bits(v_bits));
                        i += 1;
                        if i == n || at > until || t > last {
                            break;
                        }
                        word = peek57(data, at);
                        if word >> 61 != 0b010 {
                            break;
                        }
                    }
                    continue;
                }
            }
            let mut used = 1;
            if word >> 63 == 0 {
                word <<= 1;
            } else {
                let ones = word.leading_ones();
                if ones > 3 {
                    t_delta = t_delta.wrapping_add(peek64(data, at + 4));
                    at += 4 + 64;
                    used = 0;
                    word = peek57(data, at);
                } else {
                    // 10, 110, 1110 stand before 14, 17, 20 bits.
                    let (control, bits) = (ones + 1, 11 + 3 * ones);
                    let raw = (word << control) >> (64 - bits);
                    // The range ends at +2^(bits−1) and not one below: shift by one, extend the sign,
                    // shift back.
                    let dod = ((raw.wrapping_sub(1) << (64 - bits)) as i64 >> (64 - bits)) + 1;
                    t_delta = t_delta.wrapping_add(dod as u64);
                    used = control + bits;
                    word <<= used;
                }
            }
            if word >> 63 == 0 {
                at += used as usize + 1;
            } else {
                let mut control = 2;
                if word >> 62 & 1 == 1 {
                    let leading = (word >> 57 & 31) as u32;
                    significant = ((word >> 51).wrapping_sub(1) & 63) as u32 + 1;
                    if leading + significant > 64 {
                        result = Err(ChunkError::BadValue);
                        break;
                    }
                    trailing = 64 - leading - significant;
                    control = 13;
                }
                used += control;
                at += used as usize;
                word <<= control;
                if used + significant > GOOD_BITS {
                    word = peek64(data, at);
                }
                v_bits ^= word >> (64 - significant) << trailing;
                at += significant as usize;
            }
            let next = t.wrapping_add(t_delta as i64);
            if next <= t {
                result = Err(ChunkError::OutOfOrder);
                break;
            }
            t = next;
            if t > max_ms {
                break;
            }
            (ts[i], vs[i]) = (t, f64::from_bits(v_bits));
            i += 1;
        }
        *self = State { at, t, t_delta, v_bits, significant, trailing };
        result.map(|()| i)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use model::Columns;
    use proptest::prelude::*;

    use super::super::{XorEncoder, decode};
    use super::*;
    use crate::{Encoding, num_samples};

    type Read = Result<Vec<(TimestampMs, u64)>, ChunkError>;

    /// As [`decode`], one sample after the other.
    fn by_steps(data: &[u8], min_ms: TimestampMs, max_ms: TimestampMs) -> Read {
        let n = usize::from(num_samples(Encoding::Xor, data)?);
        if n == 0 {
            return Ok(Vec::new());
        }
        if n > data.len() * 4 {
            return Err(ChunkError::Truncated);
        }
        let mut cursor = Cursor::start(data)?;
        let mut out = Vec::new();
        for i in 0..n {
            match i {
                0 => {}
                1 => cursor.second()?,
                _ => cursor.step()?,
            }
            if cursor.t > max_ms {
                break;
            }
            if cursor.t >= min_ms {
                out.push((cursor.t, cursor.v_bits));
            }
        }
        Ok(out)
    }

    fn at_once(data: &[u8], min_ms: TimestampMs, max_ms: TimestampMs) -> Read {
        let mut c = Columns::default();
        decode(data, min_ms, max_ms, &mut c)?;
        Ok(c.t.into_iter().zip(c.v.into_iter().map(f64::to_bits)).collect())
    }

    /// Samples in stretches that repeat, count and jump, at times that keep their step and do not.
    fn samples() -> impl Strategy<Value = Vec<(TimestampMs, f64)>> {
        let step = prop_oneof![8 => Just(15_000i64), 2 => 14_990..15_010i64, 1 => 1..1_000_000i64, 1 => 1..1i64 << 50];
        let change = prop_oneof![4 => Just(0.0), 4 => -9.0..9.0, 1 => Just(1e300), 1 => any::<f64>()];
        let stretch = (step, change, 1..20usize);
        prop::collection::vec(stretch, 0..12).prop_map(|stretches| {
            let (mut t, mut v) = (1_767_225_600_000i64, 1.0f64);
            let mut out = Vec::new();
            for (step, change, n) in stretches {
                for _ in 0..n {
                    (t, v) = (t + step, v + change);
                    out.push((t, v));
                }
            }
            out
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_steps(
            samples in samples(),
            from in any::<prop::sample::Index>(),
            to in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            count in prop::option::of(any::<u16>()),
        ) {
            let mut e = XorEncoder::new();
            samples.iter().for_each(|(t, v)| e.append(*t, *v));
            let data = e.bytes().to_vec();
            let time = |i: prop::sample::Index| if samples.is_empty() { 0 } else { i.get(&samples).0 };
            for (min_ms, max_ms) in [(i64::MIN, i64::MAX), (time(from), time(to)), (i64::MIN, time(to) + 1)] {
                prop_assert_eq!(at_once(&data, min_ms, max_ms), by_steps(&data, min_ms, max_ms));
            }
            let mut bad = data[..cut.index(data.len()) + 1].to_vec();
            for (at, byte) in flips {
                let at = at.index(bad.len());
                bad[at] = byte;
            }
            if let (Some(count), Some(head)) = (count, bad.first_chunk_mut()) {
                *head = (count % 300).to_be_bytes();
            }
            for max_ms in [i64::MAX, time(to)] {
                prop_assert_eq!(at_once(&bad, i64::MIN, max_ms), by_steps(&bad, i64::MIN, max_ms));
            }
        }

        #[test]
        fn agrees_with_steps_on_any_bytes(mut data in prop::collection::vec(any::<u8>(), 2..120), max_ms in any::<i64>()) {
            data[0] = 0;
            prop_assert_eq!(at_once(&data, i64::MIN, max_ms), by_steps(&data, i64::MIN, max_ms));
        }
    }

    #[test]
    fn times_end_where_they_overflow() {
        for by in [1i64, 40_000, 1 << 60, i64::MAX] {
            let mut e = XorEncoder::new();
            let first = i64::MAX - 5 * (by / 6) - 3;
            (0..5).for_each(|i| e.append(first + i * (by / 6), i as f64));
            let mut data = e.bytes().to_vec();
            data[1] = 40;
            data.extend([0x55; 80]);
            for max_ms in [i64::MAX, i64::MAX - 1, first] {
                assert_eq!(at_once(&data, i64::MIN, max_ms), by_steps(&data, i64::MIN, max_ms), "{by}");
            }
        }
    }
}
