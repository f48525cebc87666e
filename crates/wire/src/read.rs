//! Remote read: `prometheus.ReadRequest` and the answer `prometheus.ReadResponse`, which holds
//! samples. Streamed answers are in [`crate::read_stream`].

use model::matcher::MatchOp;

use crate::error::WireError;
use crate::samples::SampleColumns;
use crate::series::TimeSeries;
use protobuf::Reader;
use protobuf::writer::{put_bytes, put_int, put_message, put_string, put_uint, put_varints};

/// Most queries that a request may have.
pub const QUERIES_MAX: usize = 10_000;
/// Most matchers, accepted types, or labels of a grouping that a request or a query may have.
pub const ITEMS_MAX: usize = 10_000;

/// What a client takes as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// One message that holds all samples, compressed by snappy.
    Samples,
    /// A stream of frames that hold chunks.
    StreamedXorChunks,
    /// A number that is none of these.
    Other(u32),
}

impl ResponseType {
    fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Samples,
            1 => Self::StreamedXorChunks,
            other => Self::Other(other),
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Samples => 0,
            Self::StreamedXorChunks => 1,
            Self::Other(number) => number,
        }
    }
}

/// A request. Text borrows from the body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadRequest<'a> {
    /// What is asked for; the answer keeps this order.
    pub queries: Vec<Query<'a>>,
    /// What the client takes, best first; none is [`ResponseType::Samples`].
    pub accepted_response_types: Vec<ResponseType>,
}

/// A query: series by matchers, samples by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query<'a> {
    /// First time, milliseconds, inclusive.
    pub start_ms: i64,
    /// Last time, milliseconds, inclusive.
    pub end_ms: i64,
    /// All of them must match.
    pub matchers: Vec<LabelMatcher<'a>>,
    /// What the client is going to do with the samples.
    pub hints: Option<ReadHints<'a>>,
}

/// A matcher whose expression has not been compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelMatcher<'a> {
    /// How to match.
    pub op: MatchOp,
    /// The label.
    pub name: &'a str,
    /// The value or expression.
    pub value: &'a str,
}

/// What the client is going to do with the samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadHints<'a> {
    /// Query step, milliseconds.
    pub step_ms: i64,
    /// The function or aggregation around the selector.
    pub func: &'a str,
    /// First time needed, milliseconds.
    pub start_ms: i64,
    /// Last time needed, milliseconds.
    pub end_ms: i64,
    /// Labels of the aggregation.
    pub grouping: Vec<&'a str>,
    /// Whether the aggregation is `by` these labels, not `without`.
    pub by: bool,
    /// Range of the selector, milliseconds.
    pub range_ms: i64,
}

impl<'a> ReadRequest<'a> {
    /// Decodes a decompressed body.
    ///
    /// # Errors
    /// Bytes that are no request, more of something than allowed, a matcher of an unknown type.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut out = Self::default();
        let mut reader = Reader::new(body, 0);
        while let Some(tag) = reader.tag()? {
            match tag.raw() {
                0x0a => push(&mut out.queries, Query::decode(reader.message()?)?, QUERIES_MAX, "queries")?,
                0x10 => out.push_type(reader.uint32()?)?,
                0x12 => {
                    let mut packed = reader.message()?;
                    while !packed.is_empty() {
                        out.push_type(packed.uint32().map_err(protobuf::Error::in_packed)?)?;
                    }
                }
                _ => reader.skip(tag, 0b110)?,
            }
        }
        Ok(out)
    }

    fn push_type(&mut self, number: u32) -> Result<(), WireError> {
        let kind = ResponseType::from_number(number);
        push(&mut self.accepted_response_types, kind, ITEMS_MAX, "accepted response types")
    }

    /// Appends the request to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for query in &self.queries {
            put_message(out, 1, |out| query.encode(out));
        }
        put_varints(out, 2, self.accepted_response_types.iter().map(|t| u64::from(t.number())));
    }
}

impl<'a> Query<'a> {
    fn decode(mut message: Reader<'a>) -> Result<Self, WireError> {
        let mut out = Self::default();
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x08 => out.start_ms = message.int64()?,
                0x10 => out.end_ms = message.int64()?,
                0x1a => {
                    let matcher = LabelMatcher::decode(message.message()?)?;
                    push(&mut out.matchers, matcher, ITEMS_MAX, "matchers")?;
                }
                0x22 => out.hints.get_or_insert_default().decode(message.message()?)?,
                _ => message.skip(tag, 0b1_1110)?,
            }
        }
        Ok(out)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, 1, self.start_ms);
        put_int(out, 2, self.end_ms);
        for matcher in &self.matchers {
            put_message(out, 3, |out| {
                put_uint(out, 1, matcher_number(matcher.op));
                put_string(out, 2, matcher.name);
                put_string(out, 3, matcher.value);
            });
        }
        if let Some(hints) = &self.hints {
            put_message(out, 4, |out| hints.encode(out));
        }
    }
}

fn matcher_number(op: MatchOp) -> u64 {
    match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    }
}

impl<'a> LabelMatcher<'a> {
    fn decode(mut message: Reader<'a>) -> Result<Self, WireError> {
        let (mut number, mut name, mut value) = (0, "", "");
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x08 => number = message.uint32()?,
                0x12 => name = message.string()?,
                0x1a => value = message.string()?,
                _ => message.skip(tag, 0b1110)?,
            }
        }
        let op = match number {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            _ => return Err(WireError::MatcherType),
        };
        Ok(Self { op, name, value })
    }
}

impl<'a> ReadHints<'a> {
    fn decode(&mut self, mut message: Reader<'a>) -> Result<(), WireError> {
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x08 => self.step_ms = message.int64()?,
                0x12 => self.func = message.string()?,
                0x18 => self.start_ms = message.int64()?,
                0x20 => self.end_ms = message.int64()?,
                0x2a => push(&mut self.grouping, message.string()?, ITEMS_MAX, "grouping labels")?,
                0x30 => self.by = message.varint()? != 0,
                0x38 => self.range_ms = message.int64()?,
                _ => message.skip(tag, 0b1111_1110)?,
            }
        }
        Ok(())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, 1, self.step_ms);
        put_string(out, 2, self.func);
        put_int(out, 3, self.start_ms);
        put_int(out, 4, self.end_ms);
        for label in &self.grouping {
            put_bytes(out, 5, label.as_bytes());
        }
        put_uint(out, 6, u64::from(self.by));
        put_int(out, 7, self.range_ms);
    }
}

fn push<T>(all: &mut Vec<T>, item: T, limit: usize, what: &'static str) -> Result<(), WireError> {
    if all.len() >= limit {
        return Err(WireError::TooMany { what, limit });
    }
    all.push(item);
    Ok(())
}

/// Appends the result of one query to a `ReadResponse`, in the order of the queries. `body` appends
/// the series with [`crate::write_v1::put_series`], whose field is the same.
pub fn put_query_result(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    put_message(out, 1, body);
}

/// Walks a decompressed `ReadResponse`, query by query.
#[derive(Clone, Debug)]
pub struct ReadResponse<'a> {
    rest: Reader<'a>,
}

impl<'a> ReadResponse<'a> {
    /// Begins a walk.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: Reader::new(body, 0) }
    }

    /// The result of the next query.
    ///
    /// # Errors
    /// Bytes that are no response.
    pub fn next_result(&mut self) -> Result<Option<QueryResult<'a>>, WireError> {
        while let Some(tag) = self.rest.tag()? {
            if tag.raw() == 0x0a {
                return Ok(Some(QueryResult { rest: self.rest.message()? }));
            }
            self.rest.skip(tag, 0b10)?;
        }
        Ok(None)
    }
}

/// Walks the series of one query's result.
#[derive(Clone, Debug)]
pub struct QueryResult<'a> {
    rest: Reader<'a>,
}

impl<'a> QueryResult<'a> {
    /// The next series; its samples are appended to `columns`.
    ///
    /// # Errors
    /// Bytes that are no result.
    pub fn next_series(&mut self, columns: &mut SampleColumns) -> Result<Option<TimeSeries<'a>>, WireError> {
        while let Some(tag) = self.rest.tag()? {
            if tag.raw() == 0x0a {
                return TimeSeries::decode(self.rest.message()?, columns).map(Some);
            }
            self.rest.skip(tag, 0b10)?;
        }
        Ok(None)
    }
}
