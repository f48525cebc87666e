//! The symbols of several indexes as one table.

use crate::block::Block;

/// The symbols of several blocks, merged, and how each block's numbers translate.
pub(super) struct MergedSymbols<'a> {
    /// Ascending, distinct, the empty string among them.
    pub(super) all: Vec<&'a str>,
    /// By block: for each symbol of its own the number in `all`.
    pub(super) numbers: Vec<Vec<u32>>,
}

impl<'a> MergedSymbols<'a> {
    /// Merges the tables: 16 bytes for each different symbol, 4 for each symbol of each block.
    pub(super) fn new(blocks: &'a [Block]) -> Self {
        let mut tables: Vec<_> = blocks.iter().map(|b| b.index().symbols().peekable()).collect();
        let mut merged = Self { all: Vec::new(), numbers: vec![Vec::new(); blocks.len()] };
        // Prometheus' tables have the empty string; one written by others may not.
        let mut next = Some("");
        while let Some(symbol) = next {
            // Beyond 2^32 symbols the index writer refuses, so a number cut off here is not used.
            let number = merged.all.len() as u32;
            merged.all.push(symbol);
            for (table, numbers) in tables.iter_mut().zip(&mut merged.numbers) {
                if table.next_if_eq(&symbol).is_some() {
                    numbers.push(number);
                }
            }
            next = tables.iter_mut().filter_map(|t| t.peek().copied()).min();
        }
        merged
    }
}
