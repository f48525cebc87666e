//! The syntax tree of Go's regular expressions, with the sizes by which Go refuses an expression.
//! Knows neither the text it came from nor how it is matched.

use regex_syntax::hir::ClassUnicode;

use super::RegexError;

/// The greatest height of a tree (Go `regexp/syntax.maxHeight`).
const HEIGHT_MAX: u32 = 1000;
/// The greatest number of instructions (Go `maxSize`: 128 MiB of 40 bytes each).
const SIZE_MAX: u64 = (128 << 20) / 40;
/// The greatest number of bounds in all classes (Go `maxRunes`: 128 MiB of 4 bytes each).
pub(super) const CLASS_BOUNDS_MAX: usize = (128 << 20) / 4;
/// The greatest number of copies that nested repetitions may ask for.
pub(super) const REPEAT_MAX: u32 = 1000;

/// An assertion about a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// `^` without `(?m)`, `\A`.
    BeginText,
    /// `$` without `(?m)`, `\z`.
    EndText,
    /// `^` under `(?m)`.
    BeginLine,
    /// `$` under `(?m)`.
    EndLine,
    /// `\b`.
    WordBoundary,
    /// `\B`.
    NoWordBoundary,
}

/// What a node matches.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The empty string.
    Empty,
    /// These characters one after another; with `fold` in any case. `None` stands for a surrogate,
    /// which no text holds.
    Literal { chars: Vec<Option<char>>, fold: bool },
    /// One character of a class, which may be empty.
    Class(ClassUnicode),
    /// `.`; `newline` whether it matches `\n`.
    Dot { newline: bool },
    /// A position.
    Look(Look),
    /// `sub` repeated; `counted` where it was written with braces.
    Repeat { sub: Box<Node>, min: u32, max: Option<u32>, greedy: bool, counted: bool },
    /// A group that captures, by number from 1.
    Capture { sub: Box<Node>, index: u32 },
    /// One after another.
    Concat(Vec<Node>),
    /// The first that matches.
    Alternate(Vec<Node>),
}

/// A node and the measures of the tree under it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    height: u32,
    size: u64,
}

impl Node {
    pub(super) fn new(kind: Kind) -> Self {
        let (height, size) = measure(&kind);
        Self { kind, height, size: size.max(1) }
    }

    pub(super) fn literal(c: Option<char>, fold: bool) -> Self {
        Self::new(Kind::Literal { chars: vec![c], fold })
    }

    /// Joins what stands side by side as Go does: adjacent literals become one, nested
    /// concatenations are dissolved.
    pub(super) fn concat(parts: Vec<Node>) -> Self {
        let mut out: Vec<Node> = Vec::with_capacity(parts.len());
        for part in parts {
            match part.kind {
                Kind::Concat(inner) => out.extend(inner),
                Kind::Literal { chars, fold } => match out.last_mut() {
                    Some(Node { kind: Kind::Literal { chars: before, fold: f }, size, .. }) if *f == fold => {
                        *size += chars.len() as u64;
                        before.extend(chars);
                    }
                    _ => out.push(Self { kind: Kind::Literal { chars, fold }, ..part }),
                },
                kind => out.push(Self { kind, ..part }),
            }
        }
        Self::one_or(out, Kind::Empty, Kind::Concat)
    }

    /// Joins alternatives; nested alternations are dissolved.
    pub(super) fn alternate(parts: Vec<Node>) -> Self {
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            match part.kind {
                Kind::Alternate(inner) => out.extend(inner),
                kind => out.push(Self { kind, ..part }),
            }
        }
        Self::one_or(out, Kind::Empty, Kind::Alternate)
    }

    fn one_or(mut nodes: Vec<Node>, none: Kind, many: fn(Vec<Node>) -> Kind) -> Self {
        match nodes.len() {
            0 => Self::new(none),
            1 => nodes.remove(0),
            _ => Self::new(many(nodes)),
        }
    }

    /// Refuses trees that are too high or too large; `pattern` is the whole expression.
    pub(super) fn check_limits(&self, pattern: &str) -> Result<(), RegexError> {
        if self.size > SIZE_MAX {
            return Err(RegexError::new("expression too large", pattern));
        }
        if self.height > HEIGHT_MAX {
            return Err(RegexError::new("expression nests too deeply", pattern));
        }
        Ok(())
    }

    /// Whether nested counted repetitions ask for at most `copies` of the innermost thing.
    pub(super) fn repeats_are_within(&self, copies: u32) -> bool {
        match &self.kind {
            Kind::Repeat { sub, min, max, counted, .. } => {
                let mut left = copies;
                if *counted {
                    match max.unwrap_or(*min) {
                        0 if max.is_some() => return true,
                        0 => {}
                        n if n > copies => return false,
                        n => left /= n,
                    }
                }
                sub.repeats_are_within(left)
            }
            Kind::Capture { sub, .. } => sub.repeats_are_within(copies),
            Kind::Concat(subs) | Kind::Alternate(subs) => subs.iter().all(|s| s.repeats_are_within(copies)),
            Kind::Empty | Kind::Literal { .. } | Kind::Class(_) | Kind::Dot { .. } | Kind::Look(_) => true,
        }
    }
}

/// Height and size as Go's `calcHeight` and `calcSize` compute them.
fn measure(kind: &Kind) -> (u32, u64) {
    match kind {
        Kind::Empty | Kind::Class(_) | Kind::Dot { .. } | Kind::Look(_) => (1, 1),
        Kind::Literal { chars, .. } => (1, chars.len() as u64),
        Kind::Capture { sub, .. } => (sub.height + 1, sub.size + 2),
        Kind::Repeat { sub, min, max, counted, .. } => {
            let min_copies = u64::from(*min);
            let size = match (max, counted) {
                (None, _) if *min == 0 => sub.size.saturating_add(2),
                (None, false) | (Some(_), false) => sub.size.saturating_add(1),
                (None, true) => sub.size.saturating_mul(min_copies).saturating_add(1),
                (Some(max), true) => {
                    let max = u64::from(*max);
                    sub.size.saturating_mul(max).saturating_add(max - min_copies)
                }
            };
            (sub.height + 1, size)
        }
        Kind::Concat(subs) => (tallest(subs) + 1, total(subs)),
        Kind::Alternate(subs) => (tallest(subs) + 1, total(subs).saturating_add(subs.len() as u64 - 1)),
    }
}

fn tallest(subs: &[Node]) -> u32 {
    subs.iter().map(|s| s.height).max().unwrap_or(0)
}

fn total(subs: &[Node]) -> u64 {
    subs.iter().fold(0, |n, s| n.saturating_add(s.size))
}
