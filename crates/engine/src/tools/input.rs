//! An OpenMetrics file read in pieces of whole lines, so that it may be larger than memory.

use std::io;
use std::path::{Path, PathBuf};

use exposition::{Entry, Format, MetricType, Parser, ParserOptions, Sample};
use model::{LabelsBuilder, TimestampMs};
use storage::{FileRead, Fs};

use crate::error::{EngineError, ErrorCode};

/// Pieces have about this size; a longer line makes a longer piece.
const PIECE_BYTES: usize = 1 << 20;
/// A line that is longer is refused.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Ends every piece but the last, which has to bring it itself.
const END: &[u8] = b"# EOF\n";

/// Some lines of the file.
#[derive(Clone, Debug)]
pub(super) struct PieceAt {
    offset: u64,
    bytes: usize,
    /// Number of its first line, less one.
    lines_before: u64,
    /// Whether the file ends here.
    last: bool,
    /// The type in force where it begins.
    kind: MetricType,
    /// Times of its samples.
    pub(super) min_ms: TimestampMs,
    pub(super) max_ms: TimestampMs,
}

/// The file.
pub(super) struct Input {
    path: PathBuf,
    file: Box<dyn FileRead>,
    pub(super) bytes: u64,
    /// The piece read last, and memory for the next.
    buffer: Vec<u8>,
}

/// Takes samples: its labels are asked of the parser; the number is the line's.
pub(super) type TakeSample<'t> = &'t mut dyn FnMut(&Parser<'_>, Sample<'_>, u64) -> Result<(), EngineError>;

impl Input {
    pub(super) fn open(fs: &dyn Fs, path: &Path) -> Result<Self, EngineError> {
        let fail = |e| io_error(&format!("open {}", path.display()), &e);
        let file = fs.open_read(path).map_err(fail)?;
        let bytes = file.len().map_err(fail)?;
        Ok(Self { path: path.to_owned(), file, bytes, buffer: Vec::new() })
    }

    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// An error with its place.
    pub(super) fn at(&self, context: &str, line: u64, what: &dyn std::fmt::Display) -> EngineError {
        EngineError::invalid(format!("{context}: {}:{line}: {what}", self.path.display()))
    }

    /// Reads all pieces in order, hands their samples to `take`, and returns the pieces with at least
    /// one sample. `reached` hears the offset before each.
    pub(super) fn scan(
        &mut self,
        context: &str,
        reached: &mut dyn FnMut(u64) -> Result<(), EngineError>,
        take: TakeSample<'_>,
    ) -> Result<Vec<PieceAt>, EngineError> {
        let mut pieces = Vec::new();
        let (mut offset, mut lines_before, mut kind) = (0, 0, MetricType::default());
        loop {
            reached(offset)?;
            let last = self.read_lines(offset, lines_before)?;
            let bytes = self.buffer.len();
            let (min_ms, max_ms) = (TimestampMs::MAX, TimestampMs::MIN);
            let mut piece = PieceAt { offset, bytes, lines_before, last, kind, min_ms, max_ms };
            let lines = memchr::memchr_iter(b'\n', &self.buffer).count() as u64;
            let (mut min_ms, mut max_ms) = (min_ms, max_ms);
            kind = self.parse(context, &piece, &mut |parser, sample, line| {
                if let Some(t) = sample.timestamp_ms {
                    (min_ms, max_ms) = (min_ms.min(t), max_ms.max(t));
                }
                take(parser, sample, line)
            })?;
            (piece.min_ms, piece.max_ms) = (min_ms, max_ms);
            if min_ms <= max_ms {
                pieces.push(piece);
            }
            if last {
                return Ok(pieces);
            }
            offset += bytes as u64;
            lines_before += lines;
        }
    }

    /// Reads one piece again.
    pub(super) fn read(
        &mut self,
        context: &str,
        piece: &PieceAt,
        take: TakeSample<'_>,
    ) -> Result<(), EngineError> {
        self.buffer.clear();
        self.extend(piece.offset, piece.bytes)?;
        if self.buffer.len() < piece.bytes {
            return Err(self.changed());
        }
        self.parse(context, piece, take).map(drop)
    }

    fn changed(&self) -> EngineError {
        let text = format!("{} has changed while it was read", self.path.display());
        EngineError::new(ErrorCode::Io, text)
    }

    /// Fills the buffer with whole lines from `offset` on; whether the file ends behind them.
    fn read_lines(&mut self, offset: u64, lines_before: u64) -> Result<bool, EngineError> {
        self.buffer.clear();
        loop {
            let from = self.buffer.len();
            let rest = self.bytes.saturating_sub(offset + from as u64);
            let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(from.max(PIECE_BYTES));
            self.extend(offset + from as u64, wanted)?;
            if self.buffer.len() < from + wanted {
                return Err(self.changed());
            }
            if rest == wanted as u64 {
                return Ok(true);
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.buffer) {
                self.buffer.truncate(end + 1);
                return Ok(false);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                let what = format!("line is longer than {LINE_BYTES_MAX} bytes");
                return Err(self.at("reading input", lines_before + 1, &what));
            }
        }
    }

    /// Appends up to `bytes` bytes from `offset` on to the buffer.
    fn extend(&mut self, offset: u64, bytes: usize) -> Result<(), EngineError> {
        let from = self.buffer.len();
        self.buffer.resize(from + bytes, 0);
        let read = self.file.read_at(offset, &mut self.buffer[from..]);
        let n = read.map_err(|e| io_error(&format!("read {}", self.path.display()), &e))?;
        self.buffer.truncate(from + n);
        Ok(())
    }

    /// Hands the samples of the piece in the buffer to `take`; returns the type in force behind it.
    fn parse(
        &mut self,
        context: &str,
        piece: &PieceAt,
        take: TakeSample<'_>,
    ) -> Result<MetricType, EngineError> {
        if !piece.last {
            self.buffer.extend_from_slice(END);
        }
        let options = ParserOptions::default();
        let parser = Parser::new(&self.buffer, Format::OpenMetrics1, options)
            .map_err(|e| EngineError::new(ErrorCode::Internal, e.to_string()))?;
        let mut parser = parser.continuing(piece.kind);
        // Lines are counted on demand: from the sample before to this one.
        let (mut line, mut counted) = (piece.lines_before + 1, 0);
        loop {
            match parser.next_entry() {
                Ok(Some(Entry::Sample(sample))) => {
                    let at = sample.series.as_ptr() as usize - self.buffer.as_ptr() as usize;
                    line += memchr::memchr_iter(b'\n', &self.buffer[counted..at]).count() as u64;
                    counted = at;
                    take(&parser, sample, line)?;
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(parser.metric_type()),
                Err(e) => {
                    return Err(self.at(context, piece.lines_before + e.line, &e.reason));
                }
            }
        }
    }
}

/// Labels of the parser's sample, with `extra` set over them.
pub(super) fn labels(
    parser: &Parser<'_>,
    extra: &[(String, String)],
    out: &mut LabelsBuilder,
) -> Result<(), exposition::LabelError> {
    parser.labels(out)?;
    for (name, value) in extra {
        out.set(name, value);
    }
    Ok(())
}

pub(super) fn io_error(what: &str, e: &io::Error) -> EngineError {
    EngineError::new(ErrorCode::Io, format!("{what}: {e}"))
}
