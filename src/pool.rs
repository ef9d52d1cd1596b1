//! Pooling: one answer from the analyses of `m` completed tables, by the rules of Rubin (1987).
//!
//! Analyse each completed table by itself, then pool the estimates. The pooled estimate is their mean; its variance is the mean
//! of their squared standard errors (`within`) and, because the missing cells are not known, (1 + 1/m) times the variance
//! between them. Averaging the *tables* instead and analysing the average is an error: it leaves `between` out and
//! draws the filled cells to their means.
//!
//! The figures are those of the R package mice (`pool`, `pool.scalar`, `D1`), checked to 1e-6.
//!
//! - Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys.
//! - Barnard J, Rubin DB (1999). Small-sample degrees of freedom with multiple imputation. Biometrika 86, 948–955.
//! - Li KH, Raghunathan TE, Rubin DB (1991). Large-sample significance levels from multiply imputed data using moment-based
//!   statistics and an F reference distribution. JASA 86, 1065–1073.
//! - Reiter JP (2007). Small-sample degrees of freedom for multi-component significance tests. Biometrika 94, 502–508.
//! - von Hippel PT (2020). How many imputations do you need? Sociological Methods & Research 49, 699–718.

mod tails;

use crate::error::{Error, ErrorKind, Result};

use tails::{f_upper, t_quantile, t_two_sided};

/// One estimate of an analysis: a coefficient, a mean, a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Its name, the same in every completed table.
    pub name: String,
    /// The estimate.
    pub estimate: f64,
    /// Its standard error in this table.
    pub std_error: f64,
}

impl Term {
    /// A term.
    pub fn new(name: impl Into<String>, estimate: f64, std_error: f64) -> Term {
        Term { name: name.into(), estimate, std_error }
    }
}

/// A pooled estimate with its variances, in the units of the estimate and their squares.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Pooled {
    /// Imputations.
    pub m: usize,
    /// Mean of the estimates.
    pub estimate: f64,
    /// Mean of their variances: what a complete table would leave uncertain.
    pub within: f64,
    /// Variance between the estimates: what the missing cells add.
    pub between: f64,
    /// `within` + (1 + 1/m) `between`: the variance of the pooled estimate.
    pub total: f64,
    /// Relative increase in variance by the missing cells, (1 + 1/m) `between` / `within`.
    pub riv: f64,
    /// Share of the total variance that the missing cells cause.
    pub lambda: f64,
    /// Fraction of missing information.
    pub fmi: f64,
    /// Degrees of freedom of Student's t, after Barnard and Rubin (1999).
    pub df: f64,
}

impl Pooled {
    /// Standard error of the estimate.
    pub fn std_error(&self) -> f64 {
        self.total.sqrt()
    }

    /// The estimate in standard errors.
    pub fn statistic(&self) -> f64 {
        self.estimate / self.std_error()
    }

    /// Two-sided p of the hypothesis that the truth is zero.
    pub fn p_value(&self) -> f64 {
        t_two_sided(self.statistic(), self.df)
    }

    /// Confidence interval that covers the truth in a share `level` of studies.
    ///
    /// # Errors
    /// `level` not between 0 and 1.
    pub fn interval(&self, level: f64) -> Result<(f64, f64)> {
        let half = t_quantile(check_level(level)?, self.df) * self.std_error();
        Ok((self.estimate - half, self.estimate + half))
    }
}

/// A pooled estimate and its name.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PooledTerm {
    /// The name of the [`Term`]s.
    pub term: String,
    /// Their pooled estimate.
    #[serde(flatten)]
    pub pooled: Pooled,
}

/// Pools one estimate: `estimates` and their `variances` (squared standard errors), one of each a completed table.
/// `df_complete` are the degrees of freedom that the analysis of a complete table has, such as rows less coefficients;
/// infinite where it has a large-sample standard error.
///
/// ```
/// let pooled = lacuna::pool::pool_scalar(&[1.0, 1.4, 0.9], &[0.04, 0.05, 0.045], f64::INFINITY)?;
/// assert!((pooled.estimate - 1.1).abs() < 1e-12);
/// assert!((pooled.total - (0.045 + 4.0 / 3.0 * 0.07)).abs() < 1e-12);
/// let (low, high) = pooled.interval(0.95)?;
/// assert!(low < 0.5 && high > 1.7);
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// Fewer than two estimates, or another number of variances; an estimate that is not finite; a variance that is not above
/// zero; `df_complete` not above zero.
pub fn pool_scalar(estimates: &[f64], variances: &[f64], df_complete: f64) -> Result<Pooled> {
    let m = estimates.len();
    check_tables(m, variances.len(), "variances")?;
    check_df(df_complete)?;
    for (i, (&estimate, &variance)) in estimates.iter().zip(variances).enumerate() {
        check_number(i, "an estimate", estimate, estimate.is_finite(), "a finite number")?;
        check_number(i, "a variance", variance, variance.is_finite() && variance > 0.0, "a number above zero")?;
    }
    let (estimate, within) = (mean(estimates), mean(variances));
    let between = covariance(estimates, estimates);
    let of_missing = (1.0 + 1.0 / m as f64) * between;
    let total = within + of_missing;
    let (riv, lambda) = (of_missing / within, of_missing / total);
    let df = barnard_rubin(m, lambda, df_complete);
    let fmi = (riv + 2.0 / (df + 3.0)) / (riv + 1.0);
    Ok(Pooled { m, estimate, within, between, total, riv, lambda, fmi, df })
}

/// Pools the terms of `m` analyses, in the order of the first.
///
/// ```
/// use lacuna::pool::{Term, pool_terms};
/// let analysis = |slope| vec![Term::new("slope", slope, 0.3)];
/// let pooled = pool_terms(&[analysis(1.1), analysis(1.4), analysis(0.8)], 96.0)?;
/// assert_eq!(pooled[0].term, "slope");
/// assert!((pooled[0].pooled.estimate - 1.1).abs() < 1e-12);
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// The analyses have other terms, or one twice; as [`pool_scalar`].
pub fn pool_terms(analyses: &[Vec<Term>], df_complete: f64) -> Result<Vec<PooledTerm>> {
    check_tables(analyses.len(), analyses.len(), "analyses")?;
    for (i, terms) in analyses.iter().enumerate() {
        for (place, term) in terms.iter().enumerate() {
            let first = analyses[0].iter().any(|t| t.name == term.name);
            if terms[..place].iter().any(|t| t.name == term.name) {
                return Err(unpoolable(format!(
                    "term `{}` stands twice in imputation {}; give each its own name",
                    term.name,
                    i + 1
                )));
            }
            if !first {
                return Err(missing_term(&term.name, 1));
            }
        }
    }
    analyses[0]
        .iter()
        .map(|Term { name, .. }| {
            let of = |(i, terms): (usize, &Vec<Term>)| {
                let term = terms.iter().find(|t| t.name == *name).ok_or_else(|| missing_term(name, i + 1))?;
                let usable = term.std_error.is_finite() && term.std_error > 0.0;
                check_number(i, &format!("a standard error of `{name}`"), term.std_error, usable, "a number above zero")?;
                Ok((term.estimate, term.std_error.powi(2)))
            };
            let both = analyses.iter().enumerate().map(of).collect::<Result<Vec<_>>>()?;
            let (estimates, variances): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
            Ok(PooledTerm { term: name.clone(), pooled: pool_scalar(&estimates, &variances, df_complete)? })
        })
        .collect()
}

/// A pooled test that several coefficients are all zero.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Wald {
    /// The statistic D1.
    pub statistic: f64,
    /// Degrees of freedom above: the number of coefficients.
    pub df1: f64,
    /// Degrees of freedom below; infinite where the estimates do not differ.
    pub df2: f64,
    /// Average relative increase in variance by the missing cells.
    pub riv: f64,
    /// p of the F distribution.
    pub p: f64,
}

/// Tests that k coefficients are all zero, by D1 of Li, Raghunathan and Rubin (1991): `estimates` has a list of k a completed
/// table, `covariances` its k × k matrix, row by row. To test that they equal other values, subtract those first.
///
/// The degrees of freedom are those of Reiter (2007) where `df_complete` is finite, as in mice. Those are not defined where
/// k (m − 1) is 4 or less or the table tiny; there the two are combined as Barnard and Rubin (1999) do for one coefficient.
///
/// ```
/// use lacuna::pool::pool_wald;
/// let estimates = [vec![1.0, 2.0], vec![1.2, 1.9], vec![0.9, 2.2], vec![1.1, 2.0]];
/// let covariances = vec![vec![vec![0.1, 0.02], vec![0.02, 0.2]]; 4];
/// let test = pool_wald(&estimates, &covariances, f64::INFINITY)?;
/// assert!(test.df1 == 2.0 && test.p < 0.001);
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// Fewer than two tables; lists or matrices of other sizes; a number that is not finite; an average covariance that is not
/// positive definite; `df_complete` not above zero.
pub fn pool_wald(estimates: &[Vec<f64>], covariances: &[Vec<Vec<f64>>], df_complete: f64) -> Result<Wald> {
    let m = estimates.len();
    check_tables(m, covariances.len(), "covariance matrices")?;
    check_df(df_complete)?;
    let k = estimates[0].len();
    for (i, (estimates, covariance)) in estimates.iter().zip(covariances).enumerate() {
        if k == 0 || estimates.len() != k || covariance.len() != k || covariance.iter().any(|row| row.len() != k) {
            let due = format!("imputation {}: {k} coefficients and their {k} × {k} covariances are due; give all of them", i + 1);
            return Err(unpoolable(due));
        }
        for &x in estimates.iter().chain(covariance.iter().flatten()) {
            check_number(i, "an estimate or covariance", x, x.is_finite(), "a finite number")?;
        }
    }
    let column = |a: usize| -> Vec<f64> { estimates.iter().map(|e| e[a]).collect() };
    let square = |entry: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        (0..k).map(|a| (0..k).map(|b| entry(a, b)).collect()).collect()
    };
    let within = square(&|a, b| covariances.iter().map(|c| c[a][b]).sum::<f64>() / m as f64);
    let between = square(&|a, b| covariance(&column(a), &column(b)));
    let factor = cholesky(&within).ok_or_else(|| {
        unpoolable("the average covariance matrix is not positive definite; leave out coefficients that others determine".into())
    })?;
    // The trace of between · within⁻¹, column by column.
    let trace: f64 = (0..k).map(|a| solve(&factor, &between[a])[a]).sum();
    let riv = (1.0 + 1.0 / m as f64) * trace.max(0.0) / k as f64;
    let pooled: Vec<f64> = (0..k).map(|a| mean(&column(a))).collect();
    let square = solve(&factor, &pooled).iter().zip(&pooled).map(|(a, b)| a * b).sum::<f64>();
    let (df1, df2) = (k as f64, wald_df(k as f64, (m - 1) as f64, riv, df_complete));
    let statistic = square / (df1 * (1.0 + riv));
    Ok(Wald { statistic, df1, df2, riv, p: f_upper(statistic, df1, df2) })
}

/// A pooled correlation or R².
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PooledCorrelation {
    /// The correlation, or R².
    pub estimate: f64,
    /// What was pooled: Fisher's z = atanh r.
    pub z: Pooled,
    squared: bool,
}

impl PooledCorrelation {
    /// Confidence interval, by that of Fisher's z.
    ///
    /// # Errors
    /// `level` not between 0 and 1.
    pub fn interval(&self, level: f64) -> Result<(f64, f64)> {
        let (low, high) = self.z.interval(level)?;
        Ok(match self.squared {
            // R is not below zero.
            true => (low.max(0.0).tanh().powi(2), high.tanh().powi(2)),
            false => (low.tanh(), high.tanh()),
        })
    }
}

/// Pools correlations, each of `n` rows, by Fisher's z, whose variance is 1/(n − 3).
///
/// ```
/// let pooled = lacuna::pool::pool_correlation(&[0.5, 0.56, 0.53], 100)?;
/// assert!((pooled.estimate - 0.53).abs() < 0.001);
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// Fewer than two; one that is not between −1 and 1; fewer than four rows.
pub fn pool_correlation(correlations: &[f64], n: usize) -> Result<PooledCorrelation> {
    for (i, &r) in correlations.iter().enumerate() {
        check_number(i, "a correlation", r, r > -1.0 && r < 1.0, "a number between -1 and 1")?;
    }
    fisher(correlations.iter().copied(), n, false)
}

/// Pools R² of regressions on `n` rows, by Fisher's z of R (Harel 2009).
///
/// ```
/// let pooled = lacuna::pool::pool_r_squared(&[0.30, 0.34, 0.31], 100)?;
/// assert!((pooled.estimate - 0.316).abs() < 0.001);
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// Fewer than two; one that is below 0, or 1 or more; fewer than four rows.
pub fn pool_r_squared(r_squared: &[f64], n: usize) -> Result<PooledCorrelation> {
    for (i, &r) in r_squared.iter().enumerate() {
        check_number(i, "an R²", r, (0.0..1.0).contains(&r), "a number from 0 to 1, without 1")?;
    }
    fisher(r_squared.iter().map(|r| r.sqrt()), n, true)
}

fn fisher(correlations: impl Iterator<Item = f64>, n: usize, squared: bool) -> Result<PooledCorrelation> {
    if n < 4 {
        return Err(Error::config("n", n, "at least 4 rows"));
    }
    let z: Vec<f64> = correlations.map(f64::atanh).collect();
    let z = pool_scalar(&z, &vec![1.0 / (n - 3) as f64; z.len()], f64::INFINITY)?;
    let r = z.estimate.tanh();
    Ok(PooledCorrelation { estimate: if squared { r * r } else { r }, z, squared })
}

/// How many imputations keep a standard error within 5 % of itself (coefficient of variation) were the imputations drawn
/// anew, from the fraction of missing information of a first few: 1 + ½ (fmi / 0.05)², at the upper end of fmi's 95 % interval
/// (the two-stage rule of von Hippel 2020).
///
/// ```
/// // Few draws say little of the fraction, and the rule is careful.
/// assert_eq!(lacuna::pool::suggested_m(0.3, 5)?, 73);
/// assert_eq!(lacuna::pool::suggested_m(0.3, 100)?, 28);
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// `fmi` not between 0 and 1; `m` below two.
pub fn suggested_m(fmi: f64, m: usize) -> Result<usize> {
    if !(0.0..=1.0).contains(&fmi) {
        return Err(Error::config("fmi", fmi, "from 0 to 1"));
    }
    check_tables(m, m, "estimates")?;
    // On the logit scale the standard error of fmi is √(2/m).
    let logit = (fmi / (1.0 - fmi)).ln() + 1.959_963_984_540_054 * (2.0 / m as f64).sqrt();
    let upper = 1.0 / (1.0 + (-logit).exp());
    Ok((1.0 + 0.5 * (upper / 0.05).powi(2)).ceil() as usize)
}

/// Degrees of freedom of Barnard and Rubin (1999), with the floor under λ that mice has.
fn barnard_rubin(m: usize, lambda: f64, df_complete: f64) -> f64 {
    let lambda = lambda.max(1e-4);
    both((m - 1) as f64 / lambda.powi(2), observed_df(lambda, df_complete))
}

/// Those that the observed cells leave of the complete table's.
fn observed_df(lambda: f64, df_complete: f64) -> f64 {
    match df_complete.is_finite() {
        true => (df_complete + 1.0) / (df_complete + 3.0) * df_complete * (1.0 - lambda),
        false => f64::INFINITY,
    }
}

/// Half the harmonic mean, by which both limits hold.
fn both(a: f64, b: f64) -> f64 {
    1.0 / (1.0 / a + 1.0 / b)
}

/// Degrees of freedom below of D1 for `k` coefficients and `draws` = m − 1.
fn wald_df(k: f64, draws: f64, riv: f64, df_complete: f64) -> f64 {
    let t = k * draws;
    let large = match t > 4.0 {
        true => 4.0 + (t - 4.0) * (1.0 + (1.0 - 2.0 / t) / riv).powi(2),
        false => t * (1.0 + 1.0 / k) * (1.0 + 1.0 / riv).powi(2) / 2.0,
    };
    if df_complete.is_infinite() {
        return large;
    }
    let a = riv * t / (t - 2.0);
    let v = (df_complete + 1.0) / (df_complete + 3.0) * df_complete;
    let (c0, c1, c2) = (1.0 / (t - 4.0), v - 2.0 * (1.0 + a), v - 4.0 * (1.0 + a));
    if t <= 4.0 || c2 <= 0.0 {
        return both(large, observed_df(riv / (1.0 + riv), df_complete));
    }
    let a2 = a * a;
    let z = 1.0 / c2
        + c0 * a2 * c1 / ((1.0 + a).powi(2) * c2)
        + c0 * (8.0 * a2 * c1 / ((1.0 + a) * c2.powi(2)) + 4.0 * a2 / ((1.0 + a) * c2))
        + c0 * (4.0 * a2 / (c2 * c1) + 16.0 * a2 * c1 / c2.powi(3))
        + c0 * 8.0 * a2 / c2.powi(2);
    4.0 + 1.0 / z
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// With divisor one less than their number.
fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (of_x, of_y) = (mean(x), mean(y));
    x.iter().zip(y).map(|(x, y)| (x - of_x) * (y - of_y)).sum::<f64>() / (x.len() - 1) as f64
}

/// The lower factor of a symmetric matrix; `None` where it is not positive definite.
fn cholesky(a: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let k = a.len();
    let mut l = vec![vec![0.0; k]; k];
    for i in 0..k {
        for j in 0..=i {
            let rest = a[i][j] - (0..j).map(|p| l[i][p] * l[j][p]).sum::<f64>();
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
            // Rounding leaves something of a singular matrix.
            if i == j && (rest.is_nan() || rest <= 1e-14 * a[i][i]) {
                return None;
            }
        }
    }
    Some(l)
}

/// The solution of A x = b by the factor of A.
fn solve(l: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let k = b.len();
    let mut x = b.to_vec();
    for i in 0..k {
        x[i] = (x[i] - (0..i).map(|p| l[i][p] * x[p]).sum::<f64>()) / l[i][i];
    }
    for i in (0..k).rev() {
        x[i] = (x[i] - (i + 1..k).map(|p| l[p][i] * x[p]).sum::<f64>()) / l[i][i];
    }
    x
}

fn unpoolable(message: String) -> Error {
    ErrorKind::Pool { message }.into()
}

fn missing_term(name: &str, imputation: usize) -> Error {
    unpoolable(format!("term `{name}` is missing in imputation {imputation}; give every term in every imputation"))
}

fn check_tables(m: usize, others: usize, what: &str) -> Result<()> {
    if m < 2 {
        return Err(Error::config("m", m, "at least 2: one imputation does not say how much the missing cells matter"));
    }
    if others != m {
        return Err(unpoolable(format!("{m} estimates and {others} {what}; one of each an imputation is due")));
    }
    Ok(())
}

fn check_df(df: f64) -> Result<()> {
    if df > 0.0 { Ok(()) } else { Err(Error::config("df_complete", df, "above zero, or infinite")) }
}

fn check_level(level: f64) -> Result<f64> {
    if level > 0.0 && level < 1.0 { Ok(level) } else { Err(Error::config("level", level, "between 0 and 1")) }
}

fn check_number(i: usize, what: &str, found: f64, usable: bool, due: &str) -> Result<()> {
    if usable {
        return Ok(());
    }
    Err(unpoolable(format!("imputation {}: found {found} as {what}; {due} is due", i + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn golden() -> Value {
        serde_json::from_str(include_str!("../fixtures/mice_pool.json")).unwrap()
    }

    fn list(v: &Value) -> Vec<f64> {
        v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    fn texts(v: &Value) -> Vec<&str> {
        v.as_array().unwrap().iter().map(|x| x.as_str().unwrap()).collect()
    }

    /// To a relative 1e-6.
    fn close(what: &str, got: f64, want: &Value) {
        let want = want.as_f64().unwrap_or_else(|| panic!("{what} is no number"));
        assert!((got - want).abs() <= 1e-6 * want.abs().max(1e-300), "{what}: {got} {want}");
    }

    fn check(pooled: &Pooled, case: &Value, skip: &[&str]) {
        let ours = serde_json::to_value(pooled).unwrap();
        let known = ["m", "estimate", "within", "between", "total", "riv", "lambda", "fmi", "df"];
        for what in known.into_iter().filter(|w| !skip.contains(w)) {
            close(what, ours[what].as_f64().unwrap(), &case[what]);
        }
    }

    #[test]
    fn scalars_are_those_of_mice() {
        let golden = golden();
        let cases = golden["pool_scalar"].as_array().unwrap();
        assert_eq!((cases.len(), golden["versions"]["mice"].as_str()), (8, Some("3.15.0")));
        for case in cases {
            let df = case["df_complete"].as_f64().unwrap_or(f64::INFINITY);
            // `pool.scalar` gives no lambda.
            check(&pool_scalar(&list(&case["estimates"]), &list(&case["variances"]), df).unwrap(), case, &["lambda"]);
        }
    }

    #[test]
    fn regressions_are_those_of_mice() {
        let golden = golden();
        for (name, case) in golden["regressions"].as_object().unwrap() {
            let df = case["df_complete"].as_f64().unwrap();
            let analyses = case["analyses"].as_array().unwrap();
            let terms = |a: &Value| {
                let numbers = list(&a["estimate"]).into_iter().zip(list(&a["std_error"]));
                texts(&a["term"]).into_iter().zip(numbers).map(|(name, (q, se))| Term::new(name, q, se)).collect()
            };
            let all: Vec<Vec<Term>> = analyses.iter().map(terms).collect();
            let pooled = pool_terms(&all, df).unwrap();
            let want = case["pooled"].as_array().unwrap();
            assert_eq!(pooled.len(), want.len());
            for (ours, want) in pooled.iter().zip(want) {
                assert_eq!(ours.term, want["term"].as_str().unwrap(), "{name}");
                check(&ours.pooled, want, &["m"]);
                close("standard error", ours.pooled.std_error(), &want["std_error"]);
                close("statistic", ours.pooled.statistic(), &want["statistic"]);
                close("p", ours.pooled.p_value(), &want["p"]);
                let (low, high) = ours.pooled.interval(0.95).unwrap();
                close("low", low, &want["low"]);
                close("high", high, &want["high"]);
            }
            let slopes: Vec<Vec<f64>> = analyses.iter().map(|a| list(&a["estimate"])[1..].to_vec()).collect();
            let matrix = |a: &Value| a["covariance"].as_array().unwrap().iter().map(list).collect();
            let covariances: Vec<Vec<Vec<f64>>> = analyses.iter().map(matrix).collect();
            let (k, m) = (slopes[0].len(), slopes.len());
            for (want, df) in [(&case["d1"], df), (&case["d1_infinite"], f64::INFINITY)] {
                let test = pool_wald(&slopes, &covariances, df).unwrap();
                close("D1", test.statistic, &want["statistic"]);
                close("riv", test.riv, &want["riv"]);
                // Where Reiter's formula is undefined, mitml extrapolates it.
                if df.is_infinite() || k * (m - 1) > 4 {
                    close("df2", test.df2, &want["df2"]);
                    close("p", test.p, &want["p"]);
                }
                if k == 1 {
                    let scalar = pool_terms(&all, df).unwrap().remove(1).pooled;
                    assert!((test.statistic / scalar.statistic().powi(2) - 1.0).abs() < 1e-9);
                    assert!((test.df2 / scalar.df - 1.0).abs() < 1e-9 && (test.p / scalar.p_value() - 1.0).abs() < 1e-9);
                }
            }
            let r_squared: Vec<f64> = analyses.iter().map(|a| a["r_squared"].as_f64().unwrap()).collect();
            let r = pool_r_squared(&r_squared, case["rows"].as_u64().unwrap() as usize).unwrap();
            close("R²", r.estimate, &case["r_squared"]["estimate"]);
            close("fmi of R²", r.z.fmi, &case["r_squared"]["fmi"]);
        }
    }

    #[test]
    fn equal_estimates_have_no_variance_between() {
        let same = pool_scalar(&[2.0; 5], &[0.25; 5], 100.0).unwrap();
        assert_eq!((same.between, same.riv, same.lambda, same.std_error()), (0.0, 0.0, 0.0, 0.5));
        let test = pool_wald(&[vec![1.0, 2.0], vec![1.0, 2.0]], &vec![vec![vec![1.0, 0.0], vec![0.0, 1.0]]; 2], f64::INFINITY);
        let test = test.unwrap();
        // χ² with two degrees of freedom: p = e^(−5/2).
        assert!(test.df2.is_infinite() && (test.p - (-2.5f64).exp()).abs() < 1e-7, "{test:?}");
    }

    #[test]
    fn correlations_keep_to_their_range() {
        let r = pool_correlation(&[0.95, 0.99, -0.2], 10).unwrap();
        let (low, high) = r.interval(0.99).unwrap();
        assert!(-1.0 < low && low < r.estimate && r.estimate < high && high <= 1.0);
        let r = pool_r_squared(&[0.01, 0.02], 20).unwrap();
        assert_eq!(r.interval(0.95).unwrap().0, 0.0);
    }

    #[test]
    fn what_cannot_be_pooled_says_why() {
        let text = |e: Result<Pooled>| e.unwrap_err().to_string();
        assert!(pool_scalar(&[1.0], &[1.0], 5.0).unwrap_err().is_usage());
        assert_eq!(
            text(pool_scalar(&[1.0, 2.0], &[1.0, -0.5], 5.0)),
            "imputation 2: found -0.5 as a variance; a number above zero is due"
        );
        assert!(text(pool_scalar(&[1.0, f64::NAN], &[1.0, 0.5], 5.0)).contains("imputation 2: found NaN"));
        assert!(text(pool_scalar(&[1.0, 2.0], &[1.0], 5.0)).contains("2 estimates and 1 variances"));
        assert!(text(pool_scalar(&[1.0, 2.0], &[1.0, 1.0], 0.0)).contains("df_complete is 0"));
        let (a, b) = (Term::new("a", 1.0, 1.0), Term::new("b", 1.0, 1.0));
        for (analyses, says) in [
            ([vec![a.clone(), b.clone()], vec![a.clone()]], "term `b` is missing in imputation 2"),
            ([vec![a.clone()], vec![b.clone(), a.clone()]], "term `b` is missing in imputation 1"),
            ([vec![a.clone(), a.clone()], vec![a.clone()]], "term `a` stands twice in imputation 1"),
        ] {
            let e = pool_terms(&analyses, 5.0).unwrap_err().to_string();
            assert!(e.starts_with(says), "{e}");
        }
        let singular = vec![vec![vec![1.0, 1.0], vec![1.0, 1.0]]; 2];
        let e = pool_wald(&[vec![1.0, 1.0], vec![1.0, 2.0]], &singular, 9.0).unwrap_err().to_string();
        assert!(e.contains("not positive definite"), "{e}");
        assert!(
            pool_wald(&[vec![1.0], vec![1.0, 2.0]], &singular, 9.0).unwrap_err().to_string().starts_with("imputation 1: 1 coeff")
        );
        assert!(pool_scalar(&[1.0, 2.0], &[1.0, 1.0], 5.0).unwrap().interval(1.0).is_err());
        assert!(pool_correlation(&[0.5, 1.0], 9).is_err() && pool_r_squared(&[0.5, 0.4], 3).is_err());
        assert!(suggested_m(1.5, 5).is_err() && suggested_m(0.5, 1).is_err());
    }
}
