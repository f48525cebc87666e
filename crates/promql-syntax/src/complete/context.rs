//! From the place of the cursor to what can stand there.

use super::pieces::{Piece, pieces_before};
use super::scan::{Frame, FrameKind, Operand, Scan, Stage, State};
use super::selectors::{Pieces, series, series_of_braces};
use super::{Context, ContextKind, LabelPlace, Series, words};
use crate::function::Function;
use crate::lex::TokenKind;
use crate::op::{AggregateOp, BinaryOp};
use crate::parse::ParseOptions;
use crate::span::Span;
use crate::value_type::ValueType;

pub(super) fn contexts(text: &str, all: &[Piece], cursor: usize, options: &ParseOptions) -> Vec<Context> {
    let before = pieces_before(all, cursor);
    let end = before.checked_sub(1).and_then(|last| all.get(last)).map_or(0, |p| p.span.end);
    if text.get(end..cursor).is_some_and(ends_in_comment) {
        return Vec::new();
    }
    let pieces = Pieces { text, all };
    let mut scan = Scan::new();
    let take = |scan: &mut Scan, at: usize| {
        let Some(piece) = all.get(at) else { return };
        scan.take(at, *piece);
        if piece.kind == TokenKind::LeftParen && at > 0 {
            scan.name_call(pieces.text(at - 1));
        }
    };
    (0..before).for_each(|at| take(&mut scan, at));

    let touched = all.get(before).copied().filter(|p| p.span.start < cursor);
    let here = Span::new(cursor, cursor);
    let mut place = Place { pieces, options, touched: touched.map(|_| before), here, out: Vec::new() };
    match touched {
        Some(piece) if piece.is_symbol() => {
            place.symbol(scan.innermost(), piece.span);
            // What follows it, too, where it is whole.
            let state = scan.innermost().state;
            take(&mut scan, before);
            if piece.span.end == cursor && (state != scan.innermost().state || place.out.is_empty()) {
                place.touched = None;
                place.frame(scan.innermost(), scan.outer());
            }
        }
        Some(piece) if !piece.is_word() && piece.kind != TokenKind::String => {}
        _ => place.frame(scan.innermost(), scan.outer()),
    }
    place.out
}

/// Whether what stands between two pieces is, at its end, a comment.
fn ends_in_comment(gap: &str) -> bool {
    gap.rfind('#').is_some_and(|at| !gap[at..].contains(['\n', '\r']))
}

struct Place<'a> {
    pieces: Pieces<'a>,
    options: &'a ParseOptions,
    /// The word or string at the cursor.
    touched: Option<usize>,
    /// The cursor.
    here: Span,
    out: Vec<Context>,
}

impl Place<'_> {
    fn push(&mut self, kind: ContextKind) {
        let span = self.span();
        self.out.push(Context { kind, span });
    }

    fn touched_kind(&self) -> Option<TokenKind> {
        self.pieces.kind(self.touched?)
    }

    /// The quote of the string at the cursor.
    fn quote(&self) -> Option<char> {
        let touched = self.touched.filter(|_| self.touched_kind() == Some(TokenKind::String))?;
        self.pieces.text(touched).chars().next()
    }

    /// Whether a number or duration is at the cursor.
    fn in_number(&self) -> bool {
        let is_number = matches!(self.touched_kind(), Some(TokenKind::Number | TokenKind::Duration));
        is_number && !self.touched.is_some_and(|at| self.pieces.text(at).starts_with(char::is_alphabetic))
    }

    /// What would be replaced.
    fn span(&self) -> Span {
        let Some(piece) = self.touched.and_then(|at| self.pieces.all.get(at)) else { return self.here };
        match piece.kind {
            TokenKind::String if piece.closed => Span::new(piece.span.start + 1, piece.span.end - 1),
            // Nobody knows how far a string without an end is meant to go.
            TokenKind::String => Span::new(piece.span.start + 1, self.here.end),
            _ => piece.span,
        }
    }

    /// An operator or the beginning of one.
    fn symbol(&mut self, frame: &Frame, span: Span) {
        let kind = match (frame.kind, frame.state) {
            (FrameKind::Braces { .. }, State::Label(_)) => {
                ContextKind::MatchOperator(words::MATCH_OPERATORS.to_vec())
            }
            (kind, State::After(operand)) if kind.is_expression() && operand.takes_operator() => {
                ContextKind::BinaryOperator(words::binary_operators())
            }
            _ => return,
        };
        self.out.push(Context { kind, span });
    }

    fn frame(&mut self, frame: &Frame, outer: Option<&Frame>) {
        match frame.kind {
            FrameKind::Braces { name } => self.braces(frame, name),
            FrameKind::Labels { place, word } => {
                if frame.state == State::Start {
                    let series = self.series_of_labels(frame, outer, place, word);
                    self.push(ContextKind::LabelName { place, quote: self.quote(), series });
                }
            }
            FrameKind::Fill => {
                if frame.state == State::Start {
                    self.push(ContextKind::Number);
                }
            }
            FrameKind::Range { .. } | FrameKind::Duration => {
                if frame.state == State::Start {
                    self.duration();
                }
            }
            FrameKind::Nothing => {}
            FrameKind::Query | FrameKind::Paren | FrameKind::Call(_) | FrameKind::Aggregate(_) => {
                self.expression(frame);
            }
        }
    }

    fn braces(&mut self, frame: &Frame, name: Option<usize>) {
        let quote = self.quote();
        match frame.state {
            State::Start if !self.in_number() => {
                let series = series_of_braces(self.pieces, name, frame.first, self.touched);
                if quote.is_some() && series.metric.is_none() {
                    self.push(ContextKind::MetricName { quote });
                }
                self.push(ContextKind::LabelName { place: LabelPlace::Matcher, quote, series });
            }
            State::Label(_) if self.touched.is_none() => {
                self.push(ContextKind::MatchOperator(words::MATCH_OPERATORS.to_vec()));
            }
            State::MatchOperator(label) => {
                let series = series_of_braces(self.pieces, name, frame.first, Some(label));
                let label = self.pieces.name(label);
                self.push(ContextKind::LabelValue { label, quote, series });
            }
            _ => {}
        }
    }

    /// The series whose labels a list of labels may name.
    fn series_of_labels(
        &self,
        frame: &Frame,
        outer: Option<&Frame>,
        place: LabelPlace,
        word: usize,
    ) -> Series {
        let pieces = self.pieces;
        let close = pieces.end_of_group(frame.first, false);
        match outer.map(|f| (f, f.state)) {
            // `sum by (…) (here)`
            Some((_, State::Grouped(_))) if pieces.kind(close + 1) == Some(TokenKind::LeftParen) => {
                series(pieces, close + 2, pieces.end_of_group(close + 2, false), None)
            }
            // `sum(here) by (…)`
            Some((_, State::After(_))) if place == LabelPlace::Grouping => {
                let end = word.saturating_sub(1);
                series(pieces, pieces.start_of_group(end), end, None)
            }
            Some((outer, State::Operator { word: op, .. })) => {
                let one_sided = place == LabelPlace::Include;
                let to_right = pieces.text(word).eq_ignore_ascii_case("group_right");
                let end = pieces.end_of_group(close + 1, true);
                match (one_sided, to_right) {
                    (true, true) => series(pieces, outer.argument, op, None),
                    (true, false) => series(pieces, close + 1, end, None),
                    (false, _) => {
                        let left = series(pieces, outer.argument, op, None);
                        left.and(series(pieces, close + 1, end, None))
                    }
                }
            }
            _ => Series::default(),
        }
    }

    fn expression(&mut self, frame: &Frame) {
        match frame.state {
            State::Start => self.operand(frame),
            State::Operator { op, stage, .. } => {
                self.operand(frame);
                let modifiers = self.operator_modifiers(op, stage);
                if !self.in_number() && self.quote().is_none() && !modifiers.is_empty() {
                    self.push(ContextKind::Keyword(modifiers));
                }
            }
            State::Offset(_) => self.duration(),
            State::At(_) => {
                if !self.in_number() {
                    self.push(ContextKind::Keyword(words::OF_AT.to_vec()));
                }
                self.push(ContextKind::Number);
            }
            _ if self.in_number() || self.quote().is_some() => {}
            State::After(operand) => {
                if operand.takes_operator() {
                    self.push(ContextKind::BinaryOperator(words::binary_operators()));
                }
                let modifiers = operand_modifiers(frame, operand);
                if !modifiers.is_empty() {
                    self.push(ContextKind::Keyword(modifiers));
                }
            }
            State::Aggregation(_) => {
                // A metric may have that name, too.
                self.push(ContextKind::BinaryOperator(words::binary_operators()));
                self.push(ContextKind::Keyword(words::GROUPING.to_vec()));
            }
            _ => {}
        }
    }

    fn operator_modifiers(&self, op: BinaryOp, stage: Stage) -> Vec<&'static str> {
        let mut found = Vec::new();
        if stage == Stage::Bare && op.is_comparison() {
            found.push("bool");
        }
        if stage < Stage::Matched {
            found.extend(["on", "ignoring"]);
        }
        if stage == Stage::Matched && !op.is_set() {
            found.extend(["group_left", "group_right"]);
        }
        if self.options.binop_fill_modifiers && !op.is_set() {
            found.extend(["fill", "fill_left", "fill_right"]);
        }
        found
    }

    fn operand(&mut self, frame: &Frame) {
        if self.quote().is_some() {
            if frame.takes_label() {
                let end = self.pieces.end_of_group(frame.first, true);
                let series = series(self.pieces, frame.first, end, None);
                let place = LabelPlace::Argument;
                self.push(ContextKind::LabelName { place, quote: self.quote(), series });
            }
            return;
        }
        if self.in_number() {
            self.push(ContextKind::Number);
            self.unit();
            return;
        }
        self.push(ContextKind::MetricName { quote: None });
        self.push(ContextKind::Function(words::functions(self.options)));
        self.push(ContextKind::Aggregation(words::aggregations(self.options)));
        if frame.takes_number() {
            self.push(ContextKind::Number);
        }
    }

    fn duration(&mut self) {
        if self.quote().is_some() {
            return;
        }
        self.push(ContextKind::Duration);
        if self.in_number() {
            self.unit();
        } else {
            self.push(ContextKind::Keyword(words::OF_DURATIONS.to_vec()));
        }
    }

    /// The unit of the number at the cursor, if it can have one.
    fn unit(&mut self) {
        let Some(piece) = self.touched.and_then(|at| self.pieces.all.get(at)) else { return };
        let text = &self.pieces.text[piece.span.start..piece.span.end];
        if !text.bytes().all(|b| b.is_ascii_digit() || b"smhdwy".contains(&b)) {
            return;
        }
        let digits = text.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
        let span = Span::new(piece.span.start + digits, piece.span.end);
        self.out.push(Context { kind: ContextKind::DurationUnit(words::UNITS.to_vec()), span });
    }
}

/// `offset`, `@` and others that the operand may have and has not.
fn operand_modifiers(frame: &Frame, operand: Operand) -> Vec<&'static str> {
    let has = frame.modifiers;
    match operand {
        Operand::Aggregation => words::GROUPING.to_vec(),
        Operand::Other => Vec::new(),
        Operand::Name(_) | Operand::Selector | Operand::Range | Operand::Subquery => {
            let mut found = Vec::new();
            if !has.offset {
                found.push("offset");
            }
            if !has.at {
                found.push("@");
            }
            if !has.window && operand != Operand::Subquery {
                found.extend(["anchored", "smoothed"]);
            }
            found
        }
    }
}

impl Operand {
    /// Ranges are no operands.
    const fn takes_operator(self) -> bool {
        !matches!(self, Self::Range | Self::Subquery)
    }
}

impl FrameKind {
    const fn is_expression(self) -> bool {
        matches!(self, Self::Query | Self::Paren | Self::Call(_) | Self::Aggregate(_))
    }
}

impl Frame {
    /// Whether the argument is a string that names a label.
    fn takes_label(&self) -> bool {
        match self.kind {
            FrameKind::Call(Some(Function::LabelReplace)) => self.commas == 1 || self.commas == 3,
            FrameKind::Call(Some(Function::LabelJoin)) => self.commas == 1 || self.commas >= 3,
            FrameKind::Call(Some(Function::SortByLabel | Function::SortByLabelDesc)) => self.commas >= 1,
            _ => false,
        }
    }

    /// Whether the argument is a number.
    fn takes_number(&self) -> bool {
        match self.kind {
            FrameKind::Call(Some(function)) => {
                let types = function.signature().arg_types;
                types.get(self.commas).or(types.last()) == Some(&ValueType::Scalar)
            }
            FrameKind::Aggregate(op) => op.has_param() && op != AggregateOp::CountValues && self.commas == 0,
            _ => false,
        }
    }
}
