//! Labels as remote write 1.0 encodes them: the key of the cache of series, and the label set
//! behind it.

use std::borrow::Cow;
use std::fmt::Write as _;

use model::labels::is_legacy_label_name;
use model::{Labels, METRIC_NAME};

use crate::error::WireError;
use protobuf::Reader;
use protobuf::writer::{put_varint, varint_len};

/// Name and value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// Fields 1 of a series, one after another, tags included: `(0x0a length Label)*`.
///
/// Equal bytes are equal labels, so they serve as a cache's key; compare them whole. Different
/// bytes may be equal labels too (order, unknown fields), which only costs a second entry. The
/// symbols of 2.0 are resolved into the same encoding, so both protocols can share a cache.
#[derive(Clone, Copy, Debug)]
pub struct EncodedLabels<'a> {
    reader: Reader<'a>,
}

impl<'a> EncodedLabels<'a> {
    /// Takes `bytes`, which begin at `offset` in the body.
    #[must_use]
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { reader: Reader::new(bytes, offset) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.reader.rest()
    }

    /// Name and value of each label in the order of the body, not checked in any way: names may
    /// repeat, both may be empty or no UTF-8.
    ///
    /// # Errors
    /// Bytes that are no labels.
    pub fn for_each(&self, mut f: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), WireError> {
        let mut reader = self.reader;
        while let Some(tag) = reader.tag()? {
            if tag.raw() != 0x0a {
                reader.skip(tag, 0b10)?;
                continue;
            }
            let mut label = reader.message()?;
            let (mut name, mut value) = (&b""[..], &b""[..]);
            while let Some(tag) = label.tag()? {
                match tag.raw() {
                    0x0a => name = label.bytes()?,
                    0x12 => value = label.bytes()?,
                    _ => label.skip(tag, 0b110)?,
                }
            }
            f(name, value);
        }
        Ok(())
    }

    /// The label set of a series: sorted, without empty values, checked as Prometheus' receiver
    /// does. There must be a metric name; names are not empty; all is UTF-8; no name repeats.
    ///
    /// # Errors
    /// [`LabelsError::Wire`] fails the request; the others fail this series only.
    pub fn decode(&self) -> Result<Labels, LabelsError> {
        let pairs = self.sorted_pairs()?;
        let mut is_sound = pairs.iter().any(|(name, _)| *name == METRIC_NAME.as_bytes());
        let mut texts = Vec::with_capacity(pairs.len());
        for (name, value) in &pairs {
            match (std::str::from_utf8(name), std::str::from_utf8(value)) {
                (Ok("") | Err(_), _) | (_, Err(_)) => is_sound = false,
                (Ok(METRIC_NAME), Ok("")) => is_sound = false,
                (Ok(name), Ok(value)) => texts.push((name, value)),
            }
        }
        if !is_sound {
            return Err(LabelsError::Invalid { labels: display(&pairs) });
        }
        if let Some(twice) = texts.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(LabelsError::Duplicate { labels: display(&pairs), name: twice[0].0.to_owned() });
        }
        Ok(Labels::from_sorted(texts.into_iter().filter(|(_, value)| !value.is_empty())))
    }

    /// The labels of an exemplar: sorted, without empty values; a name given twice keeps its last
    /// value, and what is no UTF-8 is replaced.
    ///
    /// # Errors
    /// Bytes that are no labels.
    pub fn decode_exemplar(&self) -> Result<Labels, WireError> {
        let pairs = self.sorted_pairs()?;
        Ok(Labels::from_pairs(
            pairs.iter().map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value))),
        ))
    }

    fn sorted_pairs(&self) -> Result<Vec<Pair<'a>>, WireError> {
        let mut pairs = Vec::with_capacity(16);
        self.for_each(|name, value| pairs.push((name, value)))?;
        if !pairs.is_sorted_by_key(|(name, _)| *name) {
            pairs.sort_by_key(|(name, _)| *name);
        }
        Ok(pairs)
    }
}

/// Why a series was refused: its labels, in the words of Prometheus' receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelsError {
    /// No metric name, an empty name, bytes that are no UTF-8.
    #[error("invalid metric name or labels, got {labels}")]
    Invalid {
        /// As Prometheus prints them.
        labels: String,
    },
    /// A name given twice.
    #[error("invalid labels for series, labels {labels}, duplicated label {name}")]
    Duplicate {
        /// As Prometheus prints them.
        labels: String,
        /// The first name that repeats.
        name: String,
    },
    /// The bytes are no labels.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// As `labels.Labels.String` prints them, bytes that are no UTF-8 included.
fn display(pairs: &[Pair<'_>]) -> String {
    let mut out = String::from("{");
    for (i, (name, value)) in pairs.iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        match std::str::from_utf8(name) {
            Ok(name) if is_legacy_label_name(name) => out.push_str(name),
            _ => quote(&mut out, name),
        }
        out.push('=');
        quote(&mut out, value);
    }
    out.push('}');
    out
}

/// Go's `strconv.Quote`, whose `\xff` stands for a byte that is no UTF-8.
fn quote(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let start = out.len();
        model::float::write_go_quoted(out, chunk.valid()).expect("a String takes everything");
        out.remove(start);
        out.pop();
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("a String takes everything");
        }
    }
    out.push('"');
}

/// Appends labels as fields 1 of a message, in the order given.
pub fn put_labels<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (N, V)>,
) {
    for (name, value) in labels {
        put_label(out, name.as_ref(), value.as_ref());
    }
}

/// Appends one label of bytes that may be no UTF-8.
#[inline]
pub(crate) fn put_label(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let field = |bytes: &[u8]| match bytes.len() {
        0 => 0,
        n => 1 + varint_len(n as u64) + n,
    };
    out.push(0x0a);
    put_varint(out, (field(name) + field(value)) as u64);
    for (tag, bytes) in [(0x0a, name), (0x12, value)] {
        if !bytes.is_empty() {
            out.push(tag);
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
    }
}

/// Collects the label fields of a message that is walked once: borrowed while they lie side by
/// side, copied only if something stands between them.
#[derive(Debug)]
pub(crate) struct LabelFields<'a> {
    message: &'a [u8],
    offset: usize,
    /// Where the labels lie in `message`.
    start: usize,
    end: usize,
    copied: Option<Vec<u8>>,
}

impl<'a> LabelFields<'a> {
    pub(crate) fn new(message: &Reader<'a>) -> Self {
        Self { message: message.rest(), offset: message.offset(), start: 0, end: 0, copied: None }
    }

    /// Adds the field that lies at `start..end` of the message, counted in the body.
    #[inline]
    pub(crate) fn add(&mut self, start: usize, end: usize) {
        let (start, end) = (start - self.offset, end - self.offset);
        if self.end == 0 {
            self.start = start;
        }
        if self.end == 0 || (self.end == start && self.copied.is_none()) {
            self.end = end;
            return;
        }
        let (message, first) = (self.message, self.start..self.end);
        let copied = self.copied.get_or_insert_with(|| message[first].to_vec());
        copied.extend_from_slice(&message[start..end]);
    }

    pub(crate) fn finish(self) -> (Cow<'a, [u8]>, usize) {
        let offset = self.offset + self.start;
        match self.copied {
            Some(bytes) => (bytes.into(), offset),
            None => (self.message[self.start..self.end].into(), offset),
        }
    }
}
