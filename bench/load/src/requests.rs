//! The workload as finished request bodies, in each of the formats in which samples are pushed. They are encoded before
//! anything is measured and sent again to every contestant.

use std::io::Write;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use model::MetricType;
use wire::snappy::Compressor;
use wire::write_v2::{Metadata, RequestWriter};
use wire::{write_v1, writer};

use crate::http::Error;
use crate::workload::{Names, series_labels, value};

/// What a body is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Remote write 1.0.
    Write1,
    /// Remote write 2.0, with metadata at each series as its senders have it.
    Write2,
    /// OTLP in protobuf: gauges, `job` and `instance` as attributes of the resource.
    Otlp,
    /// The same, gzip.
    OtlpGzip,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "remote-write" => Ok(Self::Write1),
            "remote-write-2" => Ok(Self::Write2),
            "otlp" => Ok(Self::Otlp),
            "otlp-gzip" => Ok(Self::OtlpGzip),
            _ => Err(format!("{word:?} is no format")),
        }
    }
}

impl Format {
    /// The headers of a request, each with its line end.
    pub(crate) fn headers(self) -> &'static str {
        match self {
            Self::Write1 => {
                "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
            }
            Self::Write2 => {
                "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n"
            }
            Self::Otlp => "Content-Type: application/x-protobuf\r\n",
            Self::OtlpGzip => "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n",
        }
    }
}

/// Which samples there are, and how they lie in requests: one sample each of up to `batch` series that follow each
/// other. A connection has series of its own, so that every series comes in order.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) format: Format,
    pub(crate) names: Names,
    pub(crate) series: usize,
    pub(crate) samples: usize,
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    pub(crate) start_ms: i64,
    pub(crate) interval_ms: i64,
}

/// A body and how many samples it holds.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) body: Arc<[u8]>,
    pub(crate) samples: usize,
    /// The round of samples it belongs to.
    pub(crate) step: usize,
}

impl Plan {
    /// The plan in the words of a command line.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, Error> {
        let &[format, names, series, samples, batch, connections, start_ms, interval_ms] = words else {
            return Err("FORMAT NAMES SERIES SAMPLES BATCH CONNECTIONS START_MS INTERVAL_MS".into());
        };
        let plan = Self {
            format: format.parse()?,
            names: names.parse()?,
            series: series.parse()?,
            samples: samples.parse()?,
            batch: batch.parse()?,
            connections: connections.parse()?,
            start_ms: start_ms.parse()?,
            interval_ms: interval_ms.parse()?,
        };
        match plan.batch == 0 || plan.connections == 0 {
            true => Err("at least one series a request, and one connection".into()),
            false => Ok(plan),
        }
    }

    /// When the samples of `step` are taken, milliseconds.
    pub(crate) fn time_ms(&self, step: usize) -> i64 {
        self.start_ms + self.interval_ms * step as i64
    }

    /// The sum of all series at `step`.
    pub(crate) fn sum(&self, step: usize) -> f64 {
        (0..self.series).map(|id| value(id, step)).sum()
    }

    /// The requests of every connection, in the order in which they are to be sent.
    pub(crate) fn encode(&self) -> Result<Vec<Vec<Request>>, Error> {
        let each = self.series.div_ceil(self.connections);
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..self.connections)
                .map(|c| {
                    let from = (c * each).min(self.series);
                    let to = (from + each).min(self.series);
                    scope.spawn(move || self.encode_series(from..to))
                })
                .collect();
            all.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("an encoder panicked".into()))).collect()
        })
    }

    fn encode_series(&self, all: Range<usize>) -> Result<Vec<Request>, Error> {
        let mut encoder = Encoder::default();
        let mut batches = Vec::new();
        let mut from = all.start;
        while from < all.end {
            let to = (from + self.batch).min(all.end);
            let series: Vec<Series> =
                (from..to).map(|id| Series { id, labels: series_labels(self.names, id) }).collect();
            let steps: Result<Vec<_>, Error> =
                (0..self.samples).map(|step| encoder.encode(self, &series, step)).collect();
            batches.push(steps?.into_iter());
            from = to;
        }
        let mut requests = Vec::with_capacity(batches.len() * self.samples);
        for _ in 0..self.samples {
            requests.extend(batches.iter_mut().filter_map(Iterator::next));
        }
        Ok(requests)
    }
}

struct Series {
    id: usize,
    labels: Vec<(&'static str, String)>,
}

impl Series {
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (*name, value.as_str()))
    }

    fn label(&self, name: &str) -> &str {
        self.pairs().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }
}

/// Buffers that are used again.
#[derive(Default)]
struct Encoder {
    plain: Vec<u8>,
    packed: Vec<u8>,
    compressor: Compressor,
    writer: RequestWriter,
}

impl Encoder {
    fn encode(&mut self, plan: &Plan, series: &[Series], step: usize) -> Result<Request, Error> {
        let t = plan.time_ms(step);
        let Self { plain, packed, compressor, writer } = self;
        plain.clear();
        packed.clear();
        match plan.format {
            Format::Write1 => {
                for s in series {
                    write_v1::put_series(plain, s.pairs(), |w| w.sample(t, value(s.id, step)));
                }
                compressor.compress(plain, packed)?;
            }
            Format::Write2 => {
                let metadata = Metadata {
                    kind: MetricType::Gauge,
                    help: "A metric of the bench.".into(),
                    unit: "".into(),
                };
                for s in series {
                    writer.put_series(s.pairs(), &metadata, |w| w.sample(t, value(s.id, step), 0));
                }
                writer.finish(plain);
                compressor.compress(plain, packed)?;
            }
            Format::Otlp => put_otlp(packed, series, step, t),
            Format::OtlpGzip => {
                put_otlp(plain, series, step, t);
                let mut gzip = GzEncoder::new(std::mem::take(packed), Compression::default());
                gzip.write_all(plain)?;
                *packed = gzip.finish()?;
            }
        }
        Ok(Request { body: packed.as_slice().into(), samples: series.len(), step })
    }
}

/// `ExportMetricsServiceRequest`: a resource for each instance, a metric for each name.
fn put_otlp(out: &mut Vec<u8>, series: &[Series], step: usize, t_ms: i64) {
    for resource in series.chunk_by(|a, b| a.label("instance") == b.label("instance")) {
        writer::put_message(out, 1, |out| {
            writer::put_message(out, 1, |out| {
                put_attribute(out, 1, "service.name", resource[0].label("job"));
                put_attribute(out, 1, "service.instance.id", resource[0].label("instance"));
            });
            writer::put_message(out, 2, |out| {
                for metric in resource.chunk_by(|a, b| a.label("__name__") == b.label("__name__")) {
                    writer::put_message(out, 2, |out| {
                        writer::put_string(out, 1, metric[0].label("__name__"));
                        writer::put_message(out, 5, |out| {
                            for s in metric {
                                writer::put_message(out, 1, |out| put_point(out, s, step, t_ms));
                            }
                        });
                    });
                }
            });
        });
    }
}

fn put_point(out: &mut Vec<u8>, series: &Series, step: usize, t_ms: i64) {
    put_eight(out, 3, (t_ms as u64 * 1_000_000).to_le_bytes());
    put_eight(out, 4, value(series.id, step).to_le_bytes());
    for (name, value) in series.pairs().filter(|(n, _)| !["__name__", "instance", "job"].contains(n)) {
        put_attribute(out, 7, name, value);
    }
}

/// A field of eight bytes, also where they are 0: a value that is left out is none.
fn put_eight(out: &mut Vec<u8>, field: u32, bytes: [u8; 8]) {
    writer::put_varint(out, u64::from(field << 3 | 1));
    out.extend_from_slice(&bytes);
}

fn put_attribute(out: &mut Vec<u8>, field: u32, name: &str, value: &str) {
    writer::put_message(out, field, |out| {
        writer::put_string(out, 1, name);
        writer::put_message(out, 2, |out| writer::put_bytes(out, 1, value.as_bytes()));
    });
}
