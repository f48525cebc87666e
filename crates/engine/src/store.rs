//! What an engine stores into: a database that can be asked, or an agent's, which only passes on. Everything that takes
//! samples in or sends them on is the same for both.

use std::path::Path;

use model::{Matcher, TimestampMs};
use storage::{Appender, ChunkQuerier, ExemplarQuerier, ExemplarSeries, Querier, Queryable, StorageError};
#[cfg(not(target_family = "wasm"))]
use tsdb::agent::AgentDb;
use tsdb::block::BlockMeta;
use tsdb::tail::{Tail, TailPosition};
use tsdb::{Db, DbSettings, HeadStats, Metric};

/// A database; a clone is another handle on it.
#[derive(Clone)]
pub(crate) enum Store {
    Server(Db),
    #[cfg(not(target_family = "wasm"))]
    Agent(AgentDb),
}

/// What an agent answers to every question, and to orders about what it does not keep.
#[cfg(not(target_family = "wasm"))]
fn unsupported<T>() -> Result<T, StorageError> {
    Err(StorageError::Invalid("unsupported operation with WAL-only storage".to_owned()))
}

/// Calls the method of the same name of either database.
macro_rules! both {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Self::Server(db) => db.$method($($argument),*),
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(db) => db.$method($($argument),*),
        }
    };
}

/// Calls a method that only a database that can be asked has.
macro_rules! server {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Self::Server(db) => db.$method($($argument),*),
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(_) => unsupported(),
        }
    };
}

impl Store {
    /// Whether it is an agent's.
    pub(crate) fn is_agent(&self) -> bool {
        match self {
            Self::Server(_) => false,
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(_) => true,
        }
    }

    pub(crate) fn appender(&self) -> Box<dyn Appender> {
        both!(self.appender())
    }

    pub(crate) fn tail(&self, from: Option<TailPosition>) -> Result<Tail, StorageError> {
        both!(self.tail(from))
    }

    /// Where the blocks begin; `None` where there are none.
    pub(crate) fn first_block_ms(&self) -> Option<TimestampMs> {
        match self {
            Self::Server(db) => db.first_block_ms(),
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(_) => None,
        }
    }

    pub(crate) fn chunk_querier(
        &self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
    ) -> Result<Box<dyn ChunkQuerier>, StorageError> {
        server!(self.chunk_querier(start_ms, end_ms))
    }

    pub(crate) fn num_series(&self) -> u64 {
        both!(self.num_series())
    }

    /// The highest time of a sample, milliseconds; 0 before the first.
    pub(crate) fn newest_ms(&self) -> TimestampMs {
        match self {
            Self::Server(db) => db.head_range_ms().map_or(0, |(_, newest_ms)| newest_ms.max(0)),
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(db) => db.newest_ms(),
        }
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        both!(self.metrics())
    }

    pub(crate) fn refuses_writes(&self) -> Option<String> {
        both!(self.refuses_writes())
    }

    pub(crate) fn refuse(&self, why: &str) {
        both!(self.refuse(why));
    }

    pub(crate) fn tick(&self) -> Result<(), StorageError> {
        both!(self.tick())
    }

    pub(crate) fn close(&self) -> Result<(), StorageError> {
        both!(self.close())
    }

    /// An agent keeps the settings that it was opened with.
    pub(crate) fn apply(&self, settings: DbSettings) -> Result<(), StorageError> {
        match self {
            Self::Server(db) => db.apply(settings),
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(_) => Ok(()),
        }
    }

    pub(crate) fn head_stats(&self, limit: usize) -> HeadStats {
        match self {
            Self::Server(db) => db.head_stats(limit),
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(db) => HeadStats {
                num_series: db.num_series(),
                min_time_ms: TimestampMs::MAX,
                max_time_ms: TimestampMs::MIN,
                ..HeadStats::default()
            },
        }
    }

    pub(crate) fn blocks(&self) -> Vec<BlockMeta> {
        match self {
            Self::Server(db) => db.blocks(),
            #[cfg(not(target_family = "wasm"))]
            Self::Agent(_) => Vec::new(),
        }
    }

    pub(crate) fn delete(
        &self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        matchers: &[Matcher],
    ) -> Result<(), StorageError> {
        server!(self.delete(start_ms, end_ms, matchers))
    }

    pub(crate) fn clean_tombstones(&self) -> Result<(), StorageError> {
        server!(self.clean_tombstones())
    }

    pub(crate) fn snapshot(&self, dir: &Path, with_head: bool) -> Result<(), StorageError> {
        server!(self.snapshot(dir, with_head))
    }
}

impl Queryable for Store {
    fn querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        server!(self.querier(start_ms, end_ms))
    }
}

impl ExemplarQuerier for Store {
    fn exemplars(
        &self,
        start_ms: TimestampMs,
        end_ms: TimestampMs,
        matchers: &[Vec<Matcher>],
    ) -> Result<Vec<ExemplarSeries>, StorageError> {
        server!(self.exemplars(start_ms, end_ms, matchers))
    }
}
