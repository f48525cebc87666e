//! Targets for scrapes: one thread a connection, bodies encoded beforehand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::workload::body;

struct Target {
    /// Whole responses: plain, gzip.
    variants: Vec<[Vec<u8>; 2]>,
    next: AtomicUsize,
}

/// Of how many scrapes a series is part where they come and go.
pub(crate) const LIFE: usize = 10;

/// With `churn` every scrape of a target has a tenth of its series replaced, until the bodies begin anew.
pub(crate) fn serve(
    targets: usize,
    series: usize,
    variants: usize,
    churn: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for t in 0..targets {
        let mut bodies = Vec::new();
        for v in 0..variants {
            let text = body(t, series, v, churn.then_some(LIFE)).into_bytes();
            let mut gz = GzEncoder::new(Vec::new(), Compression::default());
            gz.write_all(&text)?;
            bodies.push([response(&text, ""), response(&gz.finish()?, "Content-Encoding: gzip\r\n")]);
        }
        all.push(Target { variants: bodies, next: AtomicUsize::new(0) });
    }
    let all = Arc::new(all);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{{\"port\":{}}}", listener.local_addr()?.port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let all = all.clone();
            std::thread::spawn(move || {
                // A peer that hangs up ends its connection, nothing else.
                let _ = connection(&stream, &all);
            });
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn response(body: &[u8], extra: &str) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n{extra}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

fn connection(mut stream: &TcpStream, targets: &[Target]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or("").to_owned();
        let mut gzip = false;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim_end().is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            gzip |= lower.starts_with("accept-encoding:") && lower.contains("gzip");
        }
        if path == "/reset" {
            targets.iter().for_each(|t| t.next.store(0, Ordering::Relaxed));
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            continue;
        }
        let number = path.rsplit('/').next().and_then(|n| n.parse::<usize>().ok());
        match number.and_then(|n| targets.get(n)) {
            Some(t) => {
                let v = t.next.fetch_add(1, Ordering::Relaxed) % t.variants.len();
                stream.write_all(&t.variants[v][usize::from(gzip)])?;
            }
            None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
}
