//! Remote write 1.0: the first sample that is refused refuses the request. Series whose labels name
//! no series are passed over, and exemplars that are refused cost nothing else, as in Prometheus.

use std::cmp::Ordering;
use std::sync::PoisonError;

use storage::{Appender, Exemplar};
use wire::LabelsError;
use wire::write_v1::WriteRequest;

use super::handle::{Fault, SeriesHandle};
use super::{RemoteWriteReport, Scratch};
use crate::engine::Inner;

/// Appends all of a request's body.
pub(super) fn append(
    inner: &Inner,
    app: &mut dyn Appender,
    scratch: &mut Scratch,
) -> Result<RemoteWriteReport, Fault> {
    let Scratch { body, columns, histogram, exemplars, found, .. } = scratch;
    found.clear();
    let ahead_ms = inner.ahead_ms();
    let cache = inner.remote_write.cache.read().unwrap_or_else(PoisonError::into_inner);
    let mut request = WriteRequest::new(body);
    let mut report = RemoteWriteReport::default();
    let mut invalid = 0;
    loop {
        columns.clear();
        let Some(series) = request.next_series(columns)? else { break };
        let mut handle = match SeriesHandle::new(series.labels(), &cache) {
            Ok(handle) => handle,
            Err(LabelsError::Wire(e)) => return Err(e.into()),
            Err(e) => {
                if invalid == 0 {
                    inner.log_warning(format!("remote write: {e}"));
                }
                invalid += (series.samples.len() + series.histogram_count).max(1) as u64;
                continue;
            }
        };
        for (t, v) in columns.t.iter().zip(&columns.v) {
            if *t > ahead_ms {
                return Err(Fault::Ahead);
            }
            handle.sample(app, *t, 0, *v)?;
        }
        report.samples += columns.len() as u64;
        let mut histograms = series.histograms();
        while histograms.next_into(histogram)? {
            if histogram.t > ahead_ms {
                return Err(Fault::Ahead);
            }
            handle.histogram(app, histogram, false)?;
            report.histograms += 1;
        }
        if series.exemplar_count > 0 {
            exemplars.clear();
            for exemplar in series.exemplars() {
                let exemplar = exemplar?;
                let labels = exemplar.labels().decode_exemplar()?;
                exemplars.push(Exemplar { labels, value: exemplar.value, timestamp_ms: Some(exemplar.t) });
            }
            exemplars.sort_by(in_order);
            for exemplar in exemplars.iter().filter(|e| e.timestamp_ms <= Some(ahead_ms)) {
                match handle.exemplar(app, exemplar) {
                    Ok(()) => report.exemplars += 1,
                    Err(Fault::Engine(e)) => return Err(Fault::Engine(e)),
                    Err(_) => {}
                }
            }
        }
        found.extend(handle.news());
    }
    inner.metrics.remote_write_invalid_labels(invalid);
    Ok(report)
}

/// By time, then value, then labels: the order in which a series' exemplars are taken in.
pub(crate) fn in_order(a: &Exemplar, b: &Exemplar) -> Ordering {
    let by_value = || a.value.partial_cmp(&b.value).unwrap_or(Ordering::Equal);
    a.timestamp_ms.cmp(&b.timestamp_ms).then_with(by_value).then_with(|| a.labels.cmp(&b.labels))
}
