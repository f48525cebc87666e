//! Counter resets told by start timestamps: when a sample's counting began.

/// The start timestamp of sample `i`, 0 (unknown) where the column is empty.
#[inline]
pub(crate) fn st_at(st: &[i64], i: usize) -> i64 {
    st.get(i).copied().unwrap_or(0)
}

/// Whether the counter was reset between two samples, going by their start timestamps alone.
///
/// A start equal to the sample's own time is OpenTelemetry's "unknown"; one equal to the time of
/// the sample before means a reset for deltas only, so that one's start must be known.
pub(crate) fn is_reset(prev_st: i64, prev_t: i64, st: i64, t: i64) -> bool {
    if prev_st == st || st == 0 || st >= t || st < prev_t {
        return false;
    }
    if st > prev_t {
        return true;
    }
    prev_st <= prev_t && prev_st != 0 && prev_st != prev_t
}

/// Whether a sample at `t` that began at `st` tells of a reset after `after`.
pub(crate) fn is_reset_after(after: i64, st: i64, t: i64) -> bool {
    st > after && t > after && is_reset(after, after, st, t)
}

/// Whether a sample claims to have begun before the one before it was taken, without sharing its
/// beginning.
pub(crate) fn overlaps(prev_st: i64, prev_t: i64, st: i64) -> bool {
    st != 0 && st < prev_t && st != prev_st
}
