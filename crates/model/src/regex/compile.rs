//! From the tree to an automaton of `regex-automata`, within limits on memory.

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::{self, Class, Dot, Hir};

use super::RegexError;
use super::ast::{Kind, Look, Node};
use super::class;

/// Memory that the automaton of one expression may take; Go's limit counts instructions instead.
const AUTOMATON_BYTES_MAX: usize = 64 << 20;
/// Memory that a thread's lazily built states of one expression may take.
const LAZY_STATES_BYTES_MAX: usize = 2 << 20;

/// Compiles `root` for searching; `captures` says whether groups are wanted. `pattern` is for the error.
pub(super) fn compile(root: &Node, captures: bool, pattern: &str) -> Result<meta::Regex, RegexError> {
    let which = if captures { WhichCaptures::All } else { WhichCaptures::None };
    build(&to_hir(root, captures), which, pattern)
}

/// Compiles `root` to match whole texts only, without captures.
pub(super) fn compile_anchored(root: &Node, pattern: &str) -> Result<meta::Regex, RegexError> {
    let whole = vec![Hir::look(hir::Look::Start), to_hir(root, false), Hir::look(hir::Look::End)];
    build(&Hir::concat(whole), WhichCaptures::None, pattern)
}

fn build(hir: &Hir, which: WhichCaptures, pattern: &str) -> Result<meta::Regex, RegexError> {
    let config = meta::Config::new()
        .which_captures(which)
        .nfa_size_limit(Some(AUTOMATON_BYTES_MAX))
        .hybrid_cache_capacity(LAZY_STATES_BYTES_MAX);
    meta::Builder::new()
        .configure(config)
        .build_from_hir(hir)
        .map_err(|_| RegexError::new("expression too large", pattern))
}

/// Recurses as deep as the tree is high, which the parser bounds.
fn to_hir(node: &Node, captures: bool) -> Hir {
    match &node.kind {
        Kind::Empty => Hir::empty(),
        Kind::Literal { chars, fold } => literal(chars, *fold),
        Kind::Class(class) => Hir::class(Class::Unicode(class.clone())),
        Kind::Dot { newline: true } => Hir::dot(Dot::AnyChar),
        Kind::Dot { newline: false } => Hir::dot(Dot::AnyCharExceptLF),
        Kind::Look(look) => Hir::look(match look {
            Look::BeginText => hir::Look::Start,
            Look::EndText => hir::Look::End,
            Look::BeginLine => hir::Look::StartLF,
            Look::EndLine => hir::Look::EndLF,
            Look::WordBoundary => hir::Look::WordAscii,
            Look::NoWordBoundary => hir::Look::WordAsciiNegate,
        }),
        Kind::Repeat { sub, min, max, greedy, .. } => Hir::repetition(hir::Repetition {
            min: *min,
            max: *max,
            greedy: *greedy,
            sub: Box::new(to_hir(sub, captures)),
        }),
        Kind::Capture { sub, index } if captures => {
            // Names stay with us: Go allows one name for several groups.
            Hir::capture(hir::Capture { index: *index, name: None, sub: Box::new(to_hir(sub, captures)) })
        }
        Kind::Capture { sub, .. } => to_hir(sub, captures),
        Kind::Concat(subs) => Hir::concat(subs.iter().map(|s| to_hir(s, captures)).collect()),
        Kind::Alternate(subs) => Hir::alternation(subs.iter().map(|s| to_hir(s, captures)).collect()),
    }
}

fn literal(chars: &[Option<char>], fold: bool) -> Hir {
    let mut bytes = Vec::with_capacity(chars.len());
    if !fold {
        for c in chars {
            match c {
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => return Hir::fail(),
            }
        }
        return Hir::literal(bytes);
    }
    let parts = chars.iter().map(|c| match c {
        Some(c) => Hir::class(Class::Unicode(class::folded_char(*c))),
        None => Hir::fail(),
    });
    Hir::concat(parts.collect())
}
