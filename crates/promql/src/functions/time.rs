//! Calendar functions, in UTC (proleptic Gregorian, as in Go).

use model::calendar::civil;
use promql_syntax::Function;

const DAY_S: i128 = 86_400;

/// Seconds from the year in which Go's calendar begins to 1970. Times before it wrap around.
const GO_EPOCH_S: i128 = 9_223_372_028_741_760_000;

/// Seconds since the epoch as Go's calendar on amd64 takes a float: what fits no integer becomes
/// the least one, and that wraps around.
pub(crate) fn seconds(v: f64) -> i128 {
    let s = if v.is_finite() && v.abs() < 9.3e18 { i128::from(v as i64) } else { i128::from(i64::MIN) };
    if s < -GO_EPOCH_S { s + (1 << 64) } else { s }
}

fn is_leap(year: i128) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i128, month: i128) -> i128 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The calendar function behind `f`, if `f` is one: of seconds since the epoch.
pub(crate) fn calendar(f: Function) -> Option<fn(i128) -> i128> {
    Some(match f {
        Function::Minute => |s| s.rem_euclid(3600) / 60,
        Function::Hour => |s| s.rem_euclid(DAY_S) / 3600,
        Function::DayOfWeek => |s| (s.div_euclid(DAY_S) + 4).rem_euclid(7),
        Function::DayOfMonth => |s| civil(s.div_euclid(DAY_S)).2,
        Function::DayOfYear => |s| {
            let (year, month, day) = civil(s.div_euclid(DAY_S));
            (1..month).map(|m| days_in_month(year, m)).sum::<i128>() + day
        },
        Function::DaysInMonth => |s| {
            let (year, month, _) = civil(s.div_euclid(DAY_S));
            days_in_month(year, month)
        },
        Function::Month => |s| civil(s.div_euclid(DAY_S)).1,
        Function::Year => |s| civil(s.div_euclid(DAY_S)).0,
        _ => return None,
    })
}

/// `2006-01-02T15:04:05Z`
pub(crate) fn rfc3339(t_ms: i64) -> String {
    // Go divides towards zero here.
    let s = i128::from(t_ms / 1000);
    let (year, month, day) = civil(s.div_euclid(DAY_S));
    let (h, m, sec) = (s.rem_euclid(DAY_S) / 3600, s.rem_euclid(3600) / 60, s.rem_euclid(60));
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{sec:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        // 2024-02-29T23:59:58Z
        let s = 1_709_251_198;
        let of = |f: Function| calendar(f).unwrap()(s);
        assert_eq!((of(Function::Year), of(Function::Month), of(Function::DayOfMonth)), (2024, 2, 29));
        assert_eq!((of(Function::DayOfYear), of(Function::DaysInMonth)), (60, 29));
        assert_eq!((of(Function::DayOfWeek), of(Function::Hour), of(Function::Minute)), (4, 23, 59));
        assert_eq!(rfc3339(1_709_251_198_500), "2024-02-29T23:59:58Z");
        assert_eq!(rfc3339(-1000), "1969-12-31T23:59:59Z");
        let far = calendar(Function::Year).unwrap();
        far(i128::from(i64::MAX));
        far(seconds(f64::NAN));
        assert_eq!(calendar(Function::Minute).unwrap()(seconds(f64::INFINITY)), 30);
    }
}
