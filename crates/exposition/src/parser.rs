//! The parser that both text formats share: what it remembers between entries, the way into the
//! fast path, and what is asked of the entry last yielded.

use std::borrow::Cow;

use model::LabelsBuilder;

use crate::cursor::{Cursor, State, Token};
use crate::entry::{Entry, Exemplar, LabelError, ParseError, Sample};
use crate::escape::unescape_label_bytes;
use crate::fast;
use crate::labels::{EachLabel, Given, collect};
use crate::native::NativeValue;
use crate::negotiate::{Format, UnsupportedFormat};
use crate::series;
use crate::source::Source;
use crate::start_timestamp::StartTimestamps;
use model::MetricType;

/// What a scrape may ask of a parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParserOptions {
    /// Adds the labels `__type__` and `__unit__`.
    pub type_and_unit_labels: bool,
    /// Leaves out the `_created` series of OpenMetrics, which only serve as start timestamps then.
    pub skip_created_series: bool,
    /// Reads histograms as if they had no native parts.
    pub ignore_native_histograms: bool,
    /// Yields the classic histogram too where there is a native one.
    pub keep_classic_histograms: bool,
    /// Turns classic histograms into native ones with custom bounds. Protobuf only; for text a
    /// [`crate::ClassicConverter`] does it.
    pub convert_classic_histograms: bool,
}

/// Reads a body entry by entry.
///
/// What is asked of the parser (labels, exemplar, start timestamp) is about the sample that
/// [`Parser::next_entry`] yielded last.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    pub(crate) cursor: Cursor<'a>,
    pub(crate) open_metrics: bool,
    /// Whether the body is UTF-8 without NULs, as the fast path needs it.
    plain: bool,
    pub(crate) options: ParserOptions,
    /// Where the current entry begins.
    pub(crate) entry_start: usize,
    pub(crate) series: &'a [u8],
    pub(crate) kind: MetricType,
    pub(crate) unit: &'a [u8],
    /// Length of the name in the last metadata line.
    pub(crate) family_len: usize,
    pub(crate) exemplar: Option<Exemplar<'a>>,
    pub(crate) start_timestamps: StartTimestamps,
    no_histogram: NativeValue,
}

impl<'a> Parser<'a> {
    /// A parser of `body` in `format`.
    ///
    /// # Errors
    /// Formats that have no parser here.
    pub fn new(body: &'a [u8], format: Format, options: ParserOptions) -> Result<Self, UnsupportedFormat> {
        let open_metrics = match format {
            Format::Text => false,
            Format::OpenMetrics1 => true,
            Format::OpenMetrics2 | Format::Protobuf => return Err(UnsupportedFormat(format)),
        };
        Ok(Self {
            cursor: Cursor::new(body, !open_metrics),
            open_metrics,
            plain: memchr::memchr(0, body).is_none() && std::str::from_utf8(body).is_ok(),
            options,
            entry_start: 0,
            series: b"",
            kind: MetricType::default(),
            unit: b"",
            family_len: 0,
            exemplar: None,
            start_timestamps: StartTimestamps::new(options.skip_created_series),
            no_histogram: NativeValue::default(),
        })
    }

    /// A parser of what follows on other lines of the same body, where `kind` was in force
    /// ([`Parser::metric_type`]): so a large body can be read piece by piece. Start timestamps and
    /// units do not reach over pieces.
    #[must_use]
    pub fn continuing(mut self, kind: MetricType) -> Self {
        self.kind = kind;
        self
    }

    /// The next entry, `None` at the end.
    ///
    /// # Errors
    /// The first error ends the body: what came before it is to be dropped too.
    #[inline]
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        self.next_entry_expecting(b"")
    }

    /// [`Parser::next_entry`], faster where the next line is a sample of the series `expected`: a
    /// [`Sample::series`] of an earlier body of the same format. A wrong guess only costs time.
    #[inline]
    pub fn next_entry_expecting(&mut self, expected: &[u8]) -> Result<Option<Entry<'a>>, ParseError> {
        if self.plain && self.cursor.state == State::Init {
            let found = if self.open_metrics {
                fast::sample::<true>(self.cursor.body(), self.cursor.at, expected)
            } else {
                fast::sample::<false>(self.cursor.body(), self.cursor.at, expected)
            };
            if let Some((sample, end)) = found {
                (self.entry_start, self.cursor.at) = (self.cursor.at, end);
                self.series = sample.series;
                self.forget_exemplar();
                if !self.is_skipped_created() {
                    return Ok(Some(Entry::Sample(sample)));
                }
            }
        }
        self.next_slowly()
    }

    #[cold]
    fn next_slowly(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        let entry = if self.open_metrics { self.next_open_metrics() } else { self.next_text() };
        entry.map_err(|reason| ParseError { line: self.cursor.line(self.entry_start), reason })
    }

    /// A parser that leaves everything to the lexers.
    #[cfg(test)]
    pub(crate) fn without_fast_path(mut self) -> Self {
        self.plain = false;
        self
    }

    /// The type in force: that of the last `# TYPE`.
    #[must_use]
    pub fn metric_type(&self) -> MetricType {
        self.kind
    }

    /// Sets `labels` to those of the current sample, the metric's name among them; `le` and
    /// `quantile` are normalised as OpenMetrics writes numbers. Labels with empty values are left out.
    ///
    /// # Errors
    /// Names that cannot be stored.
    pub fn labels(&self, labels: &mut LabelsBuilder) -> Result<(), LabelError> {
        collect(labels, |f| self.for_each_label(f))
    }

    /// Calls `f` for name and value of each label of the current sample, the metric's name first,
    /// then in the order of the body; neither need be UTF-8 or unique.
    pub fn for_each_label(&self, mut f: impl FnMut(Cow<'a, [u8]>, Cow<'a, [u8]>)) {
        let metric = unescape_label_bytes(series::metric_name(self.series));
        let given = Given::new(metric, self.kind, self.unit, self.options);
        given.for_each(&mut f);
        series::walk(self.series, |name, value| {
            if let Some(name) = name {
                let name = unescape_label_bytes(name);
                if !given.replaces(&name) {
                    let value = unescape_label_bytes(value);
                    let value = normalise_bound(self.kind, &name, value);
                    f(name, value);
                }
            }
        });
    }

    /// The exemplar of the current sample.
    #[must_use]
    pub fn exemplar(&self) -> Option<Exemplar<'a>> {
        self.exemplar
    }

    pub(crate) fn forget_exemplar(&mut self) {
        if !self.start_timestamps.peeking {
            self.exemplar = None;
        }
    }

    /// Prometheus' message about a token that does not belong where it stands.
    pub(crate) fn unexpected(&self, expected: &str, got: Token) -> String {
        let c = &self.cursor;
        format!(
            "{expected}, got {} (\"{}\") while parsing: {}",
            c.quote(c.start, c.at + 1),
            got.as_str(),
            c.quote(self.entry_start, c.at + 1)
        )
    }

    /// `message while parsing: "…"` with the text read of the entry so far.
    pub(crate) fn while_parsing(&self, message: &str) -> String {
        format!("{message} while parsing: {}", self.cursor.quote(self.entry_start, self.cursor.at))
    }

    /// Parses a float token; NaN comes out canonical.
    pub(crate) fn parse_float(&self, text: &[u8]) -> Result<f64, String> {
        model::float::parse_sample_float(text).ok_or_else(|| self.while_parsing(&float_error(text)))
    }

    /// The name in a metadata line, without the quotes it may have.
    pub(crate) fn metadata_name(&self) -> &'a [u8] {
        let name = self.cursor.token();
        match name {
            [b'"', inner @ .., b'"'] => inner,
            _ => name,
        }
    }
}

impl<'a> Source<'a> for Parser<'a> {
    #[inline]
    fn next_entry_expecting(&mut self, expected: &[u8]) -> Result<Option<Entry<'_>>, ParseError> {
        Parser::next_entry_expecting(self, expected)
    }

    #[inline]
    fn series(&self) -> &[u8] {
        self.series
    }

    fn for_each_label(&self, f: &mut EachLabel<'_>) {
        Parser::for_each_label(self, f);
    }

    /// Not in these formats: an empty one.
    fn histogram(&mut self) -> &mut NativeValue {
        &mut self.no_histogram
    }

    #[inline]
    fn exemplars(&self) -> &[Exemplar<'a>] {
        self.exemplar.as_slice()
    }

    fn start_timestamp_ms(&mut self) -> Option<i64> {
        Parser::start_timestamp_ms(self)
    }
}

/// What Go says of a float that it refuses.
fn float_error(text: &[u8]) -> String {
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return "unsupported character in float".to_owned();
    }
    let well_formed = text.iter().all(|b| !b.is_ascii_alphabetic() || matches!(b, b'e' | b'E'))
        && std::str::from_utf8(text).is_ok_and(|s| s.parse::<f64>().is_ok());
    let why = if well_formed { "value out of range" } else { "invalid syntax" };
    format!("strconv.ParseFloat: parsing {}: {why}", model::float::go_quoted(text))
}

fn normalise_bound<'a>(kind: MetricType, name: &[u8], value: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
    let is_bound =
        kind == MetricType::Histogram && name == b"le" || kind == MetricType::Summary && name == b"quantile";
    match is_bound.then(|| model::float::parse_go_float(&value)).flatten() {
        Some(bound) => {
            let mut out = Vec::with_capacity(value.len() + 2);
            model::float::append_open_metrics(bound, &mut out);
            Cow::Owned(out)
        }
        None => value,
    }
}

/// What the grammars know about a sample when its line ends.
pub(crate) fn sample<'a>(series: &'a [u8], value: f64, timestamp_ms: Option<i64>) -> Option<Entry<'a>> {
    Some(Entry::Sample(Sample { series, value, timestamp_ms }))
}
