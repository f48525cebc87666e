//! The query log: a line of JSON for each query, in Prometheus' words (`query_log_file`).

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::TimestampMs;
use serde_json::{Value, json};
use storage::{Clock, FileAppend, Fs};

use crate::error::{EngineError, ErrorCode};
use crate::query::QueryTimes;

/// Who asked over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOrigin {
    /// The client's address, without its port.
    pub client_ip: String,
    /// `GET` or `POST`.
    pub method: String,
    /// The path asked for.
    pub path: String,
}

/// A file that lines are appended to, or none.
#[derive(Default)]
pub(crate) struct QueryLog(Mutex<State>);

#[derive(Default)]
struct State {
    file: Option<Box<dyn FileAppend>>,
    failures: u64,
}

/// One query for the log.
pub(crate) struct Logged<'a> {
    pub(crate) query: &'a str,
    pub(crate) times: QueryTimes,
    pub(crate) error: Option<&'a str>,
    /// The object `stats`.
    pub(crate) stats: &'a str,
    pub(crate) origin: Option<&'a QueryOrigin>,
}

impl QueryLog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs to `path` from now on, opened anew; to nothing where there is none.
    pub(crate) fn reopen(&self, fs: &dyn Fs, path: Option<&Path>) -> Result<(), EngineError> {
        let open = |path: &Path| match fs.exists(path) {
            true => fs.open_append(path),
            false => fs.create(path),
        };
        let file = path.map(open).transpose().map_err(|e| {
            let path = path.unwrap_or(Path::new("")).display();
            EngineError::new(ErrorCode::Io, format!("can't create json log file: open {path}: {e}"))
        })?;
        self.state().file = file;
        Ok(())
    }

    pub(crate) fn is_on(&self) -> bool {
        self.state().file.is_some()
    }

    /// Lines that could not be written.
    pub(crate) fn failures(&self) -> u64 {
        self.state().failures
    }

    pub(crate) fn write(&self, q: &Logged<'_>, clock: &dyn Clock) {
        let line = line(q, clock.now_ms());
        let mut s = self.state();
        let Some(file) = s.file.as_mut() else { return };
        if file.append(line.as_bytes()).is_err() {
            s.failures += 1;
        }
    }
}

/// The members in Prometheus' order.
fn line(q: &Logged<'_>, now_ms: TimestampMs) -> String {
    let (start, end, step) = match q.times {
        QueryTimes::Instant(t) => (t, t, 0),
        QueryTimes::Range { start_ms, end_ms, step_ms } => (start_ms, end_ms, step_ms / 1000),
    };
    let params = json!({ "end": date(end), "query": q.query, "start": date(start), "step": step });
    let mut out = format!(
        r#"{{"time":"{}","level":"INFO","source":"query_log.rs","msg":"promql query logged","params":{params}"#,
        date(now_ms)
    );
    if let Some(e) = q.error {
        out += &format!(r#","error":{}"#, Value::from(e));
    }
    out += &format!(r#","stats":{}"#, q.stats);
    if let Some(o) = q.origin {
        let origin = json!({ "clientIP": o.client_ip, "method": o.method, "path": o.path });
        out += &format!(r#","httpRequest":{origin}"#);
    }
    out.push_str("}\n");
    out
}

/// RFC 3339 in UTC with milliseconds.
fn date(t_ms: TimestampMs) -> String {
    let (days, ms) = (t_ms.div_euclid(86_400_000), t_ms.rem_euclid(86_400_000));
    let (year, month, day) = model::calendar::civil(i128::from(days));
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
}

#[cfg(test)]
mod tests {
    use storage::{ManualClock, MemFs};

    use super::*;

    #[test]
    fn lines_are_prometheus() {
        let (fs, clock) = (MemFs::new(), ManualClock::new(1_700_000_000_123));
        let log = QueryLog::default();
        assert!(!log.is_on());
        let origin =
            QueryOrigin { client_ip: "::1".into(), method: "GET".into(), path: "/api/v1/query".into() };
        let times = QueryTimes::Range { start_ms: -1, end_ms: 1_700_000_000_000, step_ms: 1999 };
        let logged =
            Logged { query: "a\n\"b\"", times, error: Some("no"), stats: "{}", origin: Some(&origin) };
        log.write(&logged, &clock);
        for _ in 0..2 {
            log.reopen(&fs, Some(Path::new("q.log"))).unwrap();
            log.write(&logged, &clock);
        }
        let expected = concat!(
            r#"{"time":"2023-11-14T22:13:20.123Z","level":"INFO","source":"query_log.rs","msg":"promql query logged","#,
            r#""params":{"end":"2023-11-14T22:13:20.000Z","query":"a\n\"b\"","start":"1969-12-31T23:59:59.999Z","step":1},"#,
            r#""error":"no","stats":{},"httpRequest":{"clientIP":"::1","method":"GET","path":"/api/v1/query"}}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(fs.read(Path::new("q.log")).unwrap()).unwrap(), expected.repeat(2));
        // Only the system's files need a folder.
        assert!(log.reopen(&storage::OsFs, Some(Path::new("no-such-folder/q.log"))).is_err());
        assert!(log.is_on(), "the old one stays");
        log.reopen(&fs, None).unwrap();
        assert!(!log.is_on());
    }
}
