//! Properties that hold for any number, duration, expression and text.

use model::duration::{DurationMs, parse_signed_duration_ms};
use model::float::{
    append_e, append_f, append_g, format_value, go_quoted, parse_go_float, parse_sample_float,
};
use model::regex::{CaptureRegex, Regex};
use proptest::prelude::*;

/// Expressions from pieces that mean something to Go's parser, whole or broken.
fn pattern() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "foo",
        "é",
        ".",
        ".*",
        ".+",
        "[ab]",
        "[^a]",
        "[[:alpha:]]",
        "[",
        "]",
        r"\d",
        r"\pL",
        r"\p{Greek}",
        r"\b",
        "^",
        "$",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?P<n>",
        "|",
        "*",
        "+",
        "?",
        "{2}",
        "{1,3}",
        "{",
        r"\Q",
        r"\E",
        r"\x{e9}",
        r"\",
        "-",
        "(a|b)",
        "a|b|c",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_floats_read_back(bits in any::<u64>()) {
        let v = f64::from_bits(bits);
        prop_assume!(!v.is_nan());
        for append in [append_f, append_g, append_e, format_value] {
            let mut text = Vec::new();
            append(v, &mut text);
            prop_assert_eq!(parse_sample_float(&text).map(f64::to_bits), Some(bits));
        }
    }

    #[test]
    fn short_decimals_read_as_the_standard_library_reads_them(n in -99_999_999_999i64..99_999_999_999, places in 0usize..9) {
        let text = format!("{:.places$}", n as f64 / 1e4);
        prop_assert_eq!(parse_sample_float(text.as_bytes()), text.parse().ok());
    }

    #[test]
    fn no_text_panics(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        let _ = parse_go_float(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse_signed_duration_ms(&text);
        let _ = Regex::new_anchored(&text);
        prop_assert!(go_quoted(&bytes).starts_with('"'));
    }

    #[test]
    fn printed_durations_read_back(ms in -9_000_000_000_000i64..9_000_000_000_000) {
        prop_assert_eq!(parse_signed_duration_ms(&DurationMs(ms).to_string()), Ok(ms));
    }

    #[test]
    fn fast_paths_agree_with_the_automaton(pattern in pattern(), text in "[abcfoé\n-]{0,6}") {
        // A quotation that is never closed swallows what relabelling wraps around it.
        prop_assume!(!pattern.contains(r"\Q"));
        let Ok(matcher) = Regex::new_anchored(&pattern) else {
            return Ok(());
        };
        let searched = CaptureRegex::new(&pattern).unwrap().is_match(&text);
        prop_assert_eq!(matcher.is_match(&text), searched, "{} {:?}", pattern, text);
        if let Some(set) = matcher.set_matches() {
            prop_assert_eq!(set.contains(&text), searched);
        }
        if searched {
            prop_assert!(text.starts_with(matcher.prefix().unwrap_or_default()));
        }
    }
}
