//! What is read from the log on its way into a queue's shards: told apart, converted, named, or counted as dropped.

use model::{Labels, TimestampMs, is_stale_nan};
use tsdb::tail::{RefExemplar, RefHistogram, RefSample, TailItem};

use super::entry::{Attached, Entry, Kind, Protocol, Value};
use super::nhcb::{Classic, is_custom, is_stale};
use super::queue::Queue;
use super::resume::Resume;
use super::tally::Place;

/// A sample that has been read, without its series' labels.
struct Read {
    series: u64,
    place: Place,
    t: TimestampMs,
    st: TimestampMs,
}

/// Before which time a sample is too old, and what time it is, nanoseconds.
type Limits = (TimestampMs, u64);

impl Queue {
    /// Takes in what was read: samples into their shards, or counted where they are not sent.
    pub(super) fn take(&mut self, item: TailItem, oldest_ms: TimestampMs, now_ns: u64) {
        let record = self.tally.next();
        let limits = (oldest_ms, now_ns);
        match item {
            TailItem::Series(segment, all) => {
                all.into_iter().for_each(|(series, labels)| self.series.add(series, labels, segment));
            }
            TailItem::Metadata(all) => {
                if self.options.protocol == Protocol::V2 {
                    all.into_iter().for_each(|(series, metadata)| self.series.describe(series, metadata));
                }
            }
            TailItem::Samples(all, starts) => {
                for (i, s) in all.iter().enumerate() {
                    let st = starts.get(i).copied().unwrap_or(0);
                    let place = Place::new(record, i);
                    self.take_sample(s, Read { series: s.series, place, t: s.t, st }, limits);
                }
            }
            TailItem::Histograms(all) => {
                for (i, h) in all.into_iter().enumerate() {
                    let read = Read { series: h.series, place: Place::new(record, i), t: h.t, st: h.st };
                    self.take_histogram(h, read, limits);
                }
            }
            TailItem::Exemplars(all) => {
                if self.options.send_exemplars {
                    for (i, e) in all.into_iter().enumerate() {
                        let read = Read { series: e.series, place: Place::new(record, i), t: e.t, st: 0 };
                        self.take_exemplar(e, &read, limits);
                    }
                }
            }
            TailItem::Kept(number, all) => {
                all.into_iter().for_each(|series| self.series.keep(series, number))
            }
            TailItem::Forget(number) => {
                self.series.forget(number);
                if let Some(converter) = &mut self.converter {
                    converter.retain(|series| self.series.knows(series));
                }
            }
            TailItem::Trouble(text) => self.trouble.push(text),
            TailItem::Pause | TailItem::End => {}
        }
    }

    fn take_sample(&mut self, s: &RefSample, read: Read, limits: Limits) {
        // A float of a series that had histograms is its end, or another kind of sample: the classic series go.
        if let Some(converter) = self.converter.as_mut().filter(|c| c.knows(read.series))
            && read.t >= limits.0
        {
            let is_end = is_stale_nan(s.v);
            let ended = converter.end(read.series, if is_end { read.st } else { 0 });
            self.put_classic(&read, ended, limits);
            if is_end {
                return;
            }
        }
        self.put(&read, Value::Float(s.v), limits);
    }

    fn take_histogram(&mut self, h: RefHistogram, read: Read, limits: Limits) {
        let is_custom = is_custom(&h.h);
        let is_known = self.converter.as_ref().is_some_and(|c| c.knows(h.series));
        let is_end = is_known && is_stale(&h.h);
        let converts = self.converter.is_some() && (is_custom || is_end);
        let sends = self.options.send_native_histograms;
        if !converts && !is_known {
            if !sends {
                return;
            }
            let is_new = read.t >= limits.0 && !self.is_done(&read);
            if self.options.protocol == Protocol::V1 && is_custom && is_new {
                self.read.histograms += 1;
                self.dropped.custom_buckets += 1;
                return;
            }
            return self.put(&read, Value::Histogram(h.h), limits);
        }
        let labels = self.series.get(h.series).and_then(|known| known.labels.clone());
        let Some(labels) = labels.filter(|_| read.t >= limits.0) else {
            // Too old, unknown or not to be sent: counted as what it is.
            return self.put(&read, Value::Histogram(h.h), limits);
        };
        let Some(converter) = &mut self.converter else { return };
        if is_custom {
            match converter.convert(h.series, &labels, &h.h, read.st) {
                Ok(classic) => self.put_classic(&read, classic, limits),
                Err(why) => {
                    self.read.histograms += 1;
                    self.dropped.conversion_errors += 1;
                    self.trouble.push(format!("Conversion error: {why}"));
                }
            }
            return;
        }
        let ended = converter.end(h.series, if is_end { read.st } else { 0 });
        self.put_classic(&read, ended, limits);
        if !is_end && sends {
            self.put(&read, Value::Histogram(h.h), limits);
        }
    }

    fn take_exemplar(&mut self, e: RefExemplar, read: &Read, limits: Limits) {
        if self.is_done(read) {
            return;
        }
        let bucket = self.converter.as_ref().and_then(|c| c.bucket_of(e.series, e.v)).cloned();
        let sent_as = bucket.clone().or_else(|| self.series.get(e.series)?.labels.clone());
        if self.options.protocol == Protocol::V2
            && read.t >= limits.0
            && let Some(labels) = &sent_as
            && let Some(sample) = self.pending_sample(e.series, labels)
        {
            let attached = Attached { place: read.place, labels: e.labels, value: e.v, t: read.t };
            sample.exemplars.get_or_insert_default().push(attached);
            self.read.exemplars += 1;
            self.pending.exemplars += 1;
            return;
        }
        if self.options.protocol == Protocol::V2 && self.resume.as_ref().is_some_and(Resume::is_reading) {
            // It went with its sample, or would come too late for it.
            return;
        }
        let value = Value::Exemplar(Box::new((e.labels, e.v)));
        match bucket {
            Some(bucket) if read.t >= limits.0 => self.push(read, bucket, value, limits.1),
            _ => self.put(read, value, limits),
        }
    }

    /// The newest sample of a series, sent as `labels`, that is in no request yet.
    fn pending_sample(&mut self, series: u64, labels: &Labels) -> Option<&mut Entry> {
        let last = self.series.get(series)?.last;
        let n = self.shards.len() as u64;
        let shard = &mut self.shards[(series % n) as usize];
        let mut at = last.wrapping_sub(shard.drained) as usize;
        loop {
            let e = shard.pending.get(at).filter(|e| e.series == series)?;
            if e.labels == *labels && !matches!(e.value, Value::Exemplar(_)) {
                break;
            }
            at = at.checked_sub(1)?;
        }
        shard.pending.get_mut(at)
    }

    /// Puts the samples of classic series into the shard of the series that they come from.
    fn put_classic(&mut self, read: &Read, classic: Vec<Classic>, (_, now_ns): Limits) {
        if self.is_done(read) {
            return;
        }
        for (labels, v, st) in classic {
            self.push(&Read { st, ..*read }, labels, Value::Float(v), now_ns);
        }
    }

    /// Puts a sample into its shard, or counts why not.
    #[inline]
    fn put(&mut self, read: &Read, value: Value, (oldest_ms, now_ns): Limits) {
        if self.is_done(read) {
            return;
        }
        let kind = value.kind();
        let known = self.series.get(read.series);
        let dropped = match known {
            _ if read.t < oldest_ms => &mut self.dropped.too_old,
            None => &mut self.dropped.unknown_series,
            Some(known) => match &known.labels {
                None => &mut self.dropped.by_relabelling,
                Some(labels) => {
                    let labels = labels.clone();
                    return self.push(read, labels, value, now_ns);
                }
            },
        };
        *dropped.of(kind) += 1;
        *self.read.of(kind) += 1;
    }

    /// Whether a process before this one has sent it. What histograms are converted with sees it nevertheless.
    #[inline]
    fn is_done(&self, read: &Read) -> bool {
        self.resume.as_ref().is_some_and(|r| r.is_done(read.series, read.place))
    }

    /// Puts a sample into its shard, or into the request in which it was under way.
    #[inline]
    fn push(&mut self, read: &Read, labels: Labels, value: Value, now_ns: u64) {
        let Read { series, place, t, st } = *read;
        let kind = value.kind();
        *self.read.of(kind) += 1;
        *self.pending.of(kind) += 1;
        self.highest_ms = self.highest_ms.max(t);
        let exemplars = None;
        if let Some(resume) = &mut self.resume
            && let Some(request) = resume.request_of(series, place)
        {
            let metadata = None;
            resume.add(request, Entry { series, place, labels, metadata, t, st, value, exemplars });
            return;
        }
        let n = self.shards.len() as u64;
        let shard = &mut self.shards[(series % n) as usize];
        if shard.pending.is_empty() {
            shard.since_ns = now_ns;
        }
        let mut metadata = None;
        if let Some(known) = self.series.get_mut(series) {
            metadata = known.metadata.clone();
            if kind != Kind::Exemplar {
                known.last = shard.drained.wrapping_add(shard.pending.len() as u32);
            }
        }
        shard.pending.push_back(Entry { series, place, labels, metadata, t, st, value, exemplars });
    }
}
