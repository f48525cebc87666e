//! One scrape's transaction.

use std::sync::Arc;

use exposition::{ClassicConverter, Format, Parser, ParserOptions, ProtobufParser, negotiate};
use model::{Labels, LabelsBuilder, SeriesRef, TimestampMs, stale_nan};
use storage::{AppendError, Appender, Clock};

use super::cache::SeriesCache;
use super::described::{Exemplars, Family};
use super::inflate::{BODY_SIZE_LIMIT, inflate};
use super::intake::{Intake, Rules};
use super::metadata::{MetadataStore, Published};
use super::target::TargetOptions;
use super::{ScrapeReport, ScrapeTime};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::store::Store;

const ZSTD_NOT_ENABLED: &str =
    r#"received a zstd-compressed response, but the "zstd-scrape" feature flag is not enabled"#;

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
    exemplars: Exemplars,
}

/// Why a body is not taken in.
pub(super) enum Refused {
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
            exemplars: Exemplars::default(),
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
        let inflated = match content_encoding {
            "zstd" if !inner.options.features.zstd_scrape => Err(ZSTD_NOT_ENABLED.to_owned()),
            _ => inflate(pieces, content_encoding, self.options.body_size_limit, &mut body),
        };
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
                        starts: features.st_storage || features.created_timestamp_zero_ingestion,
                        zeroes: features.created_timestamp_zero_ingestion,
                        synthesis: features.st_synthesis,
                        metadata: features.metadata_wal_records,
                        // An agent keeps none, but passes them on.
                        exemplars: features.exemplar_storage || inner.db.is_agent(),
                        schema_max: self.options.schema_max(),
                        buckets_max: usize::try_from(self.options.bucket_limit).unwrap_or(usize::MAX),
                    };
                    let rules = (rules, features.type_and_unit_labels);
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
    pub(super) fn end(&mut self, db: &Store, timestamp_ms: TimestampMs) -> Result<(), EngineError> {
        let mut app = db.appender();
        self.cache.abandon();
        self.append_stale(app.as_mut(), timestamp_ms)?;
        self.cache.end_scrape(false);
        app.refuse_out_of_order(true);
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
        app.refuse_out_of_order(true);
        let appended = self.append_markers(app, t_ms);
        app.refuse_out_of_order(false);
        appended
    }

    fn append_markers(&mut self, app: &mut dyn Appender, t_ms: TimestampMs) -> Result<(), EngineError> {
        for series in self.cache.gone() {
            match app.append_known(series, t_ms, stale_nan()) {
                // A target that went away and came back has newer samples already; a series that
                // the database has dropped needs no marker.
                Ok(())
                | Err(
                    AppendError::OutOfOrder
                    | AppendError::DuplicateTimestamp(_)
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
        (rules, typed): (Rules, bool),
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
        let options = ParserOptions {
            type_and_unit_labels: typed,
            skip_created_series: rules.starts,
            ignore_native_histograms: !self.options.native_histograms,
            keep_classic_histograms: self.options.always_classic_histograms,
            convert_classic_histograms: self.options.classic_histograms_to_nhcb,
        };
        let mut intake = Intake {
            options: &self.options,
            cache: &mut self.cache,
            metadata: &mut self.metadata,
            family: &mut self.family,
            labels: &mut self.labels,
            exemplars: &mut self.exemplars,
            app,
            rules,
            report,
            limited: 0,
            over_samples: false,
            over_buckets: false,
        };
        if format == Format::Protobuf {
            return intake.read(ProtobufParser::new(body, options));
        }
        let parser = Parser::new(body, format, options).map_err(|e| Refused::Scrape(e.to_string()))?;
        match options.convert_classic_histograms {
            true => intake.read(ClassicConverter::new(parser, options)),
            false => intake.read(parser),
        }
    }
}

pub(super) fn refused(e: AppendError) -> EngineError {
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
            | AppendError::DuplicateTimestamp(_)
            | AppendError::OutOfBounds
            | AppendError::TooOld,
        ) => {}
        Err(e) => return Err(refused(e)),
    }
    Ok(())
}
