//! `meta.json`: what a block says about itself.

use std::path::Path;

use model::TimestampMs;
use serde::{Deserialize, Serialize};
use storage::{Fs, StorageError};

use super::Ulid;

/// The file's name in a block's directory.
pub(super) const META_FILE: &str = "meta.json";
/// The version read and written here.
const META_VERSION: u32 = 1;
/// Hint of a block that was made of out-of-order chunks.
pub const HINT_FROM_OUT_OF_ORDER: &str = "from-out-of-order";
/// Hint of a block that was made of the head's stale series only.
pub const HINT_FROM_STALE_SERIES: &str = "from-stale-series";
/// Hint of a block that was made of selected series of the head only.
pub const HINT_FROM_SELECTED_SERIES: &str = "from-selected-series";

/// What a block says about itself (Prometheus `tsdb.BlockMeta`). Fields unknown here are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// The block's name.
    pub ulid: Ulid,
    /// No sample is older.
    #[serde(rename = "minTime")]
    pub min_ms: TimestampMs,
    /// Every sample is older: the span is half open.
    #[serde(rename = "maxTime")]
    pub max_ms: TimestampMs,
    /// Counts.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where it came from.
    #[serde(default)]
    pub compaction: BlockCompaction,
    /// Version of this file: 1.
    pub version: u32,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How much is in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// All samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Samples that are floats.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Samples that are native histograms.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// A block that a block was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDesc {
    /// Its name.
    pub ulid: Ulid,
    /// No sample of it is older.
    #[serde(rename = "minTime")]
    pub min_ms: TimestampMs,
    /// Every sample of it is older.
    #[serde(rename = "maxTime")]
    pub max_ms: TimestampMs,
}

/// How a block came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockCompaction {
    /// How many compactions its oldest source went through; 1 for a block cut from the head.
    pub level: u32,
    /// The blocks cut from a head that went into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// Compaction left no sample in it: it may go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deletable: bool,
    /// The blocks it was directly made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockDesc>,
    /// Its compaction failed; it is not tried again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Remarks, such as [`HINT_FROM_OUT_OF_ORDER`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl BlockCompaction {
    /// Whether the remark is among the hints.
    #[must_use]
    pub fn has_hint(&self, hint: &str) -> bool {
        self.hints.iter().any(|h| h == hint)
    }
}

impl BlockMeta {
    /// The description of a block cut from the head, without counts.
    #[must_use]
    pub fn from_head(ulid: Ulid, min_ms: TimestampMs, max_ms: TimestampMs) -> Self {
        let compaction = BlockCompaction { level: 1, sources: vec![ulid], ..BlockCompaction::default() };
        Self { ulid, min_ms, max_ms, stats: BlockStats::default(), compaction, version: META_VERSION }
    }

    /// The description of a block made of all of `blocks` (one at least), without counts: it spans
    /// them, and is one level above the highest (Prometheus `CompactBlockMetas`).
    #[must_use]
    pub fn merged(ulid: Ulid, blocks: &[&Self]) -> Self {
        let mut merged = Self { ulid, version: META_VERSION, ..Self::default() };
        merged.min_ms = blocks.iter().map(|b| b.min_ms).min().unwrap_or_default();
        merged.max_ms = blocks.iter().map(|b| b.max_ms).max().unwrap_or_default();
        let c = &mut merged.compaction;
        c.level = blocks.iter().map(|b| b.compaction.level).max().unwrap_or_default().saturating_add(1);
        c.sources = blocks.iter().flat_map(|b| b.compaction.sources.iter().copied()).collect();
        c.sources.sort_unstable();
        c.sources.dedup();
        c.parents = blocks.iter().map(|b| b.describe()).collect();
        let has = |hint: &'static str| move |b: &&Self| b.compaction.has_hint(hint);
        for hint in [HINT_FROM_STALE_SERIES, HINT_FROM_SELECTED_SERIES] {
            if blocks.iter().any(has(hint)) {
                c.hints.push(hint.to_owned());
            }
        }
        // With a single block of samples in order among them, the head begins behind the result.
        if blocks.iter().all(has(HINT_FROM_OUT_OF_ORDER)) {
            c.hints.push(HINT_FROM_OUT_OF_ORDER.to_owned());
        }
        merged
    }

    /// The description of this block written again without its deleted samples, without counts.
    #[must_use]
    pub fn rewritten(&self, ulid: Ulid) -> Self {
        let mut new = Self::from_head(ulid, self.min_ms, self.max_ms);
        new.compaction.parents = vec![self.describe()];
        let kept = [HINT_FROM_OUT_OF_ORDER, HINT_FROM_STALE_SERIES, HINT_FROM_SELECTED_SERIES];
        let hints = kept.into_iter().filter(|hint| self.compaction.has_hint(hint));
        new.compaction.hints = hints.map(str::to_owned).collect();
        new
    }

    fn describe(&self) -> BlockDesc {
        BlockDesc { ulid: self.ulid, min_ms: self.min_ms, max_ms: self.max_ms }
    }

    /// Whether the block holds samples of the head's main stream, so that the head begins behind it.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        let partial = [HINT_FROM_OUT_OF_ORDER, HINT_FROM_STALE_SERIES, HINT_FROM_SELECTED_SERIES];
        !partial.into_iter().any(|hint| self.compaction.has_hint(hint))
    }

    /// Reads the file in the block directory `dir`.
    ///
    /// # Errors
    /// Where it cannot be read, or is not JSON of version 1.
    pub fn read(fs: &dyn Fs, dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(META_FILE);
        let text = fs.read(&path).map_err(|e| StorageError::io(format!("read {}", path.display()), e))?;
        let corrupt = |what: String| StorageError::Corrupt(format!("{}: {what}", path.display()));
        let meta: Self = serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        if meta.version != META_VERSION {
            return Err(corrupt(format!("unexpected meta file version {}", meta.version)));
        }
        Ok(meta)
    }

    /// The file's bytes: JSON indented by tabs, without an end of line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
        self.serialize(&mut serializer).expect("writing numbers and strings to memory cannot fail");
        out
    }
}

#[cfg(test)]
mod tests {
    use storage::MemFs;

    use super::*;

    #[test]
    fn written_as_prometheus_does() {
        let ulid: Ulid = "01M81ZHRY277S4V0P2N6YWKFGF".parse().unwrap();
        let mut meta = BlockMeta::from_head(ulid, 1_767_225_600_000, 1_767_232_785_001);
        meta.stats.num_samples = 22280;
        meta.stats.num_float_samples = 22280;
        let text = "{\n\t\"ulid\": \"01M81ZHRY277S4V0P2N6YWKFGF\",\n\t\"minTime\": 1767225600000,\n\t\"maxTime\": \
                    1767232785001,\n\t\"stats\": {\n\t\t\"numSamples\": 22280,\n\t\t\"numFloatSamples\": \
                    22280\n\t},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": \
                    [\n\t\t\t\"01M81ZHRY277S4V0P2N6YWKFGF\"\n\t\t]\n\t},\n\t\"version\": 1\n}";
        assert_eq!(String::from_utf8(meta.to_json()).unwrap(), text);
    }

    #[test]
    fn reads_and_refuses() {
        let fs = MemFs::new();
        let dir = Path::new("b");
        let write = |text: &str| fs.create(&dir.join(META_FILE)).unwrap().append(text.as_bytes()).unwrap();
        write(
            r#"{"ulid":"01M81ZHRY277S4V0P2N6YWKFGF","minTime":1,"maxTime":2,"thanos":{"a":1},"version":1}"#,
        );
        assert_eq!(BlockMeta::read(&fs, dir).unwrap().max_ms, 2);
        write(r#"{"ulid":"01M81ZHRY277S4V0P2N6YWKFGF","minTime":1,"maxTime":2,"version":2}"#);
        let err = BlockMeta::read(&fs, dir).unwrap_err().to_string();
        assert_eq!(err, "b/meta.json: unexpected meta file version 2");
        write("{");
        assert!(matches!(BlockMeta::read(&fs, dir), Err(StorageError::Corrupt(_))));
    }
}
