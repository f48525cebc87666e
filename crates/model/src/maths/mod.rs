//! Elementary functions whose results are those of Prometheus to the last bit, on every platform.
//!
//! A platform's own functions err by a last bit here and there, each in other places: two servers over the same data
//! would answer differently, and `count_values`, `topk` or `==` make a whole other result of it. So each function here
//! takes the steps that Go's `math` takes on amd64 with FMA, where Prometheus mostly runs: the same published algorithm,
//! the same constants, the same order of operations. Only where a processor's rounding is exact anyway (`+ − × ÷`,
//! `sqrt`, `floor`, the remainder, `mul_add`) are Rust's own used; nothing here may be reordered or contracted.
//!
//! That includes where Go errs: `ln` of a subnormal number, `exp` close to its overflow. NaN is NaN, whatever its bits.
//!
//! | functions | algorithm |
//! |---|---|
//! | `sin` `cos` `tan` `asin` `acos` `atan` `tanh` | Cephes (Moshier); far from 0 reduced as by Payne and Hanek |
//! | `ln` `ln_1p` `exp2` `asinh` `acosh` `atanh` | FreeBSD msun (Sun, 1993) |
//! | `exp` | Shibata, "Efficient evaluation methods of elementary functions suitable for SIMD computation" (2010) |
//! | `sinh` | Hart and Cheney, "Computer approximations", no. 2029 |
//! | `pow` | powers of two apart, squarings for the whole part, `exp` and `ln` for the rest |

mod arc;
mod exponential;
mod hyperbolic;
mod logarithm;
mod parts;
mod power;
mod trigonometric;

pub use arc::{acos, asin, atan, atan2};
pub use exponential::{exp, exp2};
pub use hyperbolic::{acosh, asinh, atanh, cosh, sinh, tanh};
pub use logarithm::{ln, ln_1p, log2, log10};
pub use power::pow;
pub use trigonometric::{cos, sin, tan};
