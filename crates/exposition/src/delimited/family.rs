//! A metric family without its metrics.

use model::MetricType;
use protobuf::{Error, Reader};

/// The tag of a family's metrics.
pub(super) const METRIC: u32 = 0x22;
const KNOWN: u64 = 0b11_1110;

/// What a family says of all its metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Family<'a> {
    pub(super) name: &'a [u8],
    pub(super) help: &'a [u8],
    pub(super) unit: &'a [u8],
    /// The number of the type.
    pub(super) kind: i32,
}

impl<'a> Family<'a> {
    pub(super) fn decode(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut out = Self::default();
        while let Some(tag) = r.tag()? {
            match tag.raw() {
                METRIC => drop(r.bytes()?),
                0x0a => out.name = r.bytes()?,
                0x12 => out.help = r.bytes()?,
                0x18 => out.kind = r.uint32()? as i32,
                0x2a => out.unit = r.bytes()?,
                _ => r.skip(tag, KNOWN)?,
            }
        }
        Ok(out)
    }

    /// The next metric of the family that `r` stands in; `None` behind the last.
    pub(super) fn next_metric(r: &mut Reader<'a>) -> Result<Option<Reader<'a>>, Error> {
        while let Some(tag) = r.tag()? {
            if tag.raw() == METRIC {
                return Ok(Some(r.message()?));
            }
            r.skip(tag, 0)?;
        }
        Ok(None)
    }

    /// What the metrics are; `None` for a number that stands for nothing.
    pub(super) fn metric_type(&self) -> Option<MetricType> {
        Some(match self.kind {
            0 => MetricType::Counter,
            1 => MetricType::Gauge,
            2 => MetricType::Summary,
            3 => MetricType::Unknown,
            4 => MetricType::Histogram,
            5 => MetricType::GaugeHistogram,
            _ => return None,
        })
    }

    /// Checks what is said of all metrics.
    pub(super) fn check(&self) -> Result<MetricType, String> {
        let name = String::from_utf8_lossy(self.name);
        if self.name.is_empty() || std::str::from_utf8(self.name).is_err() {
            return Err(format!("invalid metric name: {name}"));
        }
        let quoted = || model::float::go_quoted(self.name);
        if std::str::from_utf8(self.help).is_err() {
            let help = String::from_utf8_lossy(self.help);
            return Err(format!("invalid help for metric {}: {help}", quoted()));
        }
        self.metric_type()
            .ok_or_else(|| format!("unknown metric type for metric {}: {}", quoted(), self.kind))
    }
}
