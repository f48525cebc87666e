//! The files of full chunks of the head.

use std::collections::HashMap;
use std::path::Path;

use chunk::Encoding;
use model::Columns;

use super::{Check, Checked};
use crate::head_chunks::file;

const ADVICE: &str = "the server drops the head's chunks and rebuilds them from the log when it starts";

impl Check<'_> {
    pub(super) fn head_chunks(&mut self, dir: &Path) -> Checked {
        let (mut last, mut ends) = (None, HashMap::new());
        for e in self.list(dir)? {
            let path = dir.join(&e.name);
            let number = e.name.parse::<u32>().ok().filter(|_| !e.is_dir && e.name.len() == 6);
            let Some(number) = number else {
                self.found(&path, None, "stray", "does not belong here", "move it elsewhere")?;
                continue;
            };
            if last.is_some_and(|l: u32| l + 1 != number) {
                self.found(
                    &path,
                    None,
                    "head chunk",
                    "files are not sequential: one is missing before it",
                    ADVICE,
                )?;
            }
            last = Some(number);
            self.checking(&path)?;
            if let Some(data) = self.read(&path, true)? {
                self.head_chunk_file(&path, &data, &mut ends)?;
            }
        }
        Ok(())
    }

    fn head_chunk_file(&mut self, path: &Path, data: &[u8], ends: &mut HashMap<u64, i64>) -> Checked {
        if data.is_empty() {
            return Ok(());
        }
        if let Err(what) = file::check_file_header(data) {
            return self.found(path, Some(0), "head chunk", what, ADVICE);
        }
        if data[5..8] != [0; 3] {
            self.found(path, Some(5), "head chunk", "padding of the header is not zero", ADVICE)?;
        }
        let mut at = file::FILE_HEADER_BYTES;
        let mut columns = Columns::default();
        loop {
            let (c, n) = match file::read_chunk(&data[at..]) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(what) => return self.found(path, Some(at), "head chunk", what, ADVICE),
            };
            self.summary.chunks += 1;
            columns.clear();
            let decoded = Encoding::try_from(c.encoding)
                .and_then(|encoding| chunk::decode(encoding, c.data, i64::MIN, i64::MAX, &mut columns));
            let wrong = if let Err(e) = decoded {
                Some(e.to_string())
            } else {
                self.summary.samples += columns.len() as u64;
                super::block::times(&columns, c.min_ms, c.max_ms)
            };
            if let Some(what) = wrong {
                self.found(path, Some(at), "head chunk", what, ADVICE)?;
            }
            if !c.out_of_order {
                let end = ends.entry(c.series).or_insert(i64::MIN);
                if c.min_ms <= *end {
                    let what = format!("chunk of series {} begins before the one before it ends", c.series);
                    self.found(path, Some(at), "head chunk", what, ADVICE)?;
                }
                *end = c.max_ms;
            }
            at += n;
        }
        if let Some(i) = data[at..].iter().position(|b| *b != 0) {
            self.found(path, Some(at + i), "head chunk", "bytes behind the last chunk", ADVICE)?;
        }
        Ok(())
    }
}
