//! A series' label set: sorted, immutable, one allocation, cheap to clone.

use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::METRIC_NAME;

/// An immutable label set, sorted by name (bytewise), without empty values.
///
/// Encoding: for each label, LEB128 length and bytes of the name, then of the value, both UTF-8.
/// A clone copies a pointer and raises a count. Ordering is that of Prometheus' `labels.Compare`:
/// pairwise by name then value, a prefix before what it is a prefix of.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[u8]>);

impl Labels {
    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        static EMPTY: OnceLock<Labels> = OnceLock::new();
        EMPTY.get_or_init(|| Labels(Arc::from(&[][..]))).clone()
    }

    /// Builds a set from pairs in any order; a name given twice keeps its last value, an empty
    /// value drops the label.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut b = LabelsBuilder::new();
        for (n, v) in pairs {
            b.set(n.as_ref(), v.as_ref());
        }
        b.build()
    }

    /// Builds a set from pairs already sorted by name, distinct, with values that are not empty.
    /// The order is the caller's promise; debug builds check it.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut buf = Vec::with_capacity(128);
        #[cfg(debug_assertions)]
        let mut last: Option<&str> = None;
        for (n, v) in pairs {
            #[cfg(debug_assertions)]
            {
                debug_assert!(last.is_none_or(|l| l < n), "labels must be sorted and distinct");
                debug_assert!(!v.is_empty(), "label values must not be empty");
                last = Some(n);
            }
            push_str(&mut buf, n);
            push_str(&mut buf, v);
        }
        if buf.is_empty() { Self::empty() } else { Self(Arc::from(buf)) }
    }

    /// The set whose encoding, as the type describes it, is `bytes`; `None` where they are not
    /// exactly that: names sorted and distinct, no empty value, UTF-8, lengths in their shortest form.
    /// Copies the bytes and nothing else.
    #[must_use]
    pub fn from_encoded(bytes: &[u8]) -> Option<Self> {
        EncodedLabels::new(bytes)?;
        Some(if bytes.is_empty() { Self::empty() } else { Self(Arc::from(bytes)) })
    }

    /// The set's encoding, checked.
    #[must_use]
    pub fn encoded(&self) -> EncodedLabels<'_> {
        EncodedLabels(&self.0)
    }

    /// The number of labels; walks the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each label, in order of name.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// As [`Labels::iter`], as bytes: for those who copy them, and need not know that they are UTF-8.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let name = take_bytes(&mut rest);
            Some((name, take_bytes(&mut rest)))
        })
    }

    /// The value of `name`, if the set has it. Linear in the number of labels.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut rest = &self.0[..];
        while !rest.is_empty() {
            let (n, v) = (take_bytes(&mut rest), take_bytes(&mut rest));
            match n.cmp(name.as_bytes()) {
                Ordering::Equal => return Some(text(v)),
                Ordering::Greater => return None,
                Ordering::Less => {}
            }
        }
        None
    }

    /// The metric name, or "" where there is none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// The encoding described at the type; equal sets have equal bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A 64-bit hash for tables within this process; not Prometheus' hash.
    #[must_use]
    pub fn hash64(&self) -> u64 {
        xxh3_64(&self.0)
    }

    /// Whether this handle is not the only one on its memory.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// A 128-bit hash under a secret seed, for caches that compare no keys.
    #[must_use]
    pub fn hash128(&self, seed: u64) -> u128 {
        xxh3_128_with_seed(&self.0, seed)
    }

    /// The set without the metric name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        self.filter(|n| n != METRIC_NAME.as_bytes())
    }

    /// The labels whose name is in `names`, which must be sorted: `by (…)`.
    #[must_use]
    pub fn keep(&self, names: &[String]) -> Self {
        self.filter(|n| names.binary_search_by(|x| x.as_bytes().cmp(n)).is_ok())
    }

    /// The labels whose name, as bytes, `keep` accepts. Copies what stays in stretches; the set itself
    /// where all do.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&[u8]) -> bool) -> Self {
        /// Sets longer than this, which are rare, take an allocation more.
        const STACK: usize = 512;
        let mut stack = [0; STACK];
        let mut heap = Vec::new();
        let out = if self.0.len() <= STACK {
            &mut stack[..]
        } else {
            heap.resize(self.0.len(), 0);
            &mut heap[..]
        };
        let mut len = 0;
        let mut put = |stretch: &[u8]| {
            out[len..len + stretch.len()].copy_from_slice(stretch);
            len += stretch.len();
        };
        // `rest` is what has not been looked at, `kept` begins with what was kept and not copied yet.
        let (mut rest, mut kept) = (&self.0[..], &self.0[..]);
        while !rest.is_empty() {
            let before = rest;
            let name = take_bytes(&mut rest);
            take_bytes(&mut rest);
            if !keep(name) {
                put(&kept[..kept.len() - before.len()]);
                kept = rest;
            }
        }
        if kept.len() == self.0.len() {
            return self.clone();
        }
        put(kept);
        if len == 0 { Self::empty() } else { Self(Arc::from(&out[..len])) }
    }

    /// The labels whose name is neither in `names`, which must be sorted, nor the metric name:
    /// `without (…)`.
    #[must_use]
    pub fn drop_and_name(&self, names: &[String]) -> Self {
        self.filter(|n| {
            n != METRIC_NAME.as_bytes() && names.binary_search_by(|x| x.as_bytes().cmp(n)).is_err()
        })
    }

    /// A builder that starts from this set.
    #[must_use]
    pub fn to_builder(&self) -> LabelsBuilder {
        let mut b = LabelsBuilder::new();
        b.reset(self);
        b
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        // Who merges sets in order meets equal ones most of the time.
        if self.0 == other.0 {
            return Ordering::Equal;
        }
        let (mut mine, mut others) = (&self.0[..], &other.0[..]);
        while !mine.is_empty() && !others.is_empty() {
            let order = take_bytes(&mut mine).cmp(take_bytes(&mut others));
            if order != Ordering::Equal {
                return order;
            }
        }
        mine.len().cmp(&others.len())
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// As Prometheus prints label sets: `{__name__="up", job="a"}`, values quoted as in Go, names that
/// are no legacy names quoted too.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (n, v)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(n) {
                f.write_str(n)?;
            } else {
                crate::float::write_go_quoted(f, n)?;
            }
            f.write_str("=")?;
            crate::float::write_go_quoted(f, v)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` is a label name in the scheme before UTF-8: `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_legacy_label_name(name: &str) -> bool {
    let b = name.as_bytes();
    !b.is_empty() && !b[0].is_ascii_digit() && b.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

/// Whether `name` is a metric name in the scheme before UTF-8: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_legacy_metric_name(name: &str) -> bool {
    let b = name.as_bytes();
    !b.is_empty()
        && !b[0].is_ascii_digit()
        && b.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_' || *c == b':')
}

/// Iterates name and value of each label of a [`Labels`].
#[derive(Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let n = take_str(&mut self.rest);
        let v = take_str(&mut self.rest);
        Some((n, v))
    }
}

fn push_str(buf: &mut Vec<u8>, s: &str) {
    let mut n = s.len();
    while n >= 0x80 {
        buf.push((n as u8 & 0x7f) | 0x80);
        n >>= 7;
    }
    buf.push(n as u8);
    buf.extend_from_slice(s.as_bytes());
}

#[inline]
fn take_str<'a>(rest: &mut &'a [u8]) -> &'a str {
    text(take_bytes(rest))
}

#[inline]
fn text(bytes: &[u8]) -> &str {
    // Checked again, because `unsafe` is not ours here.
    std::str::from_utf8(bytes).expect("the encoder only ever pushed UTF-8")
}

#[inline]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let mut n = 0usize;
    let mut shift = 0;
    let mut i = 0;
    loop {
        let b = rest[i];
        i += 1;
        n |= usize::from(b & 0x7f) << shift;
        if b < 0x80 {
            break;
        }
        shift += 7;
    }
    let (s, tail) = rest[i..].split_at(n);
    *rest = tail;
    s
}

/// The encoding of a [`Labels`] that somebody else holds, known to be one.
#[derive(Clone, Copy)]
pub struct EncodedLabels<'a>(&'a [u8]);

impl<'a> EncodedLabels<'a> {
    /// `None` where the bytes are not exactly what [`Labels`] describes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        // Nearly all sets are ASCII, which is quick to see for the whole.
        let ascii = bytes.is_ascii();
        let mut rest = bytes;
        let mut last: Option<&[u8]> = None;
        while !rest.is_empty() {
            let (name, value) = (checked_text(&mut rest)?, checked_text(&mut rest)?);
            if value.is_empty() || last.is_some_and(|l| l >= name) {
                return None;
            }
            if !ascii && (std::str::from_utf8(name).is_err() || std::str::from_utf8(value).is_err()) {
                return None;
            }
            last = Some(name);
        }
        Some(Self(bytes))
    }

    /// The bytes of name and value of each label, in order of name.
    #[inline]
    pub fn texts(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || checked_text(&mut rest))
    }

    /// What [`Labels::hash64`] gives for the set.
    #[must_use]
    pub fn hash64(self) -> u64 {
        xxh3_64(self.0)
    }
}

/// Takes a length in its shortest form, and so many bytes.
#[inline]
fn checked_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    /// No text is longer than this many groups of seven bits can say.
    const GROUPS_MAX: usize = 5;
    let (mut n, mut i) = (0u64, 0);
    loop {
        let b = *rest.get(i)?;
        n |= u64::from(b & 0x7f) << (7 * i);
        i += 1;
        if b < 0x80 {
            if b == 0 && i > 1 {
                return None;
            }
            break;
        }
        if i == GROUPS_MAX {
            return None;
        }
    }
    let (text, tail) = rest[i..].split_at_checked(usize::try_from(n).ok()?)?;
    *rest = tail;
    Some(text)
}

/// Edits a label set: labels are kept sorted, setting an empty value deletes.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    labels: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything and starts from `base`.
    pub fn reset(&mut self, base: &Labels) {
        self.labels.clear();
        self.labels.extend(base.iter().map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.labels.clear();
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        // Most callers add in order.
        match self.labels.last() {
            Some((n, _)) if n.as_str() < name => Err(self.labels.len()),
            None => Err(0),
            _ => self.labels.binary_search_by(|(n, _)| n.as_str().cmp(name)),
        }
    }

    /// Sets `name` to `value`; an empty value deletes.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match (self.position(name), value.is_empty()) {
            (Ok(i), true) => drop(self.labels.remove(i)),
            (Ok(i), false) => value.clone_into(&mut self.labels[i].1),
            (Err(_), true) => {}
            (Err(i), false) => self.labels.insert(i, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Deletes `name`, if it is there.
    pub fn del(&mut self, name: &str) -> &mut Self {
        if let Ok(i) = self.position(name) {
            self.labels.remove(i);
        }
        self
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).ok().map(|i| self.labels[i].1.as_str())
    }

    /// Name and value of each label, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Keeps the labels for which `f` says so.
    pub fn retain(&mut self, mut f: impl FnMut(&str, &str) -> bool) {
        self.labels.retain(|(n, v)| f(n, v));
    }

    /// Whether no label is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The set as it stands.
    #[must_use]
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_drops_empty_and_keeps_the_last() {
        let l = Labels::from_pairs([("z", "1"), ("a", "2"), ("m", ""), ("z", "3")]);
        assert_eq!(l.iter().collect::<Vec<_>>(), [("a", "2"), ("z", "3")]);
        assert_eq!(l.get("z"), Some("3"));
        assert_eq!(l.get("m"), None);
        assert_eq!(l.to_string(), r#"{a="2", z="3"}"#);
    }

    #[test]
    fn takes_its_own_encoding_and_nothing_else() {
        let long = "x".repeat(200);
        let l = Labels::from_pairs([("a", long.as_str()), ("b", "y")]);
        assert_eq!(Labels::from_encoded(l.as_bytes()), Some(l.clone()));
        assert_eq!(Labels::from_encoded(b""), Some(Labels::empty()));
        for n in 1..l.as_bytes().len() {
            let whole = Labels::from_pairs([("a", long.as_str())]);
            let cut = &l.as_bytes()[..n];
            assert_eq!(Labels::from_encoded(cut).is_some(), cut == whole.as_bytes(), "{n}");
        }
        let disorder: [&[u8]; 7] = [
            b"\x01b\x01y\x01a\x01x",
            b"\x01a\x01x\x01a\x01y",
            b"\x01a\x00",
            b"\x01a\x81\x00y",
            b"\x01a\x01\xff",
            b"\x01a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x01a\xff\xff\xff\xff\x0f",
        ];
        for bytes in disorder {
            assert_eq!(Labels::from_encoded(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn long_values_survive() {
        let long = "x".repeat(70_000);
        let l = Labels::from_pairs([("a", long.as_str()), ("b", "y")]);
        assert_eq!(l.get("a"), Some(long.as_str()));
        assert_eq!(l.get("b"), Some("y"));
    }

    #[test]
    fn orders_as_prometheus_does() {
        let l = |p: &[(&str, &str)]| Labels::from_pairs(p.iter().copied());
        assert!(l(&[("a", "1")]) < l(&[("a", "1"), ("b", "1")]));
        assert!(l(&[("a", "10")]) < l(&[("a", "9")]));
        assert!(l(&[("a", "z")]) < l(&[("b", "a")]));
        assert!(Labels::empty() < l(&[("a", "1")]));
    }

    #[test]
    fn filters_and_orders_as_pair_by_pair() {
        let long = "v".repeat(600);
        let values = ["1", "10", "9", "é", long.as_str()];
        let mut sets = vec![Labels::empty()];
        for n in 1..5usize.pow(3) {
            let value =
                |place: u32| values.get(n / 5usize.pow(place) % 5).filter(|_| n % (place as usize + 2) != 0);
            let pairs =
                ["__name__", "a", "ab"].into_iter().zip(0..).filter_map(|(n, p)| Some((n, *value(p)?)));
            sets.push(Labels::from_pairs(pairs));
        }
        for l in &sets {
            for kept in [&["a"][..], &["__name__", "ab"], &["__name__", "a", "ab"], &["b"], &[]] {
                let want = Labels::from_sorted(l.iter().filter(|(n, _)| kept.contains(n)));
                assert_eq!(l.filter(|n| kept.iter().any(|k| k.as_bytes() == n)), want, "{l} {kept:?}");
            }
            for other in &sets {
                assert_eq!(l.cmp(other), l.iter().cmp(other.iter()), "{l} {other}");
            }
        }
    }
}
