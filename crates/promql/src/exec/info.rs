//! `info`: adds the labels of info series, such as `target_info`, to the series of a vector that
//! share their `instance` and `job`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Columns, Labels, METRIC_NAME, MatchOp, Matcher};
use storage::SelectHints;

use super::{Exec, Head, SeriesRow, Stream};
use crate::error::QueryError;
use crate::functions::stretch::Pulse;
use crate::grid::Grid;
use crate::labels::is_metadata;
use crate::plan::{Info, Plan, Selector};
use crate::row::{Cell, Row};

/// The labels that tell which info series belongs to a series; sorted.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

fn matcher(op: MatchOp, name: &str, value: &str) -> Result<Matcher, QueryError> {
    Matcher::new(op, name, value).map_err(|e| QueryError::Execution(e.to_string()))
}

/// What names info series have: as asked for, or `target_info`; any `…_info` where only names to
/// leave out were given.
fn name_matchers(given: &[Matcher]) -> Result<Vec<Matcher>, QueryError> {
    let names: Vec<Matcher> = given.iter().filter(|m| m.name == METRIC_NAME).cloned().collect();
    if names.is_empty() {
        return Ok(vec![Matcher::equal(METRIC_NAME, "target_info")]);
    }
    if names.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex)) {
        return Ok(names);
    }
    let mut out = vec![matcher(MatchOp::Regex, METRIC_NAME, ".+_info")?];
    out.extend(names);
    Ok(out)
}

/// Go's `regexp.QuoteMeta`.
fn quote_meta(s: &str, out: &mut String) {
    for c in s.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

/// For each combination of identifying labels that series have, matchers for their values.
fn identifying_matchers<'a>(
    bases: impl Iterator<Item = &'a Labels>,
) -> Result<Vec<Vec<Matcher>>, QueryError> {
    let mut groups: BTreeMap<[bool; 2], [BTreeSet<&str>; 2]> = BTreeMap::new();
    for l in bases {
        let values = IDENTIFYING.map(|name| l.get(name));
        let present = values.map(|v| v.is_some());
        if present.contains(&true) {
            let group = groups.entry(present).or_default();
            for (set, v) in group.iter_mut().zip(values) {
                set.extend(v);
            }
        }
    }
    let one = |name: &str, values: &BTreeSet<&str>| {
        if values.is_empty() {
            return Ok(Matcher::equal(name, ""));
        }
        let mut pattern = String::new();
        for (i, v) in values.iter().enumerate() {
            if i > 0 {
                pattern.push('|');
            }
            quote_meta(v, &mut pattern);
        }
        matcher(MatchOp::Regex, name, &pattern)
    };
    groups
        .values()
        .map(|g| IDENTIFYING.iter().zip(g).map(|(name, values)| one(name, values)).collect())
        .collect()
}

/// Which info series a series may take labels from: one name, one target.
fn signature(name: &str, l: &Labels) -> (String, Labels) {
    let identity = l.iter().filter(|(n, _)| IDENTIFYING.contains(n));
    (name.to_owned(), Labels::from_sorted(identity))
}

/// Info series by signature.
struct InfoSeries {
    /// The time of the sample that each step sees, milliseconds.
    rows: Vec<SeriesRow>,
    /// For each signature its series.
    members: Vec<Vec<usize>>,
    place: HashMap<(String, Labels), usize>,
    names: BTreeSet<String>,
}

impl InfoSeries {
    fn new(rows: Vec<SeriesRow>) -> Self {
        let mut out = Self { rows, members: Vec::new(), place: HashMap::new(), names: BTreeSet::new() };
        for (i, r) in out.rows.iter().enumerate() {
            let name = r.head.labels.metric_name();
            out.names.insert(name.to_owned());
            let next = out.members.len();
            let at = *out.place.entry(signature(name, &r.head.labels)).or_insert(next);
            if at == next {
                out.members.push(Vec::new());
            }
            out.members[at].push(i);
        }
        out
    }

    /// The signatures that matter to a series.
    fn signatures(&self, l: &Labels) -> Vec<usize> {
        self.names.iter().filter_map(|name| self.place.get(&signature(name, l)).copied()).collect()
    }

    /// The newest series of each signature at a step.
    fn newest(&self, step: usize, out: &mut Vec<Option<usize>>) -> Result<(), QueryError> {
        out.clear();
        for members in &self.members {
            let mut best: Option<(usize, f64)> = None;
            for i in members {
                let Some(Cell::Float(t)) = self.rows[*i].row.get(step) else { continue };
                match best {
                    Some((_, newest)) if newest > t => {}
                    Some((other, newest)) if newest == t => {
                        let (a, b) = (&self.rows[other].head.labels, &self.rows[*i].head.labels);
                        return Err(QueryError::Execution(format!(
                            "found duplicate series for info metric: existing {a} @ {t}, new {b} @ {t}"
                        )));
                    }
                    _ => best = Some((*i, t)),
                }
            }
            out.push(best.map(|(i, _)| i));
        }
        Ok(())
    }
}

impl<'e> Exec<'e> {
    pub(super) fn info(&'e self, c: &'e Info, plan: &'e Plan) -> Result<Stream<'e>, QueryError> {
        let grid = plan.grid;
        let input = self.eval_vector(&c.base)?;
        let bases = self.collect(input)?;
        let names = name_matchers(&c.matchers)?;
        let ignored: Vec<bool> =
            bases.iter().map(|r| names.iter().all(|m| m.matches(r.head.labels.metric_name()))).collect();
        let asking =
            bases.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(r, _)| &r.head.labels);
        let data: Vec<Matcher> = c.matchers.iter().filter(|m| m.name != METRIC_NAME).cloned().collect();
        let mut infos = Vec::new();
        for mut matchers in identifying_matchers(asking)? {
            matchers.extend(data.iter().cloned());
            matchers.extend(names.iter().cloned());
            infos.extend(self.info_rows(c, &matchers, plan)?);
        }
        let out =
            Combine { exec: self, bases: &bases, ignored, infos: InfoSeries::new(infos), data }.run(grid)?;
        self.release(&bases);
        self.budget.take(out.iter().map(|r| r.row.weight()).sum())?;
        Ok(Stream::Ready(out))
    }

    /// Info series with the time of the sample seen at each step.
    fn info_rows(&self, c: &Info, matchers: &[Matcher], plan: &Plan) -> Result<Vec<SeriesRow>, QueryError> {
        let grid = plan.grid;
        let hints = SelectHints {
            start_ms: c.start_ms,
            end_ms: c.end_ms,
            step_ms: grid.step_ms,
            func: "info".to_owned(),
            ..SelectHints::default()
        };
        let set = self.find(hints, matchers)?;
        self.count_series(set.len())?;
        let selector = Selector { select: 0, offset_ms: c.offset_ms, at_ms: c.at_ms, smoothed: false };
        let mut columns = Columns::default();
        let mut out = Vec::new();
        for i in 0..set.len() {
            self.check()?;
            columns.clear();
            set.read(i, &mut columns)?;
            let labels = set.labels(i);
            if !columns.h.is_empty() {
                return Err(QueryError::Execution(format!(
                    "this should be an info metric, with float samples: {labels}"
                )));
            }
            let row = self.sample_times(&columns, &selector, grid)?;
            if !row.is_empty() {
                self.meter_side_row(plan, &row)?;
                out.push(SeriesRow { head: Head::new(labels), row });
            }
        }
        Ok(out)
    }
}

/// Series and their info series, brought together step by step.
struct Combine<'a, 'e> {
    exec: &'a Exec<'e>,
    bases: &'a [SeriesRow],
    ignored: Vec<bool>,
    infos: InfoSeries,
    /// What the labels to be added must be; empty for any.
    data: Vec<Matcher>,
}

impl Combine<'_, '_> {
    fn run(&self, grid: Grid) -> Result<Vec<SeriesRow>, QueryError> {
        let signatures: Vec<Vec<usize>> =
            self.bases.iter().map(|r| self.infos.signatures(&r.head.labels)).collect();
        let may_lack = self.data.iter().all(Matcher::matches_empty);
        let mut out: Vec<SeriesRow> = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        let mut by_infos: HashMap<(usize, Vec<usize>), usize> = HashMap::new();
        let mut newest = Vec::new();
        let go_on = || self.exec.check();
        let mut pulse = Pulse::new(&go_on);
        for step in 0..grid.steps {
            pulse.beat(1 + self.bases.len() + self.infos.rows.len())?;
            self.infos.newest(step, &mut newest)?;
            for (i, base) in self.bases.iter().enumerate() {
                let Some(cell) = base.row.get(step) else { continue };
                let found: Vec<usize> = if self.ignored[i] {
                    Vec::new()
                } else {
                    let found: Vec<usize> = signatures[i].iter().filter_map(|s| newest[*s]).collect();
                    if found.is_empty() && !may_lack {
                        continue;
                    }
                    found
                };
                let at = match by_infos.get(&(i, found.clone())) {
                    Some(at) => *at,
                    None => {
                        let labels = self.labels(&base.head.labels, &found)?;
                        let at = *by_labels.entry(labels.clone()).or_insert_with(|| {
                            let head = Head { labels, drop_name: base.head.drop_name };
                            out.push(SeriesRow { head, row: Row::new() });
                            out.len() - 1
                        });
                        by_infos.insert((i, found), at);
                        at
                    }
                };
                if out[at].row.get(step).is_some() {
                    return Err(QueryError::duplicates());
                }
                out[at].row.push_cell(step, cell);
            }
        }
        Ok(out)
    }

    /// The labels of a series with those of its info series that it lacks.
    fn labels(&self, base: &Labels, infos: &[usize]) -> Result<Labels, QueryError> {
        let mut added = model::LabelsBuilder::new();
        for i in infos {
            for (n, v) in &self.infos.rows[*i].head.labels {
                let wanted = self.data.is_empty() || self.data.iter().any(|m| m.name == n);
                if is_metadata(n) || !wanted {
                    continue;
                }
                if added.get(n).is_some_and(|other| other != v) {
                    return Err(QueryError::Execution(format!("conflicting label: {n}")));
                }
                if base.get(n).is_none() {
                    added.set(n, v);
                }
            }
        }
        let mut out = base.to_builder();
        for (n, v) in added.iter() {
            out.set(n, v);
        }
        Ok(out.build())
    }
}
