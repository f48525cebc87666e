//! A sample's way in with the feature `st-synthesis`, which needs more of each series than its reference: see [`Start`].
//! Without the feature nothing comes here.

use exposition::Source;
use model::{Labels, MetricType, SeriesRef, TimestampMs};
use storage::AppendError;

use super::cache::EntryId;
use super::ingest::Refused;
use super::intake::{Intake, Moment};
use super::start::Start;

impl Intake<'_> {
    /// Takes in the sample that the source stands at.
    #[cold]
    pub(super) fn append_synthesising<'a>(
        &mut self,
        source: &mut impl Source<'a>,
        mut value: Option<f64>,
        moment: Moment,
    ) -> Result<(), Refused> {
        let t_ms = moment.t_ms;
        let found = self.cache.lookup(source.series());
        let again = found.is_some_and(|id| self.cache.see(id));
        let start = found.and_then(|id| self.cache.take_start(id));
        let series = found.and_then(|id| self.cache.series(id));
        if found.is_some() && series.is_none() && start.is_none() {
            // Relabelling drops it.
            return Ok(());
        }
        // What ends without storing anything ends with the start forgotten.
        if again && !moment.is_own {
            return self.count(AppendError::DuplicateTimestamp(None));
        }
        let told_ms = self.start_ms(source);
        let mut labels = None;
        if series.is_none() {
            labels = self.series_labels(source)?;
            if labels.is_none() {
                let id = found.unwrap_or_else(|| self.cache.insert(source.series(), SeriesRef::NONE));
                self.cache.see(id);
                return Ok(());
            }
        }
        let mut start = match start {
            _ if told_ms != 0 => None,
            None if self.accumulates(source, &mut labels)? => Some(Box::default()),
            start => start,
        };
        let mut st_ms = told_ms;
        if let Some(state) = &mut start {
            match synthesise(state, source, &mut value, t_ms) {
                Some(since_ms) => st_ms = since_ms,
                None => {
                    let id = found.unwrap_or_else(|| self.insert_new(source, SeriesRef::NONE));
                    if series.is_some() {
                        self.cache.track(id);
                    }
                    self.keep(id, start);
                    return Ok(());
                }
            }
        }
        if !self.is_within_limits(source, value, series.is_some())? {
            self.report.samples_post_metric_relabeling += 1;
            return Ok(());
        }
        if t_ms > self.rules.ahead_ms {
            return self.count(AppendError::OutOfBounds);
        }
        let appended = self.put_in_order(source, value, series, &mut labels, (t_ms, st_ms), told_ms == 0)?;
        let now = match appended {
            Ok(now) => now,
            Err(e) => return self.count(e),
        };
        let id = found.unwrap_or_else(|| self.insert_new(source, now));
        self.cache.set_series(id, now);
        if moment.tracked || start.is_some() {
            self.cache.track(id);
        }
        if self.rules.metadata && !self.family.is_none() {
            let Some(labels) = labels.map_or_else(|| self.series_labels(source), |l| Ok(Some(l)))? else {
                return Ok(());
            };
            self.append_metadata(value, now, &labels)?;
        }
        self.append_exemplars(source, value, now, t_ms)?;
        self.keep(id, start);
        Ok(())
    }

    /// The sample is taken; `start` is remembered of its series.
    fn keep(&mut self, id: EntryId, start: Option<Box<Start>>) {
        self.report.samples_post_metric_relabeling += 1;
        if let Some(start) = start {
            self.cache.set_start(id, start);
        }
    }

    fn insert_new<'a>(&mut self, source: &impl Source<'a>, series: SeriesRef) -> EntryId {
        self.report.series_added += u64::from(!self.over_samples && !self.over_buckets);
        let id = self.cache.insert(source.series(), series);
        self.cache.see(id);
        id
    }

    /// Hands the sample to the database, which refuses it out of order where its start is not the target's.
    fn put_in_order<'a>(
        &mut self,
        source: &mut impl Source<'a>,
        value: Option<f64>,
        series: Option<SeriesRef>,
        labels: &mut Option<Labels>,
        (t_ms, st_ms): (TimestampMs, TimestampMs),
        in_order: bool,
    ) -> Result<Result<SeriesRef, AppendError>, Refused> {
        self.app.refuse_out_of_order(in_order);
        let known = series.map(|s| self.put(source, value, s, &Labels::empty(), (t_ms, st_ms)));
        let appended = match known {
            // The database has dropped the series since, or never had it: it is made by its labels.
            None | Some(Err(AppendError::UnknownSeries | AppendError::InvalidLabels(_))) => {
                if labels.is_none() {
                    *labels = self.series_labels(source)?;
                }
                let Some(labels) = labels else { return Ok(Err(AppendError::UnknownSeries)) };
                self.put(source, value, SeriesRef::NONE, labels, (t_ms, st_ms))
            }
            Some(appended) => appended,
        };
        self.app.refuse_out_of_order(false);
        Ok(appended)
    }

    /// Whether the sample adds up from somewhere on: that of a counter or a histogram, or the count or sum of a summary.
    fn accumulates<'a>(
        &mut self,
        source: &impl Source<'a>,
        labels: &mut Option<Labels>,
    ) -> Result<bool, Refused> {
        use MetricType::{Counter, Histogram, Summary};
        if !matches!(self.family.kind(), Some(Counter | Histogram | Summary)) {
            return Ok(false);
        }
        if labels.is_none() {
            *labels = self.series_labels(source)?;
        }
        let name = labels.as_ref().map_or("", Labels::metric_name);
        Ok(match self.family.kind_of(name) {
            Some(Counter | Histogram) => true,
            Some(Summary) => name.ends_with("_count") || name.ends_with("_sum"),
            _ => false,
        })
    }
}

fn synthesise<'a>(
    start: &mut Start,
    source: &mut impl Source<'a>,
    value: &mut Option<f64>,
    t_ms: TimestampMs,
) -> Option<TimestampMs> {
    match value {
        Some(v) => start.float(v, t_ms),
        None => start.histogram(source.histogram(), t_ms),
    }
}
