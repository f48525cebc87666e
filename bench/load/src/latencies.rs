//! Times of many requests, and what is said of them.

/// Nanoseconds each.
#[derive(Default)]
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    pub(crate) fn push(&mut self, time: std::time::Duration) {
        self.0.push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// `"p50Ms":…,"p99Ms":…,"maxMs":…`
    pub(crate) fn json(&mut self) -> String {
        self.0.sort_unstable();
        let at = |q: f64| {
            let last = self.0.len().saturating_sub(1);
            let rank = (q * self.0.len() as f64).ceil() as usize;
            let ns = self.0.get(rank.saturating_sub(1).min(last)).copied().unwrap_or_default();
            ns as f64 / 1e6
        };
        format!("\"p50Ms\":{},\"p99Ms\":{},\"maxMs\":{}", at(0.5), at(0.99), at(1.0))
    }
}
