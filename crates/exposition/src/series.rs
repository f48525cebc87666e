//! Takes apart the text of a series that a parser has accepted.

/// Calls `f` for each label as it stands, without quotes and with escapes, in the order of the
/// text; the metric's name comes without a label name.
///
/// Only for text that a parser accepted: on anything else it stops where it is lost.
pub(crate) fn walk<'a>(series: &'a [u8], mut f: impl FnMut(Option<&'a [u8]>, &'a [u8])) {
    let mut at = skip(series, 0, b" \t");
    if series.get(at).is_some_and(|b| *b != b'{') {
        at += run(&series[at..], crate::cursor::is_metric_char);
        // Prometheus counts white space before the name as part of it.
        f(None, &series[..at]);
        at = skip(series, at, b" \t");
    }
    at += 1;
    loop {
        at = skip(series, at, b" \t,");
        let (name, end) = match series.get(at) {
            None | Some(b'}') => return,
            Some(b'"') => {
                let Some(end) = string_end(series, at) else { return };
                (&series[at + 1..end - 1], end)
            }
            Some(_) => {
                let end = at + run(&series[at..], crate::cursor::is_label_char);
                (&series[at..end], end)
            }
        };
        at = skip(series, end, b" \t");
        if series.get(at) != Some(&b'=') {
            if name.is_empty() && end == at && series.get(at) != Some(&b'}') && series.get(at) != Some(&b',')
            {
                return;
            }
            f(None, name);
            continue;
        }
        at = skip(series, at + 1, b" \t");
        let Some(end) = string_end(series, at) else { return };
        // NULs behind the closing quote belong to the token, whose last byte Prometheus cuts off.
        let end = skip(series, end, b"\0");
        f(Some(name), &series[at + 1..end - 1]);
        at = end;
    }
}

/// The metric's name as it stands; empty where there is none.
pub(crate) fn metric_name(series: &[u8]) -> &[u8] {
    let mut found: &[u8] = b"";
    walk(series, |name, value| {
        if name.is_none() {
            found = value;
        }
    });
    found
}

fn skip(text: &[u8], at: usize, what: &[u8]) -> usize {
    at + text.get(at..).map_or(0, |rest| run(rest, |b| what.contains(&b)))
}

fn run(text: &[u8], class: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|b| class(**b)).count()
}

/// The end of the string that begins at `at`, behind its closing quote.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let mut i = at + 1;
    loop {
        i += memchr::memchr2(b'"', b'\\', text.get(i..)?)?;
        if text[i] == b'"' {
            return Some(i + 1);
        }
        // The lexers pass over NULs, also behind a backslash.
        i = skip(text, i + 1, b"\0") + 1;
    }
}
