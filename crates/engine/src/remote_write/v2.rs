//! Remote write 2.0: what can be stored is, and the sender is told of the rest.

use std::sync::PoisonError;

use model::{Metadata, MetricType};
use storage::{AppendError, Appender, Exemplar};
use wire::write_v2::{Request, TimeSeries};
use wire::{EncodedLabels, LabelsError, Symbols, put_labels};

use super::handle::{Fault, SeriesHandle};
use super::refusals::Refusals;
use super::v1::in_order;
use super::{Refusal, RefusalKind, RemoteWriteReport, Scratch};
use crate::engine::Inner;
use crate::series_cache::SeriesCache;

/// Appends what can be stored of a request's body. An error means that nothing is to be stored.
pub(super) fn append(
    inner: &Inner,
    app: &mut dyn Appender,
    scratch: &mut Scratch,
) -> Result<RemoteWriteReport, Fault> {
    let cache = inner.remote_write.cache.read().unwrap_or_else(PoisonError::into_inner);
    let body = std::mem::take(&mut scratch.body);
    let mut spans = std::mem::take(&mut scratch.symbols);
    scratch.found.clear();
    let result = Request::new(&body, &mut spans).map_err(Fault::from).and_then(|mut request| {
        let mut receiver = Receiver {
            inner,
            cache: &cache,
            symbols: request.symbols(),
            ahead_ms: inner.ahead_ms(),
            report: RemoteWriteReport { has_counts: true, ..RemoteWriteReport::default() },
            refusals: Refusals::default(),
            invalid_labels: 0,
            without_metadata: 0,
        };
        loop {
            scratch.columns.clear();
            let Some(series) = request.next_series(&mut scratch.refs, &mut scratch.columns)? else {
                return Ok(receiver.finish());
            };
            receiver.series(app, &series, scratch)?;
        }
    });
    scratch.body = body;
    scratch.symbols = spans;
    result
}

struct Receiver<'a> {
    inner: &'a Inner,
    cache: &'a SeriesCache,
    symbols: Symbols<'a>,
    ahead_ms: i64,
    report: RemoteWriteReport,
    refusals: Refusals,
    invalid_labels: u64,
    without_metadata: u64,
}

impl Receiver<'_> {
    fn series(
        &mut self,
        app: &mut dyn Appender,
        series: &TimeSeries<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let Scratch { columns, refs, key, histogram, exemplars, found, .. } = scratch;
        let points = (columns.len() + series.histogram_count) as u64;
        key.clear();
        if let Err(e) = self.symbols.resolve(refs, key) {
            self.refusals.push(format_args!("parsing labels for series {}: {e}", GoSlice(refs)));
            self.invalid_labels += points;
            return Ok(());
        }
        let metadata = match series.metadata.resolve(&self.symbols) {
            Ok(metadata) => metadata,
            Err(e) => {
                self.refusals.push(format_args!("parsing metadata for series {}: {e}", GoSlice(refs)));
                return Ok(());
            }
        };
        if self.inner.options.features.type_and_unit_labels {
            self.type_and_unit(refs, metadata.kind, &metadata.unit, key)?;
        }
        let mut handle = match SeriesHandle::new(EncodedLabels::new(key, 0), self.cache) {
            Ok(handle) => handle,
            Err(LabelsError::Wire(e)) => return Err(e.into()),
            Err(e) => {
                self.refusals.push(e);
                self.invalid_labels += points;
                return Ok(());
            }
        };
        if points == 0 {
            let labels = handle.labels()?;
            self.refusals.push(format_args!(
                "TimeSeries must contain at least one sample or histogram for series {labels}"
            ));
            return Ok(());
        }
        let stored_before = self.report.samples + self.report.histograms;
        let zeroes = self.inner.options.features.created_timestamp_zero_ingestion;
        for (i, (t, v)) in columns.t.iter().zip(&columns.v).enumerate() {
            let st = columns.st.get(i).copied().unwrap_or(0);
            let mut stored = self.in_time(*t);
            if zeroes && st != 0 && stored.is_ok() {
                stored = handle.start_zero(app, (*t, st), None);
            }
            let stored = stored.and_then(|()| handle.sample(app, *t, st, *v));
            self.report.samples += self.count(stored, &mut handle)?;
        }
        let mut histograms = series.histograms();
        while histograms.next_into(histogram)? {
            let stored = self.in_time(histogram.t).and_then(|()| handle.histogram(app, histogram, zeroes));
            self.report.histograms += self.count(stored, &mut handle)?;
        }
        let stored = self.report.samples + self.report.histograms - stored_before;
        if metadata.kind == MetricType::Unknown && metadata.help.is_empty() && metadata.unit.is_empty() {
            self.without_metadata += stored;
        }
        if stored > 0 && self.inner.options.features.metadata_wal_records {
            let metadata = Metadata {
                kind: metadata.kind,
                unit: metadata.unit.into_owned(),
                help: metadata.help.into_owned(),
            };
            // Metadata that the store does not keep costs nothing else: the samples are what counts.
            if let Err(Fault::Engine(e)) = handle.metadata(app, &metadata) {
                return Err(Fault::Engine(e));
            }
        }
        if series.exemplar_count > 0 {
            self.exemplars(app, series, &mut handle, refs, exemplars)?;
        }
        found.extend(handle.news());
        Ok(())
    }

    /// Puts `__type__` and `__unit__` of the metadata, where there are any, in the place of those that the labels have.
    fn type_and_unit(
        &self,
        refs: &[u32],
        kind: MetricType,
        unit: &str,
        key: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if kind == MetricType::Unknown && unit.is_empty() {
            return Ok(());
        }
        let is_other =
            |pair: &&[u32; 2]| !matches!(self.symbols.get(pair[0]), Some(b"__type__" | b"__unit__"));
        let others: Vec<u32> = refs.as_chunks::<2>().0.iter().filter(is_other).flatten().copied().collect();
        key.clear();
        self.symbols.resolve(&others, key)?;
        let kind = if kind == MetricType::Unknown { "" } else { kind.as_str() };
        let pairs = [("__type__", kind), ("__unit__", unit)];
        put_labels(key, pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        Ok(())
    }

    fn exemplars(
        &mut self,
        app: &mut dyn Appender,
        series: &TimeSeries<'_>,
        handle: &mut SeriesHandle<'_>,
        refs: &mut Vec<u32>,
        exemplars: &mut Vec<Exemplar>,
    ) -> Result<(), Fault> {
        exemplars.clear();
        let mut encoded = Vec::new();
        let mut all = series.exemplars();
        while let Some(exemplar) = all.next_into(refs)? {
            encoded.clear();
            match self.symbols.resolve(refs, &mut encoded) {
                Ok(()) => {
                    let labels = EncodedLabels::new(&encoded, 0).decode_exemplar()?;
                    exemplars.push(Exemplar {
                        labels,
                        value: exemplar.value,
                        timestamp_ms: Some(exemplar.t),
                    });
                }
                Err(e) => {
                    let labels = handle.labels()?;
                    self.refusals.push(format_args!("parsing exemplar for series {labels}: {e}"));
                }
            }
        }
        exemplars.sort_by(in_order);
        for exemplar in exemplars.iter().filter(|e| e.timestamp_ms <= Some(self.ahead_ms)) {
            match handle.exemplar(app, exemplar) {
                Ok(()) => self.report.exemplars += 1,
                Err(e @ Fault::Sample(AppendError::OutOfOrderExemplar)) => {
                    let labels = handle.labels()?;
                    self.refusals.push(format_args!("{e} for series {labels}"));
                }
                Err(Fault::Engine(e)) => return Err(Fault::Engine(e)),
                // Exemplars are a help, not data: what else is wrong with one costs only itself.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn in_time(&self, t: i64) -> Result<(), Fault> {
        if t > self.ahead_ms { Err(Fault::Ahead) } else { Ok(()) }
    }

    /// 1 for what was stored, 0 and a reason for what was not.
    #[inline]
    fn count(&mut self, stored: Result<(), Fault>, handle: &mut SeriesHandle<'_>) -> Result<u64, Fault> {
        match stored {
            Ok(()) => Ok(1),
            Err(e @ (Fault::Engine(_) | Fault::Wire(_))) => Err(e),
            Err(e) => {
                let labels = handle.labels()?;
                self.refusals.push(format_args!("{e} for series {labels}"));
                Ok(0)
            }
        }
    }

    fn finish(self) -> RemoteWriteReport {
        self.inner.metrics.remote_write_invalid_labels(self.invalid_labels);
        self.inner.metrics.remote_write_without_metadata(self.without_metadata);
        let refusal = self.refusals.finish().map(|text| Refusal { kind: RefusalKind::Invalid, text });
        RemoteWriteReport { refusal, ..self.report }
    }
}

/// References as Prometheus prints them: `[1 2 3]`.
struct GoSlice<'a>(&'a [u32]);

impl std::fmt::Display for GoSlice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (i, r) in self.0.iter().enumerate() {
            write!(f, "{}{r}", if i > 0 { " " } else { "" })?;
        }
        f.write_str("]")
    }
}
