//! Function calls.

use super::expr::starts_expr;
use super::{ExprTree, Parsed, Parser, Tree};
use crate::ast::{Call, Expr};
use crate::function::Function;
use crate::lex::{Token, TokenKind};
use crate::span::Span;

impl Parser<'_> {
    /// A call of the function whose name was read; the next token is the opening parenthesis.
    #[inline(never)]
    pub(super) fn call(&mut self, name: Token) -> Parsed<ExprTree> {
        let args = self.arguments()?;
        let text = self.text(name);
        let function = Function::from_name(text);
        match function {
            None => {
                let quoted = model::float::go_quoted(text.as_bytes());
                self.error(name.span, format!("unknown function with name {quoted}"));
            }
            Some(f) if f.signature().experimental && !self.options.experimental_functions => {
                self.error(name.span, format!("function \"{f}\" is not enabled"));
            }
            Some(_) => {}
        }
        let height = self.grow(args.height)?;
        let span = Span::new(name.span.start, self.last_closing);
        // The tree of a query with errors is thrown away: any function does.
        let function = function.unwrap_or(Function::Absent);
        let node = Box::new(Expr::Call(Call { function, args: args.node, span }));
        Ok(Tree { node, height })
    }

    /// Arguments with their parentheses; the next token is the opening one. The height is that
    /// of the highest.
    #[inline(never)]
    pub(super) fn arguments(&mut self) -> Parsed<Tree<Vec<Expr>>> {
        self.expect(TokenKind::LeftParen)?;
        let mut args = Vec::new();
        if self.accept(TokenKind::RightParen).is_some() {
            return Ok(Tree { node: args, height: 0 });
        }
        let first = self.expr()?;
        let mut height = first.height;
        args.push(*first.node);
        loop {
            if self.accept(TokenKind::RightParen).is_some() {
                return Ok(Tree { node: args, height });
            }
            let comma = self.expect(TokenKind::Comma)?;
            if starts_expr(self.peek().kind) {
                let arg = self.expr()?;
                height = height.max(arg.height);
                args.push(*arg.node);
            } else {
                self.error(comma.span, "trailing commas not allowed in function call args");
            }
        }
    }
}
