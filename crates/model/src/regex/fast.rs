//! What can be known of an expression without an automaton: the finite set of texts it matches, or
//! literals with gaps between them (`a.*`, `.*b`, `.*c.+d`), or at least how a match begins and ends.

use super::ast::{Kind, Look, Node};
use super::class;

/// The most texts that products of classes and alternations may unfold to.
const SET_MAX: usize = 256;
/// The most alternatives tried one after another; an automaton is faster on more.
const GLOBS_MAX: usize = 8;

/// What stands between two literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// Nothing.
    Closed,
    /// Any text of at least so many characters: 0 or 1.
    Open(usize),
}

/// Literals with gaps before, between and behind them: one gap more than literals.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    literals: Vec<String>,
    gaps: Vec<Gap>,
}

impl Glob {
    /// Whether the whole of `s` matches. Taking each literal at its leftmost place is enough: what
    /// follows then has the most room.
    pub(super) fn is_match(&self, s: &str) -> bool {
        let Some((last, inner)) = self.literals.split_last() else {
            return match self.gaps[0] {
                Gap::Closed => s.is_empty(),
                Gap::Open(min) => s.len() >= min,
            };
        };
        let mut at = 0;
        for (literal, gap) in inner.iter().zip(&self.gaps) {
            match find_after(s, at, *gap, literal) {
                Some(end) => at = end,
                None => return false,
            }
        }
        match (self.gaps[inner.len()], self.gaps[inner.len() + 1]) {
            (Gap::Closed, Gap::Closed) => s[at..] == **last,
            (Gap::Open(min), Gap::Closed) => s.len() >= at + min + last.len() && s.ends_with(last.as_str()),
            (gap, Gap::Open(min)) => find_after(s, at, gap, last).is_some_and(|end| s.len() >= end + min),
        }
    }

    /// Whether every text matches.
    pub(super) fn is_everything(&self) -> bool {
        self.literals.is_empty() && self.gaps[0] == Gap::Open(0)
    }

    fn prefix(&self) -> &str {
        match (self.gaps[0], self.literals.first()) {
            (Gap::Closed, Some(literal)) => literal,
            _ => "",
        }
    }
}

/// Where `literal` ends, searched from `at` on behind `gap`.
fn find_after(s: &str, at: usize, gap: Gap, literal: &str) -> Option<usize> {
    match gap {
        Gap::Closed => s[at..].starts_with(literal).then_some(at + literal.len()),
        Gap::Open(min) => {
            // One character may be several bytes, but no literal starts within one.
            let from = at + min;
            let found = memchr::memmem::find(s.as_bytes().get(from..)?, literal.as_bytes())?;
            Some(from + found + literal.len())
        }
    }
}

/// How to match without an automaton.
#[derive(Clone, Debug)]
pub(super) enum Fast {
    /// One of these texts, sorted.
    Set(Vec<String>),
    /// One of these.
    Globs(Vec<Glob>),
}

impl Fast {
    pub(super) fn is_match(&self, s: &str) -> bool {
        match self {
            Self::Set(set) if set.len() <= 8 => set.iter().any(|t| t == s),
            Self::Set(set) => set.binary_search_by(|t| t.as_str().cmp(s)).is_ok(),
            Self::Globs(globs) => globs.iter().any(|g| g.is_match(s)),
        }
    }
}

/// The fast way to match `root` against whole texts, if there is one.
pub(super) fn analyse(root: &Node) -> Option<Fast> {
    let parts = flatten(root);
    if let Some(mut set) = product(&parts, alternatives(root).len().max(SET_MAX)) {
        set.sort_unstable();
        set.dedup();
        return Some(Fast::Set(set));
    }
    let alternatives = match parts.as_slice() {
        [one] => alternatives(one),
        _ => &[],
    };
    if alternatives.is_empty() {
        return glob(&parts).map(|g| Fast::Globs(vec![g]));
    }
    if alternatives.len() > GLOBS_MAX {
        return None;
    }
    let globs = alternatives.iter().map(|a| glob(&flatten(a))).collect::<Option<Vec<_>>>()?;
    Some(Fast::Globs(globs))
}

/// The literals with which every match of `root` begins and ends, "" where there is none.
pub(super) fn affixes(root: &Node, fast: Option<&Fast>) -> (String, String) {
    match fast {
        Some(Fast::Globs(globs)) => match globs.as_slice() {
            [one] => (one.prefix().to_owned(), String::new()),
            _ => Default::default(),
        },
        Some(Fast::Set(set)) => match set.as_slice() {
            [one] => (one.clone(), one.clone()),
            _ => Default::default(),
        },
        None => {
            let parts = flatten(root);
            let literal = |n: Option<&&Node>| n.and_then(|n| plain_literal(n)).unwrap_or_default();
            (literal(parts.first()), literal(parts.last()))
        }
    }
}

fn uncaptured(mut node: &Node) -> &Node {
    while let Kind::Capture { sub, .. } = &node.kind {
        node = sub;
    }
    node
}

fn alternatives(node: &Node) -> &[Node] {
    match &uncaptured(node).kind {
        Kind::Alternate(subs) => subs,
        _ => &[],
    }
}

/// The parts of a concatenation, without the anchors at its ends, which add nothing where the whole
/// text must match.
fn flatten(root: &Node) -> Vec<&Node> {
    let root = uncaptured(root);
    let mut parts: Vec<&Node> = match &root.kind {
        Kind::Concat(subs) => subs.iter().map(uncaptured).collect(),
        Kind::Empty => Vec::new(),
        _ => vec![root],
    };
    if matches!(parts.first().map(|n| &n.kind), Some(Kind::Look(Look::BeginText))) {
        parts.remove(0);
    }
    if matches!(parts.last().map(|n| &n.kind), Some(Kind::Look(Look::EndText))) {
        parts.pop();
    }
    parts
}

fn plain_literal(node: &Node) -> Option<String> {
    match &uncaptured(node).kind {
        Kind::Literal { chars, fold: false } => chars.iter().copied().collect(),
        _ => None,
    }
}

/// All texts that `parts` match one after another, if they are at most `limit`.
fn product(parts: &[&Node], limit: usize) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    for part in parts {
        let ends = texts_of(part, limit)?;
        if texts.len() * ends.len() > limit {
            return None;
        }
        texts = match ends.as_slice() {
            [one] => {
                texts.iter_mut().for_each(|t| t.push_str(one));
                texts
            }
            _ => texts.iter().flat_map(|t| ends.iter().map(move |e| format!("{t}{e}"))).collect(),
        };
    }
    Some(texts)
}

/// All spellings of a literal whose case does not matter.
fn folded(chars: &[Option<char>], limit: usize) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    for c in chars {
        let class = class::folded_char((*c)?);
        let spellings = || class.ranges().iter().flat_map(|r| r.start()..=r.end());
        if texts.len() * spellings().count() > limit {
            return None;
        }
        texts = texts.iter().flat_map(|t| spellings().map(move |c| format!("{t}{c}"))).collect();
    }
    Some(texts)
}

fn texts_of(node: &Node, limit: usize) -> Option<Vec<String>> {
    match &node.kind {
        Kind::Empty => Some(vec![String::new()]),
        Kind::Literal { chars, fold: true } => folded(chars, limit),
        Kind::Literal { fold: false, .. } => plain_literal(node).map(|t| vec![t]),
        Kind::Class(class) => {
            let count: usize = class.ranges().iter().map(|r| r.len()).sum();
            let chars = || class.ranges().iter().flat_map(|r| r.start()..=r.end());
            (1..=limit).contains(&count).then(|| chars().map(String::from).collect())
        }
        Kind::Capture { sub, .. } => texts_of(sub, limit),
        Kind::Concat(subs) => product(&subs.iter().collect::<Vec<_>>(), limit),
        Kind::Alternate(subs) => {
            let mut texts = Vec::new();
            for sub in subs {
                texts.extend(texts_of(sub, limit)?);
                if texts.len() > limit {
                    return None;
                }
            }
            Some(texts)
        }
        Kind::Repeat { sub, min: 0, max: Some(1), .. } => {
            let mut texts = texts_of(sub, limit)?;
            texts.push(String::new());
            Some(texts)
        }
        Kind::Dot { .. } | Kind::Look(_) | Kind::Repeat { .. } => None,
    }
}

fn glob(parts: &[&Node]) -> Option<Glob> {
    let mut glob = Glob { literals: Vec::new(), gaps: vec![Gap::Closed] };
    for part in parts {
        match &part.kind {
            Kind::Empty => {}
            Kind::Literal { .. } => {
                let text = plain_literal(part)?;
                match (glob.gaps.last(), glob.literals.last_mut()) {
                    (Some(Gap::Closed), Some(before)) => before.push_str(&text),
                    _ => {
                        glob.literals.push(text);
                        glob.gaps.push(Gap::Closed);
                    }
                }
            }
            Kind::Repeat { sub, min, max: None, .. }
                if matches!(uncaptured(sub).kind, Kind::Dot { newline: true }) =>
            {
                let gap = glob.gaps.last_mut()?;
                let min = *min as usize + if let Gap::Open(n) = gap { *n } else { 0 };
                if min > 1 {
                    return None;
                }
                *gap = Gap::Open(min);
            }
            _ => return None,
        }
    }
    Some(glob)
}
