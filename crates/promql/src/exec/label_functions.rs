//! `label_replace` and `label_join`: they change labels and never look at a sample.

use model::METRIC_NAME;
use model::regex::CaptureRegex;

use super::count_values::is_label_name;
use super::{Exec, Head, Stream};
use crate::error::QueryError;
use crate::plan::{Call, Node, Plan};

fn text(p: &Plan) -> &str {
    match &p.node {
        Node::String(s) => &s.value,
        _ => "",
    }
}

fn names_label(p: &Plan) -> bool {
    matches!(&p.node, Node::String(s) if is_label_name(s))
}

fn relabelled(h: &Head, dst: &str, value: &str) -> Head {
    Head {
        labels: h.labels.to_builder().set(dst, value).build(),
        // A name given here is to stay.
        drop_name: h.drop_name && dst != METRIC_NAME,
    }
}

impl<'e> Exec<'e> {
    pub(super) fn label_replace(&'e self, c: &'e Call) -> Result<Stream<'e>, QueryError> {
        let (dst, replacement) = (text(&c.args[1]), text(&c.args[2]));
        let (src, pattern) = (text(&c.args[3]), text(&c.args[4]));
        let regex = CaptureRegex::new(pattern).map_err(|_| {
            QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        if !names_label(&c.args[1]) {
            return Err(QueryError::Execution(format!(
                "invalid destination label name in label_replace(): {dst}"
            )));
        }
        let input = self.eval_vector(&c.args[0])?;
        let replace = |h: &Head| {
            let Some(found) = regex.find(h.labels.get(src).unwrap_or("")) else { return h.clone() };
            let mut value = String::new();
            found.expand(replacement, &mut value);
            relabelled(h, dst, &value)
        };
        self.distinct(input.map(&|| self.check(), replace, Ok)?)
    }

    pub(super) fn label_join(&'e self, c: &'e Call) -> Result<Stream<'e>, QueryError> {
        let (dst, separator) = (text(&c.args[1]), text(&c.args[2]));
        let sources: Vec<&str> = c.args[3..].iter().map(text).collect();
        if let Some(bad) = c.args[3..].iter().find(|s| !names_label(s)) {
            let bad = text(bad);
            return Err(QueryError::Execution(format!("invalid source label name in label_join(): {bad}")));
        }
        if !names_label(&c.args[1]) {
            return Err(QueryError::Execution(format!(
                "invalid destination label name in label_join(): {dst}"
            )));
        }
        let input = self.eval_vector(&c.args[0])?;
        let join = |h: &Head| {
            let values: Vec<&str> = sources.iter().map(|s| h.labels.get(s).unwrap_or("")).collect();
            relabelled(h, dst, &values.join(separator))
        };
        self.distinct(input.map(&|| self.check(), join, Ok)?)
    }
}
