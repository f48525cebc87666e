//! A reader of both logs beside a real database: everything appended comes once and in order, from any place, whatever
//! is cut and removed meanwhile.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, SeriesRef};
use storage::{Fs, Inline, ManualClock, MemFs};

use super::*;
use crate::{Db, DbOptions, WalCompression};

/// What a reader has been told.
#[derive(Default)]
struct Heard {
    series: HashMap<u64, (Labels, u32)>,
    /// By series' label and time.
    samples: Vec<(String, i64)>,
    trouble: Vec<String>,
    ends: Vec<TailPosition>,
}

impl Heard {
    /// Reads up to the end.
    fn read(&mut self, tail: &mut Tail) {
        loop {
            let item = tail.next(&|series| self.series.contains_key(&series)).unwrap();
            match item {
                TailItem::Series(segment, all) => {
                    self.series.extend(all.into_iter().map(|(r, labels)| (r, (labels, segment))));
                }
                TailItem::Samples(all, _) => {
                    for s in all {
                        let name = self.series[&s.series].0.get("a").unwrap().to_owned();
                        self.samples.push((name, s.t));
                    }
                    self.ends.push(tail.position());
                }
                TailItem::Kept(number, refs) => {
                    for r in refs {
                        self.series.entry(r).and_modify(|s| s.1 = number);
                    }
                }
                TailItem::Forget(number) => self.series.retain(|_, s| s.1 >= number),
                TailItem::Trouble(text) => self.trouble.push(text),
                TailItem::Metadata(_)
                | TailItem::Histograms(_)
                | TailItem::Exemplars(_)
                | TailItem::Pause => {}
                TailItem::End => return,
            }
        }
    }
}

fn options(fs: &MemFs) -> DbOptions {
    let mut o = DbOptions::new("data", Arc::new(fs.clone()), Arc::new(ManualClock::new(0)), Arc::new(Inline));
    o.wal_segment_bytes = 32 * 1024;
    o.wal_compression = WalCompression::None;
    o.min_block_duration_ms = 1000;
    o.settings.out_of_order_window_ms = 500;
    o
}

fn append(db: &Db, samples: impl IntoIterator<Item = (String, i64)>) -> Vec<(String, i64)> {
    let mut a = db.appender();
    let mut done = Vec::new();
    for (name, t) in samples {
        let labels = Labels::from_pairs([("a", name.as_str())]);
        a.append(SeriesRef::NONE, &labels, t, 0, t as f64 + 0.1).unwrap();
        done.push((name, t));
    }
    a.commit().unwrap();
    done
}

fn name(i: i64) -> String {
    format!("series {i}")
}

#[test]
fn begins_behind_what_is_there_and_ends_with_what_comes() {
    let fs = MemFs::new();
    let db = Db::open(options(&fs)).unwrap();
    append(&db, [(name(1), 1000)]);
    let mut tail = db.tail(None).unwrap();
    let mut heard = Heard::default();
    heard.read(&mut tail);
    assert_eq!((heard.samples.len(), heard.series.len()), (0, 1));
    // A late one, of a series that the main log names in the same commit.
    let sent = append(&db, [(name(1), 1001), (name(2), 1100), (name(3), 700)]);
    heard.read(&mut tail);
    assert_eq!(heard.samples, sent);
    assert_eq!(heard.trouble, Vec::<String>::new());
}

#[test]
fn goes_on_from_any_place() {
    let fs = MemFs::new();
    let db = Db::open(options(&fs)).unwrap();
    let mut tail = db.tail(None).unwrap();
    let mut heard = Heard::default();
    let mut sent = Vec::new();
    for t in 0..200 {
        sent.extend(append(&db, (0..20).map(|i| (name(t / 10 * 20 + i), t * 5))));
    }
    heard.read(&mut tail);
    assert_eq!(heard.samples, sent);
    assert!(tail.segment() > 0, "several segments");
    assert_eq!(heard.ends.len() * 20, sent.len());
    db.close().unwrap();
    let db = Db::open(options(&fs)).unwrap();
    for (i, end) in heard.ends.iter().enumerate().step_by(17) {
        let mut again = Heard::default();
        again.read(&mut db.tail(Some(*end)).unwrap());
        assert_eq!(again.samples, sent[(i + 1) * 20..], "{end:?}");
    }
}

/// A reader that keeps up, one that hears everything at the end, and one that is opened again and again.
#[test]
fn truncation_takes_nothing_that_is_still_needed() {
    let fs = MemFs::new();
    let db = Db::open(options(&fs)).unwrap();
    let (mut quick, mut slow) = (db.tail(None).unwrap(), db.tail(None).unwrap());
    let (mut heard, mut heard_late, mut heard_anew) = (Heard::default(), Heard::default(), Heard::default());
    let mut place = quick.position();
    let mut sent = Vec::new();
    for t in 0..400 {
        // Series come and go.
        sent.extend(append(&db, (0..30).map(|i| (name(t / 20 * 10 + i), t * 20))));
        if t % 25 == 24 {
            heard.read(&mut quick);
            quick.release(quick.position());
            db.tick().unwrap();
            let mut anew = db.tail(Some(place)).unwrap();
            heard_anew.read(&mut anew);
            place = anew.position();
        }
    }
    heard.read(&mut quick);
    heard_anew.read(&mut db.tail(Some(place)).unwrap());
    heard_late.read(&mut slow);
    for (who, heard) in [("quick", &heard), ("anew", &heard_anew), ("slow", &heard_late)] {
        assert_eq!(heard.samples, sent, "{who}");
        assert_eq!(heard.trouble, Vec::<String>::new(), "{who}");
    }
    // Nobody holds the log any more.
    drop(slow);
    let first = || segment_sizes(&fs, Path::new("data/wal")).unwrap()[0].0;
    assert_eq!(first(), 0);
    for t in 400..600 {
        append(&db, (0..30).map(|i| (name(1000 + i), t * 20)));
        if t % 25 == 0 {
            heard.read(&mut quick);
            quick.release(quick.position());
            db.tick().unwrap();
        }
    }
    assert!(first() > 0);
    heard.read(&mut quick);
    let known = heard.series.len();
    assert!(known < 150, "{known}: those that are gone are forgotten");
}

/// Late samples that went into blocks before anybody read them, over a restart, and what is kept for it.
#[test]
fn late_samples_in_blocks_are_still_read() {
    let fs = MemFs::new();
    let db = Db::open(options(&fs)).unwrap();
    let tail = db.tail(None).unwrap();
    let place = tail.position();
    let mut sent = Vec::new();
    let kept = || segment_sizes(&fs, Path::new("data/remote_write/wbl")).unwrap();
    for t in 0..300 {
        sent.extend(append(&db, (0..20).flat_map(|i| [(name(i), t * 20), (name(i), t * 20 - 150)])));
        if t % 25 == 24 {
            db.tick().unwrap();
        }
    }
    assert!(kept().len() > 1, "late samples went into blocks");
    sent.sort();
    drop(tail);
    db.close().unwrap();

    let db = Db::open(options(&fs)).unwrap();
    let mut tail = db.tail(Some(place)).unwrap();
    let mut heard = Heard::default();
    heard.read(&mut tail);
    heard.samples.sort();
    // One that another overtook between append and commit is in both logs.
    heard.samples.dedup();
    assert_eq!(heard.trouble, Vec::<String>::new());
    assert!(heard.samples == sent, "{} of {}", heard.samples.len(), sent.len());
    // What has been read is not kept.
    tail.release(tail.position());
    assert_eq!(kept(), []);
    let names: Vec<_> = tail.counts().records().map(|(name, n)| (name, n > 0)).collect();
    assert!(names.contains(&("series", true)) && names.contains(&("samples", true)), "{names:?}");
    // Nobody reads, nothing is kept.
    drop(tail);
    for t in 300..400 {
        append(&db, (0..20).flat_map(|i| [(name(i), t * 20), (name(i), t * 20 - 150)]));
        if t % 25 == 24 {
            db.tick().unwrap();
        }
    }
    assert_eq!(kept(), []);
}

#[test]
fn says_what_was_gone_before_it_was_read() {
    let fs = MemFs::new();
    let mut o = options(&fs);
    o.wal_held_bytes_max = 0;
    let db = Db::open(o).unwrap();
    let mut tail = db.tail(None).unwrap();
    let mut heard = Heard::default();
    let mut last = Vec::new();
    for t in 0..400 {
        last = append(&db, (0..30).map(|i| (name(i), t * 20)));
        if t % 25 == 24 {
            db.tick().unwrap();
        }
    }
    heard.read(&mut tail);
    assert!(heard.samples.ends_with(&last));
    assert_eq!(heard.trouble.len(), 1, "{:?}", heard.trouble);
    assert!(heard.trouble[0].contains("removed before they were read"), "{:?}", heard.trouble);
    // The same from a place in the past.
    let mut again = Heard::default();
    again.read(&mut db.tail(Some(TailPosition::default())).unwrap());
    assert_eq!(again.trouble.len(), 1, "{:?}", again.trouble);
    assert!(again.samples.ends_with(&last));
}

#[test]
fn a_place_that_the_log_never_came_to_is_its_beginning() {
    let fs = MemFs::new();
    let db = Db::open(options(&fs)).unwrap();
    let mut sent = append(&db, [(name(1), 1000)]);
    sent.extend(append(&db, [(name(1), 700)]));
    let far = LogPosition { segment: 77, offset: 5 };
    let mut heard = Heard::default();
    heard.read(&mut db.tail(Some(TailPosition { wal: far, wbl: far })).unwrap());
    assert_eq!(heard.samples, sent);
}

#[test]
fn damage_costs_the_rest_of_its_segment() {
    let fs = MemFs::new();
    let db = Db::open(options(&fs)).unwrap();
    let mut tail = db.tail(None).unwrap();
    let mut sent = Vec::new();
    for t in 0..300 {
        sent.extend(append(&db, (0..20).map(|i| (name(i), t * 5))));
    }
    let path = segment_path_of(1);
    let mut bytes = fs.read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs.create(&path).unwrap().append(&bytes).unwrap();
    let mut heard = Heard::default();
    heard.read(&mut tail);
    assert_eq!(heard.trouble.len(), 1, "{:?}", heard.trouble);
    assert!(heard.samples.len() < sent.len() && heard.samples.len() > sent.len() / 3);
    assert_eq!(heard.samples.last(), sent.last());
}

fn segment_path_of(n: u32) -> PathBuf {
    crate::wal::segment::segment_path(Path::new("data/wal"), n)
}

/// Bytes arrive in any pieces: no record is lost, none comes twice.
#[test]
fn a_record_that_is_half_there_is_waited_for() {
    let whole = MemFs::new();
    let db = Db::open(options(&whole)).unwrap();
    let mut sent = Vec::new();
    for t in 0..40 {
        sent.extend(append(&db, (0..50).map(|i| (name(i + t), t * 5))));
    }
    let bytes = whole.read(&segment_path_of(0)).unwrap();
    for piece in [1usize, 6, 7, 100, 4096, 32 * 1024 - 3] {
        let fs = MemFs::new();
        fs.create_dir_all(Path::new("data/wal")).unwrap();
        let mut file = fs.create(&segment_path_of(0)).unwrap();
        let dirs = LogDirs { wal: "data/wal".into(), wbl: "data/wbl".into(), kept: "data/kept".into() };
        let mut tail = Tail::open(Arc::new(fs.clone()), dirs, None, &LogHolds::default(), 0).unwrap();
        let mut heard = Heard::default();
        let some = &bytes[..bytes.len().min(piece * 3000)];
        for part in some.chunks(piece) {
            file.append(part).unwrap();
            heard.read(&mut tail);
        }
        assert!(sent.starts_with(&heard.samples), "{piece}");
        assert!(!heard.samples.is_empty(), "{piece}");
        assert_eq!(heard.trouble, Vec::<String>::new());
        if some.len() == bytes.len() && bytes.len() < 32 * 1024 {
            assert_eq!(heard.samples, sent, "{piece}");
        }
    }
}
