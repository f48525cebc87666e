//! The file that remembers how far a queue has come, `remote_write/KEY.json` in the data directory:
//! `{"version":1,"queue":…,"wal":{"segment":…,"offset":…},"wbl":{…}}`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::Fs;
use tsdb::tail::{LogPosition, TailPosition};

/// The directory in the data directory. Prometheus leaves alone what it does not know.
const DIR: &str = "remote_write";

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    /// For people: which queue this is.
    queue: String,
    wal: Place,
    wbl: Place,
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

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    Nothing,
    Position(TailPosition),
    /// It is there, and nobody can say what it means: why.
    Damaged(String),
}

/// The file of one queue.
pub(super) struct PositionFile {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    key: String,
    queue: String,
}

impl PositionFile {
    /// `key` is the file's name without its extension; `queue` is what people call it.
    pub(super) fn new(fs: Arc<dyn Fs>, data_dir: &Path, key: &str, queue: &str) -> Self {
        Self { fs, dir: data_dir.join(DIR), key: key.to_owned(), queue: queue.to_owned() }
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.key))
    }

    /// What was remembered.
    ///
    /// # Errors
    /// The system's, but for a file that is not there.
    pub(super) fn read(&self) -> std::io::Result<Remembered> {
        let bytes = match self.fs.read(&self.path("json")) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Remembered::Nothing),
            Err(e) => return Err(e),
        };
        Ok(match serde_json::from_slice::<File>(&bytes) {
            Ok(f) if f.version == VERSION => {
                Remembered::Position(TailPosition { wal: f.wal.into(), wbl: f.wbl.into() })
            }
            Ok(f) => Remembered::Damaged(format!("version {} is not known", f.version)),
            Err(e) => Remembered::Damaged(e.to_string()),
        })
    }

    /// Remembers a position; after a crash either it or the one before is there.
    ///
    /// # Errors
    /// The system's; the one before stays.
    pub(super) fn write(&self, position: TailPosition) -> std::io::Result<()> {
        let file = File {
            version: VERSION,
            queue: self.queue.clone(),
            wal: position.wal.into(),
            wbl: position.wbl.into(),
        };
        let mut bytes = serde_json::to_vec(&file).map_err(std::io::Error::other)?;
        bytes.push(b'\n');
        self.fs.create_dir_all(&self.dir)?;
        let temporary = self.path("json.tmp");
        let mut out = self.fs.create(&temporary)?;
        out.append(&bytes)?;
        out.sync()?;
        drop(out);
        self.fs.rename(&temporary, &self.path("json"))?;
        self.fs.sync_dir(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use storage::MemFs;

    use super::*;

    #[test]
    fn remembers() {
        let fs = MemFs::new();
        let file = PositionFile::new(Arc::new(fs.clone()), Path::new("data"), "abc", "\"quoted\" name");
        assert_eq!(file.read().unwrap(), Remembered::Nothing);
        for offset in [0, 1 << 40] {
            let p = TailPosition {
                wal: LogPosition { segment: 7, offset },
                wbl: LogPosition { segment: 0, offset: 3 },
            };
            file.write(p).unwrap();
            assert_eq!(file.read().unwrap(), Remembered::Position(p));
        }
        for bytes in [
            &b""[..],
            b"{}",
            br#"{"version":2,"queue":"","wal":{"segment":1,"offset":1},"wbl":{"segment":1,"offset":1}}"#,
        ] {
            fs.create(Path::new("data/remote_write/abc.json")).unwrap().append(bytes).unwrap();
            assert!(matches!(file.read().unwrap(), Remembered::Damaged(_)));
        }
    }
}
