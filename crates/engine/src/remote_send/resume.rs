//! Going on after a process that sent more than all before its place: what is known to have arrived is left out, and
//! what was under way comes again in the same requests, before all else. A receiver of remote write 1.0 takes a request
//! as a whole, or refuses it as a whole because it has a sample of it: so none may have old samples and new ones.

use std::collections::BTreeMap;

use tsdb::tail::TailPosition;

use super::entry::Entry;
use super::progress::{Progress, RecordEnd};
use super::tally::Place;

pub(super) struct Resume {
    progress: Progress,
    /// Behind it there is only what is new.
    reach: TailPosition,
    /// The record that is being read.
    record: RecordEnd,
    /// Requests that were under way are made again.
    repeats: bool,
    is_read: bool,
    /// Those that were not handed out yet, by the shard that they were of.
    requests: BTreeMap<u32, Vec<Entry>>,
    handed_out: usize,
}

impl Resume {
    /// `None` where the place says it all. Without `repeats` what was under way is sent as if it were new.
    pub(super) fn new(progress: Progress, repeats: bool) -> Option<Self> {
        let reach = progress.reach();
        if reach == progress.done {
            return None;
        }
        let record = RecordEnd { at: progress.done.wal, is_late: false };
        let requests = BTreeMap::new();
        Some(Self { progress, reach, record, repeats, is_read: false, requests, handed_out: 0 })
    }

    /// The samples that follow are of that record.
    pub(super) fn begin(&mut self, record: RecordEnd) {
        self.record = record;
    }

    pub(super) fn is_done(&self, series: u64, place: Place) -> bool {
        !self.is_read && self.progress.is_done(series, self.record, place.index())
    }

    /// Which request a sample was under way in that is not done with.
    pub(super) fn request_of(&self, series: u64, place: Place) -> Option<u32> {
        if self.is_read || !self.repeats {
            return None;
        }
        self.progress.request_of(series, self.record, place.index())
    }

    pub(super) fn add(&mut self, request: u32, entry: Entry) {
        self.requests.entry(request).or_default().push(entry);
    }

    /// Everything up to that place has been read, or all there is.
    pub(super) fn has_read(&mut self, position: TailPosition, at_end: bool) {
        self.is_read |= at_end || position.covers(self.reach);
    }

    /// Nothing can be sent yet: it is not known what belongs together.
    pub(super) fn is_reading(&self) -> bool {
        !self.is_read
    }

    /// A request that is to be sent again.
    pub(super) fn next(&mut self) -> Option<(u32, Vec<Entry>)> {
        let next = self.requests.pop_first()?;
        self.handed_out += 1;
        Some(next)
    }

    /// The same request is done with now.
    pub(super) fn finish(&mut self, request: u32) {
        self.progress.finish(request);
        self.handed_out = self.handed_out.saturating_sub(1);
    }

    /// All of it has been read, and nothing is under way.
    pub(super) fn is_over(&self) -> bool {
        self.is_read && self.requests.is_empty() && self.handed_out == 0
    }

    /// What is done with, as long as this goes on.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What is done with, once it is over.
    pub(super) fn into_progress(self) -> Progress {
        Progress { under_way: Vec::new(), ..self.progress }
    }
}
