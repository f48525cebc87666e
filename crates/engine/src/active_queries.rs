//! The file `queries.active`: which queries run, so that after a crash it can be told which did.
//!
//! The format is Prometheus' (promql/query_logger.go): `[`, then a slot of 1,000 bytes for each query
//! that may run at once: `{"query":…,"timestamp_sec":…}`, zeros, and a comma as the last byte; all
//! zeros while free. It is written with one `pwrite` at a query's start and one at its end, and never
//! synced: a crash of the process leaves it whole, and after one of the machine it does not matter.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use storage::{Clock, FileAppend, Fs};

/// Bytes of a slot.
const SLOT: usize = 1000;

/// The file's name in the data directory.
pub(crate) const FILE: &str = "queries.active";

/// Slots of the queries that run.
#[derive(Default)]
pub(crate) struct ActiveQueries(Mutex<State>);

#[derive(Default)]
struct State {
    file: Option<Box<dyn FileAppend>>,
    free: Vec<usize>,
}

#[derive(Serialize)]
struct Entry<'a> {
    query: &'a str,
    timestamp_sec: i64,
}

impl ActiveQueries {
    /// Makes the file anew for `slots` queries at once; what the one before says did not finish, if
    /// anything. Where the file cannot be made queries are not tracked, and the reason is returned.
    pub(crate) fn open(fs: &dyn Fs, dir: &Path, slots: usize) -> (Self, Option<String>, Option<String>) {
        let path = dir.join(FILE);
        let unfinished = match fs.exists(&path) {
            true => fs.read(&path).ok().and_then(|bytes| unfinished(&bytes)),
            false => None,
        };
        let made = fs.create(&path).and_then(|mut file| {
            file.append(b"[")?;
            let slot = [0; SLOT];
            (0..slots).try_for_each(|_| file.append(&slot))?;
            Ok(file)
        });
        let (file, why) = match made {
            Ok(file) => (Some(file), None),
            Err(e) => (None, Some(format!("queries that run cannot be tracked in {}: {e}", path.display()))),
        };
        let free = (0..slots).rev().collect();
        (Self(Mutex::new(State { file, free })), unfinished, why)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a query until the guard goes. Beyond the last slot queries run unnoted.
    pub(crate) fn enter(&self, query: &str, clock: &dyn Clock) -> ActiveQuery<'_> {
        let mut s = self.state();
        let slot = if s.file.is_some() { s.free.pop() } else { None };
        if let (Some(slot), Some(file)) = (slot, s.file.as_mut()) {
            let mut bytes = entry(query, clock.now_ms().div_euclid(1000));
            bytes.resize(SLOT - 1, 0);
            bytes.push(b',');
            // A note that cannot be written is no reason not to answer.
            let _ = file.write_at(place(slot), &bytes);
        }
        ActiveQuery { all: self, slot }
    }
}

/// A query that runs.
pub(crate) struct ActiveQuery<'a> {
    all: &'a ActiveQueries,
    slot: Option<usize>,
}

impl Drop for ActiveQuery<'_> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let mut s = self.all.state();
        if let Some(file) = s.file.as_mut() {
            let _ = file.write_at(place(slot), &[0; SLOT]);
        }
        s.free.push(slot);
    }
}

fn place(slot: usize) -> u64 {
    1 + (slot * SLOT) as u64
}

/// The entry of a query, cut so that a comma still fits behind it.
fn entry(query: &str, timestamp_sec: i64) -> Vec<u8> {
    let json = |query| serde_json::to_vec(&Entry { query, timestamp_sec }).unwrap_or_default();
    let mut end = query.len().min(SLOT);
    loop {
        end = (0..=end).rev().find(|i| query.is_char_boundary(*i)).unwrap_or(0);
        let bytes = json(&query[..end]);
        if bytes.len() < SLOT || end == 0 {
            return bytes;
        }
        // Escapes take more room than what they stand for.
        end = end.saturating_sub(bytes.len() - SLOT + 1);
    }
}

/// The list of queries in a file that was not emptied.
fn unfinished(bytes: &[u8]) -> Option<String> {
    let bytes: Vec<u8> = bytes.iter().copied().filter(|b| *b != 0).collect();
    let list = String::from_utf8_lossy(bytes.strip_suffix(b",")?).into_owned();
    (list.len() > 1).then(|| format!("{list}]"))
}

#[cfg(test)]
mod tests {
    use storage::{ManualClock, MemFs};

    use super::*;

    #[test]
    fn what_did_not_finish_is_told_after_a_restart() {
        let (fs, clock, dir) = (MemFs::new(), ManualClock::new(1_500_999), Path::new("d"));
        fs.create_dir_all(dir).unwrap();
        let (active, unfinished, why) = ActiveQueries::open(&fs, dir, 2);
        assert_eq!((unfinished, why), (None, None));
        let file = || fs.read(&dir.join(FILE)).unwrap();
        assert_eq!(file().len(), 2001);
        let first = active.enter("up", &clock);
        let second = active.enter(&"é\"".repeat(600), &clock);
        let third = active.enter("beyond", &clock);
        assert_eq!(file()[1999..2001], [0, b','], "cut before the comma");
        assert!(file().starts_with(b"[{\"query\":\"up\",\"timestamp_sec\":1500}\0"));
        drop((first, third));
        let (again, unfinished, _) = ActiveQueries::open(&fs, dir, 2);
        let list: serde_json::Value = serde_json::from_str(&unfinished.unwrap()).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert!(list[0]["query"].as_str().unwrap().starts_with("é\"é\""));
        drop(second);
        drop(again.enter("done", &clock));
        assert_eq!(ActiveQueries::open(&fs, dir, 2).1, None);
    }
}
