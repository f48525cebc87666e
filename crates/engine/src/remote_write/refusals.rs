//! The reasons why parts of a 2.0 request were refused, gathered for its sender under a bound.

use std::fmt::{Display, Write};

/// Length at which no further reason is added, bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Reasons, one a line.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    text: String,
    left_out: u64,
}

impl Refusals {
    /// Adds a reason.
    pub(super) fn push(&mut self, reason: impl Display) {
        if self.text.len() >= TEXT_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{reason}");
    }

    /// All reasons; `None` where there are none.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.left_out > 0 {
            let _ = write!(self.text, "\nand {} more", self.left_out);
        }
        (!self.text.is_empty()).then_some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_lines_and_bounded() {
        assert_eq!(Refusals::default().finish(), None);
        let mut two = Refusals::default();
        two.push("a");
        two.push(format_args!("b {}", 1));
        assert_eq!(two.finish().unwrap(), "a\nb 1");
        let mut many = Refusals::default();
        for _ in 0..100_000 {
            many.push("a reason of some length");
        }
        let text = many.finish().unwrap();
        assert!(text.len() < TEXT_BYTES_MAX + 100 && text.ends_with(" more"), "{}", text.len());
    }
}
