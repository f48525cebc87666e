//! A body in pieces, read as one.

use std::io::{BufRead, Read};

/// Reads several buffers one after another.
pub(crate) struct Pieces<'a, 'b> {
    pieces: &'a [&'b [u8]],
    /// Bytes of the first piece that are read.
    at: usize,
}

impl<'a, 'b> Pieces<'a, 'b> {
    pub(crate) fn new(pieces: &'a [&'b [u8]]) -> Self {
        Self { pieces, at: 0 }
    }
}

impl Read for Pieces<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Pieces<'_, '_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while let [first, rest @ ..] = self.pieces {
            if self.at < first.len() {
                return Ok(&first[self.at..]);
            }
            (self.pieces, self.at) = (rest, 0);
        }
        Ok(&[])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}
