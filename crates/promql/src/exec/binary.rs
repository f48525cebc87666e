//! Binary operators: which kind each is; those with a scalar are maps.

use std::collections::HashMap;
use std::sync::Arc;

use model::FloatHistogram;
use model::histogram::{CounterResetHint, HistogramError};
use promql_syntax::BinaryOp;

use super::{Column, Exec, Head, Val};
use crate::annotations::Annotation;
use crate::error::QueryError;
use crate::functions::math;
use crate::functions::native::Notes;
use crate::functions::stretch::{Pulse, stretches};
use crate::plan::{Binary, Place, Plan};
use crate::row::{Cell, Row};
use crate::value::SampleValue;

/// What an operator makes of two elements.
pub(super) enum Outcome {
    /// A float, and whether a comparison keeps it.
    Float(f64, bool),
    /// A histogram, whether a comparison keeps it, and what there is to remark on.
    Histogram(Arc<FloatHistogram>, bool, Notes),
    /// Types that do not go together: no element, but a remark.
    Incompatible(&'static str, &'static str),
    /// Exponential and custom buckets do not go together either.
    IncompatibleBuckets,
    /// Contradicting counter resets: for Prometheus an error like the other two.
    Collision(Notes),
    /// A histogram is unsound: the query fails.
    Failed(HistogramError),
}

/// What an operator has to remark on two elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remark {
    Types(&'static str, &'static str),
    Buckets,
    Notes(Notes),
}

/// The remarks of an operator. As in Prometheus only the last one of each step is told.
#[derive(Default)]
pub(super) struct Remarks {
    by_step: HashMap<usize, Remark>,
}

impl Remarks {
    /// What an operation puts out: the value, or none where a comparison filters or there is none.
    pub(super) fn value(
        &mut self,
        step: usize,
        outcome: Outcome,
        return_bool: bool,
    ) -> Result<Option<SampleValue>, QueryError> {
        let (value, keep) = match outcome {
            Outcome::Float(v, keep) => (SampleValue::Float(v), keep),
            Outcome::Histogram(h, keep, notes) => {
                if !notes.is_empty() {
                    self.by_step.insert(step, Remark::Notes(notes));
                }
                (SampleValue::Histogram(h), keep)
            }
            Outcome::Incompatible(l, r) => {
                self.by_step.insert(step, Remark::Types(l, r));
                return Ok(None);
            }
            Outcome::IncompatibleBuckets => {
                self.by_step.insert(step, Remark::Buckets);
                return Ok(None);
            }
            Outcome::Collision(notes) => {
                self.by_step.insert(step, Remark::Notes(notes));
                return Ok(None);
            }
            Outcome::Failed(e) => return Err(QueryError::unsound(e)),
        };
        if return_bool {
            return Ok(Some(SampleValue::Float(f64::from(u8::from(keep)))));
        }
        Ok(keep.then_some(value))
    }

    pub(super) fn tell(self, exec: &Exec<'_>, op: BinaryOp, span: Place) {
        let mut told: Vec<Remark> = Vec::new();
        for remark in self.by_step.into_values() {
            if told.contains(&remark) {
                continue;
            }
            told.push(remark);
            match remark {
                Remark::Types(l, r) => exec.annotate(Annotation::incompatible_types(l, op.as_str(), r, span)),
                Remark::Buckets => exec.annotate(Annotation::incompatible_bucket_layout(op.as_str(), span)),
                Remark::Notes(notes) => exec.annotate_native(notes, "", span),
            }
        }
    }
}

/// `op` on a copy of `h`, made compact.
fn changed(h: &FloatHistogram, op: impl FnOnce(&mut FloatHistogram)) -> Outcome {
    let mut out = h.clone();
    op(&mut out);
    out.compact(0);
    Outcome::Histogram(Arc::new(out), true, Notes::default())
}

/// The sum or difference of two histograms.
fn combined(l: &FloatHistogram, r: &FloatHistogram, subtract: bool) -> Outcome {
    let mut out = l.clone();
    let did = match if subtract { out.sub(r) } else { out.add(r) } {
        Ok(did) => did,
        Err(HistogramError::IncompatibleSchema) => return Outcome::IncompatibleBuckets,
        Err(e) => return Outcome::Failed(e),
    };
    let (collision, bounds) = match subtract {
        true => (Notes::COLLISION_IN_SUBTRACTION, Notes::BOUNDS_IN_SUBTRACTION),
        false => (Notes::COLLISION_IN_ADDITION, Notes::BOUNDS_IN_ADDITION),
    };
    if did.counter_reset_collision {
        return Outcome::Collision(collision);
    }
    let mut notes = Notes::default();
    notes.add_if(did.bounds_reconciled, bounds);
    if subtract {
        out.counter_reset_hint = CounterResetHint::Gauge;
    }
    out.compact(0);
    Outcome::Histogram(Arc::new(out), true, notes)
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
        (Cell::Float(v), Cell::Histogram(h)) | (Cell::Histogram(h), Cell::Float(v)) if op == Op::Mul => {
            changed(h, |h| h.mul(v))
        }
        (Cell::Histogram(h), Cell::Float(v)) if op == Op::Div => changed(h, |h| h.div(v)),
        (Cell::Histogram(h), Cell::Float(v)) if matches!(op, Op::TrimLower | Op::TrimUpper) => {
            let mut out = FloatHistogram::clone(h);
            out.trim(v, op == Op::TrimUpper);
            Outcome::Histogram(Arc::new(out), true, Notes::default())
        }
        (Cell::Histogram(l), Cell::Histogram(r)) if matches!(op, Op::Add | Op::Sub) => {
            combined(l, r, op == Op::Sub)
        }
        (Cell::Histogram(l), Cell::Histogram(r)) if matches!(op, Op::Eql | Op::Neq) => {
            Outcome::Histogram(l.clone(), l.same_data(r) == (op == Op::Eql), Notes::default())
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
        let mut remarks = Remarks::default();
        let go_on = || exec.check();
        let mut pulse = Pulse::new(&go_on);
        for (step, cell) in row.iter() {
            pulse.beat(1)?;
            let scalar = Cell::Float(self.scalar[step]);
            let (l, r) = if self.swapped { (scalar, cell) } else { (cell, scalar) };
            let outcome = match (element(self.op, l, r), cell) {
                // A comparison keeps the vector's element, whichever side it stands on.
                (Outcome::Float(_, keep), Cell::Float(own)) if self.swapped && self.op.is_comparison() => {
                    Outcome::Float(own, keep)
                }
                (outcome, _) => outcome,
            };
            if let Some(v) = remarks.value(step, outcome, self.return_bool)? {
                out.push_value(step, v);
            }
        }
        remarks.tell(exec, self.op, self.span);
        Ok(out)
    }
}

impl<'e> Exec<'e> {
    pub(crate) fn binary(&'e self, b: &'e Binary, plan: &'e Plan) -> Result<Val<'e>, QueryError> {
        if let Some(matching) = &b.matching {
            let lhs = self.eval_vector(&b.lhs)?;
            let (lhs, rhs) = self.then(lhs, self.eval_vector(&b.rhs))?;
            return Ok(Val::Vector(if b.op.is_set() {
                self.set_operation(b.op, matching, lhs, rhs)?
            } else {
                self.match_vectors(b, matching, lhs, rhs, plan)?
            }));
        }
        let (vector, scalar, swapped) = match self.eval(&b.lhs)? {
            Val::Scalar(l) => match self.eval(&b.rhs)? {
                Val::Scalar(r) => {
                    return Ok(Val::Scalar(self.column(l.len(), |i| math::scalar(b.op, l[i], r[i]))?));
                }
                r => (r.into_vector(), l, true),
            },
            l => {
                let (l, r) = self.then(l.into_vector(), self.eval_scalar(&b.rhs))?;
                (l, r, false)
            }
        };
        let with = WithScalar { op: b.op, scalar, swapped, return_bool: b.return_bool, span: plan.span };
        let renames = math::changes_metric(b.op) || b.return_bool;
        let row = move |row| with.row(self, row);
        Ok(Val::Vector(if renames {
            self.rename(vector, row)?
        } else {
            vector.map(&|| self.check(), Head::clone, row)?
        }))
    }
}
