//! The order of `sort_by_label`: runs of digits compare as numbers (github.com/facette/natsort).

use std::cmp::Ordering;

/// Splits into runs of digits and runs of anything else.
fn chunks(s: &str) -> impl Iterator<Item = &str> {
    let mut rest = s;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != first).unwrap_or(rest.len());
        let (chunk, tail) = rest.split_at(end);
        rest = tail;
        Some(chunk)
    })
}

/// Compares label values naturally.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (chunks(a), chunks(b));
    loop {
        let (x, y) = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => (x, y),
        };
        if x == y {
            continue;
        }
        let digits = |s: &str| s.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(x) && digits(y) {
            let (n, m) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            n.len().cmp(&m.len()).then_with(|| n.cmp(m)).then_with(|| x.len().cmp(&y.len()))
        } else {
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let mut v = vec!["i10", "i9", "i100", "a", "i9b", "", "4m1000", "4m600"];
        v.sort_by(|a, b| compare(a, b));
        assert_eq!(v, ["", "4m600", "4m1000", "a", "i9", "i9b", "i10", "i100"]);
    }
}
