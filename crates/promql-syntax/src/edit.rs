//! Changes to the label matchers of every selector of an expression, `info`'s among them.

use model::{MatchOp, Matcher};

use crate::ast::{Expr, VectorSelector};

/// Gives every selector the matcher: in the place of those it has for the label, or behind the
/// others where it has none. One on `__name__` leaves a name before the braces as it is.
pub fn set_label_matcher(expr: &mut Expr, matcher: &Matcher) {
    each_selector(expr, &mut |selector| {
        let mut found = false;
        for m in selector.matchers.iter_mut().filter(|m| m.name == matcher.name) {
            m.clone_from(matcher);
            found = true;
        }
        if !found {
            selector.matchers.push(matcher.clone());
        }
    });
}

/// Takes all matchers for `label` from every selector; a name before the braces stays.
///
/// A selector may be left that selects everything, which no server evaluates.
pub fn delete_label_matchers(expr: &mut Expr, label: &str) {
    each_selector(expr, &mut |selector| selector.matchers.retain(|m| m.name != label));
}

/// The operator of a matcher as written in a query.
#[must_use]
pub fn match_op(text: &str) -> Option<MatchOp> {
    [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]
        .into_iter()
        .find(|op| op.as_str() == text)
}

fn each_selector(expr: &mut Expr, f: &mut dyn FnMut(&mut VectorSelector)) {
    match expr {
        Expr::Vector(v) => f(v),
        Expr::Matrix(m) => f(&mut m.selector),
        _ => expr.for_each_child_mut(|child| each_selector(child, f)),
    }
}
