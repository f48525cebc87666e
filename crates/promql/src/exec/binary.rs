//! Binary operators: which kind each is; those with a scalar are maps.

use promql_syntax::BinaryOp;

use super::{Column, Exec, Head, Val};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::math;
use crate::functions::stretch::{Pulse, stretches};
use crate::plan::{Binary, Place, Plan};
use crate::row::{Cell, Row};

/// What an operator makes of two elements.
pub(super) enum Outcome {
    /// A float, and whether a comparison keeps it.
    Float(f64, bool),
    /// Types that do not go together: no element, but a remark.
    Incompatible(&'static str, &'static str),
    /// Needs arithmetic on native histograms.
    Unsupported,
}

fn type_name(c: Cell<'_>) -> &'static str {
    match c {
        Cell::Float(_) => "float",
        Cell::Histogram(_) => "histogram",
    }
}

/// One operator on two elements; a comparison's float is the left one.
#[inline]
pub(super) fn element(op: BinaryOp, l: Cell<'_>, r: Cell<'_>) -> Outcome {
    use BinaryOp as Op;
    match (l, r) {
        (Cell::Float(_), Cell::Float(_)) if matches!(op, Op::TrimLower | Op::TrimUpper) => {
            Outcome::Incompatible("float", "float")
        }
        (Cell::Float(a), Cell::Float(b)) => match math::arithmetic(op, a, b) {
            Some(v) => Outcome::Float(v, true),
            None => Outcome::Float(a, math::compare(op, a, b)),
        },
        (Cell::Float(_), Cell::Histogram(_)) if op == Op::Mul => Outcome::Unsupported,
        (Cell::Histogram(_), Cell::Float(_))
            if matches!(op, Op::Mul | Op::Div | Op::TrimLower | Op::TrimUpper) =>
        {
            Outcome::Unsupported
        }
        (Cell::Histogram(_), Cell::Histogram(_)) if matches!(op, Op::Add | Op::Sub | Op::Eql | Op::Neq) => {
            Outcome::Unsupported
        }
        (l, r) => Outcome::Incompatible(type_name(l), type_name(r)),
    }
}

/// A vector and a scalar.
struct WithScalar<'e> {
    op: BinaryOp,
    scalar: Column<'e>,
    /// Whether the scalar is the left operand.
    swapped: bool,
    return_bool: bool,
    span: Place,
}

impl WithScalar<'_> {
    fn row(&self, exec: &Exec<'_>, row: Row) -> Result<Row, QueryError> {
        if let Some((first, values)) = row.as_dense()
            && math::changes_metric(self.op)
        {
            let scalar = &self.scalar[first..first + values.len()];
            let mut out = Vec::with_capacity(values.len());
            stretches(0..values.len(), &|| exec.check(), |r| {
                let zipped = values[r.clone()].iter().zip(&scalar[r]);
                if self.swapped {
                    out.extend(zipped.filter_map(|(v, s)| math::arithmetic(self.op, *s, *v)));
                } else {
                    out.extend(zipped.filter_map(|(v, s)| math::arithmetic(self.op, *v, *s)));
                }
            })?;
            return Ok(Row::dense(first, out));
        }
        let mut out = Row::with_capacity(row.span().1 - row.span().0);
        let mut incompatible = None;
        let go_on = || exec.check();
        let mut pulse = Pulse::new(&go_on);
        for (step, cell) in row.iter() {
            pulse.beat(1)?;
            let scalar = Cell::Float(self.scalar[step]);
            let (l, r) = if self.swapped { (scalar, cell) } else { (cell, scalar) };
            match element(self.op, l, r) {
                Outcome::Float(v, keep) => {
                    // A comparison keeps the vector's element, whichever side it stands on.
                    let v = match cell {
                        Cell::Float(own) if self.swapped && self.op.is_comparison() => own,
                        _ => v,
                    };
                    if self.return_bool {
                        out.push(step, f64::from(u8::from(keep)));
                    } else if keep {
                        out.push(step, v);
                    }
                }
                Outcome::Incompatible(l, r) => incompatible = Some((l, r)),
                Outcome::Unsupported => {
                    return Err(QueryError::histogram(format_args!("the operator {}", self.op)));
                }
            }
        }
        if let Some((l, r)) = incompatible {
            exec.annotate(Annotation::incompatible_types(l, self.op.as_str(), r, self.span));
        }
        Ok(out)
    }
}

impl<'e> Exec<'e> {
    pub(crate) fn binary(&'e self, b: &'e Binary, plan: &'e Plan) -> Result<Val<'e>, QueryError> {
        if let Some(matching) = &b.matching {
            let (lhs, rhs) = (self.eval_vector(&b.lhs)?, self.eval_vector(&b.rhs)?);
            return Ok(Val::Vector(if b.op.is_set() {
                self.set_operation(b.op, matching, lhs, rhs)?
            } else {
                self.match_vectors(b, matching, lhs, rhs, plan)?
            }));
        }
        let lhs = self.eval(&b.lhs)?;
        let rhs = self.eval(&b.rhs)?;
        let (vector, scalar, swapped) = match (lhs, rhs) {
            (Val::Scalar(l), Val::Scalar(r)) => {
                return Ok(Val::Scalar(self.column(l.len(), |i| math::scalar(b.op, l[i], r[i]))?));
            }
            (l, Val::Scalar(r)) => (l.into_vector(), r, false),
            (Val::Scalar(l), r) => (r.into_vector(), l, true),
            _ => return Err(QueryError::execution("a vector and a scalar are needed here")),
        };
        let with = WithScalar { op: b.op, scalar, swapped, return_bool: b.return_bool, span: plan.span };
        let renames = math::changes_metric(b.op) || b.return_bool;
        let row = move |row| with.row(self, row);
        Ok(Val::Vector(if renames { self.rename(vector, row)? } else { vector.map(Head::clone, row)? }))
    }
}

impl Outcome {
    /// What a vector-to-vector operation puts out: the value, or none where a comparison filters.
    pub(super) fn value(v: f64, keep: bool, return_bool: bool) -> Option<f64> {
        if return_bool { Some(f64::from(u8::from(keep))) } else { keep.then_some(v) }
    }
}
