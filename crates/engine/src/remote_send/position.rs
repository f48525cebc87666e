//! The files that remember how far a queue has come, in the data directory. `remote_write/KEY.json` is written now and
//! then and waits for the disk: `{"version":1,"queue":…,"wal":{"segment":…,"offset":…},"wbl":{…},"round":…,"sent":…}`.
//! `remote_write/KEY.journal` has what became of each request since, and waits for nothing, so it outlives the process
//! but not the machine: a line each of a checksum and the same object.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::{FileAppend, Fs};
use tsdb::tail::{LogPosition, TailPosition};

use super::progress::{Progress, Text};

/// The directory in the data directory. Prometheus leaves alone what it does not know.
const DIR: &str = "remote_write";

const VERSION: u32 = 1;

/// A journal of that size is to be replaced by the other file.
const JOURNAL_BYTES_MAX: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    /// For people: which queue this is.
    #[serde(default)]
    queue: String,
    wal: Place,
    wbl: Place,
    /// The highest is the newest.
    #[serde(default)]
    round: u64,
    /// What is done with behind the place.
    sent: Option<Text>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    segment: u32,
    offset: u64,
}

impl From<LogPosition> for Place {
    fn from(p: LogPosition) -> Self {
        Self { segment: p.segment, offset: p.offset }
    }
}

impl From<Place> for LogPosition {
    fn from(p: Place) -> Self {
        Self { segment: p.segment, offset: p.offset }
    }
}

/// What the files say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    Nothing,
    Progress(Progress),
    /// They are there, and nobody can say what they mean: why.
    Damaged(String),
}

/// The files of one queue.
pub(super) struct PositionFile {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    key: String,
    queue: String,
    round: u64,
    journal: Option<Box<dyn FileAppend>>,
    journal_bytes: u64,
}

impl PositionFile {
    /// `key` is the files' name without its extension; `queue` is what people call it.
    pub(super) fn new(fs: Arc<dyn Fs>, data_dir: &Path, key: &str, queue: &str) -> Self {
        let (dir, key, queue) = (data_dir.join(DIR), key.to_owned(), queue.to_owned());
        Self { fs, dir, key, queue, round: 0, journal: None, journal_bytes: 0 }
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.key))
    }

    fn read_if_there(&self, extension: &str) -> std::io::Result<Option<Vec<u8>>> {
        match self.fs.read(&self.path(extension)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What was remembered last.
    ///
    /// # Errors
    /// The system's, but for files that are not there.
    pub(super) fn read(&mut self) -> std::io::Result<Remembered> {
        let (file, journal) =
            (self.read_if_there("json")?, self.read_if_there("journal")?.unwrap_or_default());
        let file = file.map(|bytes| parse(&bytes));
        // A line that was not wholly written, or that the disk never got, says nothing.
        let newest = journal.split(|b| *b == b'\n').filter_map(journal_line).max_by_key(|f| f.round);
        let newest = match (file, newest) {
            (None | Some(Err(_)), Some(line)) => line,
            (Some(Ok(file)), Some(line)) if line.round > file.round => line,
            (Some(Ok(file)), _) => file,
            (Some(Err(why)), None) => return Ok(Remembered::Damaged(why)),
            (None, None) => return Ok(Remembered::Nothing),
        };
        self.round = newest.round;
        let done = TailPosition { wal: newest.wal.into(), wbl: newest.wbl.into() };
        Ok(Remembered::Progress(match newest.sent {
            Some(sent) => sent.read(done),
            None => Progress::at(done),
        }))
    }

    fn next(&mut self, progress: &Progress, queue: String) -> std::io::Result<Vec<u8>> {
        self.round += 1;
        let Progress { done, generations, under_way } = progress;
        let sent = (!generations.is_empty() || !under_way.is_empty()).then(|| Text::of(progress));
        let (wal, wbl, round) = (done.wal.into(), done.wbl.into(), self.round);
        serde_json::to_vec(&File { version: VERSION, queue, wal, wbl, round, sent })
            .map_err(std::io::Error::other)
    }

    /// Remembers so that after a crash of the machine either it or what was written before is there. A new journal begins.
    ///
    /// # Errors
    /// The system's; what was written before stays.
    pub(super) fn write(&mut self, progress: &Progress) -> std::io::Result<()> {
        let mut bytes = self.next(progress, self.queue.clone())?;
        bytes.push(b'\n');
        self.fs.create_dir_all(&self.dir)?;
        let temporary = self.path("json.tmp");
        let mut out = self.fs.create(&temporary)?;
        out.append(&bytes)?;
        out.sync()?;
        drop(out);
        self.fs.rename(&temporary, &self.path("json"))?;
        self.fs.sync_dir(&self.dir)?;
        self.journal = None;
        self.journal_bytes = 0;
        Ok(())
    }

    /// Whether [`Self::write`] is due because much was noted.
    pub(super) fn is_long(&self) -> bool {
        self.journal_bytes >= JOURNAL_BYTES_MAX
    }

    /// Remembers in the journal.
    ///
    /// # Errors
    /// The system's; what was written before stays.
    pub(super) fn note(&mut self, progress: &Progress) -> std::io::Result<()> {
        let text = self.next(progress, String::new())?;
        let mut line = format!("{:08x} ", crc32c::crc32c(&text)).into_bytes();
        line.extend_from_slice(&text);
        line.push(b'\n');
        let journal = match self.journal.take() {
            Some(journal) => journal,
            // In place of the one before, which is older than the other file.
            None => self.fs.create(&self.path("journal"))?,
        };
        self.journal_bytes += line.len() as u64;
        self.journal.insert(journal).append(&line)
    }
}

fn parse(bytes: &[u8]) -> Result<File, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if file.version == VERSION { Ok(file) } else { Err(format!("version {} is not known", file.version)) }
}

/// What a line of the journal says, if it is whole.
fn journal_line(line: &[u8]) -> Option<File> {
    let (sum, text) = (line.get(..8)?, line.get(8..)?.strip_prefix(b" ")?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if crc32c::crc32c(text) != sum {
        return None;
    }
    parse(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use storage::MemFs;

    use super::super::progress::{Generation, Mark};
    use super::*;

    fn at(offset: u64) -> TailPosition {
        let wal = LogPosition { segment: 7, offset };
        TailPosition { wal, wbl: LogPosition { segment: 0, offset: 3 } }
    }

    fn open(fs: &MemFs) -> PositionFile {
        PositionFile::new(Arc::new(fs.clone()), Path::new("data"), "abc", "\"quoted\" name")
    }

    fn some(done: u64, sent: u64) -> Progress {
        let generations = vec![Generation { marks: vec![Mark { before: at(sent), part: None }] }];
        Progress { done: at(done), generations, under_way: Vec::new() }
    }

    fn put(fs: &MemFs, name: &str, bytes: &[u8]) {
        fs.create(&Path::new("data/remote_write").join(name)).unwrap().append(bytes).unwrap();
    }

    #[test]
    fn remembers() {
        let fs = MemFs::new();
        let mut file = open(&fs);
        assert_eq!(file.read().unwrap(), Remembered::Nothing);
        for offset in [0, 1 << 40] {
            file.write(&Progress::at(at(offset))).unwrap();
            assert_eq!(open(&fs).read().unwrap(), Remembered::Progress(Progress::at(at(offset))));
        }
        for bytes in [
            &b""[..],
            b"{}",
            br#"{"version":2,"queue":"","wal":{"segment":1,"offset":1},"wbl":{"segment":1,"offset":1}}"#,
        ] {
            put(&fs, "abc.json", bytes);
            assert!(matches!(open(&fs).read().unwrap(), Remembered::Damaged(_)));
        }
        put(
            &fs,
            "abc.json",
            br#"{"version":1,"queue":"","wal":{"segment":7,"offset":9},"wbl":{"segment":0,"offset":3}}"#,
        );
        assert_eq!(open(&fs).read().unwrap(), Remembered::Progress(Progress::at(at(9))));
    }

    #[test]
    fn the_newest_whole_line_of_the_journal_counts() {
        let fs = MemFs::new();
        let mut file = open(&fs);
        file.write(&Progress::at(at(1))).unwrap();
        file.note(&some(1, 5)).unwrap();
        file.note(&some(2, 6)).unwrap();
        assert_eq!(open(&fs).read().unwrap(), Remembered::Progress(some(2, 6)));
        let journal = fs.read(Path::new("data/remote_write/abc.journal")).unwrap();
        // Cut anywhere in the last line, the one before counts; any bit of it may be wrong.
        let first = journal.iter().position(|b| *b == b'\n').unwrap() + 1;
        for cut in first..journal.len() - 1 {
            put(&fs, "abc.journal", &journal[..cut]);
            assert_eq!(open(&fs).read().unwrap(), Remembered::Progress(some(1, 5)));
            let mut wrong = journal.clone();
            wrong[cut] ^= 1;
            put(&fs, "abc.journal", &wrong);
            assert_ne!(open(&fs).read().unwrap(), Remembered::Progress(some(2, 6)), "byte {cut}");
        }
        // One from before the other file was written is older than that.
        file.write(&some(3, 7)).unwrap();
        put(&fs, "abc.journal", &journal);
        let mut again = open(&fs);
        assert_eq!(again.read().unwrap(), Remembered::Progress(some(3, 7)));
        again.note(&some(3, 8)).unwrap();
        assert_eq!(open(&fs).read().unwrap(), Remembered::Progress(some(3, 8)));
        put(&fs, "abc.journal", &journal);
        put(&fs, "abc.json", b"{");
        assert_eq!(open(&fs).read().unwrap(), Remembered::Progress(some(2, 6)));
    }

    #[test]
    fn a_long_journal_is_due_to_be_replaced() {
        let fs = MemFs::new();
        let mut file = open(&fs);
        file.write(&some(1, 1)).unwrap();
        let mut n = 0;
        while !file.is_long() {
            file.note(&some(1, n)).unwrap();
            n += 1;
        }
        assert!(n > 1000 && fs.read(&file.path("journal")).unwrap().len() as u64 >= JOURNAL_BYTES_MAX);
        file.write(&some(1, n)).unwrap();
        assert!(!file.is_long());
    }
}
