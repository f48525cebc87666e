//! Filling a new head from a snapshot: records are decoded and series made on all threads, batch after
//! batch; then deletions and exemplars, which name series.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use model::symbols::SymbolLabels;
use model::{Labels, TimestampMs};
use storage::{Fs, Spawn};

use super::record::{SeriesRecord, SnapshotRecord, decode};
use super::{Loaded, Snapshot};
use crate::head::open_chunk::OpenChunk;
use crate::head::series::Series;
use crate::head::{Head, lock};
use crate::int_map::IntMap;
use crate::tombstones::Tombstones;
use crate::wal::decompress;
use crate::wal::fragment::{Found, PAGE_BYTES, Records, Torn};
use crate::wal::reader::map_segment;
use crate::wal::record::{RefExemplar, Stone};
use crate::wal::segment::{segment_path, segments};

/// Records are decoded in batches of so many bytes, compressed.
const BATCH_BYTES: usize = 4 << 20;

/// So many records of a batch are decoded by one thread at a time.
const GROUP_RECORDS: usize = 256;

/// Series are made in so many groups, by their labels' hash, whatever the number of threads.
const SERIES_GROUPS: u64 = 8;

/// A record, decoded as far as no other is needed.
enum Decoded {
    Series(LoadedSeries),
    Tombstones(Tombstones),
    Exemplars(Vec<RefExemplar>),
}

struct LoadedSeries {
    series: u64,
    hash: u64,
    labels: Labels,
    open: Option<OpenChunk>,
}

/// Fills the new head `head` with what the snapshot has of `head.min_valid_ms()` and later.
///
/// # Errors
/// What is wrong with which file: the head must be thrown away.
pub(crate) fn load(
    head: &Head,
    fs: &dyn Fs,
    spawn: &dyn Spawn,
    snapshot: &Snapshot,
) -> Result<Loaded, String> {
    let mut load = Load {
        head,
        spawn,
        min_valid_ms: head.min_valid_ms(),
        names: IntMap::default(),
        highest_ref: 0,
        series: 0,
        tombstones: false,
    };
    let numbers = segments(fs, &snapshot.dir).map_err(|e| e.to_string())?;
    let mut last = None;
    for (number, bytes) in numbers {
        let path = segment_path(&snapshot.dir, number);
        if last.is_none() && number != 0 {
            return Err(format!("{}: is not the first segment", path.display()));
        }
        if bytes % PAGE_BYTES as u64 != 0 {
            return Err(format!("{}: ends within a page", path.display()));
        }
        load.file(fs, &path)?;
        last = Some(path);
    }
    if !load.tombstones {
        let path = last.unwrap_or_else(|| snapshot.dir.clone());
        return Err(format!("{}: ends before the record of deletions", path.display()));
    }
    // Samples and chunks of the other names may be as new as anything.
    let newest_ms = head.max_ms();
    lock(&head.wal_expiries).extend(load.names.keys().map(|name| (*name, newest_ms)));
    Ok(Loaded {
        position: snapshot.position,
        series: load.series,
        names: load.names,
        highest_ref: load.highest_ref,
    })
}

struct Load<'a> {
    head: &'a Head,
    spawn: &'a dyn Spawn,
    min_valid_ms: TimestampMs,
    names: IntMap<u64, u64>,
    highest_ref: u64,
    series: u64,
    /// Whether the record of deletions has come, behind which there are exemplars only.
    tombstones: bool,
}

impl Load<'_> {
    fn file(&mut self, fs: &dyn Fs, path: &Path) -> Result<(), String> {
        let data = map_segment(fs, path).map_err(|e| e.to_string())?;
        let mut records = Records::new(&data);
        let damage = |torn: Torn| format!("{} at {}: {}", path.display(), torn.offset, torn.reason);
        loop {
            let mut batch = Vec::new();
            let mut bytes = 0;
            while bytes < BATCH_BYTES
                && let Some(found) = records.next().map_err(damage)?
            {
                bytes += found.data.len() + 64;
                batch.push(found);
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.batch(&batch).map_err(damage)?;
        }
    }

    fn batch(&mut self, batch: &[Found<'_>]) -> Result<(), Torn> {
        let mut series = Vec::new();
        for (found, record) in batch.iter().zip(self.decode(batch)) {
            let torn = |reason: String| Torn { offset: found.offset, reason };
            match record.map_err(torn)? {
                Decoded::Series(s) if !self.tombstones => {
                    self.highest_ref = self.highest_ref.max(s.series);
                    series.push((found.offset, s));
                }
                Decoded::Tombstones(t) if !self.tombstones => {
                    self.tombstones = true;
                    self.make(std::mem::take(&mut series))?;
                    self.delete(&t);
                }
                Decoded::Exemplars(exemplars) if self.tombstones => self.exemplars(exemplars),
                _ => return Err(torn("record in the wrong place".to_owned())),
            }
        }
        self.make(series)
    }

    fn decode(&self, batch: &[Found<'_>]) -> Vec<Result<Decoded, String>> {
        let groups: Vec<_> = batch.chunks(GROUP_RECORDS).map(|g| (g, Mutex::new(Vec::new()))).collect();
        let min_valid_ms = self.min_valid_ms;
        self.spawn.for_each(groups.len(), &|i| {
            let (group, decoded) = &groups[i];
            let mut raw = Vec::new();
            *lock(decoded) = group.iter().map(|found| decode_one(found, &mut raw, min_valid_ms)).collect();
        });
        groups.into_iter().flat_map(|(_, decoded)| std::mem::take(&mut *lock(&decoded))).collect()
    }

    /// Makes series, each with its place in the file; those of known labels are further names.
    fn make(&mut self, series: Vec<(usize, LoadedSeries)>) -> Result<(), Torn> {
        let mut groups: Vec<Vec<(usize, LoadedSeries)>> = Vec::new();
        groups.resize_with(SERIES_GROUPS as usize, Vec::new);
        self.series += series.len() as u64;
        for s in series {
            // Equal labels have equal hashes, so they stay in order.
            groups[((s.1.hash >> 32) % SERIES_GROUPS) as usize].push(s);
        }
        let groups: Vec<_> = groups.into_iter().map(Mutex::new).collect();
        let (names, fault, made) = (Mutex::new(Vec::new()), Mutex::new(None), AtomicU64::new(0));
        let (head, min_valid_ms) = (self.head, self.min_valid_ms);
        self.spawn.for_each(groups.len(), &|i| {
            for (offset, s) in std::mem::take(&mut *lock(&groups[i])) {
                let series = s.series;
                match head.load_series(s, min_valid_ms) {
                    Ok(None) => drop(made.fetch_add(1, Ordering::Relaxed)),
                    Ok(Some(name)) => lock(&names).push((series, name)),
                    Err(reason) => *lock(&fault) = Some(Torn { offset, reason: reason.to_owned() }),
                }
            }
        });
        let made = made.load(Ordering::Relaxed);
        head.counters.series.add(made);
        head.counters.series_created.add(made);
        self.names.extend(std::mem::take(&mut *lock(&names)));
        lock(&fault).take().map_or(Ok(()), Err)
    }

    fn delete(&mut self, tombstones: &Tombstones) {
        let mut stones = Vec::new();
        for (series, intervals) in tombstones.iter() {
            self.highest_ref = self.highest_ref.max(series);
            let series = self.names.get(&series).copied().unwrap_or(series);
            if !self.head.has_series(series) {
                continue;
            }
            stones.extend(intervals.iter().map(|i| Stone { series, min_ms: i.min_ms, max_ms: i.max_ms }));
        }
        self.head.add_tombstones(&stones);
    }

    fn exemplars(&self, exemplars: Vec<RefExemplar>) {
        for mut e in exemplars {
            e.series = self.names.get(&e.series).copied().unwrap_or(e.series);
            self.head.replay_exemplar(&e);
        }
    }
}

fn decode_one(found: &Found<'_>, raw: &mut Vec<u8>, min_valid_ms: TimestampMs) -> Result<Decoded, String> {
    let record = if found.bits == 0 {
        decode(&found.data)?
    } else {
        decompress(found.bits, &found.data, raw)?;
        decode(raw)?
    };
    Ok(match record {
        SnapshotRecord::Series(SeriesRecord { series, labels, chunk }) => {
            let open = match chunk.filter(|c| c.max_ms >= min_valid_ms) {
                Some(c) => Some(
                    OpenChunk::resume(c.encoding, &c.data, (c.min_ms, c.max_ms))
                        .map_err(|e| format!("chunk of series {series}: {e}"))?,
                ),
                None => None,
            };
            Decoded::Series(LoadedSeries { series, hash: labels.hash64(), labels, open })
        }
        SnapshotRecord::Tombstones(t) => Decoded::Tombstones(t),
        SnapshotRecord::Exemplars(e) => Decoded::Exemplars(e),
    })
}

impl Head {
    /// Makes a series without postings, unless there is one of these labels: its name is returned.
    fn load_series(&self, s: LoadedSeries, min_valid_ms: TimestampMs) -> Result<Option<u64>, &'static str> {
        let mut shard = self.index.shard(s.hash);
        let known = {
            let symbols = self.symbols.read();
            shard.find(s.hash, |series| self.has_labels(series, &s.labels, &symbols))
        };
        if known.is_some() {
            return if s.open.is_none() {
                Ok(known)
            } else {
                Err("series with a chunk under two references")
            };
        }
        if self.has_series(s.series) {
            return Err("two series with one reference");
        }
        let mut series = Series::new(SymbolLabels::intern(&s.labels, &self.symbols));
        if let Some(open) = s.open {
            self.widen(open.min_ms().max(min_valid_ms), open.max_ms());
            self.counters.chunks.add(1);
            self.counters.chunks_created.add(1);
            series.resume(open);
        }
        self.pages.put(s.series, series);
        shard.insert(s.hash, s.series);
        Ok(None)
    }

    /// Whether there is a series with this reference.
    pub(in crate::head) fn has_series(&self, series: u64) -> bool {
        self.page_of(series).is_some_and(|p| p.lock().get(series).is_some())
    }
}
