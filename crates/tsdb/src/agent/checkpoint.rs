//! A checkpoint written from the series in memory: without reading the log, and without samples but for the time of the
//! last one of each series, under the value 0.

use model::{Labels, TimestampMs};
use storage::StorageError;

use super::page::PAGE_SERIES;
use super::series::SeriesTable;
use super::truncate::Deleted;
use crate::int_map::IntMap;
use crate::wal::record::{self, RefMetadata, RefSample};
use crate::wal::segment::checkpoints;
use crate::wal::{Output, WalOptions, make_checkpoint};

/// Records under construction: one of series, with those that belong to them.
struct Batches<'a, 'b> {
    out: &'a mut Output<'b>,
    series_max: usize,
    series: usize,
    labels: Vec<u8>,
    metadata: Vec<RefMetadata>,
    samples: Vec<RefSample>,
    buf: Vec<u8>,
}

impl Batches<'_, '_> {
    fn put(
        &mut self,
        series: u64,
        labels: &Labels,
        metadata: Option<&model::Metadata>,
        end_ms: TimestampMs,
    ) -> Result<(), StorageError> {
        record::put_series(&mut self.labels, series, labels);
        self.series += 1;
        let metadata = metadata.filter(|m| **m != model::Metadata::default()).cloned();
        self.metadata.extend(metadata.map(|metadata| RefMetadata { series, metadata }));
        if end_ms != TimestampMs::MIN {
            self.samples.push(RefSample { series, t: end_ms, v: 0.0 });
        }
        if self.series == self.series_max { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        let Self { out, series, labels, metadata, samples, buf, .. } = self;
        if *series == 0 {
            return Ok(());
        }
        out.put(labels)?;
        if !metadata.is_empty() {
            buf.clear();
            record::put_metadata(buf, metadata.iter());
            out.put(buf)?;
        }
        if !samples.is_empty() {
            buf.clear();
            record::put_samples(buf, samples);
            out.put(buf)?;
        }
        *series = 0;
        labels.clear();
        metadata.clear();
        samples.clear();
        Ok(())
    }
}

/// Writes the checkpoint that stands for all segments up to `last`, unless there is a later one: all series in memory,
/// and those that are gone and that later segments may name.
///
/// # Errors
/// Where files cannot be written: nothing has changed then.
pub(super) fn write(
    table: &SeriesTable,
    options: &WalOptions,
    last: u32,
    series_max: usize,
    deleted: &IntMap<u64, Deleted>,
) -> Result<(), StorageError> {
    if checkpoints(&*options.fs, &options.dir)?.last().is_some_and(|there| *there >= last) {
        return Ok(());
    }
    make_checkpoint(options, last, |out| {
        let mut batches = Batches {
            out,
            series_max,
            series: 0,
            labels: Vec::new(),
            metadata: Vec::new(),
            samples: Vec::new(),
            buf: Vec::new(),
        };
        for (number, page) in table.pages.all() {
            // Copied, so that nobody waits for the disk.
            let mut all = {
                let symbols = table.symbols.read();
                let page = page.lock();
                let one = |(slot, ids, end_ms): (u64, model::symbols::SymbolSlice<'_>, TimestampMs)| {
                    let series = number * PAGE_SERIES + slot;
                    (series, ids.resolve(&symbols), page.metadata(series).cloned(), end_ms)
                };
                page.iter().map(one).collect::<Vec<_>>()
            };
            all.sort_unstable_by_key(|(series, ..)| *series);
            for (series, labels, metadata, end_ms) in all {
                batches.put(series, &labels, metadata.as_deref(), end_ms)?;
            }
        }
        batches.flush()?;
        let mut gone: Vec<_> = deleted.iter().filter(|(_, d)| d.last_segment > last).collect();
        gone.sort_unstable_by_key(|(series, _)| **series);
        for (series, d) in gone {
            if let Some(labels) = &d.labels {
                batches.put(*series, labels, d.metadata.as_deref(), TimestampMs::MIN)?;
            }
        }
        batches.flush()
    })
}
