//! Decisions that the bytes of an input make, so that a fuzzer can learn which matter.

/// Reads decisions off bytes; behind their end every decision is the first choice.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Choices<'a> {
    /// Decisions made by `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// A number below `n`, which is between 1 and 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or(0)) % n.max(1)
    }

    /// True in about `of_ten` of ten cases, and never behind the end.
    pub fn chance(&mut self, of_ten: usize) -> bool {
        self.below(10) >= 10 - of_ten
    }

    /// One of `all`, which are not empty.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Whether every byte has been used.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.bytes.len() == 0
    }
}
