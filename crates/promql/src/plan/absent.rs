//! The labels that `absent` answers with.

use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use promql_syntax::Expr;

use crate::labels::is_metadata;

/// The labels that the selector demands exactly, once each; none for other expressions.
pub(super) fn labels(e: &Expr) -> Labels {
    let matchers: &[Matcher] = match e {
        Expr::Vector(v) => &v.matchers,
        Expr::Matrix(m) => &m.selector.matchers,
        _ => return Labels::empty(),
    };
    let mut out = LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for m in matchers.iter().filter(|m| !is_metadata(&m.name)) {
        if m.op == MatchOp::Equal && !seen.contains(&m.name.as_str()) {
            out.set(&m.name, &m.value);
            seen.push(&m.name);
        } else {
            out.del(&m.name);
        }
    }
    out.build()
}
