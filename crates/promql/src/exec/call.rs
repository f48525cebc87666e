//! Functions of instant vectors and scalars.

use model::FloatHistogram;
use promql_syntax::Function;

use super::{Column, Exec, Stream, Val};
use crate::error::QueryError;
use crate::functions::stretch::Pulse;
use crate::functions::{math, native, time};
use crate::plan::{Call, Plan};
use crate::row::{Cell, Row};

impl<'e> Exec<'e> {
    pub(crate) fn call(&'e self, c: &'e Call, plan: &'e Plan) -> Result<Val<'e>, QueryError> {
        use Function as F;
        if let Some(f) = math::unary(c.function) {
            return self.map_floats(self.eval_vector(&c.args[0])?, move |_, v| f(v));
        }
        if let Some(f) = time::calendar(c.function) {
            return self.calendar(c, f, plan);
        }
        let grid = plan.grid;
        Ok(match c.function {
            F::Clamp => {
                let input = self.eval_vector(&c.args[0])?;
                let (input, min) = self.then(input, self.eval_scalar(&c.args[1]))?;
                let (input, max) = self.then(input, self.eval_scalar(&c.args[2]))?;
                self.clamp(input, min, max)?
            }
            F::ClampMin => {
                let input = self.eval_vector(&c.args[0])?;
                let (input, min) = self.then(input, self.eval_scalar(&c.args[1]))?;
                let max = self.column(grid.steps, |_| f64::INFINITY)?;
                self.clamp(input, min, max)?
            }
            F::ClampMax => {
                let input = self.eval_vector(&c.args[0])?;
                let (input, max) = self.then(input, self.eval_scalar(&c.args[1]))?;
                let min = self.column(grid.steps, |_| f64::NEG_INFINITY)?;
                self.clamp(input, min, max)?
            }
            F::Round => {
                let input = self.eval_vector(&c.args[0])?;
                let nearest = c.args.get(1).map(|a| self.eval_scalar(a)).transpose();
                let (input, nearest) = self.then(input, nearest)?;
                let inverse = self.column(grid.steps, |i| 1.0 / nearest.as_ref().map_or(1.0, |n| n[i]))?;
                self.map_floats(input, move |step, v| math::round(v, inverse[step]))?
            }
            F::MinOf | F::MaxOf => {
                let f = if c.function == F::MinOf { math::min } else { math::max };
                let (a, b) = (self.eval_scalar(&c.args[0])?, self.eval_scalar(&c.args[1])?);
                Val::Scalar(self.column(grid.steps, |i| f(a[i], b[i]))?)
            }
            F::Vector => Val::Vector(self.eval(&c.args[0])?.into_vector()),
            F::Scalar => Val::Scalar(self.scalar_of(c, grid.steps)?),
            F::Absent => {
                let input = self.eval_vector(&c.args[0])?;
                Val::Vector(self.absent_from(input, c.absent.clone(), grid, false)?)
            }
            // Only samples of a selector have times of their own; others are as old as the step.
            F::Timestamp => {
                let input = self.eval_vector(&c.args[0])?;
                Val::Vector(self.rename(input, move |row| {
                    let mut out = Row::new();
                    let go_on = || self.check();
                    let mut pulse = Pulse::new(&go_on);
                    for (step, _) in row.iter() {
                        pulse.beat(1)?;
                        out.push(step, grid.time(step) as f64 / 1000.0);
                    }
                    Ok(out)
                })?)
            }
            F::StartTimestamp => {
                let input = self.eval_vector(&c.args[0])?;
                let rows = self.collect(input)?;
                self.release(&rows);
                Val::Vector(Stream::empty())
            }
            F::Sort | F::SortDesc | F::SortByLabel | F::SortByLabelDesc => Val::Vector(self.sort(c, plan)?),
            F::LabelReplace => Val::Vector(self.label_replace(c)?),
            F::LabelJoin => Val::Vector(self.label_join(c)?),
            F::HistogramQuantile => Val::Vector(self.histogram_quantile(c, grid)?),
            F::HistogramQuantiles => Val::Vector(self.histogram_quantiles(c, grid)?),
            F::HistogramFraction => Val::Vector(self.histogram_fraction(c, grid)?),
            F::HistogramCount => self.histograms(c, |h| h.count)?,
            F::HistogramSum => self.histograms(c, |h| h.sum)?,
            F::HistogramAvg => self.histograms(c, |h| h.sum / h.count)?,
            F::HistogramStddev => self.histograms(c, |h| native::variance(h).sqrt())?,
            F::HistogramStdvar => self.histograms(c, native::variance)?,
            other => return Err(QueryError::Execution(format!("the function {other} is not supported yet"))),
        })
    }

    /// A function of each float; histograms are dropped.
    fn map_floats(
        &'e self,
        input: Stream<'e>,
        f: impl Fn(usize, f64) -> f64 + Send + Sync + 'e,
    ) -> Result<Val<'e>, QueryError> {
        let out = self.rename(input, move |row| {
            row.without_histograms(&|| self.check())?.map_floats(&|| self.check(), &f)
        })?;
        Ok(Val::Vector(out))
    }

    fn clamp(&'e self, input: Stream<'e>, min: Column<'e>, max: Column<'e>) -> Result<Val<'e>, QueryError> {
        let out = self.rename(input, move |row| {
            row.filter_map_floats(&|| self.check(), |step, v| {
                let (min, max) = (min[step], max[step]);
                if max < min { None } else { Some(math::max(min, math::min(max, v))) }
            })
        })?;
        Ok(Val::Vector(out))
    }

    fn calendar(&'e self, c: &'e Call, f: fn(i128) -> i128, plan: &Plan) -> Result<Val<'e>, QueryError> {
        if !c.args.is_empty() {
            return self.map_floats(self.eval_vector(&c.args[0])?, move |_, v| f(time::seconds(v)) as f64);
        }
        let grid = plan.grid;
        let values = self.column(grid.steps, |i| f(i128::from(grid.time(i) / 1000)) as f64)?;
        Ok(Val::Vector(Val::Scalar(values).into_vector()))
    }

    /// The only float at each step, NaN where there are none or several.
    fn scalar_of(&'e self, c: &'e Call, steps: usize) -> Result<Column<'e>, QueryError> {
        let input = self.eval_vector(&c.args[0])?;
        let rows = self.collect(input)?;
        let go_on = || self.check();
        let mut pulse = Pulse::new(&go_on);
        let mut values = vec![f64::NAN; steps];
        let mut seen = vec![0u8; steps];
        for r in &rows {
            for (step, cell) in r.row.iter() {
                pulse.beat(1)?;
                if let Cell::Float(v) = cell {
                    seen[step] = seen[step].saturating_add(1);
                    values[step] = if seen[step] == 1 { v } else { f64::NAN };
                }
            }
        }
        self.release(&rows);
        self.column(steps, |i| values[i])
    }

    /// A function of each native histogram; floats are dropped.
    fn histograms(&'e self, c: &'e Call, f: fn(&FloatHistogram) -> f64) -> Result<Val<'e>, QueryError> {
        let input = self.eval_vector(&c.args[0])?;
        let out = self.rename(input, move |row| {
            let mut out = Row::new();
            let go_on = || self.check();
            let mut pulse = Pulse::new(&go_on);
            for (step, cell) in row.iter() {
                pulse.beat(1)?;
                if let Cell::Histogram(h) = cell {
                    out.push(step, f(h));
                }
            }
            Ok(out)
        })?;
        Ok(Val::Vector(out))
    }
}
