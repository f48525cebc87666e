//! Lines of the text format, gathered into families.

use std::collections::HashMap;

use model::float::{go_quoted, parse_go_float};

use super::reader::{NameKind, Read, Reader, Stop, is_blank, quoted_byte, wrong};
use super::{FamilyError, FamilyKind, TextFamily, TextMetric, TextValue};

/// Parses a text of format 0.0.4, UTF-8 names in quotes included. Families come in order of their names.
///
/// # Errors
/// The first thing that is wrong, and in which line.
pub fn parse_families(text: &[u8]) -> Result<Vec<TextFamily>, FamilyError> {
    let mut parser = Families {
        reader: Reader::new(text),
        families: Vec::new(),
        by_name: HashMap::new(),
        of_labels: HashMap::new(),
        current: None,
        part: Part::Value,
    };
    let mut line = 0;
    loop {
        line += 1;
        match parser.line() {
            Ok(true) => {}
            Ok(false) => break,
            Err(Stop::End) => {
                return Err(FamilyError { line, message: "unexpected end of input stream".to_owned() });
            }
            Err(Stop::Wrong(message)) => return Err(FamilyError { line, message }),
        }
    }
    let mut families: Vec<TextFamily> = parser.families.into_iter().filter_map(Building::finish).collect();
    families.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(families)
}

/// A family under construction.
struct Building {
    name: String,
    help: Option<String>,
    kind: Option<FamilyKind>,
    metrics: Vec<TextMetric>,
}

impl Building {
    fn finish(self) -> Option<TextFamily> {
        let Self { name, help, kind, metrics } = self;
        let kind = kind.unwrap_or(FamilyKind::Untyped);
        let family = TextFamily { name, help: help.unwrap_or_default(), kind, metrics };
        Some(family).filter(|f| !f.metrics.is_empty())
    }
}

/// What a line's name says of a summary or histogram.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A quantile or bucket, or a metric of its own.
    Value,
    Count,
    Sum,
}

/// The labels of a line.
#[derive(Default)]
struct LineLabels {
    labels: Vec<(String, String)>,
    /// `quantile` of a summary, `le` of a histogram; NaN where there is none.
    bound: Option<f64>,
}

type OfLabels = HashMap<(usize, Vec<(String, String)>), usize>;

struct Families<'a> {
    reader: Reader<'a>,
    families: Vec<Building>,
    by_name: HashMap<String, usize>,
    /// Metrics of summaries and histograms, by family and sorted labels.
    of_labels: OfLabels,
    /// The family that was named last.
    current: Option<usize>,
    part: Part,
}

impl Families<'_> {
    /// Reads a line; whether there was one.
    fn line(&mut self) -> Read<bool> {
        if matches!(self.reader.skip_blanks(), Err(Stop::End)) {
            // The only place where the input may end.
            return Ok(false);
        }
        match self.reader.current {
            b'\n' => {}
            b'#' => self.comment()?,
            b'{' => self.sample_in_braces()?,
            _ => self.sample()?,
        }
        Ok(true)
    }

    fn comment(&mut self) -> Read {
        self.reader.skip_blanks()?;
        if self.reader.current == b'\n' {
            return Ok(());
        }
        self.reader.word()?;
        if self.reader.current == b'\n' {
            return Ok(());
        }
        let is_help = match &self.reader.token[..] {
            b"HELP" => true,
            b"TYPE" => false,
            _ => return self.reader.skip_line(),
        };
        self.reader.skip_blanks()?;
        self.reader.name(NameKind::Metric)?;
        if self.reader.current == b'\n' {
            return Ok(());
        }
        if !is_blank(self.reader.current) {
            return wrong("invalid metric name in comment");
        }
        let family = self.turn_to()?;
        self.reader.skip_blanks()?;
        if self.reader.current == b'\n' {
            return Ok(());
        }
        if is_help { self.help(family) } else { self.kind(family) }
    }

    fn help(&mut self, family: usize) -> Read {
        let name = go_quoted(self.families[family].name.as_bytes());
        if self.families[family].help.is_some() {
            return wrong(format!("second HELP line for metric name {name}"));
        }
        self.reader.line(true)?;
        let help = String::from_utf8_lossy(&self.reader.token).into_owned();
        self.families[family].help = Some(help);
        Ok(())
    }

    fn kind(&mut self, family: usize) -> Read {
        let name = go_quoted(self.families[family].name.as_bytes());
        if self.families[family].kind.is_some() {
            return wrong(format!("second TYPE line for metric name {name}, or TYPE reported after samples"));
        }
        self.reader.line(false)?;
        let kind = match &self.reader.token.to_ascii_uppercase()[..] {
            b"COUNTER" => FamilyKind::Counter,
            b"GAUGE" => FamilyKind::Gauge,
            b"SUMMARY" => FamilyKind::Summary,
            b"UNTYPED" => FamilyKind::Untyped,
            b"HISTOGRAM" => FamilyKind::Histogram,
            b"GAUGE_HISTOGRAM" | b"GAUGEHISTOGRAM" => FamilyKind::GaugeHistogram,
            _ => return wrong(format!("unknown metric type {}", go_quoted(&self.reader.token))),
        };
        self.families[family].kind = Some(kind);
        Ok(())
    }

    /// Turns to the family that the token names, made if there is none: for `x_count` that is `x`, if that is a summary
    /// or histogram.
    fn turn_to(&mut self) -> Read<usize> {
        self.part = Part::Value;
        let Ok(name) = std::str::from_utf8(&self.reader.token) else {
            return wrong(format!("invalid metric name {}", go_quoted(&self.reader.token)));
        };
        if name.is_empty() {
            return wrong("invalid metric name \"\"");
        }
        if let Some(family) = self.by_name.get(name) {
            self.current = Some(*family);
            return Ok(*family);
        }
        let suffixes = [("_count", Part::Count), ("_sum", Part::Sum), ("_bucket", Part::Value)];
        for (suffix, part) in suffixes {
            let base = name.strip_suffix(suffix).filter(|base| !base.is_empty());
            let Some(family) = base.and_then(|base| self.by_name.get(base)).copied() else { continue };
            let has_part = match self.families[family].kind {
                Some(FamilyKind::Summary) => suffix != "_bucket",
                kind => kind.is_some_and(FamilyKind::has_buckets),
            };
            if has_part {
                self.part = part;
                self.current = Some(family);
                return Ok(family);
            }
        }
        let family = self.families.len();
        let name = name.to_owned();
        self.by_name.insert(name.clone(), family);
        self.families.push(Building { name, help: None, kind: None, metrics: Vec::new() });
        self.current = Some(family);
        Ok(family)
    }

    fn current_name(&self) -> String {
        let name = self.current.map_or("", |family| self.families[family].name.as_str());
        go_quoted(name.as_bytes())
    }

    /// The type of the family that a line belongs to; by its first sample at the latest it is untyped.
    fn kind_of(&mut self, family: usize) -> FamilyKind {
        *self.families[family].kind.get_or_insert(FamilyKind::Untyped)
    }

    fn sample(&mut self) -> Read {
        self.reader.name(NameKind::Metric)?;
        if self.reader.token.is_empty() {
            return wrong("invalid metric name");
        }
        let family = self.turn_to()?;
        self.kind_of(family);
        self.reader.skip_blanks_if_blank()?;
        let mut labels = LineLabels::default();
        if self.reader.current == b'{' {
            self.labels(&mut labels, Some(family))?;
        }
        self.value(family, labels)
    }

    /// A sample whose name is in the braces with its labels.
    fn sample_in_braces(&mut self) -> Read {
        let mut labels = LineLabels::default();
        match self.labels(&mut labels, None)? {
            Some(family) => self.value(family, labels),
            None => wrong("invalid metric name"),
        }
    }

    /// Reads labels, from the opening brace to behind the closing one. A metric's name may be among them where it did
    /// not stand before: returns the family.
    fn labels(&mut self, out: &mut LineLabels, before: Option<usize>) -> Read<Option<usize>> {
        let mut family = before;
        loop {
            self.reader.skip_blanks()?;
            if self.reader.current == b'}' {
                break;
            }
            self.reader.name(NameKind::Label)?;
            if self.reader.token.is_empty() {
                return wrong(format!("invalid label name for metric {}", self.current_name()));
            }
            self.reader.skip_blanks_if_blank()?;
            if self.reader.current != b'=' {
                if before.is_some() {
                    let found = quoted_byte(self.reader.current);
                    return wrong(format!("expected '=' after label name, found {found}"));
                }
                if family.is_some() {
                    return wrong(format!("multiple metric names for metric {}", self.current_name()));
                }
                if !matches!(self.reader.current, b',' | b'}') {
                    let found = quoted_byte(self.reader.current);
                    return wrong(format!("unexpected end of metric name {found}"));
                }
                let found = self.turn_to()?;
                self.kind_of(found);
                family = Some(found);
                if self.reader.current == b'}' {
                    break;
                }
                continue;
            }
            self.label(out, family)?;
            self.reader.skip_blanks()?;
            match self.reader.current {
                b',' => {}
                b'}' => break,
                _ => {
                    let value = go_quoted(&self.reader.token);
                    return wrong(format!("unexpected end of label value {value}"));
                }
            }
        }
        self.reader.skip_blanks()?;
        Ok(family)
    }

    /// Reads the value of the label that the token names.
    fn label(&mut self, out: &mut LineLabels, family: Option<usize>) -> Read {
        let quoted = go_quoted(&self.reader.token);
        let Ok(name) = String::from_utf8(std::mem::take(&mut self.reader.token)) else {
            return wrong(format!("invalid label name {quoted}"));
        };
        if name == model::METRIC_NAME {
            return wrong(format!("label name {quoted} is reserved"));
        }
        let kind = family.and_then(|family| self.families[family].kind);
        let is_bound = match kind {
            Some(FamilyKind::Summary) => name == "quantile",
            kind => name == "le" && kind.is_some_and(FamilyKind::has_buckets),
        };
        if out.labels.iter().any(|(other, _)| *other == name) {
            return wrong(format!("duplicate label names for metric {}", self.current_name()));
        }
        self.reader.skip_blanks()?;
        if self.reader.current != b'"' {
            let found = quoted_byte(self.reader.current);
            return wrong(format!("expected '\"' at start of label value, found {found}"));
        }
        self.reader.label_value()?;
        let Ok(value) = std::str::from_utf8(&self.reader.token) else {
            return wrong(format!("invalid label value {}", go_quoted(&self.reader.token)));
        };
        if !is_bound {
            out.labels.push((name, value.to_owned()));
            return Ok(());
        }
        let Some(bound) = parse_float(&self.reader.token) else {
            let value = go_quoted(&self.reader.token);
            return wrong(format!("expected float as value for '{name}' label, got {value}"));
        };
        out.bound = Some(bound);
        Ok(())
    }

    /// Reads value and time of a line, and puts them where they belong.
    fn value(&mut self, family: usize, LineLabels { labels, bound }: LineLabels) -> Read {
        let kind = self.kind_of(family);
        self.reader.word()?;
        let Some(v) = parse_float(&self.reader.token) else {
            return wrong(format!("expected float as value, got {}", go_quoted(&self.reader.token)));
        };
        let metric = self.metric_of(family, kind, labels);
        let name = go_quoted(self.families[family].name.as_bytes());
        let bound = bound.filter(|b| !b.is_nan());
        let part = self.part;
        let metric = &mut self.families[family].metrics[metric];
        match (&mut metric.value, part) {
            (TextValue::Plain(plain), _) => *plain = v,
            (TextValue::Summary { count, .. }, Part::Count) => *count = v as u64,
            (TextValue::Summary { sum, .. } | TextValue::Histogram { sum, .. }, Part::Sum) => *sum = v,
            (TextValue::Summary { quantiles, .. }, Part::Value) => quantiles.extend(bound.map(|q| (q, v))),
            (TextValue::Histogram { count, .. }, Part::Count) => {
                if v < 0.0 {
                    return wrong(format!("negative count for histogram {name}"));
                }
                *count = v;
            }
            (TextValue::Histogram { buckets, .. }, Part::Value) => {
                if v < 0.0 && bound.is_some() {
                    return wrong(format!("negative bucket population for histogram {name}"));
                }
                buckets.extend(bound.map(|le| (le, v)));
            }
        }
        if self.reader.current == b'\n' {
            return Ok(());
        }
        self.reader.skip_blanks()?;
        self.reader.word()?;
        let text = std::str::from_utf8(&self.reader.token).unwrap_or_default();
        let Ok(t) = text.parse::<i64>() else {
            return wrong(format!("expected integer as timestamp, got {}", go_quoted(&self.reader.token)));
        };
        metric.timestamp_ms = Some(t);
        self.reader.line(false)?;
        if !self.reader.token.is_empty() {
            return wrong(format!("spurious string after timestamp: {}", go_quoted(&self.reader.token)));
        }
        Ok(())
    }

    /// The metric that a line is of: of summaries and histograms there is one for each set of labels.
    fn metric_of(&mut self, family: usize, kind: FamilyKind, labels: Vec<(String, String)>) -> usize {
        let metrics = &mut self.families[family].metrics;
        let value = match kind {
            FamilyKind::Summary => TextValue::Summary { quantiles: Vec::new(), sum: 0.0, count: 0 },
            _ if kind.has_buckets() => TextValue::Histogram { buckets: Vec::new(), sum: 0.0, count: 0.0 },
            _ => TextValue::default(),
        };
        if !matches!(value, TextValue::Plain(_)) {
            let mut sorted = labels.clone();
            sorted.sort_unstable();
            let at = *self.of_labels.entry((family, sorted)).or_insert(metrics.len());
            if at < metrics.len() {
                return at;
            }
        }
        metrics.push(TextMetric { labels, timestamp_ms: None, value });
        metrics.len() - 1
    }
}

/// As Go reads it, without hexadecimal floats and underscores.
fn parse_float(text: &[u8]) -> Option<f64> {
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return None;
    }
    parse_go_float(text)
}
