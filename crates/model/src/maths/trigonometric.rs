//! Sine, cosine, tangent.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_4};

use super::parts::{MANTISSA, MANTISSA_BITS, polynomial};

/// sin z = z + z³ × this polynomial in z².
const SIN: [f64; 6] = [
    1.589_623_015_765_465_6e-10,
    -2.505_074_776_285_780_7e-8,
    2.755_731_362_138_572_2e-6,
    -1.984_126_982_958_954e-4,
    8.333_333_333_322_118e-3,
    -1.666_666_666_666_663e-1,
];

/// cos z = 1 − z² / 2 + z⁴ × this polynomial in z².
const COS: [f64; 6] = [
    -1.135_853_652_138_768_2e-11,
    2.087_570_084_197_473e-9,
    -2.755_731_417_929_674e-7,
    2.480_158_728_885_170_4e-5,
    -1.388_888_888_887_305_6e-3,
    4.166_666_666_666_659_5e-2,
];

/// The sine of radians.
#[must_use]
pub fn sin(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return f64::NAN;
    }
    let (octant, z) = octant(x.abs());
    let y = if octant & 3 == 2 { cos_near(z) } else { sin_near(z) };
    if (octant & 4 != 0) != (x < 0.0) { -y } else { y }
}

/// The cosine of radians.
#[must_use]
pub fn cos(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (octant, z) = octant(x.abs());
    let y = if octant & 3 == 2 { sin_near(z) } else { cos_near(z) };
    if matches!(octant & 7, 2 | 4) { -y } else { y }
}

/// The tangent of radians.
#[must_use]
pub fn tan(x: f64) -> f64 {
    const OVER: [f64; 3] =
        [-1.309_369_391_813_837_9e4, 1.153_516_648_385_874_2e6, -1.795_652_519_764_848_8e7];
    const UNDER: [f64; 5] = [
        1.0,
        1.368_129_634_706_929_6e4,
        -1.320_892_344_402_109_7e6,
        2.500_838_018_233_579e7,
        -5.386_957_559_294_546_4e7,
    ];
    if x == 0.0 || x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return f64::NAN;
    }
    let (octant, z) = octant(x.abs());
    let zz = z * z;
    let mut y = if zz > 1e-14 { z + z * (zz * polynomial(zz, OVER) / polynomial(zz, UNDER)) } else { z };
    if octant & 2 != 0 {
        y = -1.0 / y;
    }
    if x < 0.0 { -y } else { y }
}

/// The sine of an angle of at most π/4.
#[inline(always)]
fn sin_near(z: f64) -> f64 {
    let zz = z * z;
    z + z * zz * polynomial(zz, SIN)
}

/// The cosine of an angle of at most π/4.
#[inline(always)]
fn cos_near(z: f64) -> f64 {
    let zz = z * z;
    1.0 - 0.5 * zz + zz * zz * polynomial(zz, COS)
}

/// From here on π/4 in three parts is not close enough.
const FAR: f64 = (1u64 << 29) as f64;

/// The even multiple of π/4 nearest to `x`, as a count of eighths of the circle of which the last three bits matter, and
/// `x` less it: at most π/4 off. `x` is finite and not negative.
#[inline(always)]
fn octant(x: f64) -> (u64, f64) {
    const PI_4_A: f64 = 7.853_981_256_484_985e-1;
    const PI_4_B: f64 = 3.774_894_707_930_798e-8;
    const PI_4_C: f64 = 2.695_151_429_079_059_5e-15;
    if x >= FAR {
        return far_octant(x);
    }
    let count = (x * (FRAC_2_PI * 2.0)) as u32;
    let even = count + (count & 1);
    let y = f64::from(even);
    (u64::from(even), ((x - y * PI_4_A) - y * PI_4_B) - y * PI_4_C)
}

/// 4/π = 1.273…, its binary digits in words of 64, the first holding the one before the point.
const FOUR_OVER_PI: [u64; 20] = [
    0x0000_0000_0000_0001,
    0x45f3_06dc_9c88_2a53,
    0xf84e_afa3_ea69_bb81,
    0xb6c5_2b32_7887_2083,
    0xfca2_c757_bd77_8ac3,
    0x6e48_dc74_849b_a5c0,
    0x0c92_5dd4_13a3_2439,
    0xfc3b_d639_6253_4e7d,
    0xd104_6bea_5d76_8909,
    0xd338_e04d_68be_fc82,
    0x7323_ac73_06a6_73e9,
    0x3908_bf17_7bf2_5076,
    0x3ff1_2fff_bc0b_301f,
    0xde5e_2316_b414_da3e,
    0xda6c_fd9e_4f96_136e,
    0x9e8c_7ecd_3cbf_d45a,
    0xea4f_758f_d7cb_e2f6,
    0x7a0e_73ef_14a5_25d4,
    0xd7f6_bf62_3f1a_ba10,
    0xac06_608d_f8f6_d757,
];

/// The same for large `x`: of the product of its mantissa and 4/π only the digits around the point are found, as digits
/// further up are whole turns (Payne and Hanek, 1983).
#[cold]
fn far_octant(x: f64) -> (u64, f64) {
    let power = (x.to_bits() >> MANTISSA_BITS) as usize + 61 - 1023 - MANTISSA_BITS as usize;
    let mantissa = u128::from(x.to_bits() & MANTISSA | 1 << MANTISSA_BITS);
    let (first, shift) = (power / 64, power % 64);
    let word = |i: usize| {
        let pair = u128::from(FOUR_OVER_PI[first + i]) << 64 | u128::from(FOUR_OVER_PI[first + i + 1]);
        u128::from((pair << shift >> 64) as u64)
    };
    let product = ((word(0) * mantissa) << 64)
        .wrapping_add(word(1) * mantissa)
        .wrapping_add((word(2) * mantissa) >> 64);
    let octant = (product >> 125) as u64;
    // The 64 digits behind the point, as a number in [0, 1). Zeros in front are fewer than 62 for every x; what moves up
    // behind them begins with the last three digits once more, as in Go.
    let (digits, low) = ((product >> 61) as u64, product as u64);
    let shift = digits.leading_zeros().min(62) + 1;
    let mantissa = (digits << shift | low >> (64 - shift)) >> 12;
    let rest = f64::from_bits(u64::from(1023 - shift) << MANTISSA_BITS | mantissa);
    let (octant, rest) = if octant & 1 == 1 { (octant + 1, rest - 1.0) } else { (octant, rest) };
    (octant, rest * FRAC_PI_4)
}
