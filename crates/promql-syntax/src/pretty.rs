//! Expressions over several lines: `/api/v1/format_query`.

use std::fmt::{self, Display, Write as _};

use crate::ast::{AggregateExpr, BinaryExpr, Call, Expr};
use crate::print::{write_aggregate_op, write_binary_op, write_subquery_suffix};

/// What is longer on one line, in bytes, is split.
const LINE_LEN_MAX: usize = 100;

/// The expression as Prometheus formats it: on one line where that has at most 100 bytes,
/// otherwise with its parts on lines of their own, indented by two spaces a level.
///
/// Costs a measurement of at most 100 bytes for each node.
#[must_use]
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_pretty(&mut out, expr, Place { level: 0, new_line: true });
    out
}

/// Counts what is printed and stops it once it is too long for a line.
struct Ruler {
    left: usize,
}

impl fmt::Write for Ruler {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.left = self.left.checked_sub(s.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

fn fits_line(node: &impl Display) -> bool {
    write!(Ruler { left: LINE_LEN_MAX }, "{node}").is_ok()
}

/// Where a node starts: how deep, and whether on a line of its own rather than behind a sign.
#[derive(Clone, Copy)]
struct Place {
    level: usize,
    new_line: bool,
}

impl Place {
    /// A line of its own, one level deeper.
    fn below(self) -> Self {
        Self { level: self.level + 1, new_line: true }
    }

    /// What starts where this does, one level deeper.
    fn first_below(self) -> Self {
        Self { level: self.level + 1, ..self }
    }
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn start(out: &mut String, place: Place) {
    if place.new_line {
        indent(out, place.level);
    }
}

fn write_pretty(out: &mut String, expr: &Expr, place: Place) -> fmt::Result {
    match expr {
        // On one line it is not indented.
        Expr::Subquery(s) if fits_line(s) => write!(out, "{s}"),
        Expr::Subquery(s) => {
            write_pretty(out, &s.expr, place)?;
            write_subquery_suffix(out, s)
        }
        Expr::Unary(u) => {
            start(out, place);
            out.push_str(u.op.as_str());
            write_pretty(out, &u.expr, Place { new_line: false, ..place })
        }
        Expr::Binary(b) if !fits_line(b) => write_binary(out, b, place),
        Expr::Aggregate(a) if !fits_line(a) => write_aggregate(out, a, place),
        Expr::Call(c) if !fits_line(c) => write_call(out, c, place),
        Expr::Paren(p) if !fits_line(p) => {
            start(out, place);
            out.push_str("(\n");
            write_pretty(out, &p.expr, place.below())?;
            end(out, place);
            Ok(())
        }
        _ => {
            start(out, place);
            write!(out, "{expr}")
        }
    }
}

/// The closing parenthesis on its own line.
fn end(out: &mut String, place: Place) {
    out.push('\n');
    indent(out, place.level);
    out.push(')');
}

fn write_binary(out: &mut String, b: &BinaryExpr, place: Place) -> fmt::Result {
    write_pretty(out, &b.lhs, place.first_below())?;
    out.push('\n');
    indent(out, place.level);
    write_binary_op(out, b)?;
    out.push('\n');
    write_pretty(out, &b.rhs, place.below())
}

fn write_aggregate(out: &mut String, a: &AggregateExpr, place: Place) -> fmt::Result {
    start(out, place);
    write_aggregate_op(out, a)?;
    out.push_str("(\n");
    if let Some(param) = &a.param {
        write_pretty(out, param, place.below())?;
        out.push_str(",\n");
    }
    write_pretty(out, &a.expr, place.below())?;
    end(out, place);
    Ok(())
}

fn write_call(out: &mut String, c: &Call, place: Place) -> fmt::Result {
    start(out, place);
    writeln!(out, "{}(", c.function)?;
    for (i, arg) in c.args.iter().enumerate() {
        if i > 0 {
            out.push_str(",\n");
        }
        write_pretty(out, arg, place.below())?;
    }
    end(out, place);
    Ok(())
}
