//! Labels that a family gives to its samples, and the way from bytes to a label set.

use std::borrow::Cow;

use model::{LabelsBuilder, METRIC_NAME, MetricType};

use crate::entry::LabelError;
use crate::parser::ParserOptions;

const METRIC_TYPE: &str = "__type__";
const METRIC_UNIT: &str = "__unit__";

/// The metric's name and, where they are asked for, its type and unit. They replace labels of those names.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    name: Cow<'a, [u8]>,
    kind: &'static str,
    unit: &'a [u8],
    typed: bool,
}

impl<'a> Given<'a> {
    pub(crate) fn new(name: Cow<'a, [u8]>, kind: MetricType, unit: &'a [u8], options: ParserOptions) -> Self {
        let typed = options.type_and_unit_labels;
        let kind = if typed && kind != MetricType::Unknown { kind.as_str() } else { "" };
        Self { name, kind, unit: if typed { unit } else { b"" }, typed }
    }

    /// Calls `f` for each.
    pub(crate) fn for_each<F: FnMut(Cow<'a, [u8]>, Cow<'a, [u8]>) + ?Sized>(&self, f: &mut F) {
        if !self.name.is_empty() || !self.typed {
            f(Cow::Borrowed(METRIC_NAME.as_bytes()), self.name.clone());
        }
        for (name, value) in [(METRIC_TYPE, self.kind.as_bytes()), (METRIC_UNIT, self.unit)] {
            if !value.is_empty() {
                f(Cow::Borrowed(name.as_bytes()), Cow::Borrowed(value));
            }
        }
    }

    /// Whether a label of the body is left out for one of these.
    pub(crate) fn replaces(&self, name: &[u8]) -> bool {
        self.typed
            && (name == METRIC_NAME.as_bytes() && !self.name.is_empty()
                || name == METRIC_TYPE.as_bytes() && !self.kind.is_empty()
                || name == METRIC_UNIT.as_bytes() && !self.unit.is_empty())
    }
}

/// What is called for the name and value of each label.
pub type EachLabel<'f> = dyn FnMut(Cow<'_, [u8]>, Cow<'_, [u8]>) + 'f;

/// Sets `labels` to those that `walk` yields. Labels with empty values are left out.
///
/// # Errors
/// Names that cannot be stored.
pub(crate) fn collect(
    labels: &mut LabelsBuilder,
    walk: impl Fn(&mut EachLabel<'_>),
) -> Result<(), LabelError> {
    labels.clear();
    let mut seen: Vec<Vec<u8>> = Vec::with_capacity(8);
    let (mut problem, mut printable) = (None, true);
    walk(&mut |name, value| {
        if seen.iter().any(|s| **s == *name) {
            problem.get_or_insert_with(|| LabelError::Duplicate(String::from_utf8_lossy(&name).into_owned()));
        }
        match (std::str::from_utf8(&name), std::str::from_utf8(&value)) {
            (Ok(n), Ok(v)) => _ = labels.set(n, v),
            _ => printable = false,
        }
        seen.push(name.into_owned());
    });
    if !printable {
        return Err(LabelError::InvalidName(printed(walk)));
    }
    problem.map_or(Ok(()), Err)
}

fn printed(walk: impl Fn(&mut EachLabel<'_>)) -> String {
    let mut out = "{".to_owned();
    walk(&mut |name, value| {
        out.push_str(if out.len() > 1 { ", " } else { "" });
        let plain = std::str::from_utf8(&name).ok().filter(|n| model::labels::is_legacy_label_name(n));
        out.push_str(&plain.map_or_else(|| model::float::go_quoted(&name), str::to_owned));
        out.push('=');
        out.push_str(&model::float::go_quoted(&value));
    });
    out.push('}');
    out
}
