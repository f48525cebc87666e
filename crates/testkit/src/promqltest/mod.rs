//! The PromQL test language: scripts that load series, run queries and say what comes out.
//!
//! `script` reads a file, `points` expands series, `run` evaluates statements over a store,
//! `compare` judges results. Any engine state is fresh per script and after `clear`.

mod compare;
mod expect;
mod nhcb;
mod points;
mod run;
mod script;

use model::{Columns, Labels};
use storage::{Queryable, VecStore};

pub use expect::{Expect, TextMatch};
pub use points::Point;
pub use run::{Report, Statement, options, run};
pub use script::{Command, Eval, EvalKind, Load, ScriptError, parse_script};

/// A store that scripts load series into.
pub trait TestStore {
    /// Drops everything.
    fn clear(&mut self);

    /// Adds samples of distinct series in one transaction.
    ///
    /// # Errors
    /// Why the store refused.
    fn load(&mut self, series: Vec<(Labels, Columns)>) -> Result<(), String>;

    /// What queries run over.
    fn queryable(&self) -> &dyn Queryable;
}

impl TestStore for VecStore {
    fn clear(&mut self) {
        *self = VecStore::new();
    }

    fn load(&mut self, series: Vec<(Labels, Columns)>) -> Result<(), String> {
        for (labels, columns) in series {
            self.extend(labels, &columns);
        }
        Ok(())
    }

    fn queryable(&self) -> &dyn Queryable {
        self
    }
}
