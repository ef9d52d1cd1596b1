//! One cell as text: what it reads as, and how a filled one is written in its column's own format.

/// The spellings of false and true that make a column Boolean.
pub(super) const TRUTHS: [[&str; 2]; 5] = [["false", "true"], ["False", "True"], ["FALSE", "TRUE"], ["F", "T"], ["f", "t"]];

/// The entries of [`TRUTHS`] that hold the text, as a set of bits.
pub(super) fn truths(text: &str) -> u8 {
    let hits = TRUTHS.iter().enumerate().filter(|(_, pair)| pair.contains(&text));
    hits.fold(0, |set, (i, _)| set | 1 << i)
}

/// A text that reads as a number, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    /// Infinite where the text says so, or is beyond the range of f64.
    pub value: f64,
    /// It starts with '+'.
    pub plus: bool,
    /// Digits after the point that its last digit stands at.
    pub decimals: usize,
    /// Significant digits.
    pub digits: usize,
    /// It has an exponent.
    pub exponent: bool,
    /// Neither point nor exponent.
    pub whole: bool,
    /// A leading zero, as in 007: a code, not a quantity.
    pub leading_zero: bool,
}

impl Number {
    /// Reads `12`, `-0.5`, `+3`, `.5`, `5.`, `1e3` and the infinities; spaces around do not matter.
    pub fn read(text: &str) -> Option<Number> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let plus = text.starts_with('+');
        if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
            let value = if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
            return Some(Number { value, plus, decimals: 0, digits: 1, exponent: false, whole: false, leading_zero: false });
        }
        let (mantissa, power) = match unsigned.find(['e', 'E']) {
            Some(e) => (&unsigned[..e], Some(&unsigned[e + 1..])),
            None => (unsigned, None),
        };
        let (left, right) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if left.len() + right.len() == 0 || !all_digits(left) || !all_digits(right) {
            return None;
        }
        let shift: i64 = match power {
            None => 0,
            Some(p) => {
                let digits = p.strip_prefix(['+', '-']).unwrap_or(p);
                if digits.is_empty() || !all_digits(digits) {
                    return None;
                }
                // An exponent of more digits than i64 holds is zero or infinity in f64 anyway.
                p.parse().unwrap_or(0)
            }
        };
        let significant = left.trim_start_matches('0').len() + right.len();
        Some(Number {
            value: text.parse().ok()?,
            plus,
            decimals: (right.len() as i64).saturating_sub(shift).clamp(0, MAX_DECIMALS as i64) as usize,
            digits: significant.clamp(1, MAX_DECIMALS),
            exponent: power.is_some(),
            whole: power.is_none() && !mantissa.contains('.'),
            leading_zero: left.len() > 1 && left.starts_with('0'),
        })
    }
}

/// The first number beyond i64.
pub(super) const TWO_63: f64 = 9_223_372_036_854_775_808.0;

/// More digits than an f64 holds are not a format.
const MAX_DECIMALS: usize = 17;

/// How the numbers of a column are written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NumberFormat {
    /// Fewest and most decimals seen.
    decimals: Option<(usize, usize)>,
    /// Most significant digits seen.
    digits: usize,
    /// Some cell has an exponent.
    exponent: bool,
    /// Some cell is above zero.
    positive: bool,
    /// Every cell above zero starts with '+'.
    plus: bool,
}

impl NumberFormat {
    pub fn new() -> NumberFormat {
        NumberFormat { decimals: None, digits: 1, exponent: false, positive: false, plus: true }
    }

    /// Takes in one more cell.
    pub fn see(&mut self, number: &Number) {
        let (low, high) = self.decimals.unwrap_or((usize::MAX, 0));
        self.decimals = Some((low.min(number.decimals), high.max(number.decimals)));
        self.digits = self.digits.max(number.digits);
        self.exponent |= number.exponent;
        if number.value > 0.0 {
            self.positive = true;
            self.plus &= number.plus;
        }
    }

    /// A filled number as the column writes its own: rounded to the digits seen, inside the bounds.
    pub fn rounded(&self, x: f64, bounds: (f64, f64)) -> String {
        let inside = |text: &String| text.parse().is_ok_and(|y: f64| bounds.0 <= y && y <= bounds.1);
        let (fewest, most) = self.decimals.unwrap_or((0, 0));
        let limit = if most == 0 { TWO_63 } else { 1e15 };
        let text = if self.exponent {
            let rounded = format!("{:.*e}", self.digits - 1, x).parse().unwrap_or(x);
            Some(shortest(rounded)).filter(inside)
        } else if (-limit..limit).contains(&x) {
            let unit = 10f64.powi(most as i32);
            let nearest = fixed(x, fewest, most);
            let steps = [nearest, fixed((x * unit).ceil() / unit, fewest, most), fixed((x * unit).floor() / unit, fewest, most)];
            steps.into_iter().find(inside)
        } else {
            None
        };
        self.sign(text.unwrap_or_else(|| shortest(x)))
    }

    /// A filled number with all its digits.
    pub fn exact(&self, x: f64) -> String {
        self.sign(shortest(x))
    }

    /// The text with the column's sign: '+' where its numbers have one, none before zero.
    fn sign(&self, text: String) -> String {
        match text.parse() {
            Ok(x) if x > 0.0 && self.positive && self.plus => format!("+{text}"),
            Ok(0.0) => text.trim_start_matches('-').to_string(),
            _ => text,
        }
    }
}

/// The fewest digits that read back to the same number.
fn shortest(x: f64) -> String {
    if x == 0.0 || (1e-5..1e15).contains(&x.abs()) { format!("{x}") } else { format!("{x:e}") }
}

/// The number with at most `most` decimals, and zeros at the end only up to `fewest`.
fn fixed(x: f64, fewest: usize, most: usize) -> String {
    let places = |s: &str| s.find('.').map_or(0, |p| s.len() - p - 1);
    let mut text = format!("{x}");
    if places(&text) > most {
        text = format!("{x:.most$}");
    }
    while places(&text) > fewest && text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    let missing = fewest - places(&text).min(fewest);
    if missing == fewest && missing > 0 {
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', missing));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let value = |t| Number::read(t).map(|n| n.value);
        for (text, x) in [("12", 12.0), ("-0.5", -0.5), ("+3", 3.0), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), (" 7 ", 7.0)] {
            assert_eq!(value(text), Some(x), "{text}");
        }
        for text in ["", "-", ".", "e5", "1e", "1e+", "1,5", "0x10", "1_000", "nan", "NaN", "one", "12 3", "--1", "1.2.3"] {
            assert_eq!(Number::read(text), None, "{text}");
        }
        assert_eq!(value("-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(value("Infinity"), Some(f64::INFINITY));
        assert_eq!(value("1e999"), Some(f64::INFINITY));
    }

    #[test]
    fn the_way_a_number_is_written_is_kept() {
        let read = |t| Number::read(t).unwrap();
        assert_eq!((read("1.250").decimals, read("1.250").digits), (3, 4));
        assert_eq!((read("1.5e-3").decimals, read("1.5e3").decimals), (4, 0));
        assert_eq!(read("1e-300").decimals, 17);
        assert!(read("007").leading_zero && !read("0").leading_zero && !read("0.7").leading_zero);
        assert!(read("12").whole && !read("12.0").whole && !read("1e2").whole);
    }

    fn format(cells: &[&str]) -> NumberFormat {
        let mut f = NumberFormat::new();
        cells.iter().for_each(|c| f.see(&Number::read(c).unwrap()));
        f
    }

    const OPEN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    #[test]
    fn a_fill_takes_the_decimals_of_its_column() {
        let fixed = format(&["1.50", "2.25"]);
        assert_eq!(fixed.rounded(2.0, OPEN), "2.00");
        assert_eq!(fixed.rounded(0.126, OPEN), "0.13");
        let trimmed = format(&["7", "0.27"]);
        assert_eq!(trimmed.rounded(6.501, OPEN), "6.5");
        assert_eq!(trimmed.rounded(6.999, OPEN), "7");
        let whole = format(&["100", "7"]);
        assert_eq!(whole.rounded(100.0, OPEN), "100");
        assert_eq!(whole.rounded(-0.2, OPEN), "0");
        assert_eq!(whole.rounded(4.741845409030042e18, OPEN), "4741845409030042000");
        assert_eq!(whole.rounded(3e20, OPEN), "3e20");
        let long = format(&["0.30000000000000004"]);
        assert_eq!(long.rounded(0.1, OPEN), "0.10000000000000000");
    }

    #[test]
    fn a_fill_takes_the_sign_and_the_digits_of_its_column() {
        let signed = format(&["+1.5", "-2.0", "0.0"]);
        assert_eq!(signed.rounded(3.21, OPEN), "+3.2");
        assert_eq!(signed.rounded(-3.21, OPEN), "-3.2");
        assert_eq!(signed.rounded(-0.01, OPEN), "0.0");
        assert_eq!(format(&["-1", "-2"]).rounded(1.0, OPEN), "1");
        let scientific = format(&["1.2e-7", "3.4e10"]);
        assert_eq!(scientific.rounded(1.2345e-9, OPEN), "1.2e-9");
        assert_eq!(scientific.rounded(123.4, OPEN), "120");
        assert_eq!(format(&["1"]).exact(2.123456789012345), "2.123456789012345");
        assert_eq!(format(&["1"]).exact(1.5e-9), "1.5e-9");
    }

    #[test]
    fn rounding_stays_inside_the_bounds() {
        let f = format(&["0.5", "1.5"]);
        assert_eq!(f.rounded(0.01, (0.005, OPEN.1)), "0.1");
        assert_eq!(f.rounded(0.97, (0.0, 0.97)), "0.9");
        assert_eq!(f.rounded(0.93, (0.92, 0.94)), "0.93");
    }

    #[test]
    fn truth_has_consistent_spellings() {
        assert_eq!(truths("True") & truths("False"), 2);
        assert_eq!(truths("True") & truths("false"), 0);
        assert_eq!(truths("yes"), 0);
    }
}
