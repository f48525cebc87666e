//! Following the logs of an open database.

use std::path::{Path, PathBuf};

use storage::StorageError;

use super::ooo::WBL_DIR;
use super::{Db, WAL_DIR};
use crate::wal::tail::{LogDirs, Tail, TailPosition};

/// Late samples that blocks have and readers of the log have not. Prometheus leaves alone what it does not know.
pub(crate) fn kept_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("remote_write").join(WBL_DIR)
}

impl Db {
    /// Follows what is appended: from a place that an earlier reader came to, or from now on. Samples of series that the
    /// log no longer names are among them. What has not been released stays, within bounds
    /// ([`crate::DbOptions::wal_held_bytes_max`], of each log): in the log, and late samples that blocks have beside it.
    ///
    /// # Errors
    /// Where the log's directories cannot be read.
    pub fn tail(&self, from: Option<TailPosition>) -> Result<Tail, StorageError> {
        let options = &self.inner.options;
        let dirs = LogDirs {
            wal: options.dir.join(WAL_DIR),
            wbl: options.dir.join(WBL_DIR),
            kept: kept_dir(&options.dir),
        };
        let holds = &self.inner.head.log_holds;
        Tail::open(options.fs.clone(), dirs, from, holds, options.wal_held_bytes_max)
    }
}
