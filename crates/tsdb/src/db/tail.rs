//! Following the logs of an open database.

use storage::StorageError;

use super::ooo::WBL_DIR;
use super::{Db, WAL_DIR};
use crate::wal::tail::{Tail, TailPosition};

impl Db {
    /// Follows what is appended: from a place that an earlier reader came to, or from now on. Samples of series that the
    /// log no longer names are among them. What has not been released stays in the log, within bounds
    /// ([`crate::DbOptions::wal_held_bytes_max`]); late samples only until they are in blocks.
    ///
    /// # Errors
    /// Where the log's directories cannot be read.
    pub fn tail(&self, from: Option<TailPosition>) -> Result<Tail, StorageError> {
        let options = &self.inner.options;
        let dirs = (options.dir.join(WAL_DIR), options.dir.join(WBL_DIR));
        Tail::open(options.fs.clone(), dirs, from, &self.inner.head.log_holds)
    }
}
