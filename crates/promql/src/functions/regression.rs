//! `deriv` and `predict_linear`.

use super::kahan::inc;
use super::stretch::{GoOn, stretches};
use crate::error::QueryError;

/// Least squares through the samples: slope per second, and value at `intercept_ms`.
pub(crate) fn linear(
    t: &[i64],
    v: &[f64],
    intercept_ms: i64,
    go_on: GoOn<'_>,
) -> Result<(f64, f64), QueryError> {
    let first = v[0];
    if v.iter().skip(1).all(|y| *y == first) {
        return Ok(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let (mut x, mut y, mut xy, mut xx) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0));
    stretches(0..v.len(), go_on, |r| {
        for (t, v) in t[r.clone()].iter().zip(&v[r]) {
            let at = (t - intercept_ms) as f64 / 1e3;
            x = inc(at, x.0, x.1);
            y = inc(*v, y.0, y.1);
            xy = inc(at * v, xy.0, xy.1);
            xx = inc(at * at, xx.0, xx.1);
        }
    })?;
    let n = v.len() as f64;
    let (x, y, xy, xx) = (x.0 + x.1, y.0 + y.1, xy.0 + xy.1, xx.0 + xx.1);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    Ok((slope, y / n - slope * x / n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_line() {
        let linear = |t: &[i64], v: &[f64], at| linear(t, v, at, &|| Ok(())).unwrap();
        assert_eq!(linear(&[0, 1000, 2000], &[1.0, 3.0, 5.0], 2000), (2.0, 5.0));
        assert_eq!(linear(&[0, 1000], &[7.0, 7.0], 0), (0.0, 7.0));
        assert!(linear(&[0, 1000], &[f64::INFINITY; 2], 0).0.is_nan());
    }
}
