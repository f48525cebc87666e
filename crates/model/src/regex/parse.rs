//! The parser of Go's regular expressions (`regexp/syntax`, Perl flags), with Go's errors.
//!
//! It keeps a stack of open groups instead of recursing, so nesting costs no call stack here; the
//! tree's height is checked as it grows.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::RegexError;
use super::ast::{CLASS_BOUNDS_MAX, Kind, Look, Node, REPEAT_MAX};
use super::class;

/// What `(?ims-U)` switches.
#[derive(Clone, Copy, Debug)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
    swap_greed: bool,
}

/// A tree and what its captures are called: `names[0]` belongs to group 1.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: Node,
    pub(super) names: Vec<Option<String>>,
}

/// Parses `pattern`; `dot_newline` is the initial state of the flag `s`.
pub(super) fn parse(pattern: &str, dot_newline: bool) -> Result<Parsed, RegexError> {
    let flags = Flags { fold_case: false, multi_line: false, dot_newline, swap_greed: false };
    let mut p = Parser {
        pattern,
        flags,
        open: Vec::new(),
        group: Group::default(),
        names: Vec::new(),
        class_bounds: 0,
    };
    let mut rest = pattern;
    let mut last_repeat = None;
    while let Some(&first) = rest.as_bytes().first() {
        let before = rest;
        let (tail, was_repeat) = p.step(first, rest, last_repeat)?;
        rest = tail;
        last_repeat = was_repeat.then_some(before);
    }
    if !p.open.is_empty() {
        return Err(RegexError::new("missing closing )", pattern));
    }
    let root = std::mem::take(&mut p.group).close(pattern)?;
    Ok(Parsed { root, names: p.names })
}

/// What has been read of a group so far.
#[derive(Debug, Default)]
struct Group {
    alternatives: Vec<Node>,
    concat: Vec<Node>,
}

impl Group {
    fn close_alternative(&mut self, pattern: &str) -> Result<(), RegexError> {
        let node = Node::concat(std::mem::take(&mut self.concat));
        node.check_limits(pattern)?;
        self.alternatives.push(node);
        Ok(())
    }

    fn close(mut self, pattern: &str) -> Result<Node, RegexError> {
        self.close_alternative(pattern)?;
        let node = Node::alternate(self.alternatives);
        node.check_limits(pattern)?;
        Ok(node)
    }
}

/// A group whose end has not been read: what stands before it, its number, the flags to restore.
#[derive(Debug)]
struct Open {
    outer: Group,
    capture: Option<u32>,
    flags: Flags,
}

struct Parser<'a> {
    pattern: &'a str,
    flags: Flags,
    open: Vec<Open>,
    group: Group,
    names: Vec<Option<String>>,
    class_bounds: usize,
}

impl<'a> Parser<'a> {
    /// Reads one element; returns what is left and whether the element was a repetition.
    fn step(
        &mut self,
        first: u8,
        rest: &'a str,
        last_repeat: Option<&'a str>,
    ) -> Result<(&'a str, bool), RegexError> {
        let tail = match first {
            b'(' if rest[1..].starts_with('?') => self.parse_perl_flags(rest)?,
            b'(' => {
                self.open_group(true, None);
                &rest[1..]
            }
            b'|' => {
                self.group.close_alternative(self.pattern)?;
                &rest[1..]
            }
            b')' => {
                self.close_group()?;
                &rest[1..]
            }
            b'^' => {
                self.look(if self.flags.multi_line { Look::BeginLine } else { Look::BeginText }, &rest[1..])?
            }
            b'$' => {
                self.look(if self.flags.multi_line { Look::EndLine } else { Look::EndText }, &rest[1..])?
            }
            b'.' => {
                self.push(Kind::Dot { newline: self.flags.dot_newline })?;
                &rest[1..]
            }
            b'[' => self.parse_class(rest)?,
            b'*' => return self.repeat(0, None, false, rest, &rest[1..], last_repeat),
            b'+' => return self.repeat(1, None, false, rest, &rest[1..], last_repeat),
            b'?' => return self.repeat(0, Some(1), false, rest, &rest[1..], last_repeat),
            b'{' => match parse_repeat(rest) {
                None => {
                    self.literal(Some('{'));
                    &rest[1..]
                }
                Some((range, after)) => {
                    let (min, max) = range.ok_or_else(|| {
                        RegexError::new("invalid repeat count", &rest[..rest.len() - after.len()])
                    })?;
                    return self.repeat(min, max, true, rest, after, last_repeat);
                }
            },
            b'\\' => self.parse_backslash(rest)?,
            _ => {
                let (c, tail) = split_char(rest);
                self.literal(c);
                tail
            }
        };
        Ok((tail, false))
    }

    fn push(&mut self, kind: Kind) -> Result<(), RegexError> {
        if let Kind::Class(c) = &kind {
            self.class_bounds += 2 * c.ranges().len();
            if self.class_bounds > CLASS_BOUNDS_MAX {
                return Err(RegexError::new("expression too large", self.pattern));
            }
        }
        self.group.concat.push(Node::new(kind));
        Ok(())
    }

    fn literal(&mut self, c: Option<char>) {
        self.group.concat.push(Node::literal(c, self.flags.fold_case));
    }

    fn look(&mut self, look: Look, tail: &'a str) -> Result<&'a str, RegexError> {
        self.push(Kind::Look(look))?;
        Ok(tail)
    }

    fn open_group(&mut self, capture: bool, name: Option<&str>) {
        let capture = capture.then(|| {
            self.names.push(name.map(str::to_owned));
            self.names.len() as u32
        });
        self.open.push(Open { outer: std::mem::take(&mut self.group), capture, flags: self.flags });
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        let Some(open) = self.open.pop() else {
            return Err(RegexError::new("unexpected )", self.pattern));
        };
        let node = std::mem::replace(&mut self.group, open.outer).close(self.pattern)?;
        self.flags = open.flags;
        match open.capture {
            None => self.group.concat.push(node),
            Some(index) => {
                let node = Node::new(Kind::Capture { sub: Box::new(node), index });
                node.check_limits(self.pattern)?;
                self.group.concat.push(node);
            }
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        min: u32,
        max: Option<u32>,
        counted: bool,
        before: &'a str,
        after: &'a str,
        last_repeat: Option<&'a str>,
    ) -> Result<(&'a str, bool), RegexError> {
        let lazy = after.strip_prefix('?');
        let after = lazy.unwrap_or(after);
        let operator = &before[..before.len() - after.len()];
        if let Some(last) = last_repeat {
            return Err(RegexError::new(
                "invalid nested repetition operator",
                &last[..last.len() - after.len()],
            ));
        }
        let Some(sub) = self.group.concat.pop() else {
            return Err(RegexError::new("missing argument to repetition operator", operator));
        };
        let greedy = lazy.is_some() == self.flags.swap_greed;
        let node = Node::new(Kind::Repeat { sub: Box::new(sub), min, max, greedy, counted });
        node.check_limits(self.pattern)?;
        if counted && (min >= 2 || max.is_some_and(|m| m >= 2)) && !node.repeats_are_within(REPEAT_MAX) {
            return Err(RegexError::new("invalid repeat count", operator));
        }
        self.group.concat.push(node);
        Ok((after, true))
    }

    fn parse_backslash(&mut self, rest: &'a str) -> Result<&'a str, RegexError> {
        match rest.as_bytes().get(1) {
            Some(b'A') => return self.look(Look::BeginText, &rest[2..]),
            Some(b'b') => return self.look(Look::WordBoundary, &rest[2..]),
            Some(b'B') => return self.look(Look::NoWordBoundary, &rest[2..]),
            Some(b'z') => return self.look(Look::EndText, &rest[2..]),
            Some(b'C') => return Err(RegexError::new("invalid escape sequence", &rest[..2])),
            Some(b'Q') => {
                let (quoted, tail) = rest[2..].split_once(r"\E").unwrap_or((&rest[2..], ""));
                for c in quoted.chars() {
                    self.literal(Some(c));
                }
                return Ok(tail);
            }
            _ => {}
        }
        if let Some((class, tail)) = parse_class_escape(rest, self.flags.fold_case)? {
            self.push(Kind::Class(class))?;
            return Ok(tail);
        }
        let (c, tail) = parse_escape(rest)?;
        self.literal(char::from_u32(c));
        Ok(tail)
    }

    /// Reads what begins with `(?`: flags, a group, or a named group.
    fn parse_perl_flags(&mut self, rest: &'a str) -> Result<&'a str, RegexError> {
        let named = match rest.as_bytes() {
            [_, _, b'P', b'<', _, ..] => Some(4),
            [_, _, b'<', _, ..] => Some(3),
            _ => None,
        };
        if let Some(start) = named {
            let Some(end) = rest.find('>') else {
                return Err(RegexError::new("invalid named capture", rest));
            };
            let name = &rest[start..end];
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(RegexError::new("invalid named capture", &rest[..=end]));
            }
            self.open_group(true, Some(name));
            return Ok(&rest[end + 1..]);
        }
        let mut flags = self.flags;
        let (mut on, mut saw_flag) = (true, false);
        let mut tail = &rest[2..];
        while let Some(c) = tail.chars().next() {
            tail = &tail[c.len_utf8()..];
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    (on, saw_flag) = (false, false);
                    continue;
                }
                ':' | ')' if on || saw_flag => {
                    if c == ':' {
                        self.open_group(false, None);
                    }
                    self.flags = flags;
                    return Ok(tail);
                }
                _ => break,
            }
            saw_flag = true;
        }
        Err(RegexError::new("invalid or unsupported Perl syntax", &rest[..rest.len() - tail.len()]))
    }

    fn parse_class(&mut self, whole: &'a str) -> Result<&'a str, RegexError> {
        let mut rest = &whole[1..];
        let negated = rest.starts_with('^');
        if negated {
            rest = &rest[1..];
        }
        let fold_case = self.flags.fold_case;
        let mut class = ClassUnicode::empty();
        let mut ranges = Vec::new();
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if let Some((part, tail)) = parse_posix_class(rest, fold_case)? {
                class.union(&part);
                rest = tail;
                continue;
            }
            if let Some((part, tail)) = parse_class_escape(rest, fold_case)? {
                class.union(&part);
                rest = tail;
                continue;
            }
            let start = rest;
            let (lo, tail) = parse_class_char(rest, whole)?;
            rest = tail;
            let mut hi = lo;
            if let [b'-', next, ..] = rest.as_bytes()
                && *next != b']'
            {
                (hi, rest) = parse_class_char(&rest[1..], whole)?;
                if hi < lo {
                    let range = &start[..start.len() - rest.len()];
                    return Err(RegexError::new("invalid character class range", range));
                }
            }
            ranges.extend(range_without_surrogates(lo, hi));
        }
        // One pass over all ranges: sorting after each would be quadratic.
        let mut plain = ClassUnicode::new(ranges);
        if fold_case {
            class::fold(&mut plain);
        }
        class.union(&plain);
        if negated {
            class.negate();
        }
        self.push(Kind::Class(class))?;
        Ok(&rest[1..])
    }
}

/// The range without what no text can hold.
fn range_without_surrogates(lo: u32, hi: u32) -> Option<ClassUnicodeRange> {
    let lo = if (0xd800..0xe000).contains(&lo) { 0xe000 } else { lo };
    let hi = if (0xd800..0xe000).contains(&hi) { 0xd7ff } else { hi };
    match (char::from_u32(lo), char::from_u32(hi)) {
        (Some(lo), Some(hi)) if lo <= hi => Some(ClassUnicodeRange::new(lo, hi)),
        _ => None,
    }
}

fn split_char(rest: &str) -> (Option<char>, &str) {
    let mut chars = rest.chars();
    (chars.next(), chars.as_str())
}

/// Minimum and maximum of a counted repetition.
type RepeatRange = (u32, Option<u32>);

/// Reads `{n}`, `{n,}`, `{n,m}`. `None` where the text is none of them and so stands for itself; no
/// range where the numbers are not allowed.
fn parse_repeat(rest: &str) -> Option<(Option<RepeatRange>, &str)> {
    let (min, tail) = parse_int(&rest[1..])?;
    let (max, tail) = match tail.strip_prefix(',') {
        None => (Some(min), tail),
        Some(tail) if tail.starts_with('}') => (None, tail),
        Some(tail) => {
            let (max, tail) = parse_int(tail)?;
            (Some(max), tail)
        }
    };
    let tail = tail.strip_prefix('}')?;
    let valid = min <= REPEAT_MAX && max.is_none_or(|m| m <= REPEAT_MAX && min <= m);
    Some((valid.then_some((min, max)), tail))
}

/// Reads a number without leading zeros; too large a one is [`u32::MAX`].
fn parse_int(rest: &str) -> Option<(u32, &str)> {
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    if len == 0 || len > 1 && rest.starts_with('0') {
        return None;
    }
    Some((rest[..len].parse().unwrap_or(u32::MAX), &rest[len..]))
}

/// Reads `[:name:]`, if that is what comes.
fn parse_posix_class(rest: &str, fold_case: bool) -> Result<Option<(ClassUnicode, &str)>, RegexError> {
    let Some(end) = rest.strip_prefix("[:").and_then(|r| r.find(":]")) else {
        return Ok(None);
    };
    let (name, tail) = (&rest[2..2 + end], &rest[end + 4..]);
    match class::posix(name, fold_case) {
        Some(c) => Ok(Some((c, tail))),
        None => Err(RegexError::new("invalid character class range", &rest[..end + 4])),
    }
}

/// Reads `\d`, `\pL`, `\p{Name}`, `\P{^Name}` and their like, if that is what comes.
fn parse_class_escape(rest: &str, fold_case: bool) -> Result<Option<(ClassUnicode, &str)>, RegexError> {
    let [b'\\', letter, ..] = rest.as_bytes() else {
        return Ok(None);
    };
    if !matches!(letter, b'p' | b'P') {
        return Ok(class::perl(*letter, fold_case).map(|c| (c, &rest[2..])));
    }
    let (first, after) = split_char(&rest[2..]);
    let Some(first) = first else {
        return Err(RegexError::new("invalid character class range", rest));
    };
    let (name, tail) = if first == '{' {
        match after.find('}') {
            Some(end) => (&after[..end], &after[end + 1..]),
            None => return Err(RegexError::new("invalid character class range", rest)),
        }
    } else {
        (&rest[2..2 + first.len_utf8()], after)
    };
    let (inverted, name) = name.strip_prefix('^').map_or((false, name), |n| (true, n));
    match class::unicode(name, inverted != (*letter == b'P'), fold_case) {
        Some(c) => Ok(Some((c, tail))),
        None => Err(RegexError::new("invalid character class range", &rest[..rest.len() - tail.len()])),
    }
}

fn parse_class_char<'a>(rest: &'a str, whole: &str) -> Result<(u32, &'a str), RegexError> {
    if rest.starts_with('\\') {
        return parse_escape(rest);
    }
    match split_char(rest) {
        (Some(c), tail) => Ok((u32::from(c), tail)),
        (None, _) => Err(RegexError::new("missing closing ]", whole)),
    }
}

/// Reads an escaped character; the result may be a surrogate.
fn parse_escape(rest: &str) -> Result<(u32, &str), RegexError> {
    let (first, tail) = split_char(&rest[1..]);
    let Some(c) = first else {
        return Err(RegexError::new("trailing backslash at end of expression", ""));
    };
    let value = match c {
        '0'..='7' if c == '0' || tail.starts_with(|d| ('0'..='7').contains(&d)) => {
            let more = tail.bytes().take(2).take_while(|b| (b'0'..b'8').contains(b)).count();
            let value = tail[..more].bytes().fold(u32::from(c) - 48, |n, b| n * 8 + u32::from(b - b'0'));
            return Ok((value, &tail[more..]));
        }
        'x' => return parse_hex_escape(rest, tail),
        'a' => 0x07,
        'f' => 0x0c,
        'n' => 0x0a,
        'r' => 0x0d,
        't' => 0x09,
        'v' => 0x0b,
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => return Err(RegexError::new("invalid escape sequence", &rest[..rest.len() - tail.len()])),
    };
    Ok((value, tail))
}

/// Reads what follows `\x`: two digits, or any number of them in braces. Like Go, the error shows
/// the escape up to and with the character that breaks it.
fn parse_hex_escape<'a>(rest: &'a str, tail: &'a str) -> Result<(u32, &'a str), RegexError> {
    let invalid =
        |tail: &str| Err(RegexError::new("invalid escape sequence", &rest[..rest.len() - tail.len()]));
    let (Some(first), mut tail) = split_char(tail) else {
        return invalid(tail);
    };
    if first != '{' {
        let (second, tail) = split_char(tail);
        // Go reads a character where none is left and gets U+FFFD of no length.
        let (hi, lo) = (first.to_digit(16), second.and_then(|c| c.to_digit(16)));
        return match (hi, lo) {
            (Some(hi), Some(lo)) => Ok((hi * 16 + lo, tail)),
            _ => invalid(tail),
        };
    }
    let (mut value, mut digits) = (0u32, 0);
    loop {
        let (Some(c), after) = split_char(tail) else {
            return invalid(tail);
        };
        tail = after;
        if c == '}' {
            break;
        }
        let Some(digit) = c.to_digit(16) else {
            return invalid(tail);
        };
        value = value * 16 + digit;
        digits += 1;
        if value > u32::from(char::MAX) {
            return invalid(tail);
        }
    }
    if digits == 0 { invalid(tail) } else { Ok((value, tail)) }
}
