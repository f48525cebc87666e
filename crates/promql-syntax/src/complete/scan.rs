//! Follows the pieces of a query up to the cursor: which brackets are open, and what each expects
//! next.

use super::LabelPlace;
use super::pieces::Piece;
use crate::function::Function;
use crate::lex::{Keyword, TokenKind};
use crate::op::{AggregateOp, BinaryOp};

/// An open bracket, or the query itself.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    pub(super) state: State,
    /// The first piece within.
    pub(super) first: usize,
    /// The first piece behind the last comma.
    pub(super) argument: usize,
    /// Commas so far.
    pub(super) commas: usize,
    /// What modifiers the operand before has.
    pub(super) modifiers: Modifiers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Query,
    Paren,
    Call(Option<Function>),
    Aggregate(AggregateOp),
    /// A list of labels; `word` is the piece of `by`, `on` …
    Labels {
        place: LabelPlace,
        word: usize,
    },
    /// The number of `fill`.
    Fill,
    /// A part of a duration.
    Duration,
    /// Nothing can stand within: `@ start()`.
    Nothing,
    /// Matchers, behind a name or not.
    Braces {
        name: Option<usize>,
    },
    /// A range, or with a colon a subquery's.
    Range {
        colon: bool,
    },
}

/// What was read last, and so what can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// An operand, or the first name, label or number within a bracket.
    Start,
    /// Behind an operand, or a name or value in a list.
    After(Operand),
    /// Behind an operator and some of its modifiers.
    Operator { op: BinaryOp, word: usize, stage: Stage },
    /// Behind `sum`.
    Aggregation(AggregateOp),
    /// Behind `sum by (…)`.
    Grouped(AggregateOp),
    /// Behind `by`, `on` …, before the parenthesis; then comes `next`.
    Clause { place: LabelPlace, word: usize, next: Next },
    /// Behind `fill`.
    Fill { op: BinaryOp, word: usize },
    /// Behind `offset`.
    Offset(Operand),
    /// Behind `@`.
    At(Operand),
    /// In braces, behind the label of that piece.
    Label(usize),
    /// In braces, behind the operator to the label of that piece.
    MatchOperator(usize),
}

/// What follows a list of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// What is aggregated.
    Aggregated(AggregateOp),
    /// An operator: the clause stood behind the aggregation.
    Nothing,
    /// An operand, and more modifiers.
    Operand { op: BinaryOp, word: usize, stage: Stage },
}

/// An operand that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// A name, of the piece given.
    Name(usize),
    Selector,
    Range,
    Subquery,
    /// An aggregation without `by` and `without`.
    Aggregation,
    Other,
}

/// How far the modifiers of an operator have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Bare,
    Bool,
    Matched,
    Grouped,
    Filled,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modifiers {
    pub(super) offset: bool,
    pub(super) at: bool,
    /// `anchored` or `smoothed`.
    pub(super) window: bool,
}

/// The open brackets; the innermost comes last. Never empty.
pub(super) struct Scan {
    frames: Vec<Frame>,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self { frames: vec![Frame::new(FrameKind::Query, 0)] }
    }

    pub(super) fn innermost(&self) -> &Frame {
        self.frames.last().expect("the query's frame is never closed")
    }

    /// The frame around the innermost.
    pub(super) fn outer(&self) -> Option<&Frame> {
        self.frames.iter().nth_back(1)
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the query's frame is never closed")
    }

    fn open(&mut self, kind: FrameKind, at: usize, after: State) {
        self.frame().state = after;
        self.frames.push(Frame::new(kind, at + 1));
    }

    /// Closes the innermost bracket of the kind and what is left open within; nothing without one.
    fn close(&mut self, is: impl Fn(FrameKind) -> bool) {
        if let Some(at) = self.frames.iter().rposition(|f| is(f.kind)) {
            self.frames.truncate(at);
        }
    }

    /// Takes piece number `at`.
    pub(super) fn take(&mut self, at: usize, piece: Piece) {
        let frame = self.frame();
        match (frame.kind, piece.kind) {
            (_, TokenKind::LeftParen) => self.open_paren(at),
            (_, TokenKind::RightParen) => self.close(FrameKind::is_paren),
            (_, TokenKind::LeftBrace) => {
                let name = match frame.state {
                    State::After(Operand::Name(name)) => Some(name),
                    State::Aggregation(_) => at.checked_sub(1),
                    _ => None,
                };
                frame.modifiers = Modifiers::default();
                self.open(FrameKind::Braces { name }, at, State::After(Operand::Selector));
            }
            (_, TokenKind::RightBrace) => self.close(|kind| matches!(kind, FrameKind::Braces { .. })),
            (_, TokenKind::LeftBracket) => {
                self.open(FrameKind::Range { colon: false }, at, State::After(Operand::Range));
            }
            (_, TokenKind::RightBracket) => self.close(|kind| matches!(kind, FrameKind::Range { .. })),
            (_, TokenKind::Comma) => {
                frame.commas += 1;
                frame.argument = at + 1;
                frame.state = State::Start;
            }
            (FrameKind::Range { .. }, TokenKind::Colon) => self.colon(),
            (FrameKind::Braces { .. }, kind) => frame.in_braces(at, kind),
            (
                FrameKind::Range { .. }
                | FrameKind::Duration
                | FrameKind::Nothing
                | FrameKind::Fill
                | FrameKind::Labels { .. },
                kind,
            ) => frame.in_list(kind),
            (_, kind) => frame.in_expression(at, kind),
        }
    }

    fn open_paren(&mut self, at: usize) {
        let frame = self.frame();
        let other = State::After(Operand::Other);
        match frame.state {
            State::Aggregation(op) => {
                self.open(FrameKind::Aggregate(op), at, State::After(Operand::Aggregation));
            }
            State::Grouped(op) => self.open(FrameKind::Aggregate(op), at, other),
            State::Clause { place, word, next } => {
                let after = match next {
                    Next::Aggregated(op) => State::Grouped(op),
                    Next::Nothing => other,
                    Next::Operand { op, word, stage } => State::Operator { op, word, stage },
                };
                self.open(FrameKind::Labels { place, word }, at, after);
            }
            State::Fill { op, word } => {
                self.open(FrameKind::Fill, at, State::Operator { op, word, stage: Stage::Filled });
            }
            // The name is filled in by the caller, who has the text.
            State::After(Operand::Name(_)) => self.open(FrameKind::Call(None), at, other),
            State::Offset(operand) => self.open(FrameKind::Duration, at, State::After(operand)),
            State::At(operand) => self.open(FrameKind::Nothing, at, State::After(operand)),
            _ if matches!(frame.kind, FrameKind::Range { .. } | FrameKind::Duration) => {
                self.open(FrameKind::Duration, at, other);
            }
            _ => self.open(FrameKind::Paren, at, other),
        }
    }

    fn colon(&mut self) {
        let frame = self.frame();
        frame.kind = FrameKind::Range { colon: true };
        frame.state = State::Start;
        if let Some(outer) = self.frames.iter_mut().nth_back(1) {
            outer.state = State::After(Operand::Subquery);
        }
    }

    /// Names the function whose parenthesis was opened last.
    pub(super) fn name_call(&mut self, name: &str) {
        let frame = self.frame();
        if frame.kind == FrameKind::Call(None) {
            frame.kind = FrameKind::Call(Function::from_name(name));
        }
    }
}

impl FrameKind {
    const fn is_paren(self) -> bool {
        !matches!(self, Self::Query | Self::Braces { .. } | Self::Range { .. })
    }
}

impl Frame {
    fn new(kind: FrameKind, first: usize) -> Self {
        Self { kind, state: State::Start, first, argument: first, commas: 0, modifiers: Modifiers::default() }
    }

    fn in_braces(&mut self, at: usize, kind: TokenKind) {
        self.state = match (self.state, kind) {
            (State::Label(label), TokenKind::Eql | TokenKind::EqlRegex | TokenKind::NeqRegex)
            | (State::Label(label), TokenKind::Op(BinaryOp::Neq)) => State::MatchOperator(label),
            (State::MatchOperator(_), TokenKind::String) => State::After(Operand::Other),
            (_, TokenKind::Identifier | TokenKind::String) => State::Label(at),
            (state, _) => state,
        };
    }

    fn in_list(&mut self, kind: TokenKind) {
        match kind {
            TokenKind::Op(_) => self.state = State::Start,
            TokenKind::Error => {}
            _ => self.state = State::After(Operand::Other),
        }
    }

    fn in_expression(&mut self, at: usize, kind: TokenKind) {
        match kind {
            TokenKind::Identifier | TokenKind::MetricIdentifier => self.name(at),
            TokenKind::Query(_) => match self.state {
                // `step()` of an offset, `start()` behind `@`: their parentheses follow.
                State::Offset(_) | State::At(_) => {}
                _ => self.name(at),
            },
            TokenKind::Number | TokenKind::Duration | TokenKind::String => {
                self.state = match self.state {
                    State::Offset(operand) | State::At(operand) => State::After(operand),
                    _ => {
                        self.modifiers = Modifiers::default();
                        State::After(Operand::Other)
                    }
                };
            }
            TokenKind::Aggregate(op) => self.state = State::Aggregation(op),
            TokenKind::Op(op) => self.operator(at, op),
            TokenKind::At => {
                if let State::After(operand) = self.state {
                    self.modifiers.at = true;
                    self.state = State::At(operand);
                }
            }
            TokenKind::Keyword(word) => self.keyword(at, word),
            _ => {}
        }
    }

    fn name(&mut self, at: usize) {
        self.modifiers = Modifiers::default();
        self.state = State::After(Operand::Name(at));
    }

    fn operator(&mut self, at: usize, op: BinaryOp) {
        let sign = matches!(op, BinaryOp::Add | BinaryOp::Sub);
        let before_operand =
            matches!(self.state, State::Start | State::Operator { .. } | State::Offset(_) | State::At(_));
        if !(sign && before_operand) {
            self.state = State::Operator { op, word: at, stage: Stage::Bare };
        }
    }

    fn keyword(&mut self, at: usize, keyword: Keyword) {
        use LabelPlace::{Grouping, Include, Matching};
        self.state = match (keyword, self.state) {
            (Keyword::By | Keyword::Without, State::Aggregation(op)) => {
                State::Clause { place: Grouping, word: at, next: Next::Aggregated(op) }
            }
            // Behind anything but an aggregation one may be unfinished.
            (Keyword::By | Keyword::Without, State::After(_)) => {
                State::Clause { place: Grouping, word: at, next: Next::Nothing }
            }
            (Keyword::Bool, State::Operator { op, word, .. }) => {
                State::Operator { op, word, stage: Stage::Bool }
            }
            (Keyword::On | Keyword::Ignoring, State::Operator { op, word, .. }) => {
                let next = Next::Operand { op, word, stage: Stage::Matched };
                State::Clause { place: Matching, word: at, next }
            }
            (Keyword::GroupLeft | Keyword::GroupRight, State::Operator { op, word, .. }) => {
                let next = Next::Operand { op, word, stage: Stage::Grouped };
                State::Clause { place: Include, word: at, next }
            }
            (Keyword::Fill | Keyword::FillLeft | Keyword::FillRight, State::Operator { op, word, .. }) => {
                State::Fill { op, word }
            }
            (Keyword::Offset, State::After(operand)) => {
                self.modifiers.offset = true;
                State::Offset(operand)
            }
            (Keyword::Anchored | Keyword::Smoothed, State::After(operand)) => {
                self.modifiers.window = true;
                State::After(operand)
            }
            // A metric of that name.
            _ => return self.name(at),
        };
    }
}
