//! The symbol table: every string of an index, sorted, numbered from 0.

use super::codec::{Corruption, Cursor};

/// Every so many symbols the place of one is kept in memory; others are walked to from there.
const STRIDE: usize = 8;

/// Places in the symbol table of an index whose bytes the caller keeps.
#[derive(Debug)]
pub(super) struct Symbols {
    count: u32,
    /// Place of every [`STRIDE`]th symbol, relative to `base`.
    places: Vec<u32>,
    base: usize,
    end: usize,
}

impl Symbols {
    /// Reads the table at `offset` through once: checksum, order, UTF-8.
    pub(super) fn open(file: &[u8], offset: u64) -> Result<Self, Corruption> {
        let mut body = Cursor::section(file, offset)?;
        let base = body.offset();
        let end = base + body.rest().len();
        let count = body.be32()?;
        // A symbol takes a byte at least: bounds what a lying count can make us reserve.
        let room = (count as usize).min(body.rest().len());
        let mut places = Vec::with_capacity(room.div_ceil(STRIDE));
        let mut last: Option<&[u8]> = None;
        for i in 0..count as usize {
            let at = body.offset();
            if i % STRIDE == 0 {
                let place = u32::try_from(at - base).expect("a section's length has 32 bits");
                places.push(place);
            }
            let symbol = body.string()?;
            if last.is_some_and(|l| l >= symbol) {
                return Err(Corruption::new(at, "symbols out of order"));
            }
            if std::str::from_utf8(symbol).is_err() {
                return Err(Corruption::new(at, "symbol is not UTF-8"));
            }
            last = Some(symbol);
        }
        Ok(Self { count, places, base, end })
    }

    pub(super) fn len(&self) -> u32 {
        self.count
    }

    /// The symbol of this number, which lies in the same `file` that was opened.
    pub(super) fn get<'a>(&self, file: &'a [u8], number: u32) -> Option<&'a str> {
        if number >= self.count {
            return None;
        }
        let place = *self.places.get(number as usize / STRIDE)? as usize;
        let mut cursor = Cursor::new(file, self.base + place, self.end);
        for _ in 0..number as usize % STRIDE {
            cursor.string().ok()?;
        }
        std::str::from_utf8(cursor.string().ok()?).ok()
    }

    /// All symbols in order, from the same `file` that was opened.
    pub(super) fn iter<'a>(&self, file: &'a [u8]) -> impl Iterator<Item = &'a str> + use<'a> {
        let start = self.places.first().map_or(self.end, |place| self.base + *place as usize);
        let mut cursor = Cursor::new(file, start, self.end);
        (0..self.count).map_while(move |_| std::str::from_utf8(cursor.string().ok()?).ok())
    }

    /// The number of a symbol, if the table has it.
    pub(super) fn find(&self, file: &[u8], symbol: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(file, middle)?.cmp(symbol) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}
