//! What a scrape asks of a parser, whatever the format.

use model::LabelsBuilder;

use crate::entry::{Entry, Exemplar, LabelError, ParseError};
use crate::labels::{self, EachLabel};
use crate::native::NativeValue;

/// Reads a body entry by entry. What is asked besides is about the sample or histogram that was yielded last.
pub trait Source<'a> {
    /// The next entry, `None` at the end. It is found faster where it is of the series `expected`: a
    /// [`Source::series`] of an earlier body of the same format and options, whose labels were good. A wrong guess only
    /// costs time.
    ///
    /// # Errors
    /// The first error ends the body: what came before it is to be dropped too.
    fn next_entry_expecting(&mut self, expected: &[u8]) -> Result<Option<Entry<'_>>, ParseError>;

    /// Bytes that stand for the series: equal bytes in bodies of the same format and options are the same series.
    /// Different ones may be, too.
    fn series(&self) -> &[u8];

    /// Calls `f` for name and value of each label, the metric's name first, then in the order of the body; neither need
    /// be UTF-8 or unique.
    fn for_each_label(&self, f: &mut EachLabel<'_>);

    /// Sets `labels` to those of the series, the metric's name among them; `le` and `quantile` are as OpenMetrics writes
    /// numbers. Labels with empty values are left out.
    ///
    /// # Errors
    /// Names that cannot be stored.
    fn labels(&self, labels: &mut LabelsBuilder) -> Result<(), LabelError> {
        labels::collect(labels, |f| self.for_each_label(f))
    }

    /// The value of a native histogram. It may be changed; the next one takes its place.
    fn histogram(&mut self) -> &mut NativeValue;

    /// The exemplars. Those of a native histogram may lack a timestamp only where they come from a text format.
    fn exemplars(&self) -> &[Exemplar<'a>];

    /// When the series began, in milliseconds; `None` where that is unknown. May look ahead in the body.
    fn start_timestamp_ms(&mut self) -> Option<i64>;
}
