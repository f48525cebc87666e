//! One body on its way into the database.

use exposition::{Entry, NativeValue, ParseError, Source};
use model::histogram::{
    BucketValue, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, NativeHistogram, is_exponential_schema,
    is_known_schema,
};
use model::{Labels, LabelsBuilder, SeriesRef, TimestampMs, is_stale_nan};
use storage::{AppendError, Appender, HistogramValue};

use super::ScrapeReport;
use super::cache::{EntryId, SeriesCache};
use super::described::{Exemplars, Family};
use super::ingest::{Refused, refused};
use super::metadata::{Field, MetadataStore};
use super::target::TargetOptions;

/// The text of a scrape with more samples than `sample_limit`.
const SAMPLE_LIMIT: &str = "sample limit exceeded";
/// The text of a scrape with histograms of more buckets than `native_histogram_bucket_limit`, whatever their resolution.
const BUCKET_LIMIT: &str = "histogram bucket limit exceeded";

/// What a body's samples are held against.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// The time of samples that carry none.
    pub(super) default_ms: TimestampMs,
    /// Samples after this are out of bounds.
    pub(super) ahead_ms: TimestampMs,
    /// Start timestamps are read, and `_created` series taken for them.
    pub(super) starts: bool,
    /// A zero is added where a series began.
    pub(super) zeroes: bool,
    /// Where the target tells no start, it is made up (`st-synthesis`).
    pub(super) synthesis: bool,
    /// Metadata goes to the database.
    pub(super) metadata: bool,
    /// Exemplars do.
    pub(super) exemplars: bool,
    /// The finest resolution of histograms.
    pub(super) schema_max: i32,
    /// Most buckets of a histogram, 0 for any number.
    pub(super) buckets_max: usize,
}

/// A sample's times.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) t_ms: TimestampMs,
    /// Whether the body gives the time.
    pub(super) is_own: bool,
    /// Whether the series is to be marked stale when it does not come again.
    pub(super) tracked: bool,
}

/// Takes a body's entries in.
pub(super) struct Intake<'t> {
    pub(super) options: &'t TargetOptions,
    pub(super) cache: &'t mut SeriesCache,
    pub(super) metadata: &'t mut MetadataStore,
    pub(super) family: &'t mut Family,
    pub(super) labels: &'t mut LabelsBuilder,
    pub(super) exemplars: &'t mut Exemplars,
    pub(super) app: &'t mut dyn Appender,
    pub(super) rules: Rules,
    pub(super) report: &'t mut ScrapeReport,
    /// Samples that `sample_limit` counts.
    pub(super) limited: u64,
    pub(super) over_samples: bool,
    pub(super) over_buckets: bool,
}

impl Intake<'_> {
    /// Takes in everything that `source` yields.
    pub(super) fn read<'a>(&mut self, mut source: impl Source<'a>) -> Result<(), Refused> {
        self.family.forget();
        while let Some(entry) = source.next_entry_expecting(self.cache.expected()).map_err(parse_error)? {
            match entry {
                Entry::Sample(sample) => {
                    let (value, t_ms) = (sample.value, sample.timestamp_ms);
                    self.append(&mut source, Some(value), t_ms)?;
                }
                Entry::Histogram { timestamp_ms, .. } => self.append(&mut source, None, timestamp_ms)?,
                Entry::Type { metric, kind } => self.describe(metric, Field::Type, kind.as_str()),
                Entry::Help { metric, text } => self.describe(metric, Field::Help, &text),
                Entry::Unit { metric, unit } => {
                    self.describe(metric, Field::Unit, &String::from_utf8_lossy(unit));
                }
                _ => {}
            }
        }
        match (self.over_samples, self.over_buckets) {
            (true, _) => Err(Refused::Scrape(SAMPLE_LIMIT.to_owned())),
            (_, true) => Err(Refused::Scrape(BUCKET_LIMIT.to_owned())),
            _ => Ok(()),
        }
    }

    fn describe(&mut self, metric: &[u8], field: Field, text: &str) {
        self.metadata.set(metric, field, text);
        if (self.rules.metadata || self.rules.synthesis)
            && let Some(known) = self.metadata.get(metric)
        {
            self.family.set(metric, known);
        }
    }

    /// Takes in the sample that the source stands at; without a value it is a native histogram.
    #[inline]
    fn append<'a>(
        &mut self,
        source: &mut impl Source<'a>,
        value: Option<f64>,
        timestamp_ms: Option<TimestampMs>,
    ) -> Result<(), Refused> {
        self.report.samples_scraped += 1;
        let own_ms = if self.options.honor_timestamps { timestamp_ms } else { None };
        let moment = Moment {
            t_ms: own_ms.unwrap_or(self.rules.default_ms),
            is_own: own_ms.is_some(),
            tracked: own_ms.is_none() || self.options.track_timestamps_staleness,
        };
        if self.rules.synthesis {
            return self.append_synthesising(source, value, moment);
        }
        let Some(id) = self.cache.lookup(source.series()) else {
            return self.append_new(source, value, moment);
        };
        let again = self.cache.see(id);
        let Some(series) = self.cache.series(id) else { return Ok(()) };
        self.append_cached(source, value, moment, (id, series), again)
    }

    #[inline]
    fn append_cached<'a>(
        &mut self,
        source: &mut impl Source<'a>,
        value: Option<f64>,
        moment: Moment,
        (id, mut series): (EntryId, SeriesRef),
        again: bool,
    ) -> Result<(), Refused> {
        if again && !moment.is_own {
            return self.count(AppendError::DuplicateTimestamp(None));
        }
        if !self.is_within_limits(source, value, true)? {
            self.report.samples_post_metric_relabeling += 1;
            return Ok(());
        }
        let appended = match value {
            _ if moment.t_ms > self.rules.ahead_ms => Err(AppendError::OutOfBounds),
            Some(v) => {
                let st_ms = self.start_ms(source);
                let zero = if st_ms != 0 && self.rules.zeroes {
                    let times = (moment.t_ms, st_ms);
                    self.app.append_start_zero(series, &Labels::empty(), times, None).map(|_| ())
                } else {
                    Ok(())
                };
                zero.and_then(|()| self.app.append_known_since(series, moment.t_ms, st_ms, v))
            }
            None => {
                let times = (moment.t_ms, self.start_ms(source));
                self.put(source, value, series, &Labels::empty(), times).map(|_| ())
            }
        };
        match appended {
            Ok(()) => {}
            // The database has dropped the series since: make it again.
            Err(AppendError::UnknownSeries) => {
                let Some(labels) = self.series_labels(source)? else { return Ok(()) };
                let times = (moment.t_ms, self.start_ms(source));
                match self.put(source, value, SeriesRef::NONE, &labels, times) {
                    Ok(again) => series = again,
                    Err(e) => return self.count(e),
                }
                self.cache.set_series(id, series);
            }
            Err(e) => return self.count(e),
        }
        self.report.samples_post_metric_relabeling += 1;
        if moment.tracked {
            self.cache.track(id);
        }
        if self.rules.metadata && !self.family.is_none() {
            let Some(labels) = self.series_labels(source)? else { return Ok(()) };
            self.append_metadata(value, series, &labels)?;
        }
        self.append_exemplars(source, value, series, moment.t_ms)
    }

    /// A sample whose series the cache does not have.
    #[cold]
    fn append_new<'a>(
        &mut self,
        source: &mut impl Source<'a>,
        value: Option<f64>,
        moment: Moment,
    ) -> Result<(), Refused> {
        let Some(labels) = self.series_labels(source)? else {
            let id = self.cache.insert(source.series(), SeriesRef::NONE);
            self.cache.see(id);
            return Ok(());
        };
        if !self.is_within_limits(source, value, false)? {
            self.report.samples_post_metric_relabeling += 1;
            return Ok(());
        }
        if moment.t_ms > self.rules.ahead_ms {
            return self.count(AppendError::OutOfBounds);
        }
        let times = (moment.t_ms, self.start_ms(source));
        let series = match self.put(source, value, SeriesRef::NONE, &labels, times) {
            Ok(series) => series,
            Err(e) => return self.count(e),
        };
        self.report.samples_post_metric_relabeling += 1;
        self.report.series_added += u64::from(!self.over_samples && !self.over_buckets);
        let id = self.cache.insert(source.series(), series);
        self.cache.see(id);
        if moment.tracked {
            self.cache.track(id);
        }
        if self.rules.metadata && !self.family.is_none() {
            self.append_metadata(value, series, &labels)?;
        }
        self.append_exemplars(source, value, series, moment.t_ms)
    }

    /// Hands the sample of the times (t, st) to the database, behind a zero at its start where that is asked for.
    pub(super) fn put<'a>(
        &mut self,
        source: &mut impl Source<'a>,
        value: Option<f64>,
        mut series: SeriesRef,
        labels: &Labels,
        (t_ms, st_ms): (TimestampMs, TimestampMs),
    ) -> Result<SeriesRef, AppendError> {
        if st_ms != 0 && self.rules.zeroes {
            series =
                self.app.append_start_zero(series, labels, (t_ms, st_ms), histogram_of(source, value))?;
        }
        match histogram_of(source, value) {
            None => self.app.append(series, labels, t_ms, st_ms, value.unwrap_or_default()),
            Some(h) => self.app.append_histogram(series, labels, t_ms, st_ms, h),
        }
    }

    /// When the series began, 0 where that is unknown. It looks ahead in the body, so it is asked for only where it counts.
    #[inline]
    pub(super) fn start_ms<'a>(&self, source: &mut impl Source<'a>) -> TimestampMs {
        if self.rules.starts { source.start_timestamp_ms().unwrap_or(0) } else { 0 }
    }

    pub(super) fn append_metadata(
        &mut self,
        value: Option<f64>,
        series: SeriesRef,
        labels: &Labels,
    ) -> Result<(), Refused> {
        let Some(metadata) = self.family.of(labels.metric_name()) else { return Ok(()) };
        if value.is_some_and(is_stale_nan) {
            return Ok(());
        }
        let updated = self.app.update_metadata(series, labels, metadata);
        updated.map(|_| ()).map_err(|e| Refused::Engine(refused(e)))
    }

    #[inline]
    pub(super) fn append_exemplars<'a>(
        &mut self,
        source: &impl Source<'a>,
        value: Option<f64>,
        series: SeriesRef,
        t_ms: TimestampMs,
    ) -> Result<(), Refused> {
        if !self.rules.exemplars || source.exemplars().is_empty() || value.is_some_and(is_stale_nan) {
            return Ok(());
        }
        let late = self.exemplars.append(self.app, source.exemplars(), value.is_none(), series, t_ms);
        self.report.exemplars_out_of_order += late.map_err(|e| Refused::Engine(refused(e)))?;
        Ok(())
    }

    /// Labels of the sample that the source stands at, ready to store; `None` where relabelling drops it.
    pub(super) fn series_labels<'a>(&mut self, source: &impl Source<'a>) -> Result<Option<Labels>, Refused> {
        source.labels(self.labels).map_err(scrape_error)?;
        self.options.series_labels(self.labels).map_err(Refused::Scrape)
    }

    /// Makes a histogram fit its limits, and tells whether the sample is within all of them. Stale markers of series
    /// that are known do not count.
    #[inline]
    pub(super) fn is_within_limits<'a>(
        &mut self,
        source: &mut impl Source<'a>,
        value: Option<f64>,
        is_known: bool,
    ) -> Result<bool, Refused> {
        if value.is_none() && !fit(source.histogram(), self.rules).map_err(Refused::Scrape)? {
            self.over_buckets = true;
            return Ok(false);
        }
        if self.options.sample_limit == 0 || is_known && value.is_some_and(is_stale_nan) {
            return Ok(true);
        }
        self.limited += 1;
        let exceeds = self.limited > self.options.sample_limit;
        self.over_samples |= exceeds;
        Ok(!exceeds)
    }

    /// Counts a refusal that costs one sample; passes on those that cost more.
    pub(super) fn count(&mut self, e: AppendError) -> Result<(), Refused> {
        match e {
            AppendError::OutOfOrder => self.report.out_of_order += 1,
            AppendError::DuplicateTimestamp(_) => self.report.duplicates += 1,
            AppendError::OutOfBounds | AppendError::TooOld => self.report.out_of_bounds += 1,
            AppendError::InvalidLabels(e) | AppendError::InvalidHistogram(e) => {
                return Err(Refused::Scrape(e));
            }
            e => return Err(Refused::Engine(refused(e))),
        }
        self.report.samples_post_metric_relabeling += 1;
        Ok(())
    }
}

/// The histogram that the source stands at, where the sample has no value.
fn histogram_of<'s, 'a>(source: &'s mut impl Source<'a>, value: Option<f64>) -> Option<HistogramValue<'s>> {
    if value.is_some() {
        return None;
    }
    let h = source.histogram();
    Some(if h.is_float { HistogramValue::Float(&h.float) } else { HistogramValue::Integer(&h.int) })
}

/// Reduces the resolution of a histogram as far as its limits want; `Ok(false)` where that does not help.
fn fit(h: &mut NativeValue, rules: Rules) -> Result<bool, String> {
    match h.is_float {
        true => fit_one(&mut h.float, rules),
        false => fit_one(&mut h.int, rules),
    }
}

fn fit_one<C, B: BucketValue<Count = C>>(
    h: &mut NativeHistogram<C, B>,
    rules: Rules,
) -> Result<bool, String> {
    let reduce = |h: &mut NativeHistogram<C, B>, to| h.reduce_resolution(to).map_err(|e| e.to_string());
    // What is finer than the finest there is, is reduced when it is read.
    let reduces = rules.schema_max < EXPONENTIAL_SCHEMA_MAX && h.schema > rules.schema_max;
    if reduces && is_known_schema(h.schema) && !h.uses_custom_buckets() {
        reduce(h, rules.schema_max)?;
    }
    while rules.buckets_max > 0 && h.positive_buckets.len() + h.negative_buckets.len() > rules.buckets_max {
        if !is_exponential_schema(h.schema) || h.schema <= EXPONENTIAL_SCHEMA_MIN {
            return Ok(false);
        }
        reduce(h, h.schema - 1)?;
    }
    Ok(true)
}

fn parse_error(e: ParseError) -> Refused {
    Refused::Scrape(e.reason)
}

fn scrape_error(e: impl std::fmt::Display) -> Refused {
    Refused::Scrape(e.to_string())
}
