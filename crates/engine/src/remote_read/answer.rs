//! What other servers answered: from bytes to series, bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use chunk::Encoding;
use model::histogram::{EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MAX_RESERVED, is_known_schema};
use model::{Columns, FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, TimestampMs};
use promql::QueryError;
use storage::VecStore;
use storage::chain::chain;
use storage::vec_store::append_range;
use wire::read::ReadResponse;
use wire::read_stream::{ChunkedReadResponse, next_frame};
use wire::{EncodedLabels, HistogramSample, SampleColumns, TimeSeries, WireError, snappy};

use crate::error::{EngineError, ErrorCode};
use crate::stop::Stop;

const SAMPLES_TYPE: &str = "application/x-protobuf";
const CHUNKS_TYPE: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// Bytes of a time and a value, and of a series besides its samples and labels.
const SAMPLE_BYTES: u64 = 16;
const SERIES_BYTES: u64 = 200;

/// A piece of a body.
pub type Piece = Box<dyn AsRef<[u8]> + Send>;

/// An answer of status 2xx, as it came.
pub struct RemoteResponse {
    /// Content-Type, empty where absent.
    pub content_type: String,
    /// The body in pieces, in order.
    pub pieces: Vec<Piece>,
}

/// Why there are no series.
pub(super) enum Fault {
    /// The server counts as one that did not answer: its user is warned.
    Failed(String),
    /// The answer had begun well; what there is of it would be taken for all there is.
    Broken(EngineError),
}

impl Fault {
    fn broken(text: impl Into<String>) -> Self {
        Self::Broken(EngineError::new(
            ErrorCode::QueryExecution,
            format!("expanding series: {}", text.into()),
        ))
    }
}

impl From<EngineError> for Fault {
    fn from(e: EngineError) -> Self {
        Self::Broken(e)
    }
}

/// What is known of a request whose answer is read.
pub(super) struct Asked<'a> {
    pub(super) span: (TimestampMs, TimestampMs),
    /// Labels to be taken from the series.
    pub(super) added: &'a [String],
    pub(super) frame_bytes_max: u64,
}

/// Bytes that the answers to one question may take together.
pub(super) struct Room {
    pub(super) bytes_max: u64,
    pub(super) taken: u64,
}

impl Room {
    fn take(&mut self, bytes: u64) -> Result<(), Fault> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.bytes_max {
            return Err(Fault::Broken(QueryError::TooMuchMemory(self.bytes_max).into()));
        }
        Ok(())
    }
}

/// The series of an answer.
pub(super) fn decode(
    response: RemoteResponse,
    asked: &Asked<'_>,
    room: &mut Room,
    stop: &Stop,
) -> Result<VecStore, Fault> {
    let mut gathered = Gathered::default();
    let kind = response.content_type.as_str();
    if kind.starts_with(SAMPLES_TYPE) {
        samples(response.pieces, asked, &mut gathered, room, stop)?;
    } else if kind.starts_with(CHUNKS_TYPE) {
        chunks(response.pieces, asked, &mut gathered, room, stop)?;
    } else {
        return Err(Fault::Failed(format!("remote_read: unsupported content type: {kind}")));
    }
    Ok(gathered.into_store())
}

fn samples(
    mut pieces: Vec<Piece>,
    asked: &Asked<'_>,
    out: &mut Gathered,
    room: &mut Room,
    stop: &Stop,
) -> Result<(), Fault> {
    let mut buffer = Vec::new();
    let mut joined = Vec::new();
    let bytes_max = usize::try_from(room.bytes_max - room.taken).unwrap_or(usize::MAX);
    let packed = match pieces.as_slice() {
        [whole] => whole.as_ref().as_ref(),
        _ => {
            for piece in pieces.drain(..) {
                joined.extend_from_slice(piece.as_ref().as_ref());
            }
            &joined
        }
    };
    let body = match snappy::decompress(packed, bytes_max, &mut buffer) {
        Ok(body) => body,
        Err(WireError::Snappy) => {
            return Err(Fault::Failed("remote_read: error reading response: snappy: corrupt input".into()));
        }
        Err(_) => return Err(Fault::Broken(QueryError::TooMuchMemory(room.bytes_max).into())),
    };
    drop(pieces);
    // Of all that follows nothing is seen before the whole message has been read.
    let damaged =
        |e: WireError| Fault::Failed(format!("remote_read: unable to unmarshal response body: {e}"));
    let mut response = ReadResponse::new(body);
    let mut columns = SampleColumns::default();
    let mut results = 0;
    while let Some(mut result) = response.next_result().map_err(damaged)? {
        results += 1;
        loop {
            stop.check()?;
            columns.clear();
            let Some(series) = result.next_series(&mut columns).map_err(damaged)? else { break };
            if results == 1 {
                let labels = labels_of(series.labels(), asked.added)?;
                out.add(labels, series_columns(&columns, &series)?, room)?;
            }
        }
    }
    if results == 1 {
        return Ok(());
    }
    Err(Fault::Failed(format!("remote_read: responses: want 1, got {results}")))
}

/// Floats and histograms of a series in order of time; of two at one time the float counts.
fn series_columns(floats: &SampleColumns, series: &TimeSeries<'_>) -> Result<Columns, Fault> {
    let mut all: Vec<(TimestampMs, f64, Option<Arc<FloatHistogram>>)> =
        floats.t.iter().zip(&floats.v).map(|(t, v)| (*t, *v, None)).collect();
    let mut histograms = series.histograms();
    let mut sample = HistogramSample::default();
    let damaged =
        |e: WireError| Fault::Failed(format!("remote_read: unable to unmarshal response body: {e}"));
    while histograms.next_into(&mut sample).map_err(damaged)? {
        all.push((sample.t, 0.0, Some(Arc::new(sound(&mut sample)?))));
    }
    if !all.is_sorted_by(|a, b| a.0 < b.0) {
        all.sort_by_key(|(t, _, _)| *t);
        all.dedup_by_key(|(t, _, _)| *t);
    }
    let mut columns = Columns::default();
    for (t, v, h) in all {
        match h {
            Some(h) => columns.push_histogram(t, 0, h),
            None => columns.push(t, v),
        }
    }
    Ok(columns)
}

/// The histogram of a sample, checked, its resolution one that is known.
fn sound(sample: &mut HistogramSample) -> Result<FloatHistogram, Fault> {
    let schema = if sample.is_float { sample.float.schema } else { sample.int.schema };
    if !is_known_schema(schema) {
        return Err(Fault::broken(format!(
            "histogram has an unknown schema, allowed values are -9 <= n <= 52 for exponential buckets or -53 for custom buckets, got schema {schema}"
        )));
    }
    let reduces = (EXPONENTIAL_SCHEMA_MAX + 1..=EXPONENTIAL_SCHEMA_MAX_RESERVED).contains(&schema);
    let checked = if sample.is_float {
        let h = &mut sample.float;
        if reduces { h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX) } else { Ok(()) }.and_then(|()| h.validate())
    } else {
        let h = &mut sample.int;
        if reduces { h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX) } else { Ok(()) }.and_then(|()| h.validate())
    };
    checked.map_err(|e| Fault::broken(e.to_string()))?;
    Ok(if sample.is_float { sample.float.clone() } else { sample.int.to_float() })
}

fn chunks(
    pieces: Vec<Piece>,
    asked: &Asked<'_>,
    out: &mut Gathered,
    room: &mut Room,
    stop: &Stop,
) -> Result<(), Fault> {
    let (mut buffer, mut frames) = (Vec::new(), 0u64);
    let mut pieces = pieces.into_iter();
    loop {
        let mut at = 0;
        loop {
            stop.check()?;
            let frame = next_frame(&buffer[at..], asked.frame_bytes_max);
            let Some(frame) = frame.map_err(|e| ended(frames, &e.to_string()))? else { break };
            let message =
                ChunkedReadResponse::decode(frame.message).map_err(|e| ended(frames, &e.to_string()))?;
            frames += 1;
            for series in &message.series {
                let labels = labels_of(series.labels(), asked.added)?;
                for c in &series.chunks {
                    out.add(labels.clone(), chunk_columns(c, asked.span)?, room)?;
                }
            }
            at += frame.length;
        }
        buffer.drain(..at);
        match pieces.next() {
            Some(piece) => buffer.extend_from_slice(piece.as_ref().as_ref()),
            None if buffer.is_empty() => return Ok(()),
            None => return Err(ended(frames, "unexpected EOF")),
        }
    }
}

/// A stream that does not end well: as if there had been none, unless something had come of it.
fn ended(frames: u64, text: &str) -> Fault {
    if frames == 0 { Fault::Failed(text.to_owned()) } else { Fault::broken(text) }
}

fn chunk_columns(
    c: &wire::read_stream::Chunk<'_>,
    (start_ms, end_ms): (TimestampMs, TimestampMs),
) -> Result<Columns, Fault> {
    let encoding = u8::try_from(c.encoding).ok().and_then(|byte| Encoding::try_from(byte).ok());
    let Some(encoding) = encoding else {
        return Err(Fault::broken(format!("invalid chunk encoding \"{}\"", c.encoding)));
    };
    let mut columns = Columns::default();
    chunk::decode(encoding, c.data, start_ms, end_ms, &mut columns)
        .map_err(|e| Fault::broken(e.to_string()))?;
    if !columns.t.is_sorted_by(|a, b| a < b) {
        return Err(Fault::broken("a chunk whose samples are not in order of time"));
    }
    Ok(columns)
}

/// Labels in order and checked, without those that are to be taken from them.
fn labels_of(encoded: EncodedLabels<'_>, added: &[String]) -> Result<Labels, Fault> {
    let mut pairs = Vec::new();
    let bad = |what: &str, bytes: &[u8]| {
        Fault::Failed(format!("invalid {what}: {}", String::from_utf8_lossy(bytes)))
    };
    let mut fault = None;
    let walked =
        encoded.for_each(|name, value| match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok("") | Err(_), _) => fault = fault.take().or(Some(bad("label name", name))),
            (Ok(METRIC_NAME), Ok("") | Err(_)) => fault = fault.take().or(Some(bad("metric name", value))),
            (Ok(_), Err(_)) => fault = fault.take().or(Some(bad("label value", value))),
            (Ok(name), Ok(value)) => pairs.push((name, value)),
        });
    walked.map_err(|e| Fault::Failed(format!("remote_read: unable to unmarshal response body: {e}")))?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    pairs.sort_unstable();
    if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(Fault::Failed(format!("duplicate label with name: {}", twice[0].0)));
    }
    let mut labels = LabelsBuilder::new();
    for (name, value) in pairs {
        if added.iter().all(|a| a != name) {
            labels.set(name, value);
        }
    }
    Ok(labels.build())
}

/// The samples of each series in runs, each in order of time.
#[derive(Default)]
struct Gathered(BTreeMap<Labels, Vec<Columns>>);

impl Gathered {
    fn add(&mut self, labels: Labels, columns: Columns, room: &mut Room) -> Result<(), Fault> {
        let histograms: usize = columns.h.iter().map(|(_, h)| h.size()).sum();
        room.take(columns.len() as u64 * SAMPLE_BYTES + histograms as u64)?;
        if !self.0.contains_key(&labels) {
            room.take(SERIES_BYTES + labels.as_bytes().len() as u64)?;
        }
        let runs = self.0.entry(labels).or_default();
        let Some(first) = columns.t.first() else { return Ok(()) };
        match runs.last_mut().filter(|run| run.t.last() < Some(first)) {
            Some(run) => append_range(&columns, TimestampMs::MIN, TimestampMs::MAX, run),
            None => {
                room.take(SERIES_BYTES)?;
                runs.push(columns);
            }
        }
        Ok(())
    }

    fn into_store(self) -> VecStore {
        let mut store = VecStore::new();
        for (labels, mut runs) in self.0 {
            let columns = if runs.len() > 1 { chain(&runs).columns } else { runs.pop().unwrap_or_default() };
            store.insert(labels, columns);
        }
        store
    }
}
