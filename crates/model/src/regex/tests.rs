//! Cases from Go's documentation and from where Go and Rust differ; the rest was compared with Go
//! on random patterns.

use super::{CaptureRegex, Regex};

fn error(pattern: &str) -> String {
    Regex::new_anchored(pattern).unwrap_err().to_string()
}

#[test]
fn errors_read_as_in_go() {
    for (pattern, want) in [
        ("a(b", "missing closing ): `a(b`"),
        ("a)b", "unexpected ): `a)b`"),
        ("[a", "missing closing ]: `[a`"),
        ("x[^]", "missing closing ]: `[^]`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a|+?", "missing argument to repetition operator: `+?`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}+", "invalid nested repetition operator: `{2}+`"),
        ("a*??", "invalid nested repetition operator: `*??`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("(a{100}){11}", "invalid repeat count: `{11}`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
        (r"\p{Nope}x", r"invalid character class range: `\p{Nope}`"),
        (r"\pé", r"invalid character class range: `\pé`"),
        (r"\p", r"invalid character class range: `\p`"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        (r"\xg1", r"invalid escape sequence: `\xg1`"),
        ("\\", "trailing backslash at end of expression: ``"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<n-m>a)", "invalid named capture: `(?P<n-m>`"),
        ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?i-:a)", "invalid or unsupported Perl syntax: `(?i-:`"),
    ] {
        assert_eq!(error(pattern), format!("error parsing regexp: {want}"), "{pattern}");
    }
    let deep = format!("{}a{}", "(".repeat(1001), ")".repeat(1001));
    assert_eq!(error(&deep), format!("error parsing regexp: expression nests too deeply: `{deep}`"));
    let large = ".{1000}".repeat(3400);
    assert_eq!(error(&large), format!("error parsing regexp: expression too large: `{large}`"));
}

#[test]
fn matches_whole_texts_as_go_does() {
    for (pattern, yes, no) in [
        ("", vec![""], vec!["a"]),
        ("foo", vec!["foo"], vec!["", "foo ", "xfoo"]),
        ("foo|bar|", vec!["foo", "bar", ""], vec!["foobar"]),
        ("^foo$", vec!["foo"], vec!["foox"]),
        (".*", vec!["", "a\nb"], vec![]),
        (".+", vec!["\n", "é"], vec![""]),
        ("a.*", vec!["a", "abc"], vec!["", "ba"]),
        ("a.+", vec!["ab"], vec!["a", "ba"]),
        (".*a", vec!["a", "bca"], vec!["ab"]),
        (".+aa", vec!["baa", "aaa"], vec!["aa"]),
        ("a.*a", vec!["aa", "aba"], vec!["a"]),
        (".*a.+b.*", vec!["axb", "xaab", "aabb"], vec!["ab", "ba"]),
        ("a.*|.*b|c", vec!["ax", "xb", "c"], vec!["x", "cc"]),
        ("foo-[12](a|b)?", vec!["foo-1", "foo-2a", "foo-2b"], vec!["foo-3", "foo-"]),
        (r"\d+", vec!["09"], vec!["٣", ""]),
        (r"\w", vec!["a", "_"], vec!["é"]),
        (r"\s", vec!["\t", " ", "\x0c"], vec!["\x0b", "\u{a0}"]),
        (r"[a&&b]", vec!["a", "&", "b"], vec!["[", "a]"]),
        (r"[[a]", vec!["[", "a"], vec!["]"]),
        (r"\Qa.*\E.", vec!["a.*x"], vec!["abx"]),
        ("a{", vec!["a{"], vec!["a"]),
        ("a{,3}", vec!["a{,3}"], vec!["aa"]),
        ("a{01}", vec!["a{01}"], vec!["a"]),
        ("(?i)straße", vec!["STRAßE", "ſtraẞe"], vec!["strasse"]),
        ("(?i)k", vec!["k", "K", "\u{212a}"], vec!["x"]),
        ("(?i)[^k]", vec!["x"], vec!["K", "\u{212a}"]),
        (r"(?i)\pN", vec!["5", "Ⅷ"], vec!["a"]),
        (r"\p{Greek}+", vec!["αβγ"], vec!["abc", "α1"]),
        (r"\P{^Lu}", vec!["A"], vec!["a"]),
        (r"[\]\-]", vec!["]", "-"], vec!["\\"]),
        ("(?-s:.)", vec!["a"], vec!["\n"]),
        ("(?m:^a$)", vec!["a"], vec!["a\n"]),
        ("a(?m:$)(?s:.*)", vec!["a", "a\nb"], vec!["ab"]),
        (r"a\b.*", vec!["a", "a b", "aé"], vec!["ab"]),
        (r"\x{1F600}\x41\101\a", vec!["😀AA\x07"], vec!["x"]),
        (r"\x{D800}", vec![], vec!["\u{fffd}", ""]),
        (r"[^\x00-\x{10FFFF}]", vec![], vec!["a", ""]),
        ("(?U)a+?b", vec!["aab"], vec!["b"]),
    ] {
        let re = Regex::new_anchored(pattern).unwrap();
        for s in yes {
            assert!(re.is_match(s), "{pattern} should match {s:?}");
        }
        for s in no {
            assert!(!re.is_match(s), "{pattern} should not match {s:?}");
        }
    }
}

#[test]
fn finds_sets_and_prefixes() {
    let set = |p: &str| Regex::new_anchored(p).unwrap().set_matches().map(<[String]>::to_vec);
    let prefix = |p: &str| Regex::new_anchored(p).unwrap().prefix().map(str::to_owned);
    assert_eq!(set("b|a|b"), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(set("foo(1|[23])"), Some(vec!["foo1".to_owned(), "foo2".to_owned(), "foo3".to_owned()]));
    assert_eq!(set(""), Some(vec![String::new()]));
    assert_eq!(set("(?i)a"), Some(vec!["A".to_owned(), "a".to_owned()]));
    assert_eq!(set("[0-9][0-9][0-9]"), None);
    assert_eq!(
        set(&(0..5000).map(|i| i.to_string()).collect::<Vec<_>>().join("|")).map(|s| s.len()),
        Some(5000)
    );
    assert_eq!(prefix("foo.*"), Some("foo".to_owned()));
    assert_eq!(prefix("^foo[0-9]+"), Some("foo".to_owned()));
    assert_eq!(prefix("foo.*|bar"), None);
    assert_eq!(prefix("(?i)foo.*"), None);
    assert!(Regex::new_anchored("(.*)").unwrap().matches_everything());
    assert!(!Regex::new_anchored(".+").unwrap().matches_everything());
}

#[test]
fn deep_nesting_needs_little_stack() {
    let deep = format!("{}a{}", "(?:(?:".repeat(332), "b)*)?".repeat(332));
    assert!(!Regex::new_anchored(&deep).unwrap().is_match("aaaaaaaaaaab"));
    let captures = format!("{}a{}", "(".repeat(990), ")".repeat(990));
    assert!(CaptureRegex::new(&captures).unwrap().is_match("a"));
}

#[test]
fn templates_expand_as_in_go() {
    let re = CaptureRegex::new("(?P<first>[a-z]+)-([0-9]+)(x)?").unwrap();
    let m = re.find("abc-12").unwrap();
    for (template, want) in [
        ("$1", "abc"),
        ("${1}_$2", "abc_12"),
        ("$1_$2", "12"),
        ("$first.", "abc."),
        ("${first}${2}$3$4", "abc12"),
        ("$0", "abc-12"),
        ("$01", ""),
        ("$$1", "$1"),
        ("a$", "a$"),
        ("$-${", "$-${"),
        ("${1", "${1"),
        ("${}", "${}"),
    ] {
        let mut out = String::new();
        m.expand(template, &mut out);
        assert_eq!(out, want, "{template}");
    }
    assert!(re.find("abc-12y").is_none());
    assert_eq!(CaptureRegex::new("(.*)").unwrap().replace_all("abc", "<$1>"), "<abc>");
    assert_eq!(CaptureRegex::new("a)|(?:b").unwrap().replace_all("abb", "<$0>"), "<a>b<b>");
    assert_eq!(
        CaptureRegex::new("a(").unwrap_err().to_string(),
        "error parsing regexp: missing closing ): `^(?s:a()$`"
    );
}

/// What is found without an automaton is what the automaton finds.
#[test]
fn fast_paths_agree_with_the_automaton() {
    let pieces = [
        "a",
        "B",
        "ab",
        ".*",
        ".+",
        "(?i:a)",
        "(?i:kb)",
        "(?i:é)",
        "[ab]",
        "(a|b)",
        "(?:ab|(?i:s)|)",
        "b?",
        "x",
    ];
    let texts: Vec<String> =
        ["", "a", "A", "b", "B", "x", "ab", "AB", "kb", "\u{212a}B", "é", "É", "ſ", "s", "\n"]
            .iter()
            .flat_map(|a| ["", "a", "B", "ab", "ſ", "xa"].iter().map(move |b| format!("{a}{b}")))
            .collect();
    let mut patterns: Vec<String> = Vec::new();
    for a in pieces {
        patterns.push(format!("(?i){a}b"));
        for b in pieces {
            patterns.push(format!("{a}{b}"));
            patterns.extend(pieces.map(|c| format!("{a}{b}|{c}")));
        }
    }
    for pattern in patterns {
        let fast = Regex::new_anchored(&pattern).unwrap();
        let root = super::parse::parse(&pattern, true).unwrap().root;
        let slow = super::compile::compile_anchored(&root, &pattern).unwrap();
        for text in &texts {
            assert_eq!(fast.is_match(text), slow.is_match(text.as_str()), "{pattern} {text:?}");
            if let Some(set) = fast.set_matches() {
                assert_eq!(set.contains(text), slow.is_match(text.as_str()), "{pattern} {text:?}");
            }
        }
    }
    let sets = |pattern: &str| Regex::new_anchored(pattern).unwrap().set_matches().map(<[String]>::len);
    assert_eq!((sets("(?i)api"), sets("(?i)api|B"), sets("(?i)prometheus")), (Some(8), Some(10), None));
}
