//! Media types as Go's `mime.ParseMediaType` reads them, with its errors.

/// A media type in lower case and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MediaType {
    pub(crate) name: String,
    params: Vec<(String, String)>,
}

impl MediaType {
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

pub(crate) fn parse_media_type(text: &str) -> Result<MediaType, &'static str> {
    let (base, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let name = base.to_lowercase().trim().to_owned();
    check_type(&name)?;
    let mut params: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let Some((key, value, tail)) = parse_param(rest) else {
            if rest.trim() == ";" {
                break;
            }
            return Err("mime: invalid media parameter");
        };
        match params.iter().find(|(k, _)| *k == key) {
            Some((_, before)) if *before != value => return Err("mime: duplicate parameter name"),
            Some(_) => {}
            None => params.push((key, value)),
        }
        rest = tail;
    }
    Ok(MediaType { name, params })
}

fn check_type(name: &str) -> Result<(), &'static str> {
    let (first, rest) = split_token(name);
    if first.is_empty() {
        return Err("mime: no media type");
    }
    if rest.is_empty() {
        return Ok(());
    }
    let Some(rest) = rest.strip_prefix('/') else {
        return Err("mime: expected slash after first token");
    };
    let (second, rest) = split_token(rest);
    if second.is_empty() {
        return Err("mime: expected token after slash");
    }
    if rest.is_empty() { Ok(()) } else { Err("mime: unexpected content after media subtype") }
}

/// Reads `; name=value`.
fn parse_param(text: &str) -> Option<(String, String, &str)> {
    let (name, rest) = split_token(text.strip_prefix(';')?.trim_start());
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, tail) = match rest.strip_prefix('"') {
        Some(quoted) => parse_quoted(quoted)?,
        None => {
            let (value, tail) = split_token(rest);
            if value.is_empty() {
                return None;
            }
            (value.to_owned(), tail)
        }
    };
    Some((name.to_lowercase(), value, tail))
}

/// Reads a quoted string behind its opening quote. A backslash only escapes what needs it.
fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[i + 1..])),
            '\r' | '\n' => return None,
            '\\' => match chars.next_if(|(_, c)| "()<>@,;:\\\"/[]?=".contains(*c)) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            _ => value.push(c),
        }
    }
    None
}

fn split_token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`{|}~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters() {
        let m = parse_media_type(r#"Text/PLAIN ; Version="0.0.\"4" ; a=b;"#).unwrap();
        assert_eq!(m.name, "text/plain");
        assert_eq!(m.param("version"), Some("0.0.\"4"));
        assert_eq!(m.param("a"), Some("b"));
        assert_eq!(parse_media_type("a/b; x=1; x=2"), Err("mime: duplicate parameter name"));
        assert_eq!(parse_media_type("a b"), Err("mime: expected slash after first token"));
        assert_eq!(parse_media_type("a/b; x=\"1"), Err("mime: invalid media parameter"));
    }
}
