//! A request of remote read: from bytes to questions for the database.

use std::borrow::Cow;

use model::regex::Regex;
use model::{Labels, MatchOp, Matcher, TimestampMs};
use storage::SelectHints;
use wire::read::{LabelMatcher, Query, ReadRequest, ResponseType};
use wire::{WireError, snappy};

use super::{Fault, READ_BODY_BYTES_MAX, Refusal};
use crate::stop::Stop;

/// One query of a request.
pub(super) struct Question {
    pub(super) start_ms: TimestampMs,
    pub(super) end_ms: TimestampMs,
    pub(super) matchers: Vec<Matcher>,
    pub(super) hints: SelectHints,
}

/// The queries of a body, and how they are to be answered.
pub(super) fn decode<B: AsRef<[u8]>>(
    pieces: &[B],
    external: &Labels,
    stop: &Stop,
) -> Result<(Vec<Question>, ResponseType), Fault> {
    let packed: Cow<'_, [u8]> = match pieces {
        [whole] => whole.as_ref().into(),
        _ => pieces.iter().map(AsRef::as_ref).collect::<Vec<_>>().concat().into(),
    };
    let mut buffer = Vec::new();
    let body = snappy::decompress(&packed, READ_BODY_BYTES_MAX, &mut buffer)
        .map_err(|e| Fault::Refused(Refusal::bad(snappy_text(&packed, e))))?;
    let request = ReadRequest::decode(body).map_err(|e| {
        // Prometheus takes the message in and stumbles over the matcher later.
        let status = if e == WireError::MatcherType { 500 } else { 400 };
        Fault::Refused(Refusal { status, text: e.to_string() })
    })?;
    let kind = negotiate(&request.accepted_response_types).map_err(Fault::Refused)?;
    let mut regex_bytes = 0;
    let mut questions = Vec::with_capacity(request.queries.len());
    for query in &request.queries {
        stop.check()?;
        questions.push(question(query, external, &mut regex_bytes)?);
    }
    Ok((questions, kind))
}

/// As golang/snappy, behind Prometheus' own limit, puts it.
fn snappy_text(packed: &[u8], e: WireError) -> String {
    const MAX: usize = READ_BODY_BYTES_MAX;
    match (e, snappy::decompressed_len(packed)) {
        // Prometheus reads as much as it takes and looks at that.
        (WireError::BodyTooLarge { .. } | WireError::DecodedTooLarge { .. }, Ok(len)) if len > MAX => {
            format!("snappy: decoded length {len} exceeds limit {MAX}")
        }
        _ => "snappy: corrupt input".to_owned(),
    }
}

/// The first accepted type that there is; samples where none is named.
fn negotiate(accepted: &[ResponseType]) -> Result<ResponseType, Refusal> {
    if accepted.is_empty() {
        return Ok(ResponseType::Samples);
    }
    let known = accepted.iter().find(|kind| !matches!(kind, ResponseType::Other(_)));
    known.copied().ok_or_else(|| {
        let numbers = accepted.iter().map(|kind| match kind {
            // As Go prints the number of an enumeration.
            ResponseType::Other(number) => (*number as i32).to_string(),
            ResponseType::Samples | ResponseType::StreamedXorChunks => String::new(),
        });
        Refusal::bad(format!(
            "server does not support any of the requested response types: [{}]; supported: map[SAMPLES:{{}} STREAMED_XOR_CHUNKS:{{}}]",
            numbers.collect::<Vec<_>>().join(" ")
        ))
    })
}

fn question(query: &Query<'_>, external: &Labels, regex_bytes: &mut usize) -> Result<Question, Fault> {
    let mut matchers = Vec::with_capacity(query.matchers.len());
    for m in &query.matchers {
        let matcher = compile(m, external)?;
        *regex_bytes += matcher.regex().map_or(0, Regex::automaton_bytes);
        if *regex_bytes > promql_syntax::REGEX_BYTES_MAX {
            let text = "the matchers' regular expressions need more than 64 MiB";
            return Err(Fault::Refused(Refusal::bad(text)));
        }
        matchers.push(matcher);
    }
    let span = (query.start_ms, query.end_ms);
    let hints = match &query.hints {
        None => SelectHints { start_ms: span.0, end_ms: span.1, ..SelectHints::default() },
        Some(h) => SelectHints {
            start_ms: h.start_ms,
            end_ms: h.end_ms,
            step_ms: h.step_ms,
            range_ms: h.range_ms,
            func: h.func.to_owned(),
            ..SelectHints::default()
        },
    };
    Ok(Question { start_ms: span.0, end_ms: span.1, matchers, hints })
}

/// Series here do not carry the external labels: whoever asks for one of them gets those without.
fn compile(m: &LabelMatcher<'_>, external: &Labels) -> Result<Matcher, Fault> {
    if m.op == MatchOp::Equal && external.get(m.name).unwrap_or("") == m.value {
        return Ok(Matcher::equal(m.name, ""));
    }
    Matcher::new(m.op, m.name, m.value)
        .map_err(|e| Fault::Refused(Refusal { status: 500, text: e.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_type_is_taken() {
        use ResponseType::{Other, Samples, StreamedXorChunks};
        assert_eq!(negotiate(&[]), Ok(Samples));
        assert_eq!(negotiate(&[Other(7), StreamedXorChunks, Samples]), Ok(StreamedXorChunks));
        assert_eq!(negotiate(&[Samples, StreamedXorChunks]), Ok(Samples));
        assert_eq!(
            negotiate(&[Other(7), Other(u32::MAX)]).unwrap_err().text,
            "server does not support any of the requested response types: [7 -1]; supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]"
        );
    }

    #[test]
    fn bodies_that_are_too_large_or_damaged() {
        let mut long = vec![0x80, 0x80, 0x80, 0x20];
        assert_eq!(snappy_text(&long, WireError::Snappy), "snappy: corrupt input");
        assert_eq!(
            snappy_text(&long, WireError::DecodedTooLarge { limit_bytes: 1 }),
            "snappy: decoded length 67108864 exceeds limit 33554432"
        );
        long[3] = 1;
        assert_eq!(snappy_text(&long, WireError::BodyTooLarge { limit_bytes: 1 }), "snappy: corrupt input");
    }
}
