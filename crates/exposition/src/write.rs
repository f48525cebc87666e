//! Writes text 0.0.4 as Prometheus' `expfmt` does: `/metrics` and `/federate`.

use std::borrow::Cow;

use model::float::append_g;
use model::labels::is_legacy_metric_name;

use crate::escape::{EscapingScheme, escape_name};
use model::MetricType;

/// Appends families and samples to a buffer that the caller owns.
#[derive(Debug)]
pub struct TextWriter<'a> {
    out: &'a mut Vec<u8>,
    escaping: EscapingScheme,
}

impl<'a> TextWriter<'a> {
    /// A writer that appends to `out` and escapes names by `escaping`.
    pub fn new(out: &'a mut Vec<u8>, escaping: EscapingScheme) -> Self {
        Self { out, escaping }
    }

    /// Writes the `# HELP` (where there is a text) and `# TYPE` lines of a family. Types that the
    /// format lacks become `untyped`, gauge histograms become histograms.
    pub fn family(&mut self, name: &str, help: Option<&str>, kind: MetricType) {
        let name = escape_name(name, self.escaping);
        if let Some(help) = help {
            self.out.extend_from_slice(b"# HELP ");
            self.name(&name);
            self.out.push(b' ');
            self.escaped(help, false);
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(b"# TYPE ");
        self.name(&name);
        self.out.extend_from_slice(match kind {
            MetricType::Counter => b" counter\n",
            MetricType::Gauge => b" gauge\n",
            MetricType::Summary => b" summary\n",
            MetricType::Histogram | MetricType::GaugeHistogram => b" histogram\n",
            MetricType::Info | MetricType::StateSet | MetricType::Unknown => b" untyped\n",
        });
    }

    /// Writes a sample. `labels` are without the metric's name; `le` or `quantile` go among them as
    /// text, or as `bound` behind them.
    pub fn sample<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        bound: Option<(&str, f64)>,
        value: f64,
        timestamp_ms: Option<i64>,
    ) {
        let name = escape_name(name, self.escaping);
        let within = !is_legacy_metric_name(&name);
        if within {
            self.out.push(b'{');
        }
        self.name(&name);
        let mut separator = if within { b',' } else { b'{' };
        for (label, text) in labels {
            self.out.push(separator);
            separator = b',';
            let label: Cow<'_, str> = escape_name(label, self.escaping);
            self.name(&label);
            self.out.extend_from_slice(b"=\"");
            self.escaped(text, true);
            self.out.push(b'"');
        }
        if let Some((label, number)) = bound {
            self.out.push(separator);
            separator = b',';
            self.out.extend_from_slice(label.as_bytes());
            self.out.extend_from_slice(b"=\"");
            self.number(number);
            self.out.push(b'"');
        }
        if separator == b',' {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        self.number(value);
        if let Some(t_ms) = timestamp_ms {
            self.out.push(b' ');
            self.out.extend_from_slice(t_ms.to_string().as_bytes());
        }
        self.out.push(b'\n');
    }

    /// −0 is written as 0, as `expfmt` does.
    fn number(&mut self, v: f64) {
        append_g(if v == 0.0 { 0.0 } else { v }, self.out);
    }

    fn name(&mut self, name: &str) {
        if is_legacy_metric_name(name) {
            self.out.extend_from_slice(name.as_bytes());
        } else {
            self.out.push(b'"');
            self.escaped(name, true);
            self.out.push(b'"');
        }
    }

    fn escaped(&mut self, text: &str, quotes: bool) {
        let mut rest = text.as_bytes();
        let needs = |b: &u8| matches!(b, b'\\' | b'\n') || quotes && *b == b'"';
        while let Some(at) = rest.iter().position(needs) {
            self.out.extend_from_slice(&rest[..at]);
            self.out.push(b'\\');
            self.out.push(if rest[at] == b'\n' { b'n' } else { rest[at] });
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_expfmt_writes() {
        let mut out = Vec::new();
        let mut w = TextWriter::new(&mut out, EscapingScheme::NoEscaping);
        w.family("a", Some("line\nwith \\ and \""), MetricType::Counter);
        w.sample("a", [("x", "y\"\\\n"), ("l.m", "é")], None, -0.0, Some(-5));
        w.sample("a", [], None, 1e6, None);
        w.family("b.c", None, MetricType::StateSet);
        w.sample("b.c", [], None, f64::NAN, None);
        w.sample("b.c", [("x", "")], Some(("le", f64::INFINITY)), 0.5, None);
        w.sample("h_bucket", [], Some(("le", 0.25)), 3.0, None);
        let want = concat!(
            "# HELP a line\\nwith \\\\ and \"\n# TYPE a counter\n",
            "a{x=\"y\\\"\\\\\\n\",\"l.m\"=\"é\"} 0 -5\na 1e+06\n",
            "# TYPE \"b.c\" untyped\n{\"b.c\"} NaN\n{\"b.c\",x=\"\",le=\"+Inf\"} 0.5\n",
            "h_bucket{le=\"0.25\"} 3\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn escapes_names_by_scheme() {
        let mut out = Vec::new();
        let mut w = TextWriter::new(&mut out, EscapingScheme::Underscores);
        w.family("b.c", None, MetricType::Gauge);
        w.sample("b.c", [("l.m", "1")], None, 2.0, None);
        assert_eq!(String::from_utf8(out).unwrap(), "# TYPE b_c gauge\nb_c{l_m=\"1\"} 2\n");
    }
}
