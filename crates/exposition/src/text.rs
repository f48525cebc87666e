//! The grammar of the text format: Prometheus' `PromParser.Next`.

use std::borrow::Cow;

use crate::cursor::Token;
use crate::entry::Entry;
use crate::escape::unescape_help;
use crate::lex_text::next_token;
use crate::parser::{Parser, sample};
use model::MetricType;

impl<'a> Parser<'a> {
    /// The next entry; an error is the message without the line.
    pub(crate) fn next_text(&mut self) -> Result<Option<Entry<'a>>, String> {
        loop {
            self.entry_start = self.cursor.at;
            match next_token(&mut self.cursor) {
                Token::Eof => return Ok(None),
                Token::Linebreak => {}
                t @ (Token::Help | Token::Type) => return self.text_metadata(t),
                Token::Comment => {
                    let text = self.cursor.token();
                    return match next_token(&mut self.cursor) {
                        Token::Linebreak => Ok(Some(Entry::Comment(text))),
                        t => Err(self.unexpected("linebreak expected after comment", t)),
                    };
                }
                Token::BraceOpen => {
                    let named = self.text_labels(false)?;
                    self.series = self.cursor.slice(self.entry_start, self.cursor.at);
                    let t = next_token(&mut self.cursor);
                    return self.text_sample(named, t);
                }
                Token::MetricName => {
                    self.series = self.cursor.slice(self.entry_start, self.cursor.at);
                    let mut t = next_token(&mut self.cursor);
                    if t == Token::BraceOpen {
                        self.text_labels(true)?;
                        self.series = self.cursor.slice(self.entry_start, self.cursor.at);
                        t = next_token(&mut self.cursor);
                    }
                    return self.text_sample(true, t);
                }
                t => return Err(self.unexpected("expected a valid start token", t)),
            }
        }
    }

    fn text_metadata(&mut self, what: Token) -> Result<Option<Entry<'a>>, String> {
        let t = next_token(&mut self.cursor);
        if t != Token::MetricName {
            return Err(self.unexpected(&format!("expected metric name after {}", what.as_str()), t));
        }
        let metric = self.metadata_name();
        let t = next_token(&mut self.cursor);
        if t != Token::Text {
            return Err(format!("expected text in {}, got {}", what.as_str(), t.as_str()));
        }
        let text = self.cursor.token().get(1..).unwrap_or_default();
        let entry = if what == Token::Type {
            self.kind = match text {
                b"counter" => MetricType::Counter,
                b"gauge" => MetricType::Gauge,
                b"histogram" => MetricType::Histogram,
                b"summary" => MetricType::Summary,
                b"untyped" => MetricType::Unknown,
                _ => return Err(format!("invalid metric type {}", model::float::go_quoted(text))),
            };
            Entry::Type { metric, kind: self.kind }
        } else {
            Entry::Help { metric, text: help_text(text, unescape_help)? }
        };
        match next_token(&mut self.cursor) {
            Token::Linebreak => Ok(Some(entry)),
            t => Err(self.unexpected("linebreak expected after metadata", t)),
        }
    }

    /// Reads what stands in braces; `named` says whether the metric's name came before them.
    /// Returns whether there is a name now.
    fn text_labels(&mut self, mut named: bool) -> Result<bool, String> {
        let mut t = next_token(&mut self.cursor);
        loop {
            let quoted = match t {
                Token::BraceClose => return Ok(named),
                Token::LabelName => false,
                Token::QuotedString => true,
                _ => return Err(self.unexpected("expected label name", t)),
            };
            t = next_token(&mut self.cursor);
            if quoted && matches!(t, Token::Comma | Token::BraceClose) {
                if named {
                    return Err(self.while_parsing("metric name already set"));
                }
                named = true;
                if t == Token::BraceClose {
                    return Ok(named);
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
            }
        }
    }

    pub(crate) fn check_label_value(&self) -> Result<(), String> {
        let text = self.cursor.token();
        match std::str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("invalid UTF-8 label value: {}", model::float::go_quoted(text))),
        }
    }

    /// Reads the rest of a sample's line, whose next token is `t`.
    fn text_sample(&mut self, named: bool, t: Token) -> Result<Option<Entry<'a>>, String> {
        if !named {
            return Err(self.while_parsing("metric name not set"));
        }
        if t != Token::Value {
            return Err(self.unexpected("expected value after metric", t));
        }
        let value = self.parse_float(self.cursor.token())?;
        let timestamp_ms = match next_token(&mut self.cursor) {
            Token::Linebreak => None,
            Token::Timestamp => {
                let text = self.cursor.token();
                let time = std::str::from_utf8(text).ok().and_then(|s| s.parse().ok()).ok_or_else(|| {
                    let quoted = model::float::go_quoted(text);
                    self.while_parsing(&format!("strconv.ParseInt: parsing {quoted}: value out of range"))
                })?;
                let t = next_token(&mut self.cursor);
                if t != Token::Linebreak {
                    return Err(self.unexpected("expected next entry after timestamp", t));
                }
                Some(time)
            }
            t => return Err(self.unexpected("expected timestamp or new record", t)),
        };
        Ok(sample(self.series, value, timestamp_ms))
    }
}

/// Checks and unescapes a help text.
pub(crate) fn help_text<'a>(
    text: &'a [u8],
    unescape: fn(&'a str) -> Cow<'a, str>,
) -> Result<Cow<'a, str>, String> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(unescape(text)),
        Err(_) => Err(format!("help text {} is not a valid utf8 string", model::float::go_quoted(text))),
    }
}
