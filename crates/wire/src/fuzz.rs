//! What the reader of OTLP must hold for whatever it is given: it ends, does not panic, and agrees with itself.
//! `tests/damage.rs` calls these with inputs made there, `fuzz/` in the root of the repository with what libFuzzer
//! makes up.

use crate::error::WireError;
use crate::otlp::{
    Attributes, ExponentialPoint, HistogramPoint, MetricData, NumberPoint, PointHead, Request, SummaryPoint,
    json,
};

/// Reads all of a body in protobuf.
pub fn otlp(body: &[u8]) {
    let first = walk(body);
    assert_eq!(first, walk(body), "the second walk differs");
    assert!(first.unwrap_or(0) <= body.len());
}

/// Reads a body in JSON; what it stands for is protobuf that can be read.
pub fn otlp_json(body: &[u8]) {
    let mut out = Vec::new();
    if json::to_protobuf(body, &mut out).is_ok() {
        let read = walk(&out);
        let is_limit = matches!(read, Err(WireError::TooMany { .. } | WireError::IdLength { .. }));
        assert!(read.is_ok() || is_limit, "{read:?}");
    }
}

/// How many data points there are.
fn walk(body: &[u8]) -> Result<usize, WireError> {
    let mut points = 0;
    let (mut histogram, mut exponential) = (HistogramPoint::default(), ExponentialPoint::default());
    let mut summary = SummaryPoint::default();
    let mut request = Request::new(body);
    while let Some(mut resource) = request.next_resource()? {
        texts(&resource.attributes)?;
        while let Some(mut scope) = resource.next_scope()? {
            texts(&scope.attributes)?;
            while let Some(metric) = scope.next_metric()? {
                let mut each = metric.points;
                while let Some(message) = each.next_point()? {
                    points += 1;
                    let head = match metric.data {
                        MetricData::None | MetricData::Gauge | MetricData::Sum { .. } => {
                            NumberPoint::decode(message)?.head
                        }
                        MetricData::Histogram(_) => histogram.decode(message)?,
                        MetricData::Exponential(_) => exponential.decode(message)?,
                        MetricData::Summary => summary.decode(message)?,
                    };
                    head_of(&head)?;
                }
            }
        }
    }
    Ok(points)
}

fn head_of(head: &PointHead<'_>) -> Result<(), WireError> {
    texts(&head.attributes)?;
    head.attributes.fields()?;
    for exemplar in head.exemplars.clone() {
        texts(&exemplar?.attributes)?;
    }
    Ok(())
}

fn texts(attributes: &Attributes<'_>) -> Result<(), WireError> {
    let mut result = Ok(());
    attributes.for_each(|_, value| {
        if let Err(e) = value.write_text(&mut String::new()) {
            result = Err(e);
        }
    })?;
    result
}
