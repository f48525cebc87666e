//! What one commit logs, and the records that makes.

use model::TimestampMs;

use super::compress::Compressor;
use super::record::{
    Marker, RefExemplar, RefHistogram, RefMetadata, RefSample, histogram_kinds, put_exemplars,
    put_histograms, put_markers, put_metadata, put_samples, put_samples_v2,
};
use super::writer::Queued;
use crate::db::WalCompression;

/// What one commit logs. Records follow each other in the order of the fields, as Prometheus writes
/// them; replay takes them in that order, so samples of one series belong into two of these where a
/// later one's field comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommitRecords<'a> {
    /// Before what is put into the new chunks.
    pub(crate) markers: &'a [Marker],
    pub(crate) metadata: &'a [RefMetadata],
    pub(crate) samples: &'a [RefSample],
    /// Of `samples`: as long, or empty where none is known.
    pub(crate) starts: &'a [TimestampMs],
    pub(crate) histograms: &'a [RefHistogram],
    pub(crate) exemplars: &'a [RefExemplar],
}

impl CommitRecords<'_> {
    /// Hands over each record, in one buffer that is cleared in between.
    pub(crate) fn each(&self, start_timestamps: bool, buf: &mut Vec<u8>, mut take: impl FnMut(&[u8])) {
        let mut record = |put: &dyn Fn(&mut Vec<u8>)| {
            buf.clear();
            put(buf);
            if !buf.is_empty() {
                take(buf);
            }
        };
        if !self.markers.is_empty() {
            record(&|buf| put_markers(buf, self.markers));
        }
        if !self.metadata.is_empty() {
            record(&|buf| put_metadata(buf, self.metadata));
        }
        if !self.samples.is_empty() {
            record(&|buf| {
                if start_timestamps {
                    put_samples_v2(buf, self.samples, self.starts);
                } else {
                    put_samples(buf, self.samples);
                }
            });
        }
        if !self.histograms.is_empty() {
            for kind in histogram_kinds(start_timestamps) {
                record(&|buf| put_histograms(buf, *kind, self.histograms));
            }
        }
        if !self.exemplars.is_empty() {
            record(&|buf| put_exemplars(buf, self.exemplars));
        }
    }
}

/// Memory in which a commit makes its records, kept by the caller for the next one.
#[derive(Default)]
pub(crate) struct RecordBuffers {
    raw: Vec<u8>,
    compressor: Compressor,
    pub(super) records: Vec<Queued>,
}

impl RecordBuffers {
    /// Makes the records of `batches`, one after the other; returns the bytes that compression saved.
    pub(super) fn fill(
        &mut self,
        batches: &[CommitRecords<'_>],
        start_timestamps: bool,
        compression: WalCompression,
    ) -> u64 {
        let Self { raw, compressor, records } = self;
        records.clear();
        let mut saved = 0;
        for batch in batches {
            batch.each(start_timestamps, raw, |record| {
                let queued = Queued::compressed(record, compression, compressor);
                saved += queued.saved_bytes(record.len());
                records.push(queued);
            });
        }
        // One huge commit does not keep its memory for ever.
        raw.shrink_to(1 << 20);
        saved
    }
}
