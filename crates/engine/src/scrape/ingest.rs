//! One scrape's transaction.

use std::sync::Arc;

use exposition::{Entry, Format, Parser, ParserOptions, Sample, negotiate};
use model::{Labels, LabelsBuilder, SeriesRef, TimestampMs, is_stale_nan, stale_nan};
use storage::{AppendError, Appender, Clock};
use tsdb::Db;

use super::cache::SeriesCache;
use super::described::{Family, append_exemplar};
use super::inflate::{BODY_SIZE_LIMIT, inflate};
use super::metadata::{Field, MetadataStore, Published};
use super::target::TargetOptions;
use super::{ScrapeReport, ScrapeTime};
use crate::engine::Inner;
use crate::error::EngineError;

/// The text of a scrape with more samples than `sample_limit`.
const SAMPLE_LIMIT: &str = "sample limit exceeded";

/// Names of the series that every scrape writes, the last three only if asked for.
const REPORT_NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
const REPORT_BASIC: usize = 5;

struct ReportSeries {
    labels: Labels,
    series: SeriesRef,
}

/// What a target remembers.
pub(super) struct TargetState {
    options: TargetOptions,
    cache: SeriesCache,
    metadata: MetadataStore,
    format: Option<Format>,
    report: Vec<ReportSeries>,
    labels: LabelsBuilder,
    family: Family,
}

/// What a body's samples are held against.
#[derive(Clone, Copy)]
struct Rules {
    /// The time of samples that carry none.
    default_ms: TimestampMs,
    /// Samples after this are out of bounds.
    ahead_ms: TimestampMs,
    /// Start timestamps are read, and `_created` series taken for them.
    starts: bool,
    /// Metadata goes to the database.
    metadata: bool,
    /// Exemplars do.
    exemplars: bool,
}

/// A sample's times.
#[derive(Clone, Copy)]
struct Moment {
    t_ms: TimestampMs,
    /// When the series began, 0 where that is unknown.
    start_ms: TimestampMs,
    tracked: bool,
}

/// Why a body is not taken in.
enum Refused {
    /// The body's fault: the scrape fails, and says so.
    Scrape(String),
    /// The database's: nothing can be written.
    Engine(EngineError),
}

impl TargetState {
    pub(super) fn new(options: TargetOptions, seed: u64, published: Arc<Published>) -> Self {
        let count = if options.extra_scrape_metrics { REPORT_NAMES.len() } else { REPORT_BASIC };
        let report = REPORT_NAMES[..count]
            .iter()
            .map(|n| ReportSeries { labels: options.report_labels(n), series: SeriesRef::NONE })
            .collect();
        Self {
            options,
            cache: SeriesCache::new(seed),
            metadata: MetadataStore::new(published),
            format: None,
            report,
            labels: LabelsBuilder::new(),
            family: Family::default(),
        }
    }

    /// A scrape that brought a body.
    pub(super) fn body(
        &mut self,
        inner: &Inner,
        pieces: &[&[u8]],
        content_encoding: &str,
        content_type: &str,
        time: ScrapeTime,
    ) -> Result<ScrapeReport, EngineError> {
        let started_ns = inner.clock.monotonic_ns();
        let mut report = ScrapeReport::default();
        let mut body = inner.bodies.take();
        let inflated = inflate(pieces, content_encoding, self.options.body_size_limit, &mut body);
        let mut app = inner.db.appender();
        let taken = match inflated {
            Err(e) => {
                report.body_bytes = if e == BODY_SIZE_LIMIT { -1 } else { 0 };
                Err(Refused::Scrape(e))
            }
            Ok(()) => {
                report.body_bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
                if body.is_empty() {
                    Ok(false)
                } else {
                    let features = inner.options.features;
                    let rules = Rules {
                        default_ms: time.timestamp_ms,
                        ahead_ms: inner.ahead_ms(),
                        starts: features.st_storage,
                        metadata: features.metadata_wal_records,
                        exemplars: features.exemplar_storage,
                    };
                    self.append_body(app.as_mut(), &body, content_type, rules, &mut report).map(|()| true)
                }
            }
        };
        inner.bodies.put(body);
        let good = match taken {
            Ok(good) => good,
            Err(Refused::Engine(e)) => {
                app.rollback();
                self.cache.abandon();
                self.cache.end_scrape(false);
                self.metadata.end_scrape(false);
                return Err(e);
            }
            Err(Refused::Scrape(e)) => {
                app.rollback();
                app = inner.db.appender();
                self.cache.abandon();
                report.error = Some(e);
                false
            }
        };
        self.finish(app, inner.clock.as_ref(), started_ns, time, good, report)
    }

    /// A scrape that brought no body.
    pub(super) fn failed(
        &mut self,
        inner: &Inner,
        error: String,
        time: ScrapeTime,
    ) -> Result<ScrapeReport, EngineError> {
        let started_ns = inner.clock.monotonic_ns();
        let body_bytes = if error == BODY_SIZE_LIMIT { -1 } else { 0 };
        let report = ScrapeReport { error: Some(error), body_bytes, ..ScrapeReport::default() };
        self.finish(inner.db.appender(), inner.clock.as_ref(), started_ns, time, false, report)
    }

    /// The target is gone: everything it had is stale.
    pub(super) fn end(&mut self, db: &Db, timestamp_ms: TimestampMs) -> Result<(), EngineError> {
        let mut app = db.appender();
        self.cache.abandon();
        self.append_stale(app.as_mut(), timestamp_ms)?;
        self.cache.end_scrape(false);
        for r in &mut self.report {
            append_report(app.as_mut(), r, timestamp_ms, stale_nan())?;
        }
        Ok(app.commit()?)
    }

    fn finish(
        &mut self,
        mut app: Box<dyn Appender>,
        clock: &dyn Clock,
        started_ns: u64,
        time: ScrapeTime,
        good: bool,
        mut report: ScrapeReport,
    ) -> Result<ScrapeReport, EngineError> {
        self.append_stale(app.as_mut(), time.timestamp_ms)?;
        self.cache.end_scrape(good);
        self.metadata.end_scrape(good);
        let here_seconds = clock.monotonic_ns().saturating_sub(started_ns) as f64 / 1e9;
        report.duration_seconds = time.elapsed_seconds + here_seconds;
        let values = [
            if report.error.is_none() { 1.0 } else { 0.0 },
            report.duration_seconds,
            report.samples_scraped as f64,
            report.samples_post_metric_relabeling as f64,
            report.series_added as f64,
            self.options.scrape_timeout_ms as f64 / 1e3,
            self.options.sample_limit as f64,
            report.body_bytes as f64,
        ];
        for (r, v) in self.report.iter_mut().zip(values) {
            append_report(app.as_mut(), r, time.timestamp_ms, v)?;
        }
        app.commit()?;
        Ok(report)
    }

    fn append_stale(&mut self, app: &mut dyn Appender, t_ms: TimestampMs) -> Result<(), EngineError> {
        for series in self.cache.gone() {
            match app.append_known(series, t_ms, stale_nan()) {
                // A target that went away and came back has newer samples already; a series that
                // the database has dropped needs no marker.
                Ok(())
                | Err(
                    AppendError::OutOfOrder
                    | AppendError::DuplicateTimestamp
                    | AppendError::OutOfBounds
                    | AppendError::TooOld
                    | AppendError::UnknownSeries,
                ) => {}
                Err(e) => return Err(refused(e)),
            }
        }
        Ok(())
    }

    fn append_body(
        &mut self,
        app: &mut dyn Appender,
        body: &[u8],
        content_type: &str,
        rules: Rules,
        report: &mut ScrapeReport,
    ) -> Result<(), Refused> {
        let fallback = Some(self.options.fallback_content_type.as_str()).filter(|f| !f.is_empty());
        let negotiated = negotiate(content_type, fallback, false);
        let Some(format) = negotiated.format else {
            return Err(Refused::Scrape(negotiated.message.unwrap_or_default()));
        };
        if self.format.replace(format).is_some_and(|old| old != format) {
            self.cache.forget_texts();
        }
        let options = ParserOptions { skip_created_series: rules.starts, ..ParserOptions::default() };
        let mut parser = Parser::new(body, format, options).map_err(scrape_error)?;
        let mut over_limit = false;
        self.family.forget();
        while let Some(entry) = parser.next_entry_expecting(self.cache.expected()).map_err(scrape_error)? {
            match entry {
                Entry::Sample(sample) => {
                    report.samples_scraped += 1;
                    // It looks ahead in the body, so it is asked for only where it counts.
                    let start_ms = if rules.starts { parser.start_timestamp_ms().unwrap_or(0) } else { 0 };
                    self.append_sample(app, &parser, &sample, start_ms, rules, report, &mut over_limit)?;
                }
                Entry::Type { metric, kind } => self.describe(rules, metric, Field::Type, kind.as_str()),
                Entry::Help { metric, text } => self.describe(rules, metric, Field::Help, &text),
                Entry::Unit { metric, unit } => {
                    self.describe(rules, metric, Field::Unit, &String::from_utf8_lossy(unit));
                }
                _ => {}
            }
        }
        if over_limit { Err(Refused::Scrape(SAMPLE_LIMIT.to_owned())) } else { Ok(()) }
    }

    fn describe(&mut self, rules: Rules, metric: &[u8], field: Field, text: &str) {
        self.metadata.set(metric, field, text);
        if rules.metadata
            && let Some(known) = self.metadata.get(metric)
        {
            self.family.set(metric, known);
        }
    }

    #[inline]
    #[allow(clippy::too_many_arguments, reason = "the hot path, split from the loop over the body")]
    fn append_sample(
        &mut self,
        app: &mut dyn Appender,
        parser: &Parser<'_>,
        sample: &Sample<'_>,
        start_ms: TimestampMs,
        rules: Rules,
        report: &mut ScrapeReport,
        over_limit: &mut bool,
    ) -> Result<(), Refused> {
        let own_ms = if self.options.honor_timestamps { sample.timestamp_ms } else { None };
        let t_ms = own_ms.unwrap_or(rules.default_ms);
        let tracked = own_ms.is_none() || self.options.track_timestamps_staleness;
        let Some(id) = self.cache.lookup(sample.series) else {
            let moment = Moment { t_ms, start_ms, tracked };
            return self.append_new(app, parser, sample, moment, rules, report, over_limit);
        };
        let again = self.cache.see(id);
        let Some(mut series) = self.cache.series(id) else { return Ok(()) };
        report.samples_post_metric_relabeling += 1;
        let appended = if again && own_ms.is_none() {
            Err(AppendError::DuplicateTimestamp)
        } else if self.exceeds_limit(sample, report, over_limit) {
            return Ok(());
        } else if t_ms > rules.ahead_ms {
            Err(AppendError::OutOfBounds)
        } else {
            app.append_known_since(series, t_ms, start_ms, sample.value)
        };
        match appended {
            Ok(()) => {}
            // The database has dropped the series since: make it again.
            Err(AppendError::UnknownSeries) => {
                let Some(labels) = self.series_labels(parser)? else { return Ok(()) };
                match app.append(SeriesRef::NONE, &labels, t_ms, start_ms, sample.value) {
                    Ok(again) => series = again,
                    Err(e) => return count(e, report),
                }
                self.cache.set_series(id, series);
            }
            Err(e) => return count(e, report),
        }
        if tracked {
            self.cache.track(id);
        }
        if rules.metadata && !self.family.is_none() {
            let Some(labels) = self.series_labels(parser)? else { return Ok(()) };
            self.append_metadata(app, sample, series, &labels)?;
        }
        if rules.exemplars { self.exemplar(app, parser, sample, series, t_ms, report) } else { Ok(()) }
    }

    fn append_metadata(
        &mut self,
        app: &mut dyn Appender,
        sample: &Sample<'_>,
        series: SeriesRef,
        labels: &Labels,
    ) -> Result<(), Refused> {
        let Some(metadata) = self.family.of(labels.metric_name()) else { return Ok(()) };
        if is_stale_nan(sample.value) {
            return Ok(());
        }
        app.update_metadata(series, labels, metadata).map_err(|e| Refused::Engine(refused(e)))?;
        Ok(())
    }

    fn exemplar(
        &self,
        app: &mut dyn Appender,
        parser: &Parser<'_>,
        sample: &Sample<'_>,
        series: SeriesRef,
        t_ms: TimestampMs,
        report: &mut ScrapeReport,
    ) -> Result<(), Refused> {
        if is_stale_nan(sample.value) {
            return Ok(());
        }
        let in_time = append_exemplar(app, parser, series, t_ms).map_err(|e| Refused::Engine(refused(e)))?;
        report.exemplars_out_of_order += u64::from(!in_time);
        Ok(())
    }

    /// A sample whose text the cache does not have.
    #[cold]
    #[allow(clippy::too_many_arguments, reason = "the cold half of append_sample")]
    fn append_new(
        &mut self,
        app: &mut dyn Appender,
        parser: &Parser<'_>,
        sample: &Sample<'_>,
        Moment { t_ms, start_ms, tracked }: Moment,
        rules: Rules,
        report: &mut ScrapeReport,
        over_limit: &mut bool,
    ) -> Result<(), Refused> {
        let Some(labels) = self.series_labels(parser)? else {
            let id = self.cache.insert(sample.series, SeriesRef::NONE);
            self.cache.see(id);
            return Ok(());
        };
        report.samples_post_metric_relabeling += 1;
        if self.exceeds_limit(sample, report, over_limit) {
            return Ok(());
        }
        if t_ms > rules.ahead_ms {
            return count(AppendError::OutOfBounds, report);
        }
        let series = match app.append(SeriesRef::NONE, &labels, t_ms, start_ms, sample.value) {
            Ok(series) => series,
            Err(e) => return count(e, report),
        };
        report.series_added += u64::from(!*over_limit);
        let id = self.cache.insert(sample.series, series);
        self.cache.see(id);
        if tracked {
            self.cache.track(id);
        }
        if rules.metadata && !self.family.is_none() {
            self.append_metadata(app, sample, series, &labels)?;
        }
        if rules.exemplars { self.exemplar(app, parser, sample, series, t_ms, report) } else { Ok(()) }
    }

    /// Labels of the line that the parser stands at, ready to store; `None` where relabelling
    /// drops it.
    fn series_labels(&mut self, parser: &Parser<'_>) -> Result<Option<Labels>, Refused> {
        parser.labels(&mut self.labels).map_err(scrape_error)?;
        self.options.series_labels(&mut self.labels).map_err(Refused::Scrape)
    }

    /// Whether the sample is beyond `sample_limit`; stale markers do not count.
    fn exceeds_limit(&self, sample: &Sample<'_>, report: &ScrapeReport, over_limit: &mut bool) -> bool {
        let limit = self.options.sample_limit;
        let exceeds =
            limit > 0 && !is_stale_nan(sample.value) && report.samples_post_metric_relabeling > limit;
        *over_limit |= exceeds;
        exceeds
    }
}

fn scrape_error(e: impl std::fmt::Display) -> Refused {
    Refused::Scrape(e.to_string())
}

/// Counts a refusal that costs one sample; passes on those that cost more.
fn count(e: AppendError, report: &mut ScrapeReport) -> Result<(), Refused> {
    match e {
        AppendError::OutOfOrder => report.out_of_order += 1,
        AppendError::DuplicateTimestamp => report.duplicates += 1,
        AppendError::OutOfBounds | AppendError::TooOld => report.out_of_bounds += 1,
        AppendError::InvalidLabels(e) => return Err(Refused::Scrape(e)),
        e => return Err(Refused::Engine(refused(e))),
    }
    Ok(())
}

fn refused(e: AppendError) -> EngineError {
    use crate::error::ErrorCode;
    let code = if matches!(e, AppendError::ReadOnly(_)) { ErrorCode::ReadOnly } else { ErrorCode::Internal };
    EngineError::new(code, e.to_string())
}

fn append_report(
    app: &mut dyn Appender,
    r: &mut ReportSeries,
    t_ms: TimestampMs,
    v: f64,
) -> Result<(), EngineError> {
    match app.append(r.series, &r.labels, t_ms, 0, v) {
        Ok(series) => r.series = series,
        Err(
            AppendError::OutOfOrder
            | AppendError::DuplicateTimestamp
            | AppendError::OutOfBounds
            | AppendError::TooOld,
        ) => {}
        Err(e) => return Err(refused(e)),
    }
    Ok(())
}
