//! Samples that come late: the out-of-order part of the head's series. DESIGN.md beside this file
//! says how they are logged, read and made into blocks. Knows nothing of blocks.

mod commit;
mod compact;
mod encode;
mod merge;
mod read;
mod replay;
mod sample;
mod series;
mod state;

pub(crate) use commit::Late;
pub(crate) use compact::{OooCompaction, OooTruncation};
pub(crate) use read::FoundLate;
pub(crate) use replay::replay_wbl;
pub(crate) use sample::{OooSample, OooValue};
pub(crate) use series::{OooChunk, OooSeries};
pub(crate) use state::{LateRules, OooState};
