//! Histograms: `{{schema:1 sum:5 count:4 buckets:[1 2 1]}}`.

use model::FloatHistogram;
use model::float::go_quoted;
use model::histogram::{CounterResetHint, Span as BucketSpan};

use super::scan::{Scanner, Text, is_special_number};
use super::{Parsed, Wrong, number_value, unexpected, unsigned};
use crate::lex::quoted_char;
use crate::span::Span;

/// A histogram as written.
pub(super) struct Written {
    pub(super) histogram: FloatHistogram,
    /// Whether a counter reset hint was given.
    pub(super) hint_given: bool,
}

/// The keys, in the order of [`Seen`]'s bits.
const KEYS: [&str; 11] = [
    "schema",
    "sum",
    "count",
    "z_bucket",
    "z_bucket_w",
    "buckets",
    "offset",
    "n_buckets",
    "n_offset",
    "custom_values",
    "counter_reset_hint",
];

/// Which keys were given.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    /// False if the key was there before.
    fn insert(&mut self, index: usize) -> bool {
        let bit = 1 << index;
        let fresh = self.0 & bit == 0;
        self.0 |= bit;
        fresh
    }
}

/// Offsets of the first buckets, kept until the number of buckets is known.
#[derive(Default)]
struct Offsets {
    positive: i32,
    negative: i32,
}

/// A histogram with its braces.
pub(super) fn parse(s: &mut Scanner<'_>) -> Parsed<Written> {
    s.take("{{");
    let mut h = FloatHistogram::default();
    let mut seen = Seen::default();
    let mut offsets = Offsets::default();
    let leading_space = s.skip_spaces();
    if !s.take("}}") {
        if leading_space {
            return Err(s.wrong("unexpected \" \" in series values"));
        }
        loop {
            let index = key(s)?;
            let key_name = KEYS[index];
            let mut other = FloatHistogram::default();
            let mut other_offsets = Offsets::default();
            // A key given twice is read before it is refused.
            if seen.insert(index) {
                value(s, key_name, &mut h, &mut offsets)?;
            } else {
                value(s, key_name, &mut other, &mut other_offsets)?;
                let message = format!("duplicate key \"{key_name}\" in histogram");
                return Err(Wrong { span: Span::default(), message });
            }
            let space = s.skip_spaces();
            if s.take("}}") {
                break;
            }
            if !space {
                return Err(bad_description(s));
            }
        }
    }
    h.positive_spans = spans(offsets.positive, h.positive_buckets.len());
    h.negative_spans = spans(offsets.negative, h.negative_buckets.len());
    let hint_given = !seen.insert(KEYS.len() - 1);
    Ok(Written { histogram: h, hint_given })
}

/// One span of `len` buckets; none if there are no buckets.
fn spans(offset: i32, len: usize) -> Vec<BucketSpan> {
    match u32::try_from(len) {
        Ok(length @ 1..) => vec![BucketSpan { offset, length }],
        _ => Vec::new(),
    }
}

/// What comes next belongs to no histogram.
fn bad_description(s: &Scanner<'_>) -> Wrong {
    s.wrong(format!("histogram description incomplete unexpected: {}", quoted_char(s.rest().chars().next())))
}

/// A key with its colon; its index in [`KEYS`].
fn key(s: &mut Scanner<'_>) -> Parsed<usize> {
    let Some(word) = word(s) else {
        return Err(bad_description(s));
    };
    match KEYS.iter().position(|k| k.eq_ignore_ascii_case(word.text)) {
        Some(index) if s.take(":") => Ok(index),
        Some(_) => Err(Wrong { span: word.span, message: "missing `:` for histogram descriptor".to_owned() }),
        None => Err(bad_word(word)),
    }
}

fn word<'a>(s: &mut Scanner<'a>) -> Option<Text<'a>> {
    s.take_while(|c| c == '_' || c.is_ascii_alphabetic())
}

fn bad_word(word: Text<'_>) -> Wrong {
    let message = format!("bad histogram descriptor found: {}", go_quoted(word.text.as_bytes()));
    Wrong { span: word.span, message }
}

fn value(s: &mut Scanner<'_>, key: &str, h: &mut FloatHistogram, offsets: &mut Offsets) -> Parsed<()> {
    match key {
        // Prometheus cuts integers to 32 bits, too.
        "schema" => h.schema = integer(s)? as i32,
        "sum" => h.sum = float(s)?,
        "count" => h.count = float(s)?,
        "z_bucket" => h.zero_count = float(s)?,
        "z_bucket_w" => h.zero_threshold = float(s)?,
        "buckets" => h.positive_buckets = list(s)?,
        "offset" => offsets.positive = integer(s)? as i32,
        "n_buckets" => h.negative_buckets = list(s)?,
        "n_offset" => offsets.negative = integer(s)? as i32,
        "custom_values" => h.custom_values = list(s)?,
        _ => h.counter_reset_hint = hint(s)?,
    }
    Ok(())
}

fn hint(s: &mut Scanner<'_>) -> Parsed<CounterResetHint> {
    let Some(word) = word(s) else {
        return Err(bad_description(s));
    };
    match word.text.to_ascii_lowercase().as_str() {
        "unknown" => Ok(CounterResetHint::Unknown),
        "reset" => Ok(CounterResetHint::Reset),
        "not_reset" => Ok(CounterResetHint::NotReset),
        "gauge" => Ok(CounterResetHint::Gauge),
        _ => Err(bad_word(word)),
    }
}

fn integer(s: &mut Scanner<'_>) -> Parsed<i64> {
    let negative = s.take("-");
    match s.number()? {
        Some(number) => {
            let n = unsigned(number)? as i64;
            Ok(if negative { n.wrapping_neg() } else { n })
        }
        None => Err(bad_description(s)),
    }
}

fn float(s: &mut Scanner<'_>) -> Parsed<f64> {
    let negative = s.take("-");
    let v = if let Some(word) = word(s) {
        if !is_special_number(word.text) {
            return Err(bad_word(word));
        }
        number_value(word)?
    } else {
        // Unlike elsewhere, a digit has to come first.
        match s.rest().starts_with('.') {
            false => s.number()?.map_or_else(|| Err(bad_description(s)), number_value)?,
            true => return Err(bad_description(s)),
        }
    };
    Ok(if negative { -v } else { v })
}

/// Numbers between brackets, at least one.
fn list(s: &mut Scanner<'_>) -> Parsed<Vec<f64>> {
    if !s.take("[") {
        return Err(unexpected(s));
    }
    let mut list = Vec::new();
    loop {
        let next = s.rest().chars().next();
        if !next.is_some_and(|c| c == '-' || c.is_ascii_alphanumeric()) {
            return Err(s.wrong(format!("invalid character in buckets description: {}", quoted_char(next))));
        }
        list.push(float(s)?);
        let space = s.skip_spaces();
        if s.take("]") {
            return Ok(list);
        }
        if !space {
            let next = quoted_char(s.rest().chars().next());
            return Err(s.wrong(format!("invalid character in buckets description: {next}")));
        }
    }
}
