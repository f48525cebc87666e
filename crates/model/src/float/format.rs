//! Floats and timestamps as text: Go's `strconv.AppendFloat(…, -1, 64)` in its formats, and the
//! choices among them that Prometheus' outputs make.

/// The digits and the decimal exponent of the shortest decimal that reads back as the same float:
/// 0.d₁d₂…dₙ × 10^point.
struct Decimal {
    digits: [u8; 20],
    len: usize,
    point: i32,
}

impl Decimal {
    fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }
}

/// Takes apart what zmij prints: `123.45`, `1e+300`, `1.5e-07`, `0.001`.
fn shortest(abs: f64) -> Decimal {
    let mut buf = zmij::Buffer::new();
    let text = buf.format_finite(abs).as_bytes();
    let mut d = Decimal { digits: [0; 20], len: 0, point: 0 };
    let mut seen_point = false;
    let mut exponent = 0i32;
    for (i, &b) in text.iter().enumerate() {
        match b {
            b'.' => seen_point = true,
            b'e' => {
                exponent = parse_exponent(&text[i + 1..]);
                break;
            }
            _ => {
                if d.len > 0 || b != b'0' {
                    d.digits[d.len] = b;
                    d.len += 1;
                    d.point += i32::from(!seen_point);
                } else if seen_point {
                    d.point -= 1;
                }
            }
        }
    }
    d.point += exponent;
    while d.len > 0 && d.digits[d.len - 1] == b'0' {
        d.len -= 1;
    }
    d
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let n = digits.iter().fold(0, |n, b| n * 10 + i32::from(b - b'0'));
    if negative { -n } else { n }
}

/// Appends what needs no digits: NaN, infinities; and the sign of everything else.
fn append_special(v: f64, out: &mut Vec<u8>) -> bool {
    if v.is_nan() {
        out.extend_from_slice(b"NaN");
        return true;
    }
    if v.is_infinite() {
        out.extend_from_slice(if v > 0.0 { b"+Inf" } else { b"-Inf" });
        return true;
    }
    if v.is_sign_negative() {
        out.push(b'-');
    }
    false
}

/// The numbers 0 to 99 in two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Appends an unsigned integer in decimal.
fn append_u64(mut n: u64, out: &mut Vec<u8>) {
    let mut buf = [0; 20];
    let mut at = buf.len();
    while n >= 100 {
        at -= 2;
        buf[at..at + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    let [tens, ones] = PAIRS[n as usize];
    at -= 1;
    buf[at] = ones;
    if n >= 10 {
        at -= 1;
        buf[at] = tens;
    }
    out.extend_from_slice(&buf[at..]);
}

/// The value as an integer where it is one below 2^53: most samples are.
#[inline]
fn small_integer(abs: f64) -> Option<u64> {
    let n = abs as u64;
    (n < 1 << 53 && n as f64 == abs).then_some(n)
}

/// Where zmij prints plain decimals as Go does, but for whole numbers, to which it adds `.0`.
const PLAIN_IN_ZMIJ: std::ops::Range<f64> = 1e-5..1e15;

fn append_plain(d: &Decimal, out: &mut Vec<u8>) {
    let digits = d.digits();
    if d.point <= 0 {
        out.push(b'0');
        if !digits.is_empty() {
            out.push(b'.');
            out.resize(out.len() + d.point.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        }
        return;
    }
    let point = d.point as usize;
    if point >= digits.len() {
        out.extend_from_slice(digits);
        out.resize(out.len() + point - digits.len(), b'0');
    } else {
        out.extend_from_slice(&digits[..point]);
        out.push(b'.');
        out.extend_from_slice(&digits[point..]);
    }
}

fn append_scientific(d: &Decimal, out: &mut Vec<u8>) {
    let (first, rest) = d.digits().split_first().unwrap_or((&b'0', &[]));
    out.push(*first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    let exponent = if d.len == 0 { 0 } else { d.point - 1 };
    out.push(b'e');
    out.push(if exponent < 0 { b'-' } else { b'+' });
    let n = u64::from(exponent.unsigned_abs());
    if n < 10 {
        out.push(b'0');
    }
    append_u64(n, out);
}

/// Appends `v` as `strconv.AppendFloat(v, 'f', -1, 64)`: never an exponent.
pub fn append_f(v: f64, out: &mut Vec<u8>) {
    if append_special(v, out) {
        return;
    }
    let abs = v.abs();
    if let Some(n) = small_integer(abs) {
        append_u64(n, out);
    } else if PLAIN_IN_ZMIJ.contains(&abs) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(abs).as_bytes());
    } else {
        append_plain(&shortest(abs), out);
    }
}

/// Appends `v` as `strconv.AppendFloat(v, 'e', -1, 64)`: always an exponent.
pub fn append_e(v: f64, out: &mut Vec<u8>) {
    if !append_special(v, out) {
        append_scientific(&shortest(v.abs()), out);
    }
}

/// Appends `v` as `strconv.AppendFloat(v, 'g', -1, 64)` and Go's `%v`: an exponent below 1e-4 and
/// from 1e6.
pub fn append_g(v: f64, out: &mut Vec<u8>) {
    if append_special(v, out) {
        return;
    }
    let abs = v.abs();
    if abs < 1e6
        && let Some(n) = small_integer(abs)
    {
        append_u64(n, out);
        return;
    }
    let d = shortest(abs);
    if (-3..=6).contains(&d.point) {
        append_plain(&d, out);
    } else {
        append_scientific(&d, out);
    }
}

/// Appends `v` as OpenMetrics writes numbers and Prometheus normalises `le` and `quantile`: as
/// [`append_g`], with `.0` behind whole numbers that have no exponent.
pub fn append_open_metrics(v: f64, out: &mut Vec<u8>) {
    let start = out.len();
    append_g(v, out);
    if v.is_finite() && !out[start..].iter().any(|b| matches!(b, b'e' | b'.')) {
        out.extend_from_slice(b".0");
    }
}

/// Appends `v` as sample values stand in the HTTP API, without the quotes (Prometheus
/// `jsonutil.MarshalFloat`): plain, with an exponent below 1e-6 and from 1e21.
pub fn format_value(v: f64, out: &mut Vec<u8>) {
    let abs = v.abs();
    if abs != 0.0 && !(1e-6..1e21).contains(&abs) {
        append_e(v, out);
    } else {
        append_f(v, out);
    }
}

/// Appends a time in milliseconds as seconds
/// (Prometheus `jsonutil.MarshalTimestamp`): none or all three.
pub fn append_timestamp_seconds(t_ms: i64, out: &mut Vec<u8>) {
    if t_ms < 0 {
        out.push(b'-');
    }
    let abs = t_ms.unsigned_abs();
    append_u64(abs / 1000, out);
    let fraction = abs % 1000;
    if fraction != 0 {
        out.push(b'.');
        for place in [100, 10, 1] {
            out.push(b'0' + (fraction / place % 10) as u8);
        }
    }
}

/// [`append_f`] as a string.
#[must_use]
pub fn to_string_f(v: f64) -> String {
    collect(v, append_f)
}

/// [`append_g`] as a string.
#[must_use]
pub fn to_string_g(v: f64) -> String {
    collect(v, append_g)
}

fn collect(v: f64, append: fn(f64, &mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(24);
    append(v, &mut out);
    String::from_utf8(out).expect("numbers are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(v: f64, append: fn(f64, &mut Vec<u8>)) -> String {
        collect(v, append)
    }

    #[test]
    fn prints_as_strconv_does() {
        // value, 'f', 'g', 'e'
        let cases = [
            (0.0, "0", "0", "0e+00"),
            (-0.0, "-0", "-0", "-0e+00"),
            (1.0, "1", "1", "1e+00"),
            (100_000.0, "100000", "100000", "1e+05"),
            (1e6, "1000000", "1e+06", "1e+06"),
            (123_456_789.0, "123456789", "1.23456789e+08", "1.23456789e+08"),
            (100_000.5, "100000.5", "100000.5", "1.000005e+05"),
            (1_234_567.5, "1234567.5", "1.2345675e+06", "1.2345675e+06"),
            (1e21, "1000000000000000000000", "1e+21", "1e+21"),
            (
                1.2345678901234569e23,
                "123456789012345690000000",
                "1.2345678901234569e+23",
                "1.2345678901234569e+23",
            ),
            (1e-4, "0.0001", "0.0001", "1e-04"),
            (1e-5, "0.00001", "1e-05", "1e-05"),
            (0.00012345, "0.00012345", "0.00012345", "1.2345e-04"),
            (-12.75, "-12.75", "-12.75", "-1.275e+01"),
            (f64::NAN, "NaN", "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf", "-Inf"),
        ];
        for (v, f, g, e) in cases {
            assert_eq!(text(v, append_f), f);
            assert_eq!(text(v, append_g), g);
            assert_eq!(text(v, append_e), e);
        }
        assert_eq!(text(5e-324, append_e), "5e-324");
        assert_eq!(text(5e-324, append_f).len(), 326);
        assert_eq!(text(f64::MAX, append_f).len(), 309);
    }

    #[test]
    fn plain_decimals_are_the_same_by_both_ways() {
        let mut bits = 0x9e37_79b9_7f4a_7c15u64;
        let mut seen = 0;
        while seen < 20_000 {
            // Exponents around those where zmij changes its form, mantissas of any length.
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let exponent = 1023 - 20 + bits % 75;
            let v = f64::from_bits(exponent << 52 | (bits >> 12) << (bits % 7 * 8) & ((1 << 52) - 1));
            if small_integer(v).is_some() {
                continue;
            }
            let mut want = Vec::new();
            append_plain(&shortest(v), &mut want);
            assert_eq!(text(v, append_f).as_bytes(), want, "{v:e}");
            seen += 1;
        }
        for n in [0, 9, 10, 99, 100, 101, 999, 1000, 12_345, 1u64 << 52, (1 << 53) - 1] {
            assert_eq!(text(n as f64, append_f), n.to_string());
        }
    }

    #[test]
    fn api_values_switch_to_exponents_where_json_does() {
        for (v, want) in [
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1e21, "-1e+21"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (0.1, "0.1"),
        ] {
            assert_eq!(text(v, format_value), want);
        }
    }

    #[test]
    fn open_metrics_marks_floats() {
        for (v, want) in [
            (1.0, "1.0"),
            (0.5, "0.5"),
            (1e6, "1e+06"),
            (-0.0, "-0.0"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(v, append_open_metrics), want);
        }
    }

    #[test]
    fn timestamps_are_seconds() {
        for (t, want) in [
            (0, "0"),
            (1000, "1"),
            (1, "0.001"),
            (1500, "1.500"),
            (-20, "-0.020"),
            (1_700_000_000_123, "1700000000.123"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            let mut out = Vec::new();
            append_timestamp_seconds(t, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
