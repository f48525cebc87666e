//! The symbols of a remote-write 2.0 request: found in a body, or gathered for one.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::WireError;
use crate::labels::put_label;
use protobuf::Reader;
use protobuf::writer::put_bytes;

const SYMBOL: u32 = 0x22;

/// Where the symbols of a body lie; a buffer that the caller reuses from request to request.
#[derive(Clone, Debug, Default)]
pub struct SymbolSpans {
    /// Offset and length of each.
    spans: Vec<(u32, u32)>,
}

impl SymbolSpans {
    /// Finds the symbols of `body`, which may stand anywhere among its fields.
    pub(crate) fn find(&mut self, body: &[u8]) -> Result<(), WireError> {
        self.spans.clear();
        if u32::try_from(body.len()).is_err() {
            return Err(WireError::DecodedTooLarge { limit_bytes: u32::MAX as usize });
        }
        let mut reader = Reader::new(body, 0);
        while let Some(tag) = reader.tag()? {
            if tag.raw() == SYMBOL {
                let symbol = reader.bytes()?;
                let start = reader.offset() - symbol.len();
                self.spans.push((start as u32, symbol.len() as u32));
            } else {
                reader.skip(tag, 1 << 4)?;
            }
        }
        Ok(())
    }

    /// Number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no symbols.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// The symbols of a body, to be looked up.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    body: &'a [u8],
    spans: &'a [(u32, u32)],
}

impl<'a> Symbols<'a> {
    /// `spans` must have been found in `body`.
    pub(crate) fn new(body: &'a [u8], spans: &'a SymbolSpans) -> Self {
        Self { body, spans: &spans.spans }
    }

    /// Number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no symbols.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The symbol of a number; it may be no UTF-8.
    #[inline]
    #[must_use]
    pub fn get(&self, reference: u32) -> Option<&'a [u8]> {
        let (start, length) = *self.spans.get(reference as usize)?;
        self.body.get(start as usize..start as usize + length as usize)
    }

    /// Whether the first symbol is "", as the specification asks. Prometheus' receiver takes other
    /// tables, too.
    #[must_use]
    pub fn starts_with_empty(&self) -> bool {
        self.get(0) == Some(b"")
    }

    /// Appends the labels that `refs` stand for, name and value in turn, to `key`, as remote write
    /// 1.0 encodes them: what [`crate::EncodedLabels`] takes, and a cache's key that does not depend
    /// on the request. On an error `key` may have grown.
    ///
    /// # Errors
    /// An odd number of references, a reference to no symbol.
    pub fn resolve(&self, refs: &[u32], key: &mut Vec<u8>) -> Result<(), WireError> {
        let (pairs, odd) = refs.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(WireError::OddLabelRefs(refs.len()));
        }
        for [name, value] in pairs {
            match (self.get(*name), self.get(*value)) {
                (Some(name), Some(value)) => put_label(key, name, value),
                _ => {
                    return Err(WireError::LabelRefOutside { name: *name, value: *value, size: self.len() });
                }
            }
        }
        Ok(())
    }
}

/// Gathers the symbols of a request to be written: each string once, "" as number 0.
#[derive(Clone, Debug)]
pub struct SymbolTable {
    text: Vec<u8>,
    /// Where each symbol ends in `text`.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
}

impl Default for SymbolTable {
    fn default() -> Self {
        Self { text: Vec::new(), ends: vec![0], numbers: HashTable::new() }
    }
}

impl SymbolTable {
    /// Forgets all symbols but "", keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.truncate(1);
        self.numbers.clear();
    }

    /// The number of `text`, which is UTF-8, and is added if it is new.
    pub fn symbolize(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let Self { text: all, ends, numbers } = self;
        let hash = xxh3_64(text);
        if let Some(number) = numbers.find(hash, |n| symbol(all, ends, *n) == text) {
            return *number;
        }
        let number = u32::try_from(ends.len()).expect("a request of 2^32 symbols does not fit into memory");
        all.extend_from_slice(text);
        ends.push(all.len());
        numbers.insert_unique(hash, number, |n| xxh3_64(symbol(all, ends, *n)));
        number
    }

    /// Number of symbols, "" included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no symbol but "".
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.len() == 1
    }

    /// Bytes of all symbols together.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Appends the symbols as fields 4 of a request.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for number in 0..self.ends.len() {
            put_bytes(out, 4, symbol(&self.text, &self.ends, number as u32));
        }
    }
}

fn symbol<'t>(text: &'t [u8], ends: &[usize], number: u32) -> &'t [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &text[start..ends[number]]
}
