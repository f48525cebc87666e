//! The grammar of OpenMetrics 1.0: Prometheus' `OpenMetricsParser.Next`.

use crate::cursor::Token;
use crate::entry::{Entry, Exemplar};
use crate::escape::unescape_str;
use crate::lex_open_metrics::next_token;
use crate::parser::{Parser, sample};
use crate::text::help_text;
use model::MetricType;

const NO_EOF: &str = "data does not end with # EOF";

impl<'a> Parser<'a> {
    /// The next entry; an error is the message without the line.
    pub(crate) fn next_open_metrics(&mut self) -> Result<Option<Entry<'a>>, String> {
        loop {
            self.entry_start = self.cursor.at;
            self.forget_exemplar();
            let entry = match next_token(&mut self.cursor) {
                Token::EofWord => {
                    return match next_token(&mut self.cursor) {
                        Token::Eof => Ok(None),
                        _ => Err("unexpected data after # EOF".to_owned()),
                    };
                }
                Token::Eof => return Err(NO_EOF.to_owned()),
                t @ (Token::Help | Token::Type | Token::Unit) => return self.open_metrics_metadata(t),
                Token::BraceOpen => {
                    let named = self.open_metrics_labels(Some(false))?;
                    self.series = self.cursor.slice(self.entry_start, self.cursor.at);
                    let t = next_token(&mut self.cursor);
                    self.open_metrics_sample(named, t)?
                }
                Token::MetricName => {
                    self.series = self.cursor.slice(self.entry_start, self.cursor.at);
                    let mut t = next_token(&mut self.cursor);
                    if t == Token::BraceOpen {
                        self.open_metrics_labels(Some(true))?;
                        self.series = self.cursor.slice(self.entry_start, self.cursor.at);
                        t = next_token(&mut self.cursor);
                    }
                    self.open_metrics_sample(true, t)?
                }
                t => return Err(self.unexpected("expected a valid start token", t)),
            };
            if !self.is_skipped_created() {
                return Ok(entry);
            }
        }
    }

    fn open_metrics_metadata(&mut self, what: Token) -> Result<Option<Entry<'a>>, String> {
        let t = next_token(&mut self.cursor);
        if t != Token::MetricName {
            return Err(self.unexpected(&format!("expected metric name after {}", what.as_str()), t));
        }
        let metric = self.metadata_name();
        self.family_len = metric.len();
        if next_token(&mut self.cursor) != Token::Text {
            return Err(format!("expected text in {}", what.as_str()));
        }
        // Without the space before it and the line break behind it.
        let text = match self.cursor.token() {
            [_, text @ .., _] => text,
            _ => b"",
        };
        Ok(Some(match what {
            Token::Type => {
                self.kind = open_metrics_type(text)
                    .ok_or_else(|| format!("invalid metric type {}", model::float::go_quoted(text)))?;
                Entry::Type { metric, kind: self.kind }
            }
            Token::Help => Entry::Help { metric, text: help_text(text, unescape_str)? },
            _ => {
                self.unit = text;
                let rest = metric.strip_suffix(text);
                if !text.is_empty() && rest.and_then(<[u8]>::last) != Some(&b'_') {
                    let (unit, metric) = (model::float::go_quoted(text), model::float::go_quoted(metric));
                    return Err(format!("unit {unit} not a suffix of metric {metric}"));
                }
                Entry::Unit { metric, unit: text }
            }
        }))
    }

    /// Reads what stands in braces. `named` says whether the metric's name came before them; within
    /// an exemplar it is `None`. Returns whether there is a name now.
    fn open_metrics_labels(&mut self, named: Option<bool>) -> Result<bool, String> {
        let mut has_name = named.unwrap_or(false);
        let mut t = next_token(&mut self.cursor);
        loop {
            let quoted = match t {
                Token::BraceClose => return Ok(has_name),
                Token::LabelName => false,
                Token::QuotedString => true,
                _ => return Err(self.unexpected("expected label name", t)),
            };
            t = next_token(&mut self.cursor);
            if quoted && matches!(t, Token::Comma | Token::BraceClose) {
                if named.is_none() {
                    return Err(self.unexpected("expected label name", t));
                }
                if has_name {
                    return Err(self.while_parsing("metric name already set"));
                }
                has_name = true;
                if t == Token::BraceClose {
                    return Ok(has_name);
                }
                t = next_token(&mut self.cursor);
                continue;
            }
            if t != Token::Equal {
                return Err(self.unexpected("expected equal", t));
            }
            let value = next_token(&mut self.cursor);
            if value != Token::LabelValue {
                return Err(self.unexpected("expected label value", value));
            }
            self.check_label_value()?;
            t = next_token(&mut self.cursor);
            if t == Token::Comma {
                t = next_token(&mut self.cursor);
            } else if t != Token::BraceClose {
                return Err(self.unexpected("expected comma or brace close", t));
            }
        }
    }

    /// Reads the rest of a sample's line, whose next token is `t`.
    fn open_metrics_sample(&mut self, named: bool, t: Token) -> Result<Option<Entry<'a>>, String> {
        if !named {
            return Err(self.while_parsing("metric name not set"));
        }
        let value = self.open_metrics_value(t, "metric")?;
        let mut timestamp_ms = None;
        match next_token(&mut self.cursor) {
            Token::Eof => return Err(NO_EOF.to_owned()),
            Token::Comment => self.open_metrics_exemplar()?,
            Token::Timestamp => {
                timestamp_ms = Some(self.open_metrics_timestamp("timestamp")?);
                match next_token(&mut self.cursor) {
                    Token::Linebreak => {}
                    Token::Comment => self.open_metrics_exemplar()?,
                    t => return Err(self.unexpected("expected next entry after timestamp", t)),
                }
            }
            // Prometheus looks at nothing else here; what is wrong fails the next entry.
            _ => {}
        }
        Ok(sample(self.series, value, timestamp_ms))
    }

    fn open_metrics_value(&self, t: Token, after: &str) -> Result<f64, String> {
        if t != Token::Value {
            return Err(self.unexpected(&format!("expected value after {after}"), t));
        }
        self.parse_float(self.cursor.token().get(1..).unwrap_or_default())
    }

    /// The current token as a time: seconds, cut to milliseconds.
    fn open_metrics_timestamp(&self, what: &str) -> Result<i64, String> {
        let seconds = self.parse_float(self.cursor.token().get(1..).unwrap_or_default())?;
        to_milliseconds(seconds).ok_or_else(|| {
            let mut text = format!("invalid {what} ").into_bytes();
            model::float::append_f(seconds, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    }

    fn open_metrics_exemplar(&mut self) -> Result<(), String> {
        if self.start_timestamps.peeking {
            loop {
                match next_token(&mut self.cursor) {
                    Token::Linebreak => return Ok(()),
                    // Prometheus would not come to an end on the latter.
                    Token::Eof | Token::Invalid => return Err(NO_EOF.to_owned()),
                    _ => {}
                }
            }
        }
        let brace = self.cursor.at - 1;
        self.open_metrics_labels(None)?;
        let labels = self.cursor.slice(brace, self.cursor.at);
        let t = next_token(&mut self.cursor);
        let value = self.open_metrics_value(t, "exemplar labels")?;
        let mut timestamp_ms = None;
        match next_token(&mut self.cursor) {
            Token::Eof => return Err(NO_EOF.to_owned()),
            Token::Linebreak => {}
            Token::Timestamp => {
                timestamp_ms = Some(self.open_metrics_timestamp("exemplar timestamp")?);
                let t = next_token(&mut self.cursor);
                if t != Token::Linebreak {
                    return Err(self.unexpected("expected next entry after exemplar timestamp", t));
                }
            }
            t => return Err(self.unexpected("expected timestamp or comment", t)),
        }
        self.exemplar = Some(Exemplar::text(labels, value, timestamp_ms));
        Ok(())
    }
}

fn open_metrics_type(text: &[u8]) -> Option<MetricType> {
    Some(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::StateSet,
        b"unknown" => MetricType::Unknown,
        _ => return None,
    })
}

/// Seconds to milliseconds as Go converts on amd64: cut, and the least number where that does not
/// fit. `None` for NaN and infinities.
pub(crate) fn to_milliseconds(seconds: f64) -> Option<i64> {
    if !seconds.is_finite() {
        return None;
    }
    let ms = seconds * 1000.0;
    Some(if ms.abs() < 9_223_372_036_854_775_808.0 { ms as i64 } else { i64::MIN })
}
