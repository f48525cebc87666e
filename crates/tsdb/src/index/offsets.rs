//! The postings offset table: where the postings of each label pair begin.

use super::codec::{Corruption, Cursor};

/// Every so many values of a name the place of one is kept in memory.
const STRIDE: u32 = 32;

/// Number of strings in the key of an entry: name and value.
const KEYS: u8 = 2;

/// The values of one label name.
#[derive(Debug)]
struct Name {
    name: Box<str>,
    values: u32,
    /// Places in the table of every [`STRIDE`]th value, the first among them.
    places: Vec<u32>,
}

/// Places in the table of an index whose bytes the caller keeps.
#[derive(Debug)]
pub(super) struct PostingsOffsets {
    /// In order of name; the pair of empty strings, for all series, is kept apart.
    names: Vec<Name>,
    all: Option<u64>,
    base: usize,
    end: usize,
}

/// One entry: a label pair and the offset of its postings.
struct Entry<'a> {
    name: &'a [u8],
    value: &'a [u8],
    postings: u64,
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Corruption> {
    let at = cursor.offset();
    if cursor.byte()? != KEYS {
        return Err(Corruption::new(at, "entry of the postings offset table without two keys"));
    }
    Ok(Entry { name: cursor.string()?, value: cursor.string()?, postings: cursor.uvarint()? })
}

impl PostingsOffsets {
    /// Reads the table at `offset` through once: checksum, order, UTF-8.
    pub(super) fn open(file: &[u8], offset: u64) -> Result<Self, Corruption> {
        let mut body = Cursor::section(file, offset)?;
        let base = body.offset();
        let mut table = Self { names: Vec::new(), all: None, base, end: base + body.rest().len() };
        let count = body.be32()?;
        let mut last: Option<(&[u8], &[u8])> = None;
        for _ in 0..count {
            let at = body.offset();
            let Entry { name, value, postings } = entry(&mut body)?;
            if last.is_some_and(|l| l >= (name, value)) {
                return Err(Corruption::new(at, "postings offset table out of order"));
            }
            let new_name = last.is_none_or(|l| l.0 != name);
            last = Some((name, value));
            if name.is_empty() {
                if !value.is_empty() {
                    return Err(Corruption::new(at, "label without a name"));
                }
                table.all = Some(postings);
                continue;
            }
            if std::str::from_utf8(value).is_err() {
                return Err(Corruption::new(at, "label value is not UTF-8"));
            }
            if new_name {
                let name =
                    std::str::from_utf8(name).map_err(|_| Corruption::new(at, "label name is not UTF-8"))?;
                table.names.push(Name { name: name.into(), values: 0, places: Vec::new() });
            }
            let name = table.names.last_mut().expect("an entry of a new name pushes it");
            if name.values.is_multiple_of(STRIDE) {
                name.places.push(u32::try_from(at - base).expect("a section's length has 32 bits"));
            }
            name.values += 1;
        }
        Ok(table)
    }

    /// Where the postings of all series are.
    pub(super) fn all(&self) -> Option<u64> {
        self.all
    }

    /// The label names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|n| &*n.name)
    }

    fn name(&self, name: &str) -> Option<&Name> {
        self.names.binary_search_by(|n| (*n.name).cmp(name)).ok().map(|i| &self.names[i])
    }

    /// Number of values of a name.
    pub(super) fn num_values(&self, name: &str) -> u32 {
        self.name(name).map_or(0, |n| n.values)
    }

    /// Where the postings of a label pair are.
    pub(super) fn find(&self, file: &[u8], name: &str, value: &str) -> Result<Option<u64>, Corruption> {
        let mut found = None;
        self.walk(file, name, value, &mut |v, postings| {
            if v == value {
                found = Some(postings);
            }
            Ok(false)
        })?;
        Ok(found)
    }

    /// Calls `f` with each value of `name` from the first that is not below `from` on, in order,
    /// and the offset of its postings, until `f` returns false.
    pub(super) fn walk(
        &self,
        file: &[u8],
        name: &str,
        from: &str,
        f: &mut dyn FnMut(&str, u64) -> Result<bool, Corruption>,
    ) -> Result<(), Corruption> {
        let Some(name) = self.name(name) else { return Ok(()) };
        let at = |place: u32| Cursor::new(file, self.base + place as usize, self.end);
        // The last kept place whose value is not above `from`.
        let mut group = 0;
        let mut size = name.places.len();
        while size > 1 {
            let half = size / 2;
            if entry(&mut at(name.places[group + half]))?.value <= from.as_bytes() {
                group += half;
            }
            size -= half;
        }
        let Some(place) = name.places.get(group) else { return Ok(()) };
        let mut cursor = at(*place);
        for _ in group as u32 * STRIDE..name.values {
            let fault = cursor.fault("label value is not UTF-8");
            let Entry { value, postings, .. } = entry(&mut cursor)?;
            if value < from.as_bytes() {
                continue;
            }
            let value = std::str::from_utf8(value).map_err(|_| fault)?;
            if !f(value, postings)? {
                break;
            }
        }
        Ok(())
    }
}
