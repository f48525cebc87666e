//! The client of the query benches: sends a request over a connection that stays open, reads the whole answer, and
//! says how long that took. It does so little that it costs every server the same.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BUFFER_BYTES: usize = 256 << 10;
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// An answer that takes longer ends the bench.
const ANSWER_MAX: Duration = Duration::from_secs(150);

type Error = Box<dyn std::error::Error>;

/// Answers each line `HOST:PORT PATH [PID]` of standard input with a line
/// `{"status":…,"bytes":…,"ns":…,"peakBytes":…}`; the last is the largest anonymous memory of the process `PID`
/// during the request, 0 where none is named.
pub(crate) fn run() -> Result<(), Error> {
    let mut connections: HashMap<String, Connection> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let (address, path, pid) = match *words {
            [address, path] => (address, path, None),
            [address, path, pid] => (address, path, Some(pid.parse::<u32>()?)),
            _ => return Err(format!("not a request: {line:?}").into()),
        };
        if !connections.contains_key(address) {
            connections.insert(address.to_owned(), Connection::open(address)?);
        }
        let Some(connection) = connections.get_mut(address) else { continue };
        if connection.is_closed()? {
            *connection = Connection::open(address)?;
        }
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let (answer, peak) = match pid {
            None => (connection.ask(&request)?, 0),
            Some(pid) => watched(pid, || connection.ask(&request))?,
        };
        let (Answer { status, bytes }, ns) = answer;
        println!("{{\"status\":{status},\"bytes\":{bytes},\"ns\":{ns},\"peakBytes\":{peak}}}");
    }
    Ok(())
}

struct Answer {
    status: u16,
    /// Of the body.
    bytes: u64,
}

pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, stream),
            line: String::new(),
            body: vec![0; BUFFER_BYTES],
        })
    }

    /// Whether the server has closed the connection since the last answer: VictoriaMetrics does so every few minutes.
    fn is_closed(&mut self) -> Result<bool, Error> {
        let stream = self.reader.get_ref();
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        Ok(!matches!(peeked, Err(e) if e.kind() == ErrorKind::WouldBlock))
    }

    /// Sends `request` and reads the whole answer; its status.
    pub(crate) fn status_of(&mut self, request: &str) -> Result<u16, Error> {
        Ok(self.ask(request)?.0.status)
    }

    /// Sends `request`; the answer and the nanoseconds until its last byte was read.
    fn ask(&mut self, request: &str) -> Result<(Answer, u128), Error> {
        let started = Instant::now();
        self.reader.get_mut().write_all(request.as_bytes())?;
        self.read_line()?;
        let status = self.line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no HTTP answer")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            self.read_line()?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked";
        }
        let bytes = if chunked { self.read_chunks()? } else { self.read_body(length)? };
        Ok((Answer { status, bytes }, started.elapsed().as_nanos()))
    }

    fn read_line(&mut self) -> Result<(), Error> {
        self.line.clear();
        match self.reader.read_line(&mut self.line)? {
            0 => Err("the server hung up".into()),
            _ => Ok(()),
        }
    }

    fn read_body(&mut self, length: u64) -> Result<u64, Error> {
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.body.len());
            let n = self.reader.read(&mut self.body[..most])?;
            if n == 0 {
                return Err("the answer ended early".into());
            }
            left -= n as u64;
        }
        Ok(length)
    }

    fn read_chunks(&mut self) -> Result<u64, Error> {
        let mut bytes = 0;
        loop {
            self.read_line()?;
            let length = u64::from_str_radix(self.line.trim_end(), 16)?;
            bytes += self.read_body(length)?;
            self.read_line()?;
            if length == 0 {
                return Ok(bytes);
            }
        }
    }
}

/// Runs `work` and looks at the anonymous memory of `pid` meanwhile.
fn watched<T>(pid: u32, work: impl FnOnce() -> Result<T, Error>) -> Result<(T, u64), Error> {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(anonymous_bytes(pid)?));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // A process that is gone ends the request, which says so.
                peak.fetch_max(anonymous_bytes(pid).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        let result = work();
        done.store(true, Ordering::Release);
        result
    });
    Ok((result?, peak.load(Ordering::Relaxed)))
}

fn anonymous_bytes(pid: u32) -> Result<u64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
