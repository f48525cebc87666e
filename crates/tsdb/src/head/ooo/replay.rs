//! Filling the series with late samples from their log when a database is opened, behind the main
//! log, which names the series.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use model::TimestampMs;
use storage::StorageError;

use super::sample::{OooSample, OooValue};
use super::series::{OooChunk, OooSeries};
use crate::db::LogLevel;
use crate::head::page::page_number;
use crate::head::series::{ChunkRules, Series};
use crate::head::{Head, ReplayContext, ReplayReport, lock};
use crate::histogram::OwnedHistogram;
use crate::int_map::IntMap;
use crate::wal::decompress;
use crate::wal::fragment::{Records, Torn};
use crate::wal::reader::{map_segment, repair};
use crate::wal::record::{self, Marker, Record};
use crate::wal::segment::{segment_path, segments};

struct Replay<'a> {
    head: &'a Head,
    rules: ChunkRules,
    /// References that name a series known under another one.
    names: &'a IntMap<u64, u64>,
    used_names: HashSet<u64>,
    times: (TimestampMs, TimestampMs),
    highest_ref: u64,
    samples: u64,
    unknown: u64,
    invalid: u64,
}

/// Replays the log of late samples in `dir`, if there is one, and cuts it off where it is damaged.
/// Returns the highest reference in it, those of unknown series included.
///
/// # Errors
/// Where files cannot be read.
pub(crate) fn replay_wbl(
    head: &Head,
    context: &ReplayContext<'_>,
    dir: &Path,
    names: &IntMap<u64, u64>,
    report: &mut ReplayReport,
) -> Result<u64, StorageError> {
    if !context.fs.exists(dir) {
        return Ok(0);
    }
    let mut r = Replay {
        head,
        rules: head.chunk_rules(),
        names,
        used_names: HashSet::new(),
        times: (TimestampMs::MAX, TimestampMs::MIN),
        highest_ref: 0,
        samples: 0,
        unknown: 0,
        invalid: 0,
    };
    for (n, _) in segments(context.fs, dir)? {
        let path = segment_path(dir, n);
        let data = map_segment(context.fs, &path)?;
        let Err(torn) = r.segment(&data) else { continue };
        let why = format!("corruption in segment {} at {}: {}", path.display(), torn.offset, torn.reason);
        (context.log)(LogLevel::Warn, &format!("Encountered WBL read error, attempting repair: {why}"));
        repair(context.fs, dir, n, &torn)?;
        (context.log)(LogLevel::Info, "Successfully repaired WBL");
        report.wbl_repaired = Some(why);
        break;
    }
    head.ooo.widen(r.times);
    (report.wbl_samples, report.unknown_wbl_samples) = (r.samples, r.unknown);
    report.invalid_histograms += r.invalid;
    if r.unknown > 0 {
        let text = format!("Unknown series references for ooo WAL replay: {} samples", r.unknown);
        (context.log)(LogLevel::Warn, &text);
    }
    lock(&head.ooo.wbl_names).extend(r.used_names);
    Ok(r.highest_ref)
}

impl Replay<'_> {
    fn segment(&mut self, data: &[u8]) -> Result<(), Torn> {
        let mut records = Records::new(data);
        let mut raw = Vec::new();
        while let Some(found) = records.next()? {
            let torn = |reason| Torn { offset: found.offset, reason };
            let record = if found.bits == 0 {
                record::decode(&found.data)
            } else {
                raw.clear();
                decompress(found.bits, &found.data, &mut raw).map_err(|e| torn(e.to_string()))?;
                record::decode(&raw)
            };
            self.record(record.map_err(|e| torn(e.to_string()))?);
        }
        Ok(())
    }

    fn record(&mut self, record: Record) {
        match record {
            Record::Samples(all) => {
                let mut samples = Vec::with_capacity(all.samples.len());
                for (i, s) in all.samples.iter().enumerate() {
                    let st = all.starts.get(i).copied().unwrap_or(0);
                    let value = OooValue::Float(s.v);
                    samples.push((self.name(s.series), OooSample { t: s.t, st, seq: 0, value }));
                }
                self.insert(samples);
            }
            Record::Histograms(all) => {
                let mut samples = Vec::with_capacity(all.len());
                for h in all {
                    let valid = match &h.h {
                        OwnedHistogram::Integer(h) => h.validate().is_ok(),
                        OwnedHistogram::Float(h) => h.validate().is_ok(),
                    };
                    if !valid {
                        self.invalid += 1;
                        continue;
                    }
                    let value = OooValue::Histogram(h.h);
                    samples.push((self.name(h.series), OooSample { t: h.t, st: h.st, seq: 0, value }));
                }
                self.insert(samples);
            }
            Record::Markers(markers) => self.markers(&markers),
            _ => {}
        }
    }

    fn name(&mut self, series: u64) -> u64 {
        self.highest_ref = self.highest_ref.max(series);
        let Some(name) = self.names.get(&series) else { return series };
        self.used_names.insert(series);
        *name
    }

    fn insert(&mut self, mut samples: Vec<(u64, OooSample)>) {
        self.samples += samples.len() as u64;
        let mut rest = samples.drain(..).peekable();
        while let Some((first, _)) = rest.peek() {
            let number = page_number(*first);
            let page = self.head.pages.get(number);
            let mut page = page.as_ref().map(|p| p.lock());
            while let Some((series, sample)) = rest.next_if(|(series, _)| page_number(*series) == number) {
                let Some(s) = page.as_mut().and_then(|p| p.get_mut(series)) else {
                    self.unknown += 1;
                    continue;
                };
                let t = sample.t;
                let ooo = s.extra_mut().ooo.get_or_insert_default();
                if self.head.insert_into(series, ooo, sample, 0, &self.rules) {
                    self.times = (self.times.0.min(t), self.times.1.max(t));
                }
            }
        }
    }

    /// Drops from memory what the log says is in chunks, where all of these are there. (Prometheus
    /// drops it if any chunk of any series was found at that place or behind, which may have been
    /// written later than those that a crash took.)
    fn markers(&mut self, markers: &[Marker]) {
        let mut by_series: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for m in markers {
            by_series.entry(self.name(m.series)).or_default().push(m.chunk);
        }
        for (series, chunks) in by_series {
            let Some(page) = self.head.page_of(series) else { continue };
            let mut page = page.lock();
            let Some(ooo) = page.get_mut(series).and_then(Series::ooo_mut) else { continue };
            if chunks.iter().all(|c| ooo.has_chunk(*c)) && !ooo.take_open().is_empty() {
                self.head.counters.chunks.sub(1);
                self.head.counters.chunks_removed.add(1);
            }
        }
    }
}

impl Head {
    /// Gives a series the late chunks that were found under one of its names.
    pub(in crate::head) fn attach_late(&self, series: u64, mut chunks: Vec<OooChunk>) {
        let Some(page) = self.page_of(series) else { return };
        let mut page = page.lock();
        let Some(s) = page.get_mut(series) else { return };
        self.counters.chunks.add(chunks.len() as u64);
        self.counters.chunks_created.add(chunks.len() as u64);
        chunks.iter().for_each(|c| self.ooo.widen((c.min_ms, c.max_ms)));
        let ooo: &mut OooSeries = s.extra_mut().ooo.get_or_insert_default();
        ooo.mapped.append(&mut chunks);
        ooo.mapped.sort_unstable_by_key(|c| c.place);
        ooo.mapped.shrink_to_fit();
    }
}
