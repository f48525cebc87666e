//! Series as they are written out: a name, labels in braces, or both.

use model::{Labels, LabelsBuilder, METRIC_NAME};

use super::expr::is_metric_identifier;
use super::{ParseOptions, Parsed, Parser};
use crate::error::ParseErrors;
use crate::lex::{TokenKind, unquote};

const CONSTRUCT: &str = "label set";

/// The labels at the start of `input`, and where they end. Nothing at all is the empty set.
///
/// # Errors
/// In Prometheus' words.
pub(crate) fn parse_label_set(input: &str, options: &ParseOptions) -> Result<(Labels, usize), ParseErrors> {
    let mut parser = Parser::new(input, *options);
    match parser.label_set() {
        Ok(found) if parser.errors.is_empty() => Ok(found),
        _ => Err(ParseErrors(parser.errors)),
    }
}

impl Parser<'_> {
    fn label_set(&mut self) -> Parsed<(Labels, usize)> {
        let mut labels = LabelsBuilder::new();
        let token = self.peek();
        if token.kind == TokenKind::Eof {
            return Ok((Labels::empty(), token.span.end));
        }
        let named = is_metric_identifier(token.kind);
        if !named && token.kind != TokenKind::LeftBrace {
            return Err(self.unexpected_in("series values", ""));
        }
        let mut end = token.span.end;
        self.next();
        // What follows a space is a value.
        if !named || self.input[end..].starts_with('{') {
            if named {
                self.expect(TokenKind::LeftBrace)?;
            }
            end = self.labels_in_braces(&mut labels)?;
        }
        if named {
            labels.set(METRIC_NAME, self.text(token));
        }
        Ok((labels.build(), end))
    }

    /// The rest behind the opening brace; where it ends.
    fn labels_in_braces(&mut self, labels: &mut LabelsBuilder) -> Parsed<usize> {
        if let Some(close) = self.accept(TokenKind::RightBrace) {
            return Ok(close.span.end);
        }
        loop {
            self.label(labels)?;
            if self.accept(TokenKind::Comma).is_none() && self.peek().kind != TokenKind::RightBrace {
                return Err(self.unexpected_in(CONSTRUCT, "\",\" or \"}\""));
            }
            if let Some(close) = self.accept(TokenKind::RightBrace) {
                return Ok(close.span.end);
            }
        }
    }

    fn label(&mut self, labels: &mut LabelsBuilder) -> Parsed<()> {
        let label = self.peek();
        let name = match label.kind {
            TokenKind::Identifier => self.text(label).into(),
            TokenKind::String => unquote(self.text(label)),
            _ => return Err(self.unexpected_in(CONSTRUCT, "identifier or \"}\"")),
        };
        self.next();
        if self.accept(TokenKind::Eql).is_none() {
            if label.kind == TokenKind::String {
                labels.set(METRIC_NAME, &name);
                return Ok(());
            }
            return Err(self.unexpected_in(CONSTRUCT, "\"=\""));
        }
        if self.peek().kind != TokenKind::String {
            return Err(self.unexpected_in(CONSTRUCT, "string"));
        }
        let value = self.next();
        labels.set(&name, &unquote(self.text(value)));
        Ok(())
    }
}
