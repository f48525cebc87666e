//! Which blocks have to go: by age, by size, by share of the disk. Decides; whoever owns the blocks
//! deletes them. Keeping some series longer than others belongs here too, once it exists.

use std::collections::BTreeSet;

use model::TimestampMs;

use crate::block::Ulid;

/// How much is kept. Zero stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retention {
    /// Age of a block's end, counted back from the end of the newest block, milliseconds.
    pub time_ms: i64,
    /// Bytes of all blocks, log and head chunks.
    pub bytes: u64,
    /// The same as a percentage of the disk; comes before `bytes`.
    pub percentage: f64,
}

impl Retention {
    /// The limit in bytes on a disk of `disk_bytes`, if its size is known; 0 for none.
    #[must_use]
    pub fn limit_bytes(&self, disk_bytes: Option<u64>) -> u64 {
        match disk_bytes {
            Some(disk) if self.percentage > 0.0 && disk > 0 => (disk as f64 * self.percentage / 100.0) as u64,
            _ => self.bytes,
        }
    }
}

/// What retention looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize {
    /// The block's name.
    pub ulid: Ulid,
    /// Every sample is older.
    pub max_ms: TimestampMs,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// The blocks whose samples are all at least `time_ms` older than the end of the newest block
/// (Prometheus `BeyondTimeRetention`). Nothing where `time_ms` is 0.
#[must_use]
pub fn beyond_time(blocks: &[BlockSize], time_ms: i64) -> BTreeSet<Ulid> {
    let Some(newest_ms) = blocks.iter().map(|b| b.max_ms).max().filter(|_| time_ms > 0) else {
        return BTreeSet::new();
    };
    let old = |b: &&BlockSize| newest_ms.saturating_sub(b.max_ms) >= time_ms;
    blocks.iter().filter(old).map(|b| b.ulid).collect()
}

/// The oldest blocks, by their end, as many as it takes for the rest to fit into `limit_bytes`
/// together with the `used_bytes` of log and head chunks (Prometheus `BeyondSizeRetention`).
/// Nothing where `limit_bytes` is 0.
#[must_use]
pub fn beyond_size(blocks: &[BlockSize], used_bytes: u64, limit_bytes: u64) -> BTreeSet<Ulid> {
    if limit_bytes == 0 {
        return BTreeSet::new();
    }
    let mut newest_first = blocks.to_vec();
    newest_first.sort_by_key(|b| std::cmp::Reverse((b.max_ms, b.ulid)));
    let mut sum = used_bytes;
    let fitting = newest_first.iter().take_while(|b| {
        sum = sum.saturating_add(b.bytes);
        sum <= limit_bytes
    });
    let kept = fitting.count();
    newest_first[kept..].iter().map(|b| b.ulid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(list: &[(i64, u64)]) -> Vec<BlockSize> {
        (0..)
            .zip(list)
            .map(|(n, (max_ms, bytes))| BlockSize { ulid: Ulid::new(1, n), max_ms: *max_ms, bytes: *bytes })
            .collect()
    }

    fn numbers(set: BTreeSet<Ulid>) -> Vec<u128> {
        (0..20).filter(|n| set.contains(&Ulid::new(1, *n))).collect()
    }

    #[test]
    fn by_time() {
        let list = blocks(&[(100, 1), (300, 1), (200, 1), (400, 1)]);
        for (time_ms, want) in
            [(0, &[][..]), (301, &[]), (300, &[0]), (200, &[0, 2]), (100, &[0, 1, 2]), (1, &[0, 1, 2])]
        {
            assert_eq!(numbers(beyond_time(&list, time_ms)), want, "{time_ms}");
        }
        assert_eq!(beyond_time(&[], 1), BTreeSet::new());
        let apart = blocks(&[(i64::MIN, 1), (i64::MAX, 1)]);
        assert_eq!(numbers(beyond_time(&apart, i64::MAX)), [0]);
    }

    #[test]
    fn by_size() {
        let list = blocks(&[(100, 10), (300, 20), (200, 40), (400, 30)]);
        for (used, limit, want) in [
            (0, 0, &[][..]),
            (0, 100, &[]),
            (1, 100, &[0]),
            (0, 90, &[0]),
            (0, 89, &[0, 2]),
            (0, 60, &[0, 2]),
            (0, 30, &[0, 1, 2]),
            (0, 29, &[0, 1, 2, 3]),
            (u64::MAX, 1, &[0, 1, 2, 3]),
        ] {
            assert_eq!(numbers(beyond_size(&list, used, limit)), want, "{used} {limit}");
        }
    }

    #[test]
    fn by_percentage() {
        let retention = Retention { bytes: 7, percentage: 50.0, ..Retention::default() };
        assert_eq!(retention.limit_bytes(Some(1000)), 500);
        assert_eq!(retention.limit_bytes(None), 7);
        assert_eq!(Retention { percentage: 0.0, ..retention }.limit_bytes(Some(1000)), 7);
    }
}
