//! Special functions, each with its source and error bound.

use crate::kernel::Real;

/// ln(1 + eˣ) without overflow or cancellation.
pub(crate) fn softplus<F: Real>(x: F) -> F {
    x.max(F::zero()) + (-x.abs()).exp().ln_1p()
}

/// ln Σ e^{x_i}; −∞ for an empty list.
pub(crate) fn log_sum_exp<F: Real>(x: &[F]) -> F {
    let top = x.iter().copied().fold(F::neg_infinity(), F::max);
    if !top.is_finite() {
        return top;
    }
    let sum = x.iter().fold(F::zero(), |sum, &v| sum + (v - top).fast_exp());
    top + sum.ln()
}

/// ln Γ(x) for x > 0: Lanczos' approximation with g = 7 and nine terms (Press et al., Numerical Recipes, 3rd ed.,
/// section 6.1; coefficients by Godfrey 2001); relative error below 1e-13.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let series = C.iter().enumerate().skip(1).fold(C[0], |s, (i, c)| s + c / (x + i as f64));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

/// ψ(x) = d/dx ln Γ(x) for x > 0: upward recurrence to x ≥ 10, then the asymptotic series (Abramowitz & Stegun 6.3.5,
/// 6.3.18); absolute error below 1e-13.
pub(crate) fn digamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let tail =
        r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r * (1.0 / 132.0 - r * 691.0 / 32760.0)))));
    shift + x.ln() - 0.5 / x - tail
}

/// Probability that a standard normal variable exceeds `x`; relative error about 1e-15 (libm's erfc).
pub(super) fn normal_upper(x: f64) -> f64 {
    0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_functions_meet_known_values() {
        // Γ(1) = Γ(2) = 1, Γ(5) = 24, Γ(1/2) = √π; ψ(1) = −γ, ψ(1/2) = −γ − 2 ln 2, ψ(100) from Abramowitz & Stegun.
        let gamma = 0.577_215_664_901_532_9;
        for (x, want) in [(1.0, 0.0), (2.0, 0.0), (5.0, 24f64.ln()), (0.5, 0.5 * std::f64::consts::PI.ln())] {
            assert!((ln_gamma(x) - want).abs() < 1e-13, "{x}: {} {want}", ln_gamma(x));
        }
        for (x, want) in [(1.0, -gamma), (0.5, -gamma - 2.0 * 2f64.ln()), (100.0, 4.600_161_852_738_087)] {
            assert!((digamma(x) - want).abs() < 1e-13, "{x}: {} {want}", digamma(x));
        }
    }

    #[test]
    fn sums_of_exponentials_neither_overflow_nor_vanish() {
        assert!((log_sum_exp(&[1000.0f64, 1000.0]) - 1000.0 - 2f64.ln()).abs() < 1e-12);
        assert!((log_sum_exp(&[-1000.0f64, -1000.0]) + 1000.0 - 2f64.ln()).abs() < 1e-12);
        assert_eq!(log_sum_exp::<f64>(&[]), f64::NEG_INFINITY);
        assert_eq!(softplus(-800.0f64), 0.0);
        assert_eq!(softplus(800.0f64), 800.0);
    }
}
