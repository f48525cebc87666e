//! Running a plan, series by series over all steps at once.
//!
//! A node yields a [`Stream`]: labels first, rows on demand. Maps wrap a stream, folds drink it up,
//! gathers keep its rows and go step by step. Partitions of series run in parallel; how series are
//! partitioned and in which order results meet depends on the data alone.

mod absent;
mod account;
mod aggregate;
mod binary;
mod budget;
mod call;
mod census;
mod classic;
mod column;
mod count_values;
mod dispatch;
mod distinct;
mod edges;
mod fold;
mod heap;
mod info;
mod label_functions;
mod matching;
mod meter;
mod plain;
mod quantile;
mod range;
mod ranking;
mod samples;
mod sampling;
mod selector;
mod sets;
mod sort;
mod stream;
mod tallied;
mod totals;
mod window;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::{METRIC_NAME, Matcher};
use storage::{Projection, Querier, SelectHints, SeriesSet, Spawn, Stop};

pub(crate) use account::Consumption;
pub(crate) use budget::Budget;
pub(crate) use column::Column;
pub(crate) use meter::{Meters, point_weight};
pub(crate) use stream::{Head, Scratch, SeriesRow, Stream};

use crate::annotations::{Annotation, Annotations};
use crate::error::QueryError;
use crate::functions::native::Notes;
use crate::labels::drop_metadata;
use crate::options::{Cancel, QueryOptions};
use crate::plan::{Node, Place, Plan, QueryPlan};
use crate::row::Row;

/// What a node evaluates to.
pub(crate) enum Val<'e> {
    /// A number at every step of the node's grid.
    Scalar(Column<'e>),
    Vector(Stream<'e>),
    String(String),
}

impl<'e> Val<'e> {
    /// Nodes are type-checked before they are planned.
    pub(crate) fn into_vector(self) -> Stream<'e> {
        match self {
            Val::Vector(s) => s,
            Val::Scalar(v) => {
                let head = Head { labels: model::Labels::empty(), drop_name: false };
                Stream::Ready(vec![SeriesRow { head, row: Row::dense(0, v.into_values()) }])
            }
            Val::String(_) => Stream::Ready(Vec::new()),
        }
    }

    pub(crate) fn into_scalar(self) -> Result<Column<'e>, QueryError> {
        match self {
            Val::Scalar(v) => Ok(v),
            Val::Vector(_) | Val::String(_) => Err(QueryError::execution("a scalar is needed here")),
        }
    }
}

/// One run of a query: what all its nodes share.
pub(crate) struct Exec<'e> {
    pub(crate) plan: &'e QueryPlan,
    pub(crate) querier: Box<dyn Querier>,
    pub(crate) spawn: &'e dyn Spawn,
    pub(crate) opts: &'e QueryOptions,
    pub(crate) cancel: &'e Cancel,
    /// What [`Self::check`] asks, for those who know no query.
    pub(crate) stop: Stop,
    pub(crate) budget: Budget,
    pub(crate) meters: Meters,
    annotations: Mutex<Annotations>,
    selected: Vec<OnceLock<Arc<dyn SeriesSet>>>,
}

impl<'e> Exec<'e> {
    pub(crate) fn new(
        plan: &'e QueryPlan,
        querier: Box<dyn Querier>,
        spawn: &'e dyn Spawn,
        opts: &'e QueryOptions,
        cancel: &'e Cancel,
    ) -> Self {
        Self {
            plan,
            querier,
            spawn,
            opts,
            cancel,
            stop: opts.stop(cancel),
            budget: Budget::new(opts.memory_bytes_max),
            meters: Meters::new(plan.tallies.len(), opts.max_samples, opts.max_samples_read),
            annotations: Mutex::default(),
            selected: plan.selects.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    pub(crate) fn annotate(&self, a: Annotation) {
        self.annotations.lock().unwrap_or_else(PoisonError::into_inner).add(a);
    }

    pub(crate) fn annotate_native(&self, notes: Notes, metric: &str, place: Place) {
        if !notes.is_empty() {
            Annotation::native(notes, metric, place).into_iter().for_each(|a| self.annotate(a));
        }
    }

    pub(crate) fn into_annotations(self) -> Annotations {
        self.annotations.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called per series and after every stretch of elements.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        self.opts.check(self.cancel)
    }

    /// The answer to select number `i`, asked for once.
    pub(crate) fn select(&self, i: usize) -> Result<Arc<dyn SeriesSet>, QueryError> {
        if let Some(set) = self.selected[i].get() {
            self.count_series(set.len())?;
            return Ok(set.clone());
        }
        let set = self.ask(i, &self.plan.selects[i].hints)?;
        self.count_series(set.len())?;
        Ok(self.selected[i].get_or_init(|| set).clone())
    }

    /// The answer to select number `i` with all labels, `None` where it has them already.
    pub(crate) fn select_whole(&self, i: usize) -> Result<Option<Arc<dyn SeriesSet>>, QueryError> {
        let hints = &self.plan.selects[i].hints;
        if hints.projection == Projection::All {
            return Ok(None);
        }
        self.ask(i, &SelectHints { projection: Projection::All, ..hints.clone() }).map(Some)
    }

    fn ask(&self, i: usize, hints: &SelectHints) -> Result<Arc<dyn SeriesSet>, QueryError> {
        let set: Arc<dyn SeriesSet> = Arc::from(self.find(hints.clone(), &self.plan.selects[i].matchers)?);
        for w in set.warnings() {
            self.annotate(Annotation::storage(w));
        }
        Ok(set)
    }

    /// Asks the store, which heeds that this query may end.
    pub(crate) fn find(
        &self,
        hints: SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, QueryError> {
        let hints = SelectHints { stop: self.stop.clone(), ..hints };
        Ok(self.querier.select_shared(&hints, matchers, self.spawn)?)
    }

    /// Counts the series that a selector found.
    pub(crate) fn count_series(&self, n: usize) -> Result<(), QueryError> {
        let now = self.budget.count_series(n as u64);
        match self.opts.max_series {
            max if max > 0 && now > max => Err(QueryError::TooManySeries),
            _ => Ok(()),
        }
    }

    /// The head of an operator's output that no longer is the metric of its input.
    pub(crate) fn renamed(&self, head: &Head) -> Head {
        let labels =
            if self.opts.delayed_name_removal { head.labels.clone() } else { drop_metadata(&head.labels) };
        Head { labels, drop_name: true }
    }

    /// The metric name that annotations show, where names are known at this point.
    pub(crate) fn shown_name<'l>(&self, labels: &'l model::Labels) -> &'l str {
        if self.opts.delayed_name_removal { labels.get(METRIC_NAME).unwrap_or("") } else { "" }
    }

    /// Evaluates a node.
    pub(crate) fn eval(&'e self, plan: &'e Plan) -> Result<Val<'e>, QueryError> {
        self.check()?;
        let grid = plan.grid;
        let fits = self.budget.check_steps(grid.steps);
        // An element at each step would be too many already.
        let many = grid.steps as u64 > self.meters.max();
        fits.map_err(|e| if many { QueryError::TooManySamples } else { e })?;
        if many && matches!(plan.node, Node::Number(_) | Node::Time) {
            return Err(QueryError::TooManySamples);
        }
        // A subquery may have no step at all: Prometheus then does not even look for series.
        let val = if grid.steps == 0 { Val::Vector(Stream::empty()) } else { self.eval_node(plan)? };
        self.metered(plan, val)
    }

    fn eval_node(&'e self, plan: &'e Plan) -> Result<Val<'e>, QueryError> {
        let grid = plan.grid;
        Ok(match &plan.node {
            Node::Number(v) => Val::Scalar(self.column(grid.steps, |_| *v)?),
            Node::String(s) => Val::String(s.value.clone()),
            Node::Time => Val::Scalar(self.column(grid.steps, |i| grid.time(i) as f64 / 1000.0)?),
            Node::Selector(s) if s.smoothed => Val::Vector(self.smoothed_selector(s, plan)?),
            Node::Selector(s) => Val::Vector(self.selector(s, grid)?),
            Node::TimestampOf { selector, started } => {
                Val::Vector(self.timestamp_of(selector, *started, grid)?)
            }
            Node::Range(c) => Val::Vector(self.range_call(c, plan)?),
            Node::Call(c) => self.call(c, plan)?,
            Node::Info(c) => Val::Vector(self.info(c, plan)?),
            Node::Aggregate(a) => Val::Vector(self.aggregate(a, plan)?),
            Node::Binary(b) => self.binary(b, plan)?,
            Node::Negate(inner) => match self.eval(inner)? {
                Val::Scalar(v) => Val::Scalar(self.column(v.len(), |i| -v[i])?),
                other => Val::Vector(self.rename(other.into_vector(), |row| {
                    Ok(row.map_floats(&|| self.check(), |_, v| -v)?.map_histograms(|h| h.mul(-1.0)))
                })?),
            },
            Node::Invariant(inner) => match self.eval(inner)? {
                Val::Scalar(v) => {
                    let v = v.first().copied().unwrap_or(f64::NAN);
                    Val::Scalar(self.column(grid.steps, |_| v)?)
                }
                Val::Vector(s) => {
                    let held = matches!(s, Stream::Ready(_));
                    Val::Vector(s.map(&|| self.check(), Head::clone, move |row| {
                        // Rows that are ready stay in memory, others are counted by their reader.
                        if !row.is_empty() && grid.steps as u64 > self.meters.max() {
                            return Err(QueryError::TooManySamples);
                        }
                        if held && !row.is_empty() {
                            self.budget.take(grid.steps - 1)?;
                        }
                        row.broadcast(grid.steps, &|| self.check())
                    })?)
                }
                s @ Val::String(_) => s,
            },
            Node::Matrix(_) => return Err(QueryError::execution("a range vector has no value at a step")),
        })
    }

    /// As [`Self::eval`] for a node that is a scalar.
    pub(crate) fn eval_scalar(&'e self, plan: &'e Plan) -> Result<Column<'e>, QueryError> {
        self.eval(plan)?.into_scalar()
    }

    /// As [`Self::eval`] for a node that is a vector.
    pub(crate) fn eval_vector(&'e self, plan: &'e Plan) -> Result<Stream<'e>, QueryError> {
        Ok(self.eval(plan)?.into_vector())
    }
}
