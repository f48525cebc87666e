//! Units: from UCUM's `By/s` to Prometheus' `bytes_per_second`.
//!
//! Reference: github.com/prometheus/otlptranslator v1.0.0, `unit_namer.go`.

use super::metric_name::is_name_char;

/// What a unit is called in the plural.
const NAMES: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// What a unit is called behind "per".
const PER_NAMES: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The main part of a unit and the part from "per_" on, either of them empty where there is none; braces hold remarks.
pub(super) fn suffixes(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let named = |unit: &str, names: &[(&str, &str)]| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        names.iter().find(|(from, _)| *from == unit).map_or(unit, |(_, to)| to).to_owned()
    };
    let mut per = named(per, &PER_NAMES);
    if !per.is_empty() {
        per.insert_str(0, "per_");
    }
    (named(main, &NAMES), per)
}

/// A unit in characters of metric names, without an underscore in front or two in a row.
pub(super) fn clean(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        if is_name_char(c) {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    match out.strip_prefix('_') {
        Some(rest) => rest.to_owned(),
        None => out,
    }
}

/// The unit as metadata tell it; `utf8`: with whatever characters it has.
pub(super) fn build(unit: &str, utf8: bool) -> String {
    let (mut main, mut per) = suffixes(unit);
    if !utf8 {
        (main, per) = (clean(&main), clean(&per));
    }
    let whole = match (main.is_empty(), per.is_empty()) {
        (false, false) => format!("{main}_{per}"),
        (false, true) => main,
        _ => per,
    };
    let whole = whole.strip_prefix('_').unwrap_or(&whole);
    whole.strip_suffix('_').unwrap_or(whole).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (unit, escaped, utf8) in [
            ("", "", ""),
            ("1", "", ""),
            ("s", "seconds", "seconds"),
            ("By/s", "bytes_per_second", "bytes_per_second"),
            ("/s", "per_second", "per_second"),
            ("{packets}/m", "per_minute", "per_minute"),
            ("a/{b}", "a", "a"),
            (" % ", "percent", "percent"),
            ("m^2", "m_2", "m^2"),
            ("_x__y_", "x_y", "x__y"),
            ("a/b/c", "a_per_b_c", "a_per_b/c"),
        ] {
            assert_eq!(build(unit, false), escaped, "{unit}");
            assert_eq!(build(unit, true), utf8, "{unit}");
        }
    }
}
