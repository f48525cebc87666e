//! From matchers to series, written once for the head and for blocks (Prometheus
//! `PostingsForMatchers`).

use std::borrow::Cow;

use model::{MatchOp, Matcher};
use storage::{STOP_STRETCH, Stop, StorageError};

use super::postings;

/// What resolving matchers asks of an index. Lists are ascending and distinct.
pub trait PostingsIndex {
    /// A series' number in this index.
    type Id: Copy + Ord;

    /// Every series.
    ///
    /// # Errors
    /// Where the index cannot be read; so for all methods here.
    fn all(&self) -> Result<Cow<'_, [Self::Id]>, StorageError>;

    /// The series whose label `name` is `value`, which is not empty.
    ///
    /// # Errors
    /// As above.
    fn equal(&self, name: &str, value: &str) -> Result<Cow<'_, [Self::Id]>, StorageError>;

    /// Appends to `out`, list by list in any order, the series of every value of `name` that
    /// begins with `prefix` and that `keep` says yes to.
    ///
    /// # Errors
    /// As above.
    fn matching(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
        out: &mut Vec<Self::Id>,
    ) -> Result<(), StorageError>;
}

/// What one matcher means for the result.
enum Part<'a, T: Copy> {
    /// Everything satisfies it.
    Everything,
    /// Only these series do.
    Only(Cow<'a, [T]>),
    /// All but these series do, those without the label too.
    AllBut(Cow<'a, [T]>),
}

/// The series that satisfy all matchers, ascending; without matchers every series. A label that a
/// series lacks has the value "".
///
/// # Errors
/// Where the index cannot be read, or the answer is no longer wanted.
pub fn postings_for_matchers<I: PostingsIndex>(
    index: &I,
    matchers: &[Matcher],
    stop: &Stop,
) -> Result<Vec<I::Id>, StorageError> {
    let mut only = Vec::new();
    let mut all_but = Vec::new();
    // Those that name their series first: an empty one among them spares the rest.
    let (wide, narrow): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.matches_empty());
    for m in narrow.into_iter().chain(wide) {
        stop.check()?;
        match part(index, m, stop)? {
            Part::Everything => {}
            Part::Only(list) if list.is_empty() => return Ok(Vec::new()),
            Part::Only(list) => only.push(list),
            Part::AllBut(list) => all_but.push(list),
        }
    }
    only.sort_by_key(|list| list.len());
    let mut only = only.into_iter();
    let mut result = match only.next() {
        Some(shortest) => shortest.into_owned(),
        None => index.all()?.into_owned(),
    };
    for list in only {
        stop.check()?;
        postings::intersect(&mut result, &list);
    }
    for list in all_but {
        stop.check()?;
        postings::subtract(&mut result, &list);
    }
    Ok(result)
}

fn part<'a, I: PostingsIndex>(
    index: &'a I,
    m: &Matcher,
    stop: &Stop,
) -> Result<Part<'a, I::Id>, StorageError> {
    let matches_empty = m.matches_empty();
    if m.name.is_empty() {
        // No series has a label without a name.
        return Ok(if matches_empty { Part::Everything } else { Part::Only(Cow::Owned(Vec::new())) });
    }
    match m.op {
        MatchOp::Equal if !matches_empty => Ok(Part::Only(index.equal(&m.name, &m.value)?)),
        MatchOp::NotEqual if matches_empty => Ok(Part::AllBut(index.equal(&m.name, &m.value)?)),
        MatchOp::Regex if m.value == ".*" => Ok(Part::Everything),
        // Where "" satisfies, look up what does not, so that series without the label stay.
        _ if matches_empty => {
            let listed =
                if m.op == MatchOp::NotRegex { m.regex().and_then(|r| r.set_matches()) } else { None };
            Ok(Part::AllBut(of_values(index, m, listed, &mut |v| !m.matches(v), stop)?))
        }
        _ => {
            let listed = if m.op == MatchOp::Regex { m.regex().and_then(|r| r.set_matches()) } else { None };
            Ok(Part::Only(of_values(index, m, listed, &mut |v| m.matches(v), stop)?))
        }
    }
}

/// The series of the values in `listed`, or, where there is no list, of those `keep` says yes to.
fn of_values<'a, I: PostingsIndex>(
    index: &'a I,
    m: &Matcher,
    listed: Option<&[String]>,
    keep: &mut dyn FnMut(&str) -> bool,
    stop: &Stop,
) -> Result<Cow<'a, [I::Id]>, StorageError> {
    let mut out = Vec::new();
    match listed {
        Some([value]) if !value.is_empty() => return index.equal(&m.name, value),
        Some(values) => {
            for (n, value) in values.iter().filter(|v| !v.is_empty()).enumerate() {
                stop.check_at(n + 1)?;
                out.extend_from_slice(&index.equal(&m.name, value)?);
            }
        }
        None => {
            // What is looked up is what the expression matches, whether that is wanted or not,
            // exactly where "" and the operator say so: then its prefix bounds the values.
            let bounded = (m.op == MatchOp::NotRegex) == m.matches_empty();
            let prefix = if bounded { m.regex().and_then(|r| r.prefix()) } else { None };
            let (mut seen, mut stopped) = (0usize, false);
            let mut keep = |value: &str| {
                seen += 1;
                stopped = stopped || seen.is_multiple_of(STOP_STRETCH) && stop.is_asked();
                !stopped && keep(value)
            };
            index.matching(&m.name, prefix.unwrap_or(""), &mut keep, &mut out)?;
            if stopped {
                return Err(StorageError::Stopped);
            }
        }
    }
    postings::unite(&mut out);
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::Labels;
    use proptest::prelude::*;

    use super::*;

    /// An index over a list of label sets.
    struct Model {
        series: Vec<Labels>,
        postings: BTreeMap<(String, String), Vec<u32>>,
    }

    impl Model {
        fn new(series: Vec<Labels>) -> Self {
            let mut postings = BTreeMap::<_, Vec<u32>>::new();
            for (i, l) in series.iter().enumerate() {
                for (n, v) in l {
                    postings.entry((n.to_owned(), v.to_owned())).or_default().push(i as u32);
                }
            }
            Self { series, postings }
        }
    }

    impl PostingsIndex for Model {
        type Id = u32;

        fn all(&self) -> Result<Cow<'_, [u32]>, StorageError> {
            Ok(Cow::Owned((0..self.series.len() as u32).collect()))
        }

        fn equal(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, StorageError> {
            assert!(!value.is_empty());
            Ok(self.postings.get(&(name.into(), value.into())).map_or(Cow::Borrowed(&[]), |p| p.into()))
        }

        fn matching(
            &self,
            name: &str,
            prefix: &str,
            keep: &mut dyn FnMut(&str) -> bool,
            out: &mut Vec<u32>,
        ) -> Result<(), StorageError> {
            for ((n, v), list) in &self.postings {
                if n == name && v.starts_with(prefix) && keep(v) {
                    out.extend(list);
                }
            }
            Ok(())
        }
    }

    fn check(index: &Model, matchers: &[Matcher]) {
        let want: Vec<u32> = (0u32..)
            .zip(&index.series)
            .filter(|(_, l)| matchers.iter().all(|m| m.matches(l.get(&m.name).unwrap_or(""))))
            .map(|(i, _)| i)
            .collect();
        let shown: Vec<_> = matchers.iter().map(ToString::to_string).collect();
        assert_eq!(postings_for_matchers(index, matchers, &Stop::default()).unwrap(), want, "{shown:?}");
    }

    fn small_index() -> Model {
        let values = ["", "a", "ab", "abc", "b", "c"];
        let mut series = Vec::new();
        for x in values {
            for y in values {
                series.push(Labels::from_pairs([("__name__", "m"), ("x", x), ("y", y)]));
            }
        }
        Model::new(series)
    }

    const VALUES: [&str; 16] = [
        "", "a", "ab", "zz", ".*", ".+", "a|b", "a|b|", "a.*", "ab.+", "(a|ab)c?", "a?", ".*b.*", "[ab]",
        "x*", "()",
    ];

    fn matcher() -> impl Strategy<Value = Matcher> {
        let op =
            prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
        let name = prop::sample::select(vec!["x", "y", "none", "", "__name__"]);
        (op, name, prop::sample::select(VALUES.to_vec()))
            .prop_map(|(op, name, value)| Matcher::new(op, name, value).unwrap())
    }

    #[test]
    fn every_single_matcher() {
        let index = small_index();
        check(&index, &[]);
        for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
            for name in ["x", "none", ""] {
                for value in VALUES {
                    check(&index, &[Matcher::new(op, name, value).unwrap()]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn several_matchers(matchers in prop::collection::vec(matcher(), 0..5)) {
            check(&small_index(), &matchers);
        }
    }
}
