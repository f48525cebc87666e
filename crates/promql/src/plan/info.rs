//! The moment that `info` looks its info series up at: that of the selectors below it, if they
//! all refer to the same.

use promql_syntax::ast::At;
use promql_syntax::{Expr, Function, ValueType};

use super::build::QueryRange;
use super::duration;

/// What a selector refers to: a fixed time or the step's, less an offset; milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) at_ms: Option<i64>,
    pub(super) offset_ms: i64,
}

impl Reference {
    fn same(self, other: Self) -> bool {
        match (self.at_ms, other.at_ms) {
            (Some(a), Some(b)) => a.saturating_sub(self.offset_ms) == b.saturating_sub(other.offset_ms),
            (None, None) => self.offset_ms == other.offset_ms,
            _ => false,
        }
    }
}

/// The reference that all selectors of `e` share; none where they differ or a part has none.
pub(super) fn uniform_reference(e: &Expr, range: &QueryRange) -> Option<Reference> {
    let mut seen = Seen { range, first: None, uniform: true };
    seen.inspect(e, &mut Vec::new());
    seen.first.filter(|_| seen.uniform)
}

struct Seen<'a> {
    range: &'a QueryRange,
    first: Option<Reference>,
    uniform: bool,
}

impl Seen<'_> {
    fn at(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::Timestamp(t) => t,
            At::Start => self.range.start_ms,
            At::End => self.range.end_ms,
        })
    }

    /// Whether `e` has a selector; `above` are the references of the subqueries around it.
    fn inspect(&mut self, e: &Expr, above: &mut Vec<Reference>) -> bool {
        if !matches!(e.value_type(), ValueType::Vector | ValueType::Matrix) {
            return false;
        }
        let offset =
            |d: &Option<_>| d.as_ref().and_then(|d| duration::resolve(d, self.range, true).ok()).unwrap_or(0);
        let selector = match e {
            Expr::Vector(v) => Some(v),
            Expr::Matrix(m) => Some(&m.selector),
            _ => None,
        };
        if let Some(v) = selector {
            let mut here = Reference { at_ms: self.at(v.at), offset_ms: offset(&v.offset) };
            for outer in above.iter().rev() {
                if here.at_ms.is_none() {
                    here = Reference { at_ms: outer.at_ms, offset_ms: here.offset_ms + outer.offset_ms };
                }
            }
            match self.first {
                None => self.first = Some(here),
                Some(first) => self.uniform &= first.same(here),
            }
            return true;
        }
        if let Expr::Subquery(s) = e {
            above.push(Reference { at_ms: self.at(s.at), offset_ms: offset(&s.offset) });
        }
        let mut found = false;
        match e {
            Expr::Call(c) if c.function == Function::Info => {
                found = c.args.first().is_some_and(|a| self.inspect(a, above));
                return found;
            }
            _ => e.for_each_child(|c| found |= self.inspect(c, above)),
        }
        if matches!(e, Expr::Subquery(_)) {
            above.pop();
        }
        self.uniform &= found;
        found
    }
}
