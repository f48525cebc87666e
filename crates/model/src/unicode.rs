//! Characters as Go 1.26 knows them: the categories and scripts of Unicode 15.0, from the tables of
//! `regex-syntax`, which are newer. Knows nothing of regular expressions.

use std::sync::OnceLock;

use regex_syntax::ast::{
    Ast, ClassUnicode as Property, ClassUnicodeKind, ClassUnicodeOpKind, Position, Span,
};
use regex_syntax::hir::translate::Translator;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// Whether `c` is a letter (Go `unicode.IsLetter`: categories Lu, Ll, Lt, Lm, Lo).
#[must_use]
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    static LETTERS: OnceLock<ClassUnicode> = OnceLock::new();
    contains(LETTERS.get_or_init(|| of_categories(&["L"])), c)
}

/// Whether `c` is a letter or a decimal digit.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    static DIGITS: OnceLock<ClassUnicode> = OnceLock::new();
    is_letter(c) || contains(DIGITS.get_or_init(|| of_categories(&["Nd"])), c)
}

/// Whether Go calls `c` printable (`strconv.IsPrint`): letters, marks, numbers, punctuation,
/// symbols, and the ASCII space.
#[must_use]
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    static PRINTABLE: OnceLock<ClassUnicode> = OnceLock::new();
    contains(PRINTABLE.get_or_init(|| of_categories(&["L", "M", "N", "P", "S"])), c)
}

/// The characters that Unicode 15.0 has assigned, noncharacters with them.
pub(crate) fn assigned() -> &'static ClassUnicode {
    static ASSIGNED: OnceLock<ClassUnicode> = OnceLock::new();
    ASSIGNED.get_or_init(|| property("Age", "15.0").unwrap_or_else(ClassUnicode::empty))
}

/// The characters with a property of any version: `gc` and a category, `sc` and a script, `Age` and
/// a version. `None` where there is no such property.
pub(crate) fn property(name: &str, value: &str) -> Option<ClassUnicode> {
    // The tree of `\p{name=value}`: spelt as text, it would bring the parser of Rust's regular
    // expressions into every program.
    let property = Property {
        span: Span::splat(Position::new(0, 1, 1)),
        negated: false,
        kind: ClassUnicodeKind::NamedValue {
            op: ClassUnicodeOpKind::Equal,
            name: name.to_owned(),
            value: value.to_owned(),
        },
    };
    let hir = Translator::new().translate("", &Ast::class_unicode(property)).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(c)) => Some(c),
        // A class of one character is made a literal.
        HirKind::Literal(l) => {
            let c = std::str::from_utf8(&l.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}

/// What Unicode 15.0 has in these categories, whose names a test checks.
fn of_categories(names: &[&str]) -> ClassUnicode {
    let mut class = ClassUnicode::empty();
    for name in names {
        class.union(&property("gc", name).unwrap_or_else(ClassUnicode::empty));
    }
    class.intersect(assigned());
    class
}

fn contains(class: &ClassUnicode, c: char) -> bool {
    let ranges = class.ranges();
    let after = ranges.partition_point(|r| r.start() <= c);
    after > 0 && c <= ranges[after - 1].end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_those_of_the_text_form() {
        for (name, value) in [
            ("gc", "L"),
            ("gc", "Cn"),
            ("gc", "Zl"),
            ("gc", "LC"),
            ("sc", "Greek"),
            ("sc", "Zanabazar_Square"),
            ("Age", "15.0"),
        ] {
            let written = regex_syntax::parse(&format!(r"[\x00\p{{{name}={value}}}]")).unwrap();
            let HirKind::Class(Class::Unicode(mut want)) = written.into_kind() else {
                panic!("{name}={value} is no class");
            };
            want.difference(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\0')]));
            let mut got = property(name, value).unwrap();
            got.difference(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\0')]));
            assert_eq!(got, want, "{name}={value}");
            assert!(!got.ranges().is_empty());
        }
        assert_eq!(property("gc", "Nope"), None);
        assert_eq!(property("Nope", "L"), None);
    }

    #[test]
    fn tells_characters_apart() {
        for (c, letter, alphanumeric, print) in [
            ('a', true, true, true),
            ('1', false, true, true),
            (' ', false, false, true),
            ('_', false, false, true),
            ('ä', true, true, true),
            ('中', true, true, true),
            ('ʰ', true, true, true),
            ('\u{212a}', true, true, true),
            ('١', false, true, true),
            ('Ⅷ', false, false, true),
            ('€', false, false, true),
            ('\u{301}', false, false, true),
            ('\u{a0}', false, false, false),
            ('\u{200b}', false, false, false),
            ('\u{e000}', false, false, false),
            // Assigned in Unicode 16.0.
            ('\u{1c89}', false, false, false),
        ] {
            assert_eq!(
                (is_letter(c), is_alphanumeric(c), is_print(c)),
                (letter, alphanumeric, print),
                "{c:?}"
            );
        }
    }
}
