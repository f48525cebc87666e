//! Days of the proleptic Gregorian calendar, without time zones.

/// Year, month 1–12 and day 1–31 of the day `days` after 1970-01-01 (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
#[must_use]
pub fn civil(days: i128) -> (i128, i128, i128) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i128::from(month <= 2), month, day)
}
