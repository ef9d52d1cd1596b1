//! Tails of Student's t and Fisher's F, by the incomplete beta function.

/// Probability that |T| exceeds |t|, T of Student's t with `df` degrees of freedom.
pub(super) fn t_two_sided(t: f64, df: f64) -> f64 {
    let (square, df) = (t * t, df.min(MANY));
    match square.is_finite() {
        true => incomplete_beta(0.5 * df, 0.5, df / (df + square), square / (df + square)),
        false => 0.0,
    }
}

/// The t that |T| exceeds with a probability of 1 − `level`, 0 < `level` < 1.
pub(super) fn t_quantile(level: f64, df: f64) -> f64 {
    let outside = 1.0 - level;
    let (mut low, mut high) = (0.0, 1.0);
    while t_two_sided(high, df) > outside && high < f64::MAX / 4.0 {
        (low, high) = (high, 2.0 * high);
    }
    // Halving until no double is left between.
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if t_two_sided(middle, df) > outside { low = middle } else { high = middle }
    }
}

/// Degrees of freedom that stand for more and for infinitely many: the fraction below loses as much to rounding beyond.
const MANY: f64 = 1e8;

/// Probability that a variable of the F distribution exceeds `f`.
pub(super) fn f_upper(f: f64, df1: f64, df2: f64) -> f64 {
    let df2 = df2.min(MANY);
    let whole = df2 + df1 * f;
    incomplete_beta(0.5 * df2, 0.5 * df1, df2 / whole, df1 * f / whole)
}

/// I_x(a, b), the regularised incomplete beta function, y = 1 − x: the continued fraction of Press et al. (Numerical
/// Recipes, 3rd ed., section 6.4), by Lentz's method.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 || y <= 0.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta_below(b, a, y, x);
    }
    incomplete_beta_below(a, b, x, y)
}

/// The same where x is not beyond (a + 1)/(a + b + 2), so that the fraction converges fast: in some √max(a, b) steps.
fn incomplete_beta_below(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let ln = |x: f64, y: f64| if y < 0.5 { (-y).ln_1p() } else { x.ln() };
    let front = (a * ln(x, y) + b * ln(y, x) - ln_beta(a, b)).exp() / a;
    let away = |d: f64| if d.abs() < 1e-300 { 1e-300 } else { d };
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let (mut c, mut fraction) = (1.0, d);
    for i in 1..1_000_000 {
        let i = f64::from(i);
        let even = i * (b - i) * x / ((a + 2.0 * i - 1.0) * (a + 2.0 * i));
        let odd = -(a + i) * (a + b + i) * x / ((a + 2.0 * i) * (a + 2.0 * i + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            step *= d * c;
        }
        fraction *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

/// ln B(a, b) without the cancellation of ln Γ(a) − ln Γ(a + b) where one of them is large.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = (a.min(b), a.max(b));
    let (rest, sum) = (stirling_rest(large), small + large);
    // ln Γ(large) − ln Γ(large + small), by Stirling's formula for both.
    let ratio = rest - stirling_rest(sum) - (large - 0.5) * (small / large).ln_1p() - small * sum.ln() + small;
    ratio + stirling_rest(small) + (small - 0.5) * small.ln() - small + 0.5 * (2.0 * std::f64::consts::PI).ln()
}

/// ln Γ(x) less (x − ½) ln x − x + ½ ln 2π: upward recurrence to x ≥ 10, then Stirling's series (Abramowitz & Stegun
/// 6.1.41); absolute error below 1e-14.
fn stirling_rest(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        // The rest at x less the rest at x + 1.
        shift += (x + 0.5) * (1.0 / x).ln_1p() - 1.0;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    shift + (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r / 1188.0)))) / x
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn number(v: &Value) -> f64 {
        v.as_f64().unwrap_or(0.0)
    }

    /// To a relative 1e-8, or 1e-5 where infinitely many degrees of freedom were asked for.
    fn close(got: f64, want: f64, of: &Value) {
        let tolerance = if number(&of["df"]) > MANY { 1e-5 } else { 1e-8 };
        assert!((got - want).abs() <= tolerance * want + 1e-300, "{got} {want}: {of}");
    }

    #[test]
    fn tails_are_those_of_r() {
        let golden: Value = serde_json::from_str(include_str!("../../fixtures/mice_pool.json")).unwrap();
        let (t, f) = (golden["student_t"].as_array().unwrap(), golden["f"].as_array().unwrap());
        assert_eq!((t.len(), f.len()), (45, 80));
        for case in t {
            let df = number(&case["df"]);
            close(t_two_sided(number(&case["t"]), df), number(&case["p"]), case);
            close(t_quantile(number(&case["level"]), df), number(&case["quantile"]), case);
        }
        for case in f {
            close(f_upper(number(&case["f"]), number(&case["df1"]), number(&case["df2"])), number(&case["p"]), case);
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(t_two_sided(0.0, 3.0), 1.0);
        assert_eq!(t_two_sided(f64::INFINITY, 3.0), 0.0);
        assert_eq!(t_two_sided(1e200, 3.0), 0.0);
        assert_eq!(f_upper(0.0, 2.0, 5.0), 1.0);
        // Cauchy's: tan(π/2 · level).
        assert!((t_quantile(0.5, 1.0) - 1.0).abs() < 1e-12);
    }
}
