//! What can stand at a place in a query, for editors: works on text that is unfinished or wrong.
//!
//! It is a scan over the lexer's tokens ([`pieces`]) that follows brackets and the place within an
//! expression ([`scan`]); it knows the order of words, not types, and is no second grammar. What it
//! cannot make sense of it passes over. Knows no series: it says by which selectors to ask for them.

mod context;
mod pieces;
mod scan;
mod selectors;
mod words;

use crate::json::Writer;
use crate::parse::ParseOptions;
use crate::span::Span;

/// One kind of thing that can stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// What can stand there.
    pub kind: ContextKind,
    /// The text that it would replace: the word or string that the cursor touches, or nothing.
    pub span: Span,
}

/// What can stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextKind {
    /// The name of a metric; within the quotes of a string where `quote` is given.
    MetricName {
        /// The quote before the cursor.
        quote: Option<char>,
    },
    /// The name of a label.
    LabelName {
        /// Where.
        place: LabelPlace,
        /// The quote before the cursor.
        quote: Option<char>,
        /// The series whose labels these are.
        series: Series,
    },
    /// The value of a label.
    LabelValue {
        /// The label.
        label: String,
        /// The quote before the cursor; without one the value still needs quotes.
        quote: Option<char>,
        /// The series that have the label; without what the matcher at the cursor asks for.
        series: Series,
    },
    /// A function.
    Function(Vec<&'static str>),
    /// An aggregation.
    Aggregation(Vec<&'static str>),
    /// An operator between two operands.
    BinaryOperator(Vec<&'static str>),
    /// An operator between a label and its value.
    MatchOperator(Vec<&'static str>),
    /// A modifier: `by`, `bool`, `offset`, `@`, `start()` …
    Keyword(Vec<&'static str>),
    /// The unit of a duration; the span begins behind the digits.
    DurationUnit(Vec<&'static str>),
    /// A duration or a number of seconds.
    Duration,
    /// A number.
    Number,
}

/// Where a label's name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelPlace {
    /// In the braces of a selector.
    Matcher,
    /// In `by` or `without`.
    Grouping,
    /// In `on` or `ignoring`.
    Matching,
    /// In `group_left` or `group_right`.
    Include,
    /// In a string that a function or `count_values` takes as a label.
    Argument,
}

impl LabelPlace {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Matcher => "matcher",
            Self::Grouping => "grouping",
            Self::Matching => "matching",
            Self::Include => "include",
            Self::Argument => "argument",
        }
    }
}

/// The series that a label's name or value is wanted of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The metric, if there is one and only one.
    pub metric: Option<String>,
    /// Selectors for `match[]`; of at most 16 selectors with at most 32 matchers each. Empty: any.
    pub selectors: Vec<String>,
}

/// All that can stand at byte `cursor` of `text`; none within comments. A cursor beyond the end is
/// at the end, one within a character before it.
///
/// Costs about as much as lexing the text twice; never fails, whatever the text.
#[must_use]
pub fn complete(text: &str, cursor: usize, options: &ParseOptions) -> Vec<Context> {
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let pieces = pieces::pieces(text, options.unquoted_utf8_names);
    context::contexts(text, &pieces, cursor, options)
}

/// As [`complete`], as JSON: a list of objects with `kind`, `from`, `to` and what the kind has
/// besides. With `utf16` the cursor and all positions count UTF-16 code units, as JavaScript does,
/// otherwise bytes of UTF-8.
///
/// ```text
/// [{"kind":"labelName","from":8,"to":10,"place":"grouping","quote":null,"metric":"up","selectors":["{__name__=\"up\"}"]},
///  {"kind":"keyword","from":3,"to":3,"words":["by","without"]}, …]
/// ```
#[must_use]
pub fn complete_json(text: &str, cursor: usize, utf16: bool, options: &ParseOptions) -> String {
    let at = if utf16 { byte_of_utf16(text, cursor) } else { cursor };
    let contexts = complete(text, at, options);
    let mut w = Writer { out: Vec::with_capacity(256) };
    w.list(&contexts, |w, context| {
        let position = |byte: usize| {
            let units = if utf16 { text[..byte].encode_utf16().count() } else { byte };
            i64::try_from(units).unwrap_or(i64::MAX)
        };
        w.object(|w| {
            w.str("kind", context.kind.name());
            w.int("from", position(context.span.start));
            w.int("to", position(context.span.end));
            context.kind.write(w);
        });
    });
    // Only whole strings and ASCII were written.
    String::from_utf8(w.out).unwrap_or_default()
}

/// The byte at which the UTF-16 code unit stands; within a pair of surrogates that of the pair.
fn byte_of_utf16(text: &str, unit: usize) -> usize {
    let mut units = 0;
    for (byte, c) in text.char_indices() {
        if units + c.len_utf16() > unit {
            return byte;
        }
        units += c.len_utf16();
    }
    text.len()
}

impl ContextKind {
    const fn name(&self) -> &'static str {
        match self {
            Self::MetricName { .. } => "metricName",
            Self::LabelName { .. } => "labelName",
            Self::LabelValue { .. } => "labelValue",
            Self::Function(_) => "function",
            Self::Aggregation(_) => "aggregation",
            Self::BinaryOperator(_) => "binaryOperator",
            Self::MatchOperator(_) => "matchOperator",
            Self::Keyword(_) => "keyword",
            Self::DurationUnit(_) => "durationUnit",
            Self::Duration => "duration",
            Self::Number => "number",
        }
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::MetricName { quote } => write_quote(w, *quote),
            Self::LabelName { place, quote, series } => {
                w.str("place", place.as_str());
                write_quote(w, *quote);
                series.write(w);
            }
            Self::LabelValue { label, quote, series } => {
                w.str("label", label);
                write_quote(w, *quote);
                series.write(w);
            }
            Self::Function(words)
            | Self::Aggregation(words)
            | Self::BinaryOperator(words)
            | Self::MatchOperator(words)
            | Self::Keyword(words)
            | Self::DurationUnit(words) => {
                w.key("words");
                w.list(words, |w, word| w.string(word));
            }
            Self::Duration | Self::Number => {}
        }
    }
}

fn write_quote(w: &mut Writer, quote: Option<char>) {
    w.key("quote");
    match quote {
        Some(quote) => w.string(quote.encode_utf8(&mut [0; 4])),
        None => w.raw("null"),
    }
}

impl Series {
    fn write(&self, w: &mut Writer) {
        w.key("metric");
        match &self.metric {
            Some(metric) => w.string(metric),
            None => w.raw("null"),
        }
        w.strings("selectors", &self.selectors);
    }
}
