//! Floats read exactly as Go's `strconv.ParseFloat` accepts them.

/// Powers of ten that a float holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Parses a sample's value as Prometheus' text parsers do: as [`parse_go_float`], without
/// hexadecimal floats and underscores.
#[must_use]
#[inline]
pub fn parse_sample_float(text: &[u8]) -> Option<f64> {
    if let Some(v) = parse_short_decimal(text) {
        return Some(v);
    }
    parse_decimal(text)
}

/// Digits with at most one point and no exponent, few enough that one division is exact.
#[inline]
fn parse_short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut mantissa = 0u64;
    let mut point = None;
    for (i, &b) in digits.iter().enumerate() {
        let digit = b.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + u64::from(digit);
        } else if b == b'.' && point.is_none() {
            point = Some(i);
        } else {
            return None;
        }
    }
    // Both operands are exact, so IEEE division rounds once, as a full parser would.
    if mantissa >= 1 << 53 {
        return None;
    }
    let abs = match point {
        None => mantissa as f64,
        Some(_) if digits.len() == 1 => return None,
        Some(at) => mantissa as f64 / EXACT_POWERS[digits.len() - 1 - at],
    };
    Some(if negative { -abs } else { abs })
}

#[cold]
fn parse_decimal(text: &[u8]) -> Option<f64> {
    if let Some(v) = parse_special(text) {
        return Some(v);
    }
    if !text.iter().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    let v: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // Go reports a range error instead of an infinity.
    v.is_finite().then_some(v)
}

/// `nan`, and `inf` or `infinity` with an optional sign, in any case.
fn parse_special(text: &[u8]) -> Option<f64> {
    if text.eq_ignore_ascii_case(b"nan") {
        return Some(f64::from_bits(GO_NAN_BITS));
    }
    let (negative, rest) = split_sign(text);
    let infinite = rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity");
    infinite.then_some(if negative { f64::NEG_INFINITY } else { f64::INFINITY })
}

/// The bits of Go's `math.NaN()`.
const GO_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Parses all that Go's `strconv.ParseFloat(text, 64)` accepts: decimals, `inf` and `nan`,
/// hexadecimal floats (`0x1.8p3`), underscores between digits. `None` for what Go refuses,
/// including numbers out of range.
#[must_use]
pub fn parse_go_float(text: &[u8]) -> Option<f64> {
    if text.contains(&b'_') {
        if !underscores_stand_between_digits(text) {
            return None;
        }
        let plain: Vec<u8> = text.iter().copied().filter(|b| *b != b'_').collect();
        return parse_go_float(&plain);
    }
    let (negative, rest) = split_sign(text);
    match rest {
        [b'0', b'x' | b'X', digits @ ..] => {
            let abs = parse_hex(digits)?;
            Some(if negative { -abs } else { abs })
        }
        _ => parse_sample_float(text),
    }
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Go's `underscoreOK`: each underscore follows a digit or the prefix `0x` and precedes a digit.
fn underscores_stand_between_digits(text: &[u8]) -> bool {
    let (_, rest) = split_sign(text);
    let (hex, digits) = match rest {
        [b'0', b'x' | b'X', digits @ ..] => (true, digits),
        _ => (false, rest),
    };
    let is_digit = |b: u8| b.is_ascii_digit() || hex && b.is_ascii_hexdigit();
    let mut before = if hex { b'0' } else { b'!' };
    for &b in digits {
        if b == b'_' && !is_digit(before) || before == b'_' && !is_digit(b) {
            return false;
        }
        before = b;
    }
    before != b'_'
}

/// The part behind `0x`: hexadecimal mantissa, mandatory binary exponent.
fn parse_hex(text: &[u8]) -> Option<f64> {
    let p = text.iter().position(|b| matches!(b, b'p' | b'P'))?;
    let (mut mantissa, mut exponent) = (0u64, 0i64);
    let (mut digits, mut seen_point) = (false, false);
    for &b in &text[..p] {
        if b == b'.' && !seen_point {
            seen_point = true;
            continue;
        }
        let digit = u64::from(char::from(b).to_digit(16)?);
        digits = true;
        if mantissa >> 58 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if seen_point { 4 } else { 0 };
        } else {
            // Bits that no longer fit only matter for rounding.
            mantissa |= u64::from(digit != 0);
            exponent += if seen_point { 0 } else { 4 };
        }
    }
    if !digits {
        return None;
    }
    scale(mantissa, exponent.saturating_add(parse_binary_exponent(&text[p + 1..])?))
}

fn parse_binary_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0i64, |n, b| (n * 10 + i64::from(b - b'0')).min(1_000_000));
    Some(if negative { -n } else { n })
}

/// `mantissa` × 2^`exponent`, rounded once to even; `None` where that is out of range.
fn scale(mantissa: u64, exponent: i64) -> Option<f64> {
    if mantissa == 0 {
        return Some(0.0);
    }
    let top = 63 - i64::from(mantissa.leading_zeros());
    // The exponent of the result's lowest bit.
    let low = (top + exponent - 52).max(-1074);
    let shift = low - exponent;
    let rounded = if shift <= 0 {
        mantissa << shift.unsigned_abs().min(63)
    } else if shift > 64 {
        0
    } else {
        let whole = u128::from(mantissa) >> shift.min(127);
        let lost = u128::from(mantissa) - (whole << shift);
        let half = 1u128 << (shift - 1);
        let up = lost > half || lost == half && whole & 1 == 1;
        (whole as u64) + u64::from(up)
    };
    // Both factors are exact, and so is the product unless it overflows.
    let power = match low {
        972.. => return None,
        -1022.. => f64::from_bits(((low + 1023) as u64) << 52),
        _ => f64::from_bits(1 << (low + 1074)),
    };
    let v = rounded as f64 * power;
    v.is_finite().then_some(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_go_accepts() {
        let cases: &[(&str, f64)] = &[
            ("0", 0.0),
            ("1", 1.0),
            ("+1", 1.0),
            ("-1.5", -1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("-.5e1", -5.0),
            ("1e3", 1000.0),
            ("1E+03", 1000.0),
            ("123456789012345678901234567890", 123456789012345678901234567890.0),
            ("0.1234567890123456789", 0.123_456_789_012_345_68),
            ("9007199254740993", 9007199254740992.0),
            ("0.3", 0.3),
            ("1e-400", 0.0),
            ("inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-iNfInItY", f64::NEG_INFINITY),
        ];
        for (text, want) in cases {
            assert_eq!(parse_sample_float(text.as_bytes()), Some(*want), "{text}");
            assert_eq!(parse_go_float(text.as_bytes()), Some(*want), "{text}");
        }
        assert!(parse_sample_float(b"NaN").unwrap().is_nan());
        assert!(parse_sample_float(b"-0").unwrap().is_sign_negative());
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "", "+", "-", ".", "-.", "e5", "1e", "1e+", "1.2.3", "--1", "1 ", " 1", "1__0", "_1", "1_",
            "1_.5", "+nan", "-nan", "infi", "1e309", "-1e309", "0x1", "1p3", "1f", "١",
        ] {
            assert_eq!(parse_sample_float(text.as_bytes()), None, "{text}");
            assert_eq!(parse_go_float(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_sample_float(b"0x1p3"), None);
        assert_eq!(parse_sample_float(b"1_000"), None);
        assert_eq!(parse_go_float(b"1_000"), Some(1000.0));
        for text in [
            "0x", "0xp1", "0x.p1", "0x1p", "0x1p+", "0x1__0p1", "0x1_p1", "0x1p_1", "0x1p1_", "0x1p2000",
            "0x1_.8p1", "0x1._8p1",
        ] {
            assert_eq!(parse_go_float(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn reads_hexadecimal_floats() {
        for (text, want) in [
            ("0x1p3", 8.0),
            ("-0X1.8P1", -3.0),
            ("0x_1_0p0", 16.0),
            ("0x.8p0", 0.5),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1p-1023", 1.1125369292536007e-308),
            ("0x1.8p-1060", 1.2142190213e-319),
            ("0x1.8p-1075", 5e-324),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000001p0", 1.000_000_000_000_000_2),
            ("0x1p1_0", 1024.0),
        ] {
            assert_eq!(parse_go_float(text.as_bytes()), Some(want), "{text}");
        }
    }
}
