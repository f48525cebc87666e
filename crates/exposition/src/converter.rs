//! Classic histograms of a text format as native ones with custom bounds (Prometheus `NHCBParser`).
//!
//! The lines of a histogram come one by one, so they are gathered until a line of something else, or the end, shows that
//! it is whole. The entry that showed it is yielded next.

use std::borrow::Cow;

use model::{METRIC_NAME, MetricType};

use crate::classic::ClassicHistogram;
use crate::entry::{Entry, Exemplar, ParseError, Sample};
use crate::labels::EachLabel;
use crate::native::NativeValue;
use crate::parser::{Parser, ParserOptions};
use crate::source::Source;

const BOUND: &[u8] = b"le";
/// Stands between names and values in a key. No label has it, being UTF-8.
const SEPARATOR: u8 = 0xff;

/// What a line says of a histogram.
#[derive(Clone, Copy, Debug)]
enum Part {
    Bucket(f64),
    Sum,
    Count,
}

/// Reads a body in a text format, with native histograms in place of the classic ones, or behind them.
#[derive(Clone, Debug)]
pub struct ClassicConverter<'a> {
    parser: Parser<'a>,
    options: ParserOptions,
    /// Name and type of the family in force.
    family: &'a [u8],
    kind: MetricType,
    /// Whether lines of a histogram are being gathered.
    gathering: bool,
    classic: ClassicHistogram,
    /// Name and labels but `le` of the histogram being gathered, sorted.
    key: Vec<u8>,
    /// The same of the line at hand.
    line: Vec<u8>,
    exemplars: Vec<Exemplar<'a>>,
    start_ms: Option<i64>,
    timestamp_ms: Option<i64>,
    /// Whether the entry yielded last is `native`; what is asked is then about it.
    yielded: bool,
    native: NativeValue,
    yielded_key: Vec<u8>,
    yielded_exemplars: Vec<Exemplar<'a>>,
    yielded_start_ms: Option<i64>,
    /// The entry that comes next, `Some(None)` for the end. The parser stands at it.
    pending: Option<Option<Entry<'a>>>,
}

impl<'a> ClassicConverter<'a> {
    /// Reads what `parser` reads, from its start on. Of the options those about start timestamps and classic histograms
    /// count.
    #[must_use]
    pub fn new(parser: Parser<'a>, options: ParserOptions) -> Self {
        Self {
            parser,
            options,
            family: b"",
            kind: MetricType::default(),
            gathering: false,
            classic: ClassicHistogram::default(),
            key: Vec::new(),
            line: Vec::new(),
            exemplars: Vec::new(),
            start_ms: None,
            timestamp_ms: None,
            yielded: false,
            native: NativeValue::default(),
            yielded_key: Vec::new(),
            yielded_exemplars: Vec::new(),
            yielded_start_ms: None,
            pending: None,
        }
    }

    /// The next entry; `true` stands for the histogram.
    fn next(&mut self, expected: &[u8]) -> Result<(bool, Option<Entry<'a>>), ParseError> {
        self.yielded = false;
        loop {
            let (entry, is_new) = match self.pending.take() {
                Some(entry) => (entry, false),
                None => (self.parser.next_entry_expecting(expected)?, true),
            };
            let part = match &entry {
                Some(Entry::Sample(_)) => self.read_line(),
                Some(Entry::Type { metric, kind }) => {
                    (self.family, self.kind) = (metric, *kind);
                    None
                }
                _ => None,
            };
            let ends = match &entry {
                Some(Entry::Sample(_)) => self.line != self.key || self.kind != MetricType::Histogram,
                _ => true,
            };
            if is_new && self.gathering && ends && self.convert() {
                self.pending = Some(entry);
                return Ok((true, None));
            }
            if let (Some(Entry::Sample(sample)), Some(part)) = (&entry, part) {
                self.gather(part, sample);
                if !self.options.keep_classic_histograms {
                    continue;
                }
            }
            return Ok((false, entry));
        }
    }

    /// Puts the labels of the line at hand into `line`, and tells what it says of a histogram.
    fn read_line(&mut self) -> Option<Part> {
        self.line.clear();
        if self.kind != MetricType::Histogram {
            return None;
        }
        let (mut labels, mut bound) = (Vec::with_capacity(8), None);
        let mut metric = Cow::Borrowed(&b""[..]);
        self.parser.for_each_label(|name, value| match &*name {
            BOUND => bound = Some(value),
            name if name == METRIC_NAME.as_bytes() => metric = value,
            _ => labels.push((name, value)),
        });
        let suffixes = ["_bucket", "_sum", "_count"];
        let found = suffixes.into_iter().find_map(|s| Some((s, metric.strip_suffix(s.as_bytes())?)));
        self.line.extend_from_slice(found.map_or(&metric, |(_, base)| base));
        labels.sort();
        for (name, value) in &labels {
            self.line.push(SEPARATOR);
            self.line.extend_from_slice(name);
            self.line.push(SEPARATOR);
            self.line.extend_from_slice(value);
        }
        let (suffix, base) = found?;
        if base != self.family {
            return None;
        }
        match suffix {
            "_sum" => Some(Part::Sum),
            "_count" => Some(Part::Count),
            _ => model::float::parse_go_float(&bound?).filter(|b| !b.is_nan()).map(Part::Bucket),
        }
    }

    fn gather(&mut self, part: Part, sample: &Sample<'a>) {
        if !self.gathering {
            self.gathering = true;
            std::mem::swap(&mut self.key, &mut self.line);
            let starts = self.options.skip_created_series;
            self.start_ms = if starts { self.parser.start_timestamp_ms() } else { None };
        }
        self.timestamp_ms = sample.timestamp_ms;
        self.exemplars.extend(self.parser.exemplar());
        match part {
            Part::Bucket(bound) => self.classic.set_bucket(bound, sample.value),
            Part::Sum => self.classic.set_sum(sample.value),
            Part::Count => self.classic.set_count(sample.value),
        }
    }

    /// Ends the histogram; whether it can be converted. One that cannot is passed over.
    fn convert(&mut self) -> bool {
        self.gathering = false;
        self.yielded = self.classic.convert(&mut self.native).is_ok();
        self.classic.clear();
        std::mem::swap(&mut self.key, &mut self.yielded_key);
        std::mem::swap(&mut self.exemplars, &mut self.yielded_exemplars);
        self.key.clear();
        self.exemplars.clear();
        self.yielded_start_ms = self.start_ms.take();
        self.yielded
    }
}

impl<'a> Source<'a> for ClassicConverter<'a> {
    fn next_entry_expecting(&mut self, expected: &[u8]) -> Result<Option<Entry<'_>>, ParseError> {
        let (is_histogram, entry) = self.next(expected)?;
        match is_histogram {
            true => Ok(Some(Entry::Histogram { series: &self.yielded_key, timestamp_ms: self.timestamp_ms })),
            false => Ok(entry),
        }
    }

    fn series(&self) -> &[u8] {
        if self.yielded { &self.yielded_key } else { Source::series(&self.parser) }
    }

    fn for_each_label(&self, f: &mut EachLabel<'_>) {
        if !self.yielded {
            return Source::for_each_label(&self.parser, f);
        }
        let mut parts = self.yielded_key.split(|b| *b == SEPARATOR);
        let mut name = METRIC_NAME.as_bytes();
        while let Some(value) = parts.next() {
            f(Cow::Borrowed(name), Cow::Borrowed(value));
            name = parts.next().unwrap_or_default();
        }
    }

    fn histogram(&mut self) -> &mut NativeValue {
        &mut self.native
    }

    fn exemplars(&self) -> &[Exemplar<'a>] {
        match (self.yielded, self.gathering) {
            (true, _) => &self.yielded_exemplars,
            // They go with the histogram, also where its lines are kept.
            (false, true) => &[],
            (false, false) => Source::exemplars(&self.parser),
        }
    }

    fn start_timestamp_ms(&mut self) -> Option<i64> {
        match (self.yielded, self.gathering) {
            (true, _) => self.yielded_start_ms,
            (false, true) => self.start_ms,
            (false, false) => self.parser.start_timestamp_ms(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Format;

    #[test]
    fn exemplars_go_with_the_histogram_alone() {
        let body = b"# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {id=\"a\"} 0.5\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# TYPE c counter\nc_total 1 # {id=\"b\"} 1\n# EOF\n";
        let options = ParserOptions {
            convert_classic_histograms: true,
            keep_classic_histograms: true,
            ..ParserOptions::default()
        };
        let parser = Parser::new(body, Format::OpenMetrics1, options).unwrap();
        let mut converter = ClassicConverter::new(parser, options);
        let mut found = Vec::new();
        while let Some(entry) = converter.next_entry_expecting(b"").unwrap() {
            let is_histogram = match entry {
                Entry::Histogram { .. } => true,
                Entry::Sample(_) => false,
                _ => continue,
            };
            found.push((is_histogram, converter.exemplars().len()));
        }
        assert_eq!(found, [(false, 0), (false, 0), (false, 0), (false, 0), (true, 1), (false, 1)]);
    }
}
