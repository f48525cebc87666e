//! From the text of a query to its tree: a recursive descent, with operator precedence in
//! [`expr`]. Produces Prometheus' errors in Prometheus' order, which is that of an LALR parser:
//! errors of meaning when a construct is complete, errors of syntax named after the innermost
//! construct that has a name for them. Ends at the first error of syntax.
//!
//! What recursion does not pass through, or passes through rarely, is never inlined: the stack
//! that a level of nesting takes bounds how deep queries may be.

mod aggregate;
mod binary;
mod call;
mod duration;
mod expr;
mod label_set;
mod modifier;
mod selector;

pub(crate) use label_set::parse_label_set;

use crate::ast::Expr;
use crate::check;
use crate::error::{ParseError, ParseErrors};
use crate::lex::{Lexer, Token, TokenKind};
use crate::op::BinaryOp;
use crate::span::Span;
use model::Matcher;

/// How deeply expressions may nest, and how high a tree may grow: nested parentheses and
/// `a + b + c …` count alike. Parsing takes at most 1.5 KiB of stack a level, which fits the
/// 1 MiB that WASM has; evaluators may recurse to this depth, too.
pub const DEPTH_MAX: usize = 500;

/// Memory that the automata of all regular expressions of a text may take together.
pub const REGEX_BYTES_MAX: usize = 64 << 20;

/// The parts of the language that have to be switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Experimental functions and aggregations (`promql-experimental-functions`).
    pub experimental_functions: bool,
    /// `fill`, `fill_left`, `fill_right` (`promql-binop-fill-modifiers`).
    pub binop_fill_modifiers: bool,
    /// Letters beyond ASCII, and dots, in names without quotes (`promql-unquoted-utf8-names`).
    pub unquoted_utf8_names: bool,
}

impl ParseOptions {
    /// Everything switched on.
    #[must_use]
    pub const fn all() -> Self {
        Self { experimental_functions: true, binop_fill_modifiers: true, unquoted_utf8_names: true }
    }
}

/// Parses and type-checks a query.
///
/// # Errors
/// All that is wrong with it, in Prometheus' words.
pub fn parse(input: &str, options: &ParseOptions) -> Result<Expr, ParseErrors> {
    let mut parser = Parser::new(input, *options);
    let parsed = parser.query();
    let mut errors = parser.errors;
    if let (Ok(mut expr), true) = (parsed, errors.is_empty()) {
        check::check(&mut expr, input, &mut errors);
        if errors.is_empty() {
            return Ok(expr);
        }
    }
    Err(ParseErrors(errors))
}

/// Parses a selector of series: the `match[]` of the HTTP API.
///
/// # Errors
/// Anything but a vector selector without modifiers. That every matcher may match the empty
/// string is no error here.
pub fn parse_metric_selector(input: &str, options: &ParseOptions) -> Result<Vec<Matcher>, ParseErrors> {
    let mut parser = Parser::new(input, *options);
    let parsed = parser.metric_selector();
    match parsed {
        Ok(matchers) if parser.errors.is_empty() => Ok(matchers),
        _ => Err(ParseErrors(parser.errors)),
    }
}

/// An error of syntax was recorded: nothing more can be parsed.
struct Abort;

type Parsed<T> = Result<T, Abort>;

/// What a construct that is unfinished says of a token that does not fit: "unexpected … in
/// *construct*, expected *what*".
#[derive(Clone, Copy)]
struct Context {
    construct: &'static str,
    expected: &'static str,
}

/// The construct that is not within any with a name.
const NO_CONTEXT: Context = Context { construct: "", expected: "" };

/// A subtree and how high it is.
struct Tree<T> {
    node: T,
    height: usize,
}

impl<T> Tree<T> {
    fn leaf(node: T) -> Self {
        Self { node, height: 1 }
    }
}

/// Boxed, which keeps the frames of the recursion small.
type ExprTree = Tree<Box<Expr>>;

impl ExprTree {
    fn of(expr: Expr) -> Self {
        Self::leaf(Box::new(expr))
    }
}

struct Parser<'a> {
    input: &'a str,
    lexer: Lexer<'a>,
    options: ParseOptions,
    /// The token read ahead, if any. Errors of the lexer are recorded when it is read.
    ahead: Option<Token>,
    /// The end of the closing bracket, number or duration read last, even if only read ahead.
    last_closing: usize,
    /// What to say of a token that does not fit.
    context: Context,
    /// How many recursive constructs are open.
    depth: usize,
    /// Memory that the automata compiled so far take.
    regex_bytes: usize,
    errors: Vec<ParseError>,
}

impl<'a> Parser<'a> {
    fn new(input: &'a str, options: ParseOptions) -> Self {
        Self {
            input,
            lexer: Lexer::new(input, options.unquoted_utf8_names),
            options,
            ahead: None,
            last_closing: 0,
            context: NO_CONTEXT,
            depth: 0,
            regex_bytes: 0,
            errors: Vec::new(),
        }
    }

    fn query(&mut self) -> Parsed<Expr> {
        if self.peek().kind == TokenKind::Eof {
            self.error(Span::default(), "no expression found in input");
            return Err(Abort);
        }
        let tree = self.expr()?;
        self.expect(TokenKind::Eof)?;
        Ok(*tree.node)
    }

    fn metric_selector(&mut self) -> Parsed<Vec<Matcher>> {
        let token = self.peek();
        if !expr::is_metric_identifier(token.kind) && token.kind != TokenKind::LeftBrace {
            return Err(self.unexpected());
        }
        let selector = self.vector_selector()?;
        self.expect(TokenKind::Eof)?;
        Ok(selector.matchers)
    }

    /// The next token, left in place.
    fn peek(&mut self) -> Token {
        match self.ahead {
            Some(token) => token,
            None => {
                let token = self.read();
                self.ahead = Some(token);
                token
            }
        }
    }

    #[inline(never)]
    fn read(&mut self) -> Token {
        let token = self.lexer.next_token();
        match token.kind {
            TokenKind::Error => {
                let message = self.lexer.message().to_owned();
                self.error(token.span, message);
            }
            TokenKind::RightBrace
            | TokenKind::RightParen
            | TokenKind::RightBracket
            | TokenKind::Duration
            | TokenKind::Number => self.last_closing = token.span.end,
            _ => {}
        }
        token
    }

    /// Takes the next token.
    fn next(&mut self) -> Token {
        match self.ahead.take() {
            Some(token) => token,
            None => self.read(),
        }
    }

    /// Takes the next token if it is a `kind`.
    fn accept(&mut self, kind: TokenKind) -> Option<Token> {
        if self.peek().kind == kind { Some(self.next()) } else { None }
    }

    /// Takes the next token, which has to be a `kind`.
    fn expect(&mut self, kind: TokenKind) -> Parsed<Token> {
        match self.accept(kind) {
            Some(token) => Ok(token),
            None => Err(self.unexpected()),
        }
    }

    fn text(&self, token: Token) -> &'a str {
        &self.input[token.span.start..token.span.end]
    }

    /// Records an error.
    #[inline(never)]
    fn error(&mut self, span: Span, message: impl Into<String>) {
        let position = span.position_in(self.input);
        self.errors.push(ParseError { span, position, message: message.into() });
    }

    /// Records that the next token does not fit.
    #[inline(never)]
    fn unexpected(&mut self) -> Abort {
        let token = self.peek();
        // An error of the lexer is on record.
        if token.kind != TokenKind::Error {
            let mut message = format!("unexpected {}", token.describe(self.input));
            let Context { construct, expected } = self.context;
            if !construct.is_empty() {
                message.push_str(" in ");
                message.push_str(construct);
            }
            if !expected.is_empty() {
                message.push_str(", expected ");
                message.push_str(expected);
            }
            self.error(token.span, message);
        }
        Abort
    }

    /// As [`Self::unexpected`], named after a construct within the current one.
    fn unexpected_in(&mut self, construct: &'static str, expected: &'static str) -> Abort {
        self.context = Context { construct, expected };
        self.unexpected()
    }

    /// Starts a construct that has a name; what is returned is the context when it is complete.
    fn enter(&mut self, construct: &'static str, expected: &'static str) -> Context {
        std::mem::replace(&mut self.context, Context { construct, expected })
    }

    /// Runs `f` within a construct that has a name.
    fn within<T>(
        &mut self,
        construct: &'static str,
        expected: &'static str,
        f: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let outer = self.enter(construct, expected);
        let result = f(self)?;
        self.context = outer;
        Ok(result)
    }

    /// Runs `f` one level deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// The height of a node whose highest child has the height `child`.
    fn grow(&mut self, child: usize) -> Parsed<usize> {
        if child >= DEPTH_MAX { Err(self.too_deep()) } else { Ok(child + 1) }
    }

    #[inline(never)]
    fn too_deep(&mut self) -> Abort {
        let span = self.peek().span;
        self.error(span, format!("expression is nested more than {DEPTH_MAX} levels deep"));
        Abort
    }
}

/// The arithmetic operator that a token is in a duration expression.
fn duration_op(kind: TokenKind) -> Option<BinaryOp> {
    match kind {
        TokenKind::Op(
            op @ (BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow),
        ) => Some(op),
        _ => None,
    }
}
