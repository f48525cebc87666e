//! The elementary functions against Go's results, bit by bit: cases in `maths.txt`, and a checksum over many more.
//!
//! Both were found by a program of Go 1.26 on amd64 with FMA. A line of `maths.txt` is a function, its one or two
//! arguments and Go's result, as the bits of floats in hexadecimal. The arguments behind the checksums are [`argument`]'s.

#![allow(clippy::unwrap_used, missing_docs)]

use model::maths;

enum Function {
    One(fn(f64) -> f64),
    Two(fn(f64, f64) -> f64),
}
use Function::{One, Two};

fn remainder(a: f64, b: f64) -> f64 {
    a % b
}

const FUNCTIONS: [(&str, Function, u64); 21] = [
    ("exp", One(maths::exp), 0x8da7_d4bf_d6e1_a850),
    ("exp2", One(maths::exp2), 0x7b28_e384_e74e_2dcc),
    ("ln", One(maths::ln), 0xd044_5874_e529_3e50),
    ("ln_1p", One(maths::ln_1p), 0xf4b0_e6b8_67fc_8216),
    ("log2", One(maths::log2), 0x2751_3887_e377_6114),
    ("log10", One(maths::log10), 0x7342_2f1f_ed4c_9d10),
    ("sin", One(maths::sin), 0x232d_06df_3250_8d9b),
    ("cos", One(maths::cos), 0xcc96_40c2_d419_318c),
    ("tan", One(maths::tan), 0x58c8_59f0_8e01_c561),
    ("asin", One(maths::asin), 0x6c21_d86d_01cb_dcfa),
    ("acos", One(maths::acos), 0x0d8d_9caa_7711_5312),
    ("atan", One(maths::atan), 0xf2bf_aef7_45c9_97fe),
    ("sinh", One(maths::sinh), 0xa4a9_36a6_3442_56f0),
    ("cosh", One(maths::cosh), 0x3ce8_3201_c405_e4ae),
    ("tanh", One(maths::tanh), 0x65dc_b735_4158_533b),
    ("asinh", One(maths::asinh), 0xeab8_bea7_715e_0654),
    ("acosh", One(maths::acosh), 0x5bd0_04fb_8c44_4892),
    ("atanh", One(maths::atanh), 0x9146_8824_634a_ba60),
    ("pow", Two(maths::pow), 0x6f8b_7243_4239_0f47),
    ("atan2", Two(maths::atan2), 0x94de_9cec_f0b3_4a6c),
    ("remainder", Two(remainder), 0x018c_8383_1f5d_b808),
];

const ARGUMENTS: u64 = 160_000;

/// The bits of a number, all NaN alike.
fn bits(v: f64) -> u64 {
    if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }
}

#[test]
fn cases_have_the_bits_of_go() {
    let mut seen = [0; FUNCTIONS.len()];
    for line in include_str!("maths.txt").lines() {
        let (name, rest) = line.split_once(' ').unwrap();
        let numbers: Vec<f64> =
            rest.split(' ').map(|hex| f64::from_bits(u64::from_str_radix(hex, 16).unwrap())).collect();
        let at = FUNCTIONS.iter().position(|f| f.0 == name).unwrap();
        seen[at] += 1;
        let (found, expected) = match (&FUNCTIONS[at].1, &numbers[..]) {
            (One(f), [x, expected]) => (f(*x), expected),
            (Two(f), [x, y, expected]) => (f(*x, *y), expected),
            _ => panic!("{line}"),
        };
        assert_eq!(bits(found), bits(*expected), "{name} of {numbers:?}: {found:?}");
    }
    assert!(seen.iter().all(|n| *n >= 18), "{seen:?}");
}

#[test]
fn many_results_have_the_bits_of_go() {
    for (name, function, expected) in &FUNCTIONS {
        let (mut sum, mut state) = (0u64, 16);
        for i in 0..ARGUMENTS {
            let x = argument(&mut state, i);
            let found = match function {
                One(f) => f(x),
                Two(f) => f(x, argument(&mut state, i / 8)),
            };
            sum = (sum.rotate_left(5) ^ bits(found)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        assert_eq!(sum, *expected, "{name}: some of {ARGUMENTS} results differ: {sum:#018x}");
    }
}

/// A number that the state decides (SplitMix64), of a kind in turn: any bits, up to 1, 10 or 760, of any size about 1,
/// whole, half, large.
fn argument(state: &mut u64, kind: u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut r = *state;
    r = (r ^ (r >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    r = (r ^ (r >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    r ^= r >> 31;
    let unit = (r >> 11) as f64 / (1u64 << 53) as f64 * if r & 1 == 1 { -1.0 } else { 1.0 };
    let whole = (r % 4001) as f64 - 2000.0;
    let with_power = |power: u64| f64::from_bits(r & (1 << 63 | ((1 << 52) - 1)) | power << 52);
    match kind % 8 {
        0 => f64::from_bits(r),
        1 => unit,
        2 => unit * 10.0,
        3 => unit * 760.0,
        4 => with_power(983 + (r >> 52) % 80),
        5 => whole,
        6 => whole * 0.5,
        _ => with_power(1052 + (r >> 52) % 995),
    }
}
