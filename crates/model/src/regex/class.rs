//! Character classes as Go knows them: Perl's and POSIX' in ASCII, Unicode's categories and scripts
//! as of Unicode 15.0, and simple case folding.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use crate::unicode::{assigned, property};

/// The ranges of `\d`, `\s`, `\w`, by letter.
fn perl_ranges(letter: u8) -> Option<&'static [(char, char)]> {
    Some(match letter {
        b'd' => &[('0', '9')],
        b's' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
        b'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        _ => return None,
    })
}

/// The ranges of `[:name:]`.
fn posix_ranges(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

fn from_ranges(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(lo, hi)| ClassUnicodeRange::new(*lo, *hi)))
}

fn finish(mut class: ClassUnicode, negated: bool, fold_case: bool) -> ClassUnicode {
    if fold_case {
        fold(&mut class);
    }
    if negated {
        class.negate();
    }
    class
}

/// The class of `\d`, `\D`, `\s`, `\S`, `\w`, `\W`, by letter.
pub(super) fn perl(letter: u8, fold_case: bool) -> Option<ClassUnicode> {
    let ranges = perl_ranges(letter.to_ascii_lowercase())?;
    Some(finish(from_ranges(ranges), letter.is_ascii_uppercase(), fold_case))
}

/// The class of `[:name:]`, where `name` may begin with `^`.
pub(super) fn posix(name: &str, fold_case: bool) -> Option<ClassUnicode> {
    let (negated, name) = name.strip_prefix('^').map_or((false, name), |n| (true, n));
    Some(finish(from_ranges(posix_ranges(name)?), negated, fold_case))
}

/// The class of `\p{name}`.
pub(super) fn unicode(name: &str, negated: bool, fold_case: bool) -> Option<ClassUnicode> {
    if name == "Any" {
        return Some(finish(from_ranges(&[('\0', char::MAX)]), negated, false));
    }
    let kind = match name {
        _ if CATEGORIES.split(' ').any(|n| n == name) => "gc",
        _ if SCRIPTS.split_ascii_whitespace().any(|n| n == name) => "sc",
        _ => return None,
    };
    let mut class = match name {
        "Cn" | "C" => {
            // What later versions assigned is unassigned to Go.
            let mut unassigned = assigned().clone();
            unassigned.negate();
            // Noncharacters have an age, but no category.
            unassigned.union(&property("gc", "Cn")?);
            unassigned
        }
        // Surrogates are no characters of any text.
        "Cs" => ClassUnicode::empty(),
        _ => property(kind, name)?,
    };
    if !matches!(name, "C" | "Cn") {
        class.intersect(assigned());
    }
    match name {
        "C" => {
            for part in ["Cc", "Cf", "Co"] {
                class.union(&property("gc", part)?);
            }
        }
        // U+1171E was a nonspacing mark until 15.1.
        "Mn" => class.push(ClassUnicodeRange::new('\u{1171e}', '\u{1171e}')),
        "Mc" => class.difference(&from_ranges(&[('\u{1171e}', '\u{1171e}')])),
        _ => {}
    }
    Some(finish(class, negated, fold_case))
}

/// Adds to `class` what differs from its characters only in case (Go `unicode.SimpleFold`).
pub(super) fn fold(class: &mut ClassUnicode) {
    if class.is_ascii() {
        // Only K and S have partners outside ASCII, and those are as old as folding.
        class.case_fold_simple();
        return;
    }
    let mut folded = class.clone();
    folded.intersect(assigned());
    folded.case_fold_simple();
    folded.intersect(assigned());
    class.union(&folded);
}

/// The class of `c` in any case.
pub(super) fn folded_char(c: char) -> ClassUnicode {
    let mut class = from_ranges(&[(c, c)]);
    fold(&mut class);
    class
}

const CATEGORIES: &str = "C Cc Cf Cn Co Cs L LC Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs";

const SCRIPTS: &str = "
    Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki
    Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee
    Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan
    Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi
    Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited
    Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi
    Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani
    Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui
    Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari
    New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian
    Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong
    Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian
    Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le
    Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai
    Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";
