//! A server that is asked for what the database does not have: which selects concern it, and what it
//! is asked then (Prometheus storage/remote/read.go).

use model::{Labels, MatchOp, Matcher, TimestampMs};
use storage::SelectHints;
use wire::read::{LabelMatcher, Query, ReadHints, ReadRequest, ResponseType};
use wire::{WireError, snappy};

/// What of an entry of `remote_read` decides about requests and answers.
#[derive(Clone, Debug, Default)]
pub struct RemoteEndpoint {
    /// Matchers for these are added where the select has none of their name, and the labels taken from
    /// the answer: the external labels, or none with `filter_external_labels: false`.
    pub external_labels: Labels,
    /// Only selects with equality matchers for all of these are asked.
    pub required_matchers: Vec<(String, String)>,
    /// Whether it is asked also for times that the database has.
    pub read_recent: bool,
    /// Longest frame of a streamed answer.
    pub frame_bytes_max: u64,
}

impl RemoteEndpoint {
    /// The part of a span that it is asked for, where the database has what is after
    /// `local_start_ms`; `None` where that is all.
    pub(crate) fn span(
        &self,
        (start_ms, end_ms): (TimestampMs, TimestampMs),
        local_start_ms: TimestampMs,
    ) -> Option<(TimestampMs, TimestampMs)> {
        if self.read_recent {
            return Some((start_ms, end_ms));
        }
        (start_ms <= local_start_ms).then_some((start_ms, end_ms.min(local_start_ms)))
    }

    /// Whether a select concerns it.
    pub(super) fn answers(&self, matchers: &[Matcher]) -> bool {
        let is_there = |(name, value): &(String, String)| {
            matchers.iter().any(|m| m.op == MatchOp::Equal && m.name == *name && m.value == *value)
        };
        self.required_matchers.iter().all(is_there)
    }

    /// The labels that matchers are added for.
    pub(super) fn added<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.external_labels.iter().filter(|(name, _)| matchers.iter().all(|m| m.name != *name))
    }

    /// The body of the request for a select: one block of snappy.
    pub(super) fn request(
        &self,
        (start_ms, end_ms): (TimestampMs, TimestampMs),
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Vec<u8>, WireError> {
        let own = matchers.iter().map(|m| LabelMatcher { op: m.op, name: &m.name, value: &m.value });
        let added =
            self.added(matchers).map(|(name, value)| LabelMatcher { op: MatchOp::Equal, name, value });
        let query = Query {
            start_ms,
            end_ms,
            matchers: own.chain(added).collect(),
            hints: Some(ReadHints {
                step_ms: hints.step_ms,
                func: &hints.func,
                start_ms: hints.start_ms,
                end_ms: hints.end_ms,
                grouping: hints.grouping.iter().map(String::as_str).collect(),
                by: hints.by,
                range_ms: hints.range_ms,
            }),
        };
        let accepted_response_types = vec![ResponseType::StreamedXorChunks, ResponseType::Samples];
        let (mut body, mut block) = (Vec::new(), Vec::new());
        ReadRequest { queries: vec![query], accepted_response_types }.encode(&mut body);
        snappy::Compressor::default().compress(&body, &mut block)?;
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_the_database_has_are_left_to_it() {
        let old = RemoteEndpoint::default();
        assert_eq!(old.span((0, 10), 20), Some((0, 10)));
        assert_eq!(old.span((0, 30), 20), Some((0, 20)));
        assert_eq!(old.span((20, 30), 20), Some((20, 20)));
        assert_eq!(old.span((21, 30), 20), None);
        let recent = RemoteEndpoint { read_recent: true, ..old };
        assert_eq!(recent.span((21, 30), 20), Some((21, 30)));
    }

    #[test]
    fn required_matchers_and_added_ones() {
        let endpoint = RemoteEndpoint {
            external_labels: Labels::from_pairs([("dc", "eu"), ("job", "x")]),
            required_matchers: vec![("a".into(), "1".into()), ("b".into(), "2".into())],
            ..RemoteEndpoint::default()
        };
        let (a, b) = (Matcher::equal("a", "1"), Matcher::equal("b", "2"));
        let job = Matcher::new(MatchOp::Regex, "job", "y").unwrap();
        assert!(endpoint.answers(&[b.clone(), a.clone(), job.clone()]));
        assert!(!endpoint.answers(&[a.clone(), job.clone()]));
        assert!(!endpoint.answers(&[a.clone(), Matcher::new(MatchOp::Regex, "b", "2").unwrap()]));
        assert_eq!(endpoint.added(&[a, job]).collect::<Vec<_>>(), [("dc", "eu")]);
    }
}
