//! What a statement expects of its query.

use model::Labels;
use model::duration::parse_duration_ms;
use model::regex::Regex;
use promql_syntax::{Expr, ParseOptions, parse};

use super::points::Point;

/// A text to be matched.
#[derive(Clone, Debug)]
pub enum TextMatch {
    /// `msg:`: exactly this.
    Message(String),
    /// `regex:`: found somewhere in it.
    Pattern(String, Regex),
}

impl TextMatch {
    /// An RE2 pattern to be searched for.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn pattern(pattern: &str) -> Result<Self, String> {
        let regex =
            Regex::new_anchored(&format!("(?s:.*)(?:{pattern})(?s:.*)")).map_err(|e| e.to_string())?;
        Ok(Self::Pattern(pattern.to_owned(), regex))
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Message(m) => m == text,
            Self::Pattern(_, re) => re.is_match(text),
        }
    }

    /// What was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Message(s) | Self::Pattern(s, _) => s,
        }
    }
}

/// Everything a statement expects.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The query fails, perhaps with this text.
    pub fail: Option<Option<TextMatch>>,
    /// There are warnings, with these texts.
    pub warn: Vec<Option<TextMatch>>,
    /// There are infos, with these texts.
    pub info: Vec<Option<TextMatch>>,
    /// There are no warnings.
    pub no_warn: bool,
    /// There are no infos.
    pub no_info: bool,
    /// The elements come in the order of the lines.
    pub ordered: bool,
    /// The result is this string.
    pub string: Option<String>,
    /// The result is a range vector: start, end, step, milliseconds.
    pub range_vector: Option<(i64, i64, i64)>,
    /// The result is this scalar.
    pub scalar: Option<f64>,
    /// The series of the result.
    pub series: Vec<(Labels, Vec<Point>)>,
}

fn text_match(rest: &str) -> Result<Option<TextMatch>, String> {
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(None);
    }
    if let Some(m) = rest.strip_prefix("msg:") {
        return Ok(Some(TextMatch::Message(m.trim().to_owned())));
    }
    match rest.strip_prefix("regex:") {
        Some(p) => TextMatch::pattern(p.trim()).map(Some),
        None => Err(format!("neither msg: nor regex: in {rest:?}")),
    }
}

impl Expect {
    /// Takes in what stands behind `expect`.
    pub(super) fn add(&mut self, rest: &str) -> Result<(), String> {
        let (word, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        match word {
            "fail" if self.fail.is_some() => return Err("fail is expected twice".to_owned()),
            "fail" => self.fail = Some(text_match(rest)?),
            "warn" => self.warn.push(text_match(rest)?),
            "info" => self.info.push(text_match(rest)?),
            "no_warn" => self.no_warn = true,
            "no_info" => self.no_info = true,
            "ordered" => self.ordered = true,
            "string" => self.string = Some(unquote(rest.trim())?),
            "range" => self.range_vector = Some(range_vector(rest)?),
            other => return Err(format!("unknown expectation {other:?}")),
        }
        if self.no_warn && !self.warn.is_empty() || self.no_info && !self.info.is_empty() {
            return Err("annotations are expected and excluded at once".to_owned());
        }
        Ok(())
    }

    /// Takes in the ending of an old `eval_…`.
    pub(super) fn add_suffix(&mut self, suffix: &str) -> Result<(), String> {
        if suffix.is_empty() { Ok(()) } else { self.add(suffix) }
    }
}

fn unquote(text: &str) -> Result<String, String> {
    match parse(text, &ParseOptions::all()) {
        Ok(Expr::String(s)) => Ok(s.value),
        _ => Err(format!("no string: {text}")),
    }
}

/// `vector from a to b step s`
fn range_vector(rest: &str) -> Result<(i64, i64, i64), String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let &["vector", "from", a, "to", b, "step", s] = words.as_slice() else {
        return Err(format!("no range vector: {rest:?}"));
    };
    let ms = |d| parse_duration_ms(d).map_err(|e| e.to_string());
    Ok((ms(a)?, ms(b)?, ms(s)?))
}
