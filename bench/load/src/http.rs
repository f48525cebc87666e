//! Sends bodies over one connection and reads the answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Where bodies go, and as what.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    /// `host:port`.
    pub(crate) address: &'a str,
    pub(crate) path: &'a str,
    /// Header lines that say what a body is, each with its line end.
    pub(crate) headers: &'a str,
}

/// A connection that stays open.
pub(crate) struct Sender {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    head: String,
    /// A request as it goes out: in one write, so that it costs the receiver as few reads as may be.
    request: Vec<u8>,
    line: String,
}

impl Sender {
    pub(crate) fn open(to: Destination<'_>) -> Result<Self, Error> {
        let stream = TcpStream::connect(to.address)?;
        stream.set_nodelay(true)?;
        let answers = BufReader::new(stream.try_clone()?);
        let head =
            format!("POST {} HTTP/1.1\r\nHost: {}\r\n{}Content-Length: ", to.path, to.address, to.headers);
        Ok(Self { stream, answers, head, request: Vec::new(), line: String::new() })
    }

    /// Sends one body; `false` where the server asks for another try.
    pub(crate) fn post(&mut self, body: &[u8]) -> Result<bool, Error> {
        self.request.clear();
        write!(self.request, "{}{}\r\n\r\n", self.head, body.len())?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request)?;
        self.read_line()?;
        let status: u16 = self.line.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no HTTP answer")?;
        let mut length = 0;
        loop {
            self.read_line()?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut text = vec![0; length];
        self.answers.read_exact(&mut text)?;
        match status {
            200 | 204 => Ok(true),
            429 | 503 => Ok(false),
            _ => Err(format!("status {status}: {}", String::from_utf8_lossy(&text)).into()),
        }
    }

    fn read_line(&mut self) -> Result<(), Error> {
        self.line.clear();
        match self.answers.read_line(&mut self.line)? {
            0 => Err("the server hung up".into()),
            _ => Ok(()),
        }
    }
}
