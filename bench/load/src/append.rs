//! `narthex tsdb bench write` without Node around it, so that the figure is the core's.

use std::sync::{Arc, mpsc};

use engine::tools::{BenchWrite, Piece, Tool, ToolHost, start};
use storage::{OsFs, OsSpawn, SystemClock};

pub(crate) fn run(
    file: &str,
    series: usize,
    scrapes: usize,
    dir: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let host = ToolHost {
        fs: Arc::new(OsFs),
        clock: Arc::new(SystemClock::default()),
        spawn: Arc::new(OsSpawn::new("append", threads)?),
    };
    let options = BenchWrite { file: Some(file.into()), metrics: series, scrapes };
    let run = start(dir.into(), Tool::BenchWrite(options), host);
    loop {
        let (send, receive) = mpsc::channel();
        // Where nobody receives any more, there is nobody to tell.
        run.next(move |piece| drop(send.send(piece)));
        match receive.recv()?? {
            Some(Piece::Result(text)) => print!("{}", String::from_utf8_lossy(&text)),
            Some(_) => {}
            None => return Ok(()),
        }
    }
}
