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
    let _ = write_pretty(&mut out, expr, 0);
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

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn write_pretty(out: &mut String, expr: &Expr, level: usize) -> fmt::Result {
    match expr {
        Expr::Subquery(s) if fits_line(s) => write!(out, "{s}"),
        Expr::Subquery(s) => {
            write_pretty(out, &s.expr, level)?;
            write_subquery_suffix(out, s)
        }
        Expr::Unary(u) => {
            indent(out, level);
            out.push_str(u.op.as_str());
            let mut operand = String::new();
            write_pretty(&mut operand, &u.expr, level)?;
            out.push_str(operand.trim());
            Ok(())
        }
        Expr::Binary(b) if !fits_line(b) => write_binary(out, b, level),
        Expr::Aggregate(a) if !fits_line(a) => write_aggregate(out, a, level),
        Expr::Call(c) if !fits_line(c) => write_call(out, c, level),
        Expr::Paren(p) if !fits_line(p) => {
            indent(out, level);
            out.push_str("(\n");
            write_pretty(out, &p.expr, level + 1)?;
            out.push('\n');
            indent(out, level);
            out.push(')');
            Ok(())
        }
        _ => {
            indent(out, level);
            write!(out, "{expr}")
        }
    }
}

fn write_binary(out: &mut String, b: &BinaryExpr, level: usize) -> fmt::Result {
    write_pretty(out, &b.lhs, level + 1)?;
    out.push('\n');
    indent(out, level);
    write_binary_op(out, b)?;
    out.push('\n');
    write_pretty(out, &b.rhs, level + 1)
}

fn write_aggregate(out: &mut String, a: &AggregateExpr, level: usize) -> fmt::Result {
    indent(out, level);
    write_aggregate_op(out, a)?;
    out.push_str("(\n");
    if let Some(param) = &a.param {
        write_pretty(out, param, level + 1)?;
        out.push_str(",\n");
    }
    write_pretty(out, &a.expr, level + 1)?;
    out.push('\n');
    indent(out, level);
    out.push(')');
    Ok(())
}

fn write_call(out: &mut String, c: &Call, level: usize) -> fmt::Result {
    indent(out, level);
    writeln!(out, "{}(", c.function)?;
    for (i, arg) in c.args.iter().enumerate() {
        if i > 0 {
            out.push_str(",\n");
        }
        write_pretty(out, arg, level + 1)?;
    }
    out.push('\n');
    indent(out, level);
    out.push(')');
    Ok(())
}
