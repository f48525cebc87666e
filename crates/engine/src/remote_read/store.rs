//! The database and what other servers answered as one store: the database's word is needed, the others'
//! is welcome (Prometheus storage/fanout.go and secondary.go).

use std::collections::HashMap;
use std::sync::Arc;

use model::{Columns, Labels, Matcher, TimestampMs};
use storage::{
    LabelHints, LabelQuerier, Querier, Queryable, SelectHints, SeriesSet, StorageError, merge_queriers,
};

use super::reads::{Found, Shared, Stores};
use crate::store::Store;

/// What came of the requests.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) stores: Stores,
    /// By endpoint, why it has no answers: of one that failed once none counts.
    pub(super) failed: HashMap<usize, String>,
}

pub(super) struct RemoteStore<'a> {
    pub(super) db: &'a Store,
    pub(super) shared: Arc<Shared>,
    pub(super) answers: Arc<Answers>,
}

impl Queryable for RemoteStore<'_> {
    fn querier(&self, start_ms: TimestampMs, end_ms: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        let mut queriers = vec![self.db.querier(start_ms, end_ms)?];
        for endpoint in 0..self.shared.endpoints.len() {
            let (shared, answers) = (self.shared.clone(), self.answers.clone());
            queriers.push(Box::new(RemoteQuerier { shared, answers, endpoint, span: (start_ms, end_ms) }));
        }
        Ok(merge_queriers(queriers))
    }
}

struct RemoteQuerier {
    shared: Arc<Shared>,
    answers: Arc<Answers>,
    endpoint: usize,
    span: (TimestampMs, TimestampMs),
}

impl LabelQuerier for RemoteQuerier {
    fn label_values(&self, _: &str, _: LabelHints, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_names(&self, _: LabelHints, _: &[Matcher]) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

impl Querier for RemoteQuerier {
    fn select(&self, hints: &SelectHints, matchers: &[Matcher]) -> Result<Box<dyn SeriesSet>, StorageError> {
        let found = match self.shared.find(self.endpoint, self.span, hints, matchers) {
            Found::Nothing => return Ok(Box::new(Empty(Vec::new()))),
            Found::Read(id) => id,
            // The run ends here; it is begun anew once there is an answer.
            Found::Unknown => return Err(StorageError::Stopped),
        };
        if let Some(text) = self.answers.failed.get(&self.endpoint) {
            return Ok(Box::new(Empty(vec![text.clone()])));
        }
        match self.answers.stores.get(&found) {
            // Which series satisfy the matchers was the other server's to say.
            Some(store) => store.querier(TimestampMs::MIN, TimestampMs::MAX)?.select(hints, &[]),
            None => Err(StorageError::Stopped),
        }
    }
}

/// No series, and why.
struct Empty(Vec<String>);

impl SeriesSet for Empty {
    fn len(&self) -> usize {
        0
    }

    fn labels(&self, _: usize) -> Labels {
        Labels::empty()
    }

    fn read(&self, _: usize, _: &mut Columns) -> Result<(), StorageError> {
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        self.0.clone()
    }
}
