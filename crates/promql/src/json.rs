//! Results as the `data` member of the HTTP API's answers:
//! `{"resultType":"matrix","result":[…]}`, straight into bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use model::float::{append_timestamp_seconds, format_value};
use model::{FloatHistogram, Labels};
use storage::{Inline, Spawn};

use crate::error::QueryError;
use crate::value::{SampleValue, Series, Value, VectorSample};

/// Text in pieces: what several threads wrote is not copied together.
#[derive(Debug, Default)]
pub struct Pieces {
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Pieces {
    /// Where the text goes on.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.open
    }

    /// All pieces, in order; none is empty.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Vec<u8>> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }

    fn append(&mut self, pieces: impl Iterator<Item = Vec<u8>>) {
        self.close();
        self.done.extend(pieces.filter(|piece| !piece.is_empty()));
    }
}

/// Appends `value` to `out`.
pub fn write_data(value: &Value, out: &mut Vec<u8>) {
    let mut pieces = Pieces::default();
    write_unless(&Inline, value, &|| false, &mut pieces);
    for piece in pieces.into_vec() {
        out.extend_from_slice(&piece);
    }
}

/// As [`write_data`], the parts of a large matrix written by several threads, unless `go_on` says otherwise: it is
/// asked every few ten thousand points.
///
/// # Errors
/// Those of `go_on`; `out` then holds a part.
pub fn write_data_while(
    spawn: &dyn Spawn,
    value: &Value,
    go_on: &(dyn Fn() -> Result<(), QueryError> + Sync),
    out: &mut Pieces,
) -> Result<(), QueryError> {
    let stopped = AtomicBool::new(false);
    let stop = || {
        if !stopped.load(Ordering::Relaxed) && go_on().is_err() {
            stopped.store(true, Ordering::Relaxed);
        }
        stopped.load(Ordering::Relaxed)
    };
    write_unless(spawn, value, &stop, out);
    if stopped.load(Ordering::Relaxed) { go_on() } else { Ok(()) }
}

/// Whether to write no further; what has been written is of no use then.
type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

fn write_unless(spawn: &dyn Spawn, value: &Value, stop: Stop<'_>, pieces: &mut Pieces) {
    let out = pieces.text();
    match value {
        Value::Scalar(t_ms, v) => {
            out.extend_from_slice(br#"{"resultType":"scalar","result":"#);
            write_point(*t_ms, *v, out);
        }
        Value::String(t_ms, s) => {
            out.extend_from_slice(br#"{"resultType":"string","result":["#);
            append_timestamp_seconds(*t_ms, out);
            out.push(b',');
            write_string(s, out);
            out.push(b']');
        }
        Value::Vector(samples) => {
            out.extend_from_slice(br#"{"resultType":"vector","result":["#);
            for (i, part) in samples.chunks(PART_SERIES).enumerate() {
                if stop() {
                    return;
                }
                if i > 0 {
                    out.push(b',');
                }
                list(part, out, write_sample);
            }
            out.push(b']');
        }
        Value::Matrix(series) => {
            out.extend_from_slice(br#"{"resultType":"matrix","result":["#);
            write_matrix(spawn, series, stop, pieces);
            pieces.text().push(b']');
        }
    }
    pieces.text().push(b'}');
}

/// Points that one thread writes at a time, about 30 bytes each.
const PART_POINTS: usize = 8192;

/// Samples of a vector, or short series, that are written at a time.
const PART_SERIES: usize = 4096;

fn write_matrix(spawn: &dyn Spawn, series: &[Series], stop: Stop<'_>, pieces: &mut Pieces) {
    let steps = Steps::of(series);
    let mut parts: Vec<&[Series]> = Vec::new();
    let (mut from, mut points) = (0, 0);
    for (i, s) in series.iter().enumerate() {
        points += s.t.len() + 1;
        if points >= PART_POINTS || i + 1 == series.len() {
            parts.push(&series[from..=i]);
            (from, points) = (i + 1, 0);
        }
    }
    if let [part] = parts[..] {
        list(part, pieces.text(), |s, out| steps.write_series(s, out));
        return;
    }
    let written: Vec<Mutex<Vec<u8>>> = parts.iter().map(|_| Mutex::default()).collect();
    spawn.for_each(parts.len(), &|p| {
        if stop() {
            return;
        }
        let mut text = Vec::with_capacity(PART_POINTS * 32);
        if p > 0 {
            text.push(b',');
        }
        list(parts[p], &mut text, |s, out| steps.write_series(s, out));
        *written[p].lock().unwrap_or_else(PoisonError::into_inner) = text;
    });
    pieces.append(written.into_iter().map(|text| text.into_inner().unwrap_or_else(PoisonError::into_inner)));
}

/// The times of a matrix as they stand in it, written once: its series share their steps.
#[derive(Default)]
struct Steps {
    t: Vec<i64>,
    /// `"],[1.5,"` of each time, one behind the other: a point ends where the next begins.
    text: Vec<u8>,
    /// Where the text of each time begins; one more at the end.
    starts: Vec<usize>,
}

impl Steps {
    /// The times of the series that has most of them.
    fn of(series: &[Series]) -> Self {
        let mut steps = Self { starts: vec![0], ..Self::default() };
        // One series alone would write each time once anyway.
        if series.len() < 2 {
            return steps;
        }
        let longest = series.iter().max_by_key(|s| s.t.len());
        steps.t = longest.map(|s| s.t.clone()).unwrap_or_default();
        for t in &steps.t {
            write_point_start(*t, &mut steps.text);
            steps.starts.push(steps.text.len());
        }
        steps
    }

    /// Appends the points of a series.
    fn write_points(&self, s: &Series, out: &mut Vec<u8>) {
        let mut at = s.t.first().map_or(0, |t| self.t.partition_point(|step| step < t));
        let mut own = Vec::new();
        for (i, (t, v)) in s.t.iter().zip(&s.v).enumerate() {
            // Usually the very next one.
            while self.t.get(at).is_some_and(|step| step < t) {
                at += 1;
            }
            let text: &[u8] = if self.t.get(at) == Some(t) {
                at += 1;
                &self.text[self.starts[at - 1]..self.starts[at]]
            } else {
                own.clear();
                write_point_start(*t, &mut own);
                &own
            };
            // Before the first point there is none to end.
            out.extend_from_slice(if i == 0 { &text[POINT_END.len()..] } else { text });
            format_value(*v, out);
        }
        out.extend_from_slice(b"\"]");
    }

    fn write_series(&self, s: &Series, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"metric":"#);
        write_labels(&s.labels, out);
        if !s.t.is_empty() {
            out.extend_from_slice(br#","values":["#);
            out.reserve(s.t.len() * 24);
            self.write_points(s, out);
            out.push(b']');
        }
        if !s.h.is_empty() {
            out.extend_from_slice(br#","histograms":["#);
            list(&s.h, out, |(t, h), out| write_histogram_point(*t, h, out));
            out.push(b']');
        }
        out.push(b'}');
    }
}

/// What ends a point and parts it from the next.
const POINT_END: &[u8] = b"\"],";

fn write_point_start(t_ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(POINT_END);
    out.push(b'[');
    append_timestamp_seconds(t_ms, out);
    out.extend_from_slice(b",\"");
}

fn list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
}

/// Appends one series of a matrix, for results that are sent in pieces.
pub fn write_series(s: &Series, out: &mut Vec<u8>) {
    Steps::default().write_series(s, out);
}

/// Appends one sample of an instant vector, for results that are sent in pieces.
pub fn write_sample(s: &VectorSample, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"metric":"#);
    write_labels(&s.labels, out);
    match &s.value {
        SampleValue::Float(v) => {
            out.extend_from_slice(br#","value":"#);
            write_point(s.t_ms, *v, out);
        }
        SampleValue::Histogram(h) => {
            out.extend_from_slice(br#","histogram":"#);
            write_histogram_point(s.t_ms, h, out);
        }
    }
    out.push(b'}');
}

fn write_point(t_ms: i64, v: f64, out: &mut Vec<u8>) {
    out.push(b'[');
    append_timestamp_seconds(t_ms, out);
    out.extend_from_slice(b",\"");
    format_value(v, out);
    out.extend_from_slice(b"\"]");
}

fn write_quoted_value(v: f64, out: &mut Vec<u8>) {
    out.push(b'"');
    format_value(v, out);
    out.push(b'"');
}

/// Time and histogram; empty buckets are left out.
fn write_histogram_point(t_ms: i64, h: &FloatHistogram, out: &mut Vec<u8>) {
    out.push(b'[');
    append_timestamp_seconds(t_ms, out);
    out.extend_from_slice(br#",{"count":"#);
    write_quoted_value(h.count, out);
    out.extend_from_slice(br#","sum":"#);
    write_quoted_value(h.sum, out);
    let mut any = false;
    for b in h.all_buckets().filter(|b| b.count != 0.0) {
        out.extend_from_slice(if any { b"," } else { b",\"buckets\":[" });
        any = true;
        let bounds = match (b.lower_inclusive, b.upper_inclusive) {
            (false, true) => b"[0,",
            (true, false) => b"[1,",
            (false, false) => b"[2,",
            (true, true) => b"[3,",
        };
        out.extend_from_slice(bounds);
        write_quoted_value(b.lower, out);
        out.push(b',');
        write_quoted_value(b.upper, out);
        out.push(b',');
        write_quoted_value(b.count, out);
        out.push(b']');
    }
    if any {
        out.push(b']');
    }
    out.extend_from_slice(b"}]");
}

/// Appends a label set as an object.
pub fn write_labels(l: &Labels, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (n, v)) in l.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(n, out);
        out.push(b':');
        write_string(v, out);
    }
    out.push(b'}');
}

/// Appends a JSON string.
pub fn write_string(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = s.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            c => out.extend_from_slice(format!("\\u{c:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(v: &Value) -> String {
        let mut out = Vec::new();
        write_data(v, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_what_the_http_api_shows() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "x\"\\\n\u{1}é")]);
        assert_eq!(
            json(&Value::Scalar(1500, f64::INFINITY)),
            r#"{"resultType":"scalar","result":[1.500,"+Inf"]}"#
        );
        assert_eq!(json(&Value::String(0, "é".into())), r#"{"resultType":"string","result":[0,"é"]}"#);
        let sample = VectorSample { labels: labels.clone(), t_ms: 1, value: SampleValue::Float(f64::NAN) };
        assert_eq!(
            json(&Value::Vector(vec![sample])),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","a":"x\"\\\n\u0001é"},"value":[0.001,"NaN"]}]}"#
        );
        let h = FloatHistogram {
            count: 3.0,
            sum: -0.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![model::histogram::Span { offset: 1, length: 2 }],
            positive_buckets: vec![0.0, 2.0],
            ..FloatHistogram::default()
        };
        let sample =
            VectorSample { labels: Labels::empty(), t_ms: 1000, value: SampleValue::Histogram(h.into()) };
        assert_eq!(
            json(&Value::Vector(vec![sample])),
            r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"3","sum":"-0.5","buckets":[[3,"-0.001","0.001","1"],[0,"2","4","2"]]}]}]}"#
        );
        let series =
            Series { labels: Labels::empty(), t: vec![1000, 2000], v: vec![1.0, 0.5], h: Vec::new() };
        assert_eq!(
            json(&Value::Matrix(vec![series.clone(), series.clone()])),
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"0.5"]]},{"metric":{},"values":[[1,"1"],[2,"0.5"]]}]}"#
        );
    }

    #[test]
    fn steps_that_series_do_not_share_are_written_too() {
        let series = |t: &[i64]| Series { t: t.to_vec(), v: vec![1.0; t.len()], ..Series::default() };
        let all =
            [vec![5, 7], vec![1, 2, 3], vec![], vec![2, 3, 4], vec![3], vec![0, 3, 9]].map(|t| series(&t));
        let mut alone = Vec::new();
        list(&all, &mut alone, write_series);
        let alone = String::from_utf8(alone).unwrap();
        assert!(alone.contains(r#""values":[[0.005,"1"],[0.007,"1"]]"#), "{alone}");
        assert_eq!(
            json(&Value::Matrix(all.to_vec())),
            format!(r#"{{"resultType":"matrix","result":[{alone}]}}"#)
        );
    }

    #[test]
    fn several_threads_write_what_one_does() {
        let pool = storage::OsSpawn::new("test", 2).unwrap();
        let t: Vec<i64> = (0..1000).map(|i| i * 15_000).collect();
        let series = |i: usize| Series {
            labels: Labels::from_pairs([("i", i.to_string())]),
            t: t[i % 7..].to_vec(),
            v: t[i % 7..].iter().map(|t| *t as f64 / (i + 1) as f64).collect(),
            h: Vec::new(),
        };
        let value = Value::Matrix((0..50).map(series).collect());
        let mut out = Pieces::default();
        write_data_while(&pool, &value, &|| Ok(()), &mut out).unwrap();
        assert_eq!(String::from_utf8(out.into_vec().concat()).unwrap(), json(&value));
    }
}
