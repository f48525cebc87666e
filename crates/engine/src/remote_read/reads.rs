//! What a question needs of other servers: requests to be sent, answers that came, and the question
//! asked over both. Whoever has sockets sends and fetches; no thread waits for it here.
//!
//! A question tells beforehand what it will select, all but what `info` adds, which it does not know
//! before it runs. Where a run comes upon something that nobody was asked for, it ends, and is
//! begun anew with the further answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Matcher, TimestampMs};
use promql::{Cancel, Deadline};
use storage::{Queryable, SelectHints, VecStore};

use super::answer::{Asked, Fault, RemoteResponse, Room, decode};
use super::endpoint::RemoteEndpoint;
use super::store::{Answers, RemoteStore};
use crate::body::Body;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ErrorCode};
use crate::labels_api::{SeriesQuery, series_hints};
use crate::query::{Answer, QueryLimits, QueryTimes};
use crate::stop::Stop;

/// A question that others are asked about too.
#[derive(Clone, Debug)]
pub enum Inquiry {
    /// A query.
    Query {
        /// Its text.
        query: String,
        /// When it is evaluated.
        times: QueryTimes,
        /// What it sets for itself.
        limits: QueryLimits,
    },
    /// A question for series.
    Series(SeriesQuery),
}

/// A request to be posted.
#[derive(Clone, Debug)]
pub struct RemoteRequest {
    /// Names it when it is answered.
    pub id: usize,
    /// The place of its endpoint in the list.
    pub endpoint: usize,
    /// One block of snappy.
    pub body: Vec<u8>,
    /// How long its answer is of use.
    pub timeout_ms: i64,
}

/// A question with what is asked of others; a clone is another handle on the same.
#[derive(Clone)]
pub struct RemoteReads {
    engine: Engine,
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    question: Inquiry,
    pub(super) endpoints: Vec<RemoteEndpoint>,
    local_start_ms: TimestampMs,
    asked_ns: u64,
    deadline_ns: u64,
    state: Mutex<Vec<Read>>,
}

/// One select at one endpoint.
struct Read {
    endpoint: usize,
    span: (TimestampMs, TimestampMs),
    hints: SelectHints,
    matchers: Vec<Matcher>,
    status: Status,
}

enum Status {
    /// A request is to be made of it.
    Wanted,
    /// Its request is under way.
    Asked,
    Told(RemoteResponse),
    Failed(String),
    Read(VecStore),
}

impl Engine {
    /// Finds out what `endpoints` are to be asked for a question.
    pub fn open_remote_reads(
        &self,
        question: Inquiry,
        endpoints: Vec<RemoteEndpoint>,
        cancel: Cancel,
        done: impl FnOnce(Result<RemoteReads, EngineError>) + Send + 'static,
    ) {
        let engine = self.clone();
        let asked_ns = self.inner.clock.monotonic_ns();
        let (bytes, stop, deadline_ns) = self.inner.bounds(&question, cancel, asked_ns);
        let work = move |inner: &Inner, _: &Cancel| {
            let (span, selects) = inner.selects(&question, asked_ns)?;
            let local_start_ms = inner.local_start_ms();
            let state = Mutex::default();
            let shared = Shared { question, endpoints, local_start_ms, asked_ns, deadline_ns, state };
            for (hints, matchers) in selects {
                for endpoint in 0..shared.endpoints.len() {
                    shared.want(endpoint, span, &hints, &matchers);
                }
            }
            Ok(RemoteReads { engine, shared: Arc::new(shared) })
        };
        self.run_query_until(bytes, stop, work, done);
    }
}

impl Inner {
    fn bounds(&self, question: &Inquiry, cancel: Cancel, asked_ns: u64) -> (usize, Stop, u64) {
        let (bytes, deadline_ns) = match question {
            Inquiry::Query { query, limits, .. } => (query.len(), self.deadline_ns(limits, asked_ns)),
            Inquiry::Series(q) => {
                let bytes = q.matches.iter().map(String::len).sum();
                (bytes, crate::query::deadline_ns(asked_ns, self.options.query_timeout_ms))
            }
        };
        (bytes, Stop::at(cancel, Deadline::new(self.clock.clone(), deadline_ns)), deadline_ns)
    }

    /// What a question asks stores for, and in which span of time.
    #[allow(clippy::type_complexity)]
    fn selects(
        &self,
        question: &Inquiry,
        asked_ns: u64,
    ) -> Result<((TimestampMs, TimestampMs), Vec<(SelectHints, Vec<Matcher>)>), EngineError> {
        match question {
            Inquiry::Query { query, times, limits } => {
                let expr = self.parse(query)?;
                let (options, _) = self.query_options(limits, asked_ns);
                let selects = promql::selects(&expr, times.span(), &options)?;
                Ok(((selects.start_ms, selects.end_ms), selects.list))
            }
            Inquiry::Series(query) => {
                let sets = self.parse_selectors(&query.matches)?;
                let list = sets.into_iter().map(|matchers| (series_hints(query), matchers)).collect();
                Ok(((query.start_ms, query.end_ms), list))
            }
        }
    }

    /// From when on the database is taken to have everything: some time after its first block, or
    /// after now where there is none (Prometheus' `readyStorage.StartTime`).
    pub(crate) fn local_start_ms(&self) -> TimestampMs {
        let first_ms =
            self.db.first_block_ms().unwrap_or_else(|| self.clock.now_ms().div_euclid(1000) * 1000);
        first_ms.saturating_add(self.options.min_block_duration_ms.saturating_mul(2))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Vec<Read>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an endpoint is to be asked, unless the select does not concern it.
    fn want(
        &self,
        endpoint: usize,
        span: (TimestampMs, TimestampMs),
        hints: &SelectHints,
        matchers: &[Matcher],
    ) {
        let e = &self.endpoints[endpoint];
        let Some(span) = e.span(span, self.local_start_ms).filter(|_| e.answers(matchers)) else { return };
        let (hints, matchers) = (hints.clone(), matchers.to_vec());
        self.state().push(Read { endpoint, span, hints, matchers, status: Status::Wanted });
    }

    /// The number of a select at an endpoint; what nobody was asked for yet is noted as wanted.
    pub(super) fn find(
        &self,
        endpoint: usize,
        span: (TimestampMs, TimestampMs),
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Found {
        let e = &self.endpoints[endpoint];
        if e.span(span, self.local_start_ms).is_none() || !e.answers(matchers) {
            return Found::Nothing;
        }
        let same = |r: &Read| {
            r.endpoint == endpoint
                && (r.hints.start_ms, r.hints.end_ms) == (hints.start_ms, hints.end_ms)
                && r.matchers == matchers
        };
        let known = self.state().iter().position(same);
        match known {
            Some(id) => Found::Read(id),
            None => {
                self.want(endpoint, span, hints, matchers);
                Found::Unknown
            }
        }
    }

    fn is_complete(&self) -> bool {
        !self.state().iter().any(|r| matches!(r.status, Status::Wanted | Status::Asked))
    }

    /// All answers, read; an endpoint that failed once has none.
    fn answers(&self, inner: &Inner, stop: &Stop) -> Result<Answers, EngineError> {
        let mut state = self.state();
        let mut room = Room { bytes_max: inner.memory_bytes_max(), taken: 0 };
        let mut answers = Answers::default();
        for (id, read) in state.iter_mut().enumerate() {
            let status = std::mem::replace(&mut read.status, Status::Asked);
            read.status = match status {
                Status::Told(response) => {
                    let endpoint = &self.endpoints[read.endpoint];
                    let added: Vec<String> =
                        endpoint.added(&read.matchers).map(|(name, _)| name.to_owned()).collect();
                    let frame_bytes_max = endpoint.frame_bytes_max;
                    let asked = Asked { span: read.span, added: &added, frame_bytes_max };
                    match decode(response, &asked, &mut room, stop) {
                        Ok(store) => Status::Read(store),
                        Err(Fault::Failed(text)) => Status::Failed(text),
                        Err(Fault::Broken(e)) => return Err(e),
                    }
                }
                status => status,
            };
            match &read.status {
                Status::Read(store) => {
                    answers.stores.insert(id, store.clone());
                }
                Status::Failed(text) => {
                    answers.failed.entry(read.endpoint).or_insert_with(|| text.clone());
                }
                Status::Wanted | Status::Asked | Status::Told(_) => {}
            }
        }
        Ok(answers)
    }
}

/// What is known of a select at an endpoint.
pub(super) enum Found {
    /// It does not concern the endpoint.
    Nothing,
    /// Its number.
    Read(usize),
    /// Nobody was asked yet.
    Unknown,
}

impl RemoteReads {
    /// The requests that are to be sent now; each is handed out once.
    ///
    /// # Errors
    /// A request that cannot be made.
    pub fn requests(&self) -> Result<Vec<RemoteRequest>, EngineError> {
        let shared = &self.shared;
        let left_ns = shared.deadline_ns.saturating_sub(self.engine.inner.clock.monotonic_ns());
        let timeout_ms = i64::try_from(left_ns / 1_000_000).unwrap_or(i64::MAX);
        let mut out = Vec::new();
        for (id, read) in shared.state().iter_mut().enumerate() {
            if !matches!(read.status, Status::Wanted) {
                continue;
            }
            let endpoint = &shared.endpoints[read.endpoint];
            let body = endpoint
                .request(read.span, &read.hints, &read.matchers)
                .map_err(|e| EngineError::new(ErrorCode::InvalidArgument, e.to_string()))?;
            read.status = Status::Asked;
            out.push(RemoteRequest { id, endpoint: read.endpoint, body, timeout_ms });
        }
        Ok(out)
    }

    /// Takes the answer to a request, or why there is none.
    pub fn answer(&self, id: usize, response: Result<RemoteResponse, String>) {
        if let Some(read) = self.shared.state().get_mut(id).filter(|r| matches!(r.status, Status::Asked)) {
            read.status = match response {
                Ok(response) => Status::Told(response),
                Err(text) => Status::Failed(text),
            };
        }
    }

    /// Answers the question as [`Engine::query_json`] or [`Engine::series_json`] would, over the
    /// database and what others answered; `None` where there are further requests to be sent.
    pub fn json(
        &self,
        cancel: Cancel,
        done: impl FnOnce(Result<Option<Body>, EngineError>) + Send + 'static,
    ) {
        let work = |inner: &Inner, shared: &Shared, store: &dyn Queryable, stop: &Stop| match &shared.question
        {
            Inquiry::Query { query, times, limits } => {
                inner.answer_json(store, query, *times, limits, stop.cancel(), shared.asked_ns)
            }
            Inquiry::Series(query) => inner.answer_series(store, query, stop),
        };
        self.run(cancel, work, done);
    }

    /// Answers the question as [`Engine::query`] would, likewise.
    pub fn values(
        &self,
        cancel: Cancel,
        done: impl FnOnce(Result<Option<Answer>, EngineError>) + Send + 'static,
    ) {
        let work = |inner: &Inner, shared: &Shared, store: &dyn Queryable, stop: &Stop| match &shared.question
        {
            Inquiry::Query { query, times, limits } => {
                inner.answer_values(store, query, *times, limits, stop.cancel(), shared.asked_ns)
            }
            Inquiry::Series(_) => Err(EngineError::invalid("series have no values")),
        };
        self.run(cancel, work, done);
    }

    /// Frees what answers there are; the question is not asked any more.
    pub fn close(&self) {
        self.shared.state().clear();
    }

    fn run<T: Send + 'static>(
        &self,
        cancel: Cancel,
        work: impl FnOnce(&Inner, &Shared, &dyn Queryable, &Stop) -> Result<T, EngineError> + Send + 'static,
        done: impl FnOnce(Result<Option<T>, EngineError>) + Send + 'static,
    ) {
        let shared = self.shared.clone();
        let deadline = Deadline::new(self.engine.inner.clock.clone(), shared.deadline_ns);
        let stop = Stop::at(cancel, deadline);
        let run = {
            let stop = stop.clone();
            move |inner: &Inner, _: &Cancel| {
                let answers = shared.answers(inner, &stop)?;
                let store = RemoteStore { db: &inner.db, shared: shared.clone(), answers: Arc::new(answers) };
                let result = work(inner, &shared, &store, &stop);
                drop(store);
                if !shared.is_complete() {
                    return Ok(None);
                }
                // A handle in JavaScript may live on for long.
                shared.state().clear();
                result.map(Some)
            }
        };
        self.engine.run_query_until(0, stop, run, done);
    }
}

/// Answers by the number of the select.
pub(super) type Stores = HashMap<usize, VecStore>;
