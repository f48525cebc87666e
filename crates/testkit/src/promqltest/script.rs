//! A script as commands.

use model::duration::parse_duration_ms;
use model::float::parse_go_float;
use model::{Columns, Labels};
use promql_syntax::ParseOptions;
use promql_syntax::series_notation::{parse_series, parse_start_offsets};

use super::expect::{Expect, TextMatch};
use super::nhcb;
use super::points::{self, Point};

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// A step of a script.
#[derive(Clone, Debug)]
pub enum Command {
    /// `clear`
    Clear,
    /// `load`, `load_with_nhcb`
    Load(Load),
    /// `eval…`; boxed because it is much larger than the others.
    Eval(Box<Eval>),
}

/// Series to be added.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where it stands.
    pub line: usize,
    /// The series, each once.
    pub series: Vec<(Labels, Columns)>,
    /// What could not be loaded, and why: statements after it are not to be trusted.
    pub unsupported: Option<String>,
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalKind {
    /// At one time, milliseconds.
    Instant {
        /// When.
        t_ms: i64,
    },
    /// At several, milliseconds.
    Range {
        /// The first time.
        start_ms: i64,
        /// The end.
        end_ms: i64,
        /// The distance.
        step_ms: i64,
    },
}

/// A query with what it should yield.
#[derive(Clone, Debug)]
pub struct Eval {
    /// Where it stands.
    pub line: usize,
    /// When.
    pub kind: EvalKind,
    /// The query.
    pub query: String,
    /// What should come out.
    pub expect: Expect,
    /// Whether the statement's block, up to the next `clear`, loads native histograms.
    pub with_histograms: bool,
}

struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    /// The next line of a block: none at its end.
    fn next_of_block(&mut self) -> Option<(usize, &'a str)> {
        let line = *self.lines.get(self.next)?;
        self.next += 1;
        (!line.is_empty()).then_some((self.next, line))
    }
}

/// Reads a script.
///
/// # Errors
/// The first line that is wrong.
pub fn parse_script(text: &str) -> Result<Vec<Command>, ScriptError> {
    let clean = |l: &'_ str| -> bool { !l.starts_with('#') };
    let lines = text.lines().map(|l| if clean(l.trim()) { l.trim() } else { "" }).collect();
    let mut lines = Lines { lines, next: 0 };
    let mut out = Vec::new();
    // The statements of the current block, and whether it loads histograms.
    let (mut block_start, mut with_histograms) = (0, false);
    let mark = |out: &mut [Command], from: usize, with: bool| {
        for c in &mut out[from..] {
            if let Command::Eval(e) = c {
                e.with_histograms = with;
            }
        }
    };
    while lines.next < lines.lines.len() {
        let line = lines.lines[lines.next];
        lines.next += 1;
        if line.is_empty() {
            continue;
        }
        let number = lines.next;
        let wrong = |message| ScriptError { line: number, message };
        let word = line.split([' ', '\t']).next().unwrap_or("").to_lowercase();
        if word == "clear" {
            mark(&mut out, block_start, with_histograms);
            out.push(Command::Clear);
            (block_start, with_histograms) = (out.len(), false);
        } else if word.starts_with("load") {
            let step = line.split_whitespace().nth(1).unwrap_or("");
            let step_ms = parse_duration_ms(step).map_err(|e| wrong(e.to_string()))?;
            let (load, histograms) = load(&mut lines, number, step_ms, word == "load_with_nhcb")?;
            with_histograms |= histograms;
            out.push(Command::Load(load));
        } else if word.starts_with("eval") {
            let mut eval = header(line).map_err(wrong)?;
            eval.line = number;
            expectations(&mut lines, &mut eval)?;
            out.push(Command::Eval(Box::new(eval)));
        } else {
            return Err(wrong(format!("invalid command {word:?}")));
        }
    }
    mark(&mut out, block_start, with_histograms);
    Ok(out)
}

fn load(lines: &mut Lines<'_>, line: usize, step_ms: i64, nhcb: bool) -> Result<(Load, bool), ScriptError> {
    let mut load = Load { line, series: Vec::new(), unsupported: None };
    let mut histograms = false;
    let mut started: Option<(Labels, Vec<Option<i64>>)> = None;
    while let Some((number, text)) = lines.next_of_block() {
        let wrong = |message| ScriptError { line: number, message };
        let (first, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        if let Some(series) = first.strip_suffix("@st") {
            let series = parse_series(series, &ParseOptions::all()).map_err(|e| wrong(e.to_string()))?;
            let offsets =
                parse_start_offsets(rest).and_then(|o| points::expand_offsets(&o)).map_err(wrong)?;
            started = Some((series.labels, offsets));
            continue;
        }
        let series = parse_series(text, &ParseOptions::all()).map_err(|e| wrong(e.to_string()))?;
        histograms |= text.contains("{{");
        let offsets = match started.take() {
            Some((labels, _)) if labels != series.labels => {
                return Err(wrong("start timestamps belong to another series".to_owned()));
            }
            Some((_, offsets)) => offsets,
            None => Vec::new(),
        };
        let expanded = match points::expand(&series.items) {
            Ok(p) => p,
            Err(e) => {
                load.unsupported.get_or_insert(e);
                continue;
            }
        };
        if !offsets.is_empty() && offsets.len() != expanded.len() {
            return Err(wrong("there must be as many start timestamps as values".to_owned()));
        }
        let columns = points::columns(&expanded, &offsets, step_ms);
        load.series.retain(|(l, _)| *l != series.labels);
        load.series.push((series.labels, columns));
    }
    if nhcb {
        let native = nhcb::convert(&load.series).map_err(|message| ScriptError { line, message })?;
        load.series.extend(native);
    }
    Ok((load, histograms))
}

/// The first line of a statement.
fn header(line: &str) -> Result<Eval, String> {
    let bad = || format!("invalid evaluation command: {line}");
    let (word, rest) = cut_word(line).ok_or_else(bad)?;
    let mut expect = Expect::default();
    expect.add_suffix(word.strip_prefix("eval").and_then(|s| s.strip_prefix('_')).unwrap_or(""))?;
    let ms = |d: &str| parse_duration_ms(d).map_err(|e| e.to_string());
    let (kind, rest) = cut_word(rest).ok_or_else(bad)?;
    let (kind, query) = match kind {
        "instant" => match cut_word(rest) {
            Some(("at", rest)) => {
                let (t, query) = cut_word(rest).ok_or_else(bad)?;
                (EvalKind::Instant { t_ms: ms(t)? }, query)
            }
            _ => (EvalKind::Instant { t_ms: 0 }, rest),
        },
        "range" => {
            let mut rest = rest;
            let mut times = [0; 3];
            for (time, word) in times.iter_mut().zip(["from", "to", "step"]) {
                let (got, tail) = cut_word(rest).ok_or_else(bad)?;
                let (value, tail) = cut_word(tail).ok_or_else(bad)?;
                if got != word {
                    return Err(bad());
                }
                *time = ms(value)?;
                rest = tail;
            }
            let [start_ms, end_ms, step_ms] = times;
            if end_ms < start_ms {
                return Err("the end lies before the start".to_owned());
            }
            (EvalKind::Range { start_ms, end_ms, step_ms }, rest)
        }
        _ => return Err(bad()),
    };
    Ok(Eval { line: 0, kind, query: query.to_owned(), expect, with_histograms: false })
}

/// The first word and what follows it.
fn cut_word(s: &str) -> Option<(&str, &str)> {
    let s = s.trim_start();
    let end = s.find([' ', '\t'])?;
    Some((&s[..end], s[end..].trim_start()))
}

fn number(text: &str) -> Option<f64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let v = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()? as f64,
        None => parse_go_float(digits.as_bytes())?,
    };
    Some(if negative { -v } else { v })
}

fn expectations(lines: &mut Lines<'_>, eval: &mut Eval) -> Result<(), ScriptError> {
    while let Some((line, text)) = lines.next_of_block() {
        let wrong = |message| ScriptError { line, message };
        let expect = &mut eval.expect;
        match text.split_once([' ', '\t']) {
            Some(("expect", rest)) => {
                expect.add(rest.trim_start()).map_err(wrong)?;
                continue;
            }
            Some(("expected_fail_message", m)) => {
                expect.fail = Some(Some(TextMatch::Message(m.trim().to_owned())));
                break;
            }
            Some(("expected_fail_regexp", p)) => {
                expect.fail = Some(Some(TextMatch::pattern(p.trim()).map_err(wrong)?));
                break;
            }
            _ => {}
        }
        if let Some(v) = number(text) {
            expect.scalar = Some(v);
            break;
        }
        let series = parse_series(text, &ParseOptions::all()).map_err(|e| wrong(e.to_string()))?;
        // A result that cannot be expanded cannot be met either.
        let points = points::expand(&series.items).unwrap_or_else(|_| vec![Point::Omitted]);
        expect.series.retain(|(l, _)| *l != series.labels);
        expect.series.push((series.labels, points));
    }
    Ok(())
}
