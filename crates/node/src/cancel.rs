//! Tells a running query to stop.

use napi_derive::napi;

#[napi]
#[derive(Default)]
pub struct Cancel {
    pub(crate) flag: promql::Cancel,
}

#[napi]
impl Cancel {
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.flag.cancel();
    }
}

/// The flag of `cancel`, or one that nobody raises.
pub(crate) fn flag(cancel: Option<&Cancel>) -> promql::Cancel {
    cancel.map(|c| c.flag.clone()).unwrap_or_default()
}
