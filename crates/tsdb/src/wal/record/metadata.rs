//! What the metrics of series are.

use model::{Metadata, MetricType};

use super::super::bytes::{Bytes, Reason, put_slice, put_uvarint};
use super::kind;

const UNIT: &[u8] = b"UNIT";
const HELP: &[u8] = b"HELP";

/// What is known of the metric of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefMetadata {
    pub(crate) series: u64,
    pub(crate) metadata: Metadata,
}

/// In the order of their numbers.
const TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

fn type_number(kind: MetricType) -> u8 {
    TYPES.iter().position(|t| *t == kind).unwrap_or_default() as u8
}

/// Fields other than unit and help are read past; a type to come is unknown.
pub(super) fn decode(mut b: Bytes<'_>) -> Result<Vec<RefMetadata>, Reason> {
    let mut out = Vec::new();
    while !b.is_empty() {
        let series = b.uvarint()?;
        let kind = TYPES.get(usize::from(b.u8()?)).copied().unwrap_or_default();
        let mut metadata = Metadata { kind, ..Metadata::default() };
        for _ in 0..b.count(2)? {
            let (name, text) = (b.slice()?, b.slice()?);
            let field = match name {
                UNIT => &mut metadata.unit,
                HELP => &mut metadata.help,
                _ => continue,
            };
            *field = String::from_utf8_lossy(text).into_owned();
        }
        out.push(RefMetadata { series, metadata });
    }
    Ok(out)
}

/// Writes a record of metadata to the empty `buf`.
pub(crate) fn put_metadata<'a>(buf: &mut Vec<u8>, entries: impl IntoIterator<Item = &'a RefMetadata>) {
    buf.push(kind::METADATA);
    for RefMetadata { series, metadata } in entries {
        put_uvarint(buf, *series);
        buf.push(type_number(metadata.kind));
        put_uvarint(buf, 2);
        for (name, text) in [(UNIT, &metadata.unit), (HELP, &metadata.help)] {
            put_slice(buf, name);
            put_slice(buf, text.as_bytes());
        }
    }
}
