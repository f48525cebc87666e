//! The notation of series in test scripts and rule tests: `up{job="a"} 1+2x3 _ stale {{schema:0}}`.
//!
//! Parsing yields what is written, not the samples: combining histograms is not this crate's
//! business, and how many samples to make of `1x1000000000` is the caller's decision.

mod histogram;
mod scan;
mod start_offset;

use model::{FloatHistogram, Labels, stale_nan};

use crate::error::{ParseError, ParseErrors};
use crate::number::parse_number;
use crate::parse::{ParseOptions, parse_label_set};
use crate::span::Span;
use scan::{Scanner, Text};
pub use start_offset::{StartOffset, parse_start_offsets};

/// A series and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDescription {
    /// The series.
    pub labels: Labels,
    /// What was written for its values, in order.
    pub items: Vec<SeriesItem>,
}

/// One item: a value, or several.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesItem {
    /// `_`, `_xN`: nothing at so many times.
    Omitted {
        /// How many times.
        times: u64,
    },
    /// `a`, `axN`, `a+bxN`, `a-bxN`, `stale`: `times + 1` floats, each the one before plus `step`.
    Float {
        /// The first value; the stale marker for `stale`.
        first: f64,
        /// What is added each time, if anything; negative for `a-bxN`.
        step: Option<f64>,
        /// How many values follow the first.
        times: u64,
    },
    /// `{{…}}`, `{{…}}xN`, `{{…}}+{{…}}xN`, `{{…}}-{{…}}xN`: `times + 1` histograms.
    Histogram {
        /// The first.
        first: Box<FloatHistogram>,
        /// What is added or subtracted each time, if anything. It is an error to expand where
        /// `first` has the higher schema.
        step: Option<Box<HistogramStep>>,
        /// How many histograms follow the first.
        times: u64,
        /// Whether a counter reset hint was written in the last histogram of the item: only then
        /// hints are compared.
        hint_given: bool,
    },
}

/// How each histogram follows from the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramStep {
    /// Subtract rather than add.
    pub subtract: bool,
    /// What to add or subtract.
    pub histogram: FloatHistogram,
}

impl SeriesItem {
    /// How many values, or gaps, the item stands for.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Omitted { times } => *times,
            Self::Float { times, .. } | Self::Histogram { times, .. } => times.saturating_add(1),
        }
    }

    /// Whether the item stands for nothing at all: `_x0`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Parses a series with its values.
///
/// # Errors
/// In Prometheus' words; nothing is parsed behind the first error.
pub fn parse_series(input: &str, options: &ParseOptions) -> Result<SeriesDescription, ParseErrors> {
    let (labels, end) = parse_label_set(input, options)?;
    let mut scanner = Scanner::new(input, end, options.unquoted_utf8_names);
    match items(&mut scanner) {
        Ok(items) => Ok(SeriesDescription { labels, items }),
        Err(Wrong { span, message }) => {
            let position = span.position_in(input);
            Err(ParseErrors(vec![ParseError { span, position, message }]))
        }
    }
}

/// What is wrong, and where.
struct Wrong {
    span: Span,
    message: String,
}

type Parsed<T> = Result<T, Wrong>;

fn items(s: &mut Scanner<'_>) -> Parsed<Vec<SeriesItem>> {
    let mut items = Vec::new();
    if !s.is_at_end() && !s.starts_with_space() {
        return Err(unexpected(s));
    }
    loop {
        // Items are separated by space, and there may be space behind the last.
        let space = s.skip_spaces();
        if s.is_at_end() {
            return Ok(items);
        }
        if !space || !s.starts_item() {
            return Err(between_items(s));
        }
        items.push(item(s)?);
    }
}

fn item(s: &mut Scanner<'_>) -> Parsed<SeriesItem> {
    if s.rest().starts_with("{{") {
        return histogram_item(s);
    }
    if s.take("_") {
        let times = if s.take("x") { repetitions(s)? } else { 1 };
        return Ok(SeriesItem::Omitted { times });
    }
    let negative = match s.take_sign() {
        Some(negative) => negative,
        None => match s.word() {
            Some(Text { text: "stale", .. }) => {
                return Ok(SeriesItem::Float { first: stale_nan(), step: None, times: 0 });
            }
            Some(word) if !scan::is_special_number(word.text) => return Err(no_value(word)),
            Some(word) => return repeated(s, number_value(word)?),
            None => false,
        },
    };
    let first = number(s)?;
    repeated(s, if negative { -first } else { first })
}

/// What may stand behind a first value.
fn repeated(s: &mut Scanner<'_>, first: f64) -> Parsed<SeriesItem> {
    let step = match s.take_sign() {
        Some(negative) => {
            let step = number(s)?;
            Some(if negative { -step } else { step })
        }
        None => None,
    };
    let times = match (s.take("x"), step) {
        (true, _) => repetitions(s)?,
        (false, None) => 0,
        (false, Some(_)) => return Err(unexpected(s)),
    };
    Ok(SeriesItem::Float { first, step, times })
}

fn histogram_item(s: &mut Scanner<'_>) -> Parsed<SeriesItem> {
    let first = histogram::parse(s)?;
    let mut hint_given = first.hint_given;
    let step = match s.take_sign() {
        Some(subtract) => {
            if !s.rest().starts_with("{{") {
                return Err(unexpected(s));
            }
            let second = histogram::parse(s)?;
            hint_given = second.hint_given;
            Some(Box::new(HistogramStep { subtract, histogram: second.histogram }))
        }
        None => None,
    };
    let times = match (s.take("x"), &step) {
        (true, _) => repetitions(s)?,
        (false, None) => 0,
        (false, Some(_)) => return Err(unexpected(s)),
    };
    Ok(SeriesItem::Histogram { first: Box::new(first.histogram), step, times, hint_given })
}

/// An unsigned number, `inf` and `nan` included.
fn number(s: &mut Scanner<'_>) -> Parsed<f64> {
    if let Some(word) = s.word() {
        return if scan::is_special_number(word.text) {
            number_value(word)
        } else {
            Err(unexpected_text(word))
        };
    }
    match s.number()? {
        Some(number) => number_value(number),
        None => Err(unexpected(s)),
    }
}

fn number_value(number: Text<'_>) -> Parsed<f64> {
    parse_number(number.text)
        .map_err(|e| Wrong { span: number.span, message: format!("error parsing number: {e}") })
}

/// The number behind `x`.
fn repetitions(s: &mut Scanner<'_>) -> Parsed<u64> {
    match s.number()? {
        Some(number) => unsigned(number),
        None => Err(unexpected(s)),
    }
}

/// A number that has to be a whole one without a sign.
fn unsigned(number: Text<'_>) -> Parsed<u64> {
    let reason = match number.text.parse::<u64>() {
        Ok(n) => return Ok(n),
        Err(e) if *e.kind() == std::num::IntErrorKind::PosOverflow => "value out of range",
        Err(_) => "invalid syntax",
    };
    let text = model::float::go_quoted(number.text.as_bytes());
    let message = format!("invalid repetition in series values: strconv.ParseUint: parsing {text}: {reason}");
    Err(Wrong { span: number.span, message })
}

/// A word where a value should be.
fn no_value(word: Text<'_>) -> Wrong {
    match crate::lex::keyword(word.text) {
        Some(_) => stray(word),
        None if word.text.contains(':') => stray(word),
        None => Wrong {
            span: word.span,
            message: format!(
                "unexpected {} in series values, expected number or \"stale\"",
                scan::describe(word.text)
            ),
        },
    }
}

fn unexpected_text(word: Text<'_>) -> Wrong {
    Wrong { span: word.span, message: format!("unexpected {} in series values", scan::describe(word.text)) }
}

/// Something that belongs to no item.
fn stray(text: Text<'_>) -> Wrong {
    Wrong { span: text.span, message: format!("unexpected {}", scan::describe(text.text)) }
}

/// What comes next is neither an item nor a space before one.
fn between_items(s: &mut Scanner<'_>) -> Wrong {
    s.any().map_or_else(|wrong| wrong, stray)
}

/// What comes next does not fit into the item.
fn unexpected(s: &mut Scanner<'_>) -> Wrong {
    s.any().map_or_else(|wrong| wrong, unexpected_text)
}
