//! One cell as text: what it reads as, and how a filled one is written in its column's own format.

use serde::{Deserialize, Serialize};

/// The spellings of false and true that make a column Boolean.
pub(super) const TRUTHS: [[&str; 2]; 5] = [["false", "true"], ["False", "True"], ["FALSE", "TRUE"], ["F", "T"], ["f", "t"]];

/// The entries of [`TRUTHS`] that hold the text, as a set of bits.
pub(super) fn truths(text: &str) -> u8 {
    let hits = TRUTHS.iter().enumerate().filter(|(_, pair)| pair.contains(&text));
    hits.fold(0, |set, (i, _)| set | 1 << i)
}

/// A text that reads as a number, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number<'a> {
    /// Infinite where the text says so, or is beyond the range of f64.
    pub value: f64,
    /// The value of a whole number within i64.
    pub integer: Option<i64>,
    /// It starts with '+'.
    pub plus: bool,
    /// Digits after the point that its last digit stands at.
    pub decimals: usize,
    /// Significant digits.
    pub digits: usize,
    /// It has an exponent.
    pub exponent: Option<Exponent>,
    /// Neither point nor exponent.
    pub whole: bool,
    /// A leading zero, as in 007: a code, not a quantity.
    pub leading_zero: bool,
    pub dress: Dress<'a>,
}

/// What stands around and between the digits of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Dress<'a> {
    /// Currency before the digits, with the blanks behind it.
    pub prefix: &'a str,
    /// Currency, `%` or `‰` behind the digits, with the blanks before it.
    pub suffix: &'a str,
    /// The separator of thousands.
    pub group: Option<char>,
    /// Its minus stands behind the prefix.
    pub sign_inside: bool,
    /// Its minus is the typographic one, U+2212.
    pub long_minus: bool,
}

/// A number as most files write them: digits with at most a minus and a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    pub value: f64,
    /// Digits after the point.
    decimals: usize,
    /// Significant digits.
    digits: usize,
    /// No point.
    pub whole: bool,
    pub leading_zero: bool,
}

impl Plain {
    /// Reads a number of so few digits that mantissa and power of ten are exact and their ratio is the nearest double
    /// (Clinger 1990).
    #[inline]
    pub fn read(text: &[u8]) -> Option<Plain> {
        const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        if digits.len() > TENS.len() {
            return None;
        }
        let (mut mantissa, mut left) = (0u64, digits.len());
        for (i, &b) in digits.iter().enumerate() {
            let digit = b.wrapping_sub(b'0');
            if digit < 10 {
                mantissa = 10 * mantissa + u64::from(digit);
            } else if b == b'.' && left == digits.len() {
                left = i;
            } else {
                return None;
            }
        }
        let right = digits.len().saturating_sub(left + 1);
        if left + right == 0 || mantissa >= 1 << 53 {
            return None;
        }
        let value = mantissa as f64 / TENS.get(right)?;
        let zeros = digits.iter().take(left).take_while(|&&b| b == b'0').count();
        Some(Plain {
            value: if negative { -value } else { value },
            decimals: right,
            digits: (left - zeros + right).max(1),
            whole: left == digits.len(),
            leading_zero: left > 1 && zeros > 0,
        })
    }
}

impl From<Plain> for Number<'_> {
    fn from(n: Plain) -> Self {
        let Plain { value, decimals, digits, whole, leading_zero } = n;
        let integer = whole.then_some(value as i64);
        Number { value, integer, plus: false, decimals, digits, exponent: None, whole, leading_zero, dress: Dress::default() }
    }
}

/// How an exponent is written: `e3`, `E-07`, `e+00`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Exponent {
    upper: bool,
    plus: bool,
    /// Fewest digits.
    width: usize,
}

const CURRENCIES: [char; 14] = ['$', '€', '£', '¥', '₹', '₩', '₽', '₺', '₪', '₫', '฿', '₴', '₦', '¢'];
/// Point, comma, apostrophes, blank; no-break, narrow no-break and thin blank.
const SEPARATORS: [char; 8] = ['.', ',', '\'', '’', ' ', '\u{a0}', '\u{202f}', '\u{2009}'];

impl<'a> Number<'a> {
    /// Reads `12`, `-0.5`, `+3`, `.5`, `5.`, `1e3`, the infinities, `1,234.5`, `$12`, `5 %`; spaces around do not matter.
    pub fn read(text: &'a str, decimal: char) -> Option<Number<'a>> {
        if let (Some(plain), '.') = (Plain::read(text.as_bytes()), decimal) {
            return Some(plain.into());
        }
        let text = text.trim();
        if decimal == '.' && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E')) {
            return Number::plain(text, Dress::default());
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
            let (value, plus) = (if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }, text.starts_with('+'));
            let (integer, exponent, dress) = (None, None, Dress::default());
            let (whole, leading_zero) = (false, false);
            return Some(Number { value, integer, plus, decimals: 0, digits: 1, exponent, whole, leading_zero, dress });
        }
        Number::dressed(text, decimal)
    }

    /// Reads digits with at most a sign, a point and an exponent.
    fn plain(text: &str, dress: Dress<'a>) -> Option<Number<'a>> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, power) = match unsigned.find(['e', 'E']) {
            Some(e) => (&unsigned[..e], Some(&unsigned[e..])),
            None => (unsigned, None),
        };
        let (left, right) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if left.len() + right.len() == 0 || !all_digits(left) || !all_digits(right) {
            return None;
        }
        let (shift, exponent) = match power {
            None => (0, None),
            Some(p) => {
                let digits = p[1..].strip_prefix(['+', '-']).unwrap_or(&p[1..]);
                if digits.is_empty() || !all_digits(digits) {
                    return None;
                }
                let style = Exponent { upper: p.starts_with('E'), plus: p[1..].starts_with('+'), width: digits.len() };
                // An exponent of more digits than i64 holds is zero or infinity in f64 anyway.
                (p[1..].parse::<i64>().unwrap_or(0), Some(style))
            }
        };
        let significant = left.trim_start_matches('0').len() + right.len();
        let whole = power.is_none() && !mantissa.contains('.');
        Some(Number {
            value: text.parse().ok()?,
            integer: if whole { text.parse().ok() } else { None },
            plus: text.starts_with('+'),
            decimals: (right.len() as i64).saturating_sub(shift).clamp(0, MAX_DECIMALS as i64) as usize,
            digits: significant.clamp(1, MAX_DECIMALS),
            exponent,
            whole,
            leading_zero: left.len() > 1 && left.starts_with('0'),
            dress,
        })
    }

    /// Takes off what is not a digit, a sign, a point or an exponent, and reads the rest.
    fn dressed(text: &'a str, decimal: char) -> Option<Number<'a>> {
        let signs = ['+', '-', '−'];
        let outside = text.chars().next().filter(|c| signs.contains(c));
        let text = outside.map_or(text, |c| &text[c.len_utf8()..]);
        let bare = text.trim_start_matches(CURRENCIES);
        let body = if bare.len() < text.len() { bare.trim_start() } else { text };
        let prefix = &text[..text.len() - body.len()];
        let inside = body.chars().next().filter(|c| outside.is_none() && !prefix.is_empty() && signs.contains(c));
        let body = inside.map_or(body, |c| &body[c.len_utf8()..]);
        let bare = body.trim_end_matches(|c| CURRENCIES.contains(&c) || c == '%' || c == '‰');
        let core = if bare.len() < body.len() { bare.trim_end() } else { body };
        let suffix = &body[core.len()..];
        let (mantissa, power) = core.split_at(core.find(['e', 'E']).unwrap_or(core.len()));
        let (left, right) = mantissa.split_once(decimal).unwrap_or((mantissa, ""));
        let group = left.chars().find(|c| !c.is_ascii_digit());
        let sign = outside.or(inside);
        let mut digits = String::with_capacity(core.len() + 2);
        digits.extend(sign.map(|c| if c == '+' { '+' } else { '-' }));
        match group {
            None => digits.push_str(left),
            Some(c) if c == decimal || !SEPARATORS.contains(&c) => return None,
            Some(c) => {
                let mut groups = left.split(c);
                let first = groups.next().filter(|g| (1..=3).contains(&g.len()) && all_digits(g) && !g.starts_with('0'))?;
                digits.push_str(first);
                for g in groups {
                    if g.len() != 3 || !all_digits(g) {
                        return None;
                    }
                    digits.push_str(g);
                }
            }
        }
        if mantissa.contains(decimal) {
            digits.push('.');
        }
        // A point that is not the decimal mark is nothing that `plain` may see.
        if right.contains('.') || power.contains('.') {
            return None;
        }
        digits.push_str(right);
        digits.push_str(power);
        let sign_inside = inside.is_some_and(|c| c != '+');
        Number::plain(&digits, Dress { prefix, suffix, group, sign_inside, long_minus: sign == Some('−') })
    }

    /// It has enough digits before the decimal mark to be separated.
    fn is_long(&self) -> bool {
        self.value.abs() >= 1000.0 && self.exponent.is_none()
    }
}

fn all_digits(s: &str) -> bool {
    s.bytes().all(|b| b.is_ascii_digit())
}

/// The first number beyond i64.
pub(super) const TWO_63: f64 = 9_223_372_036_854_775_808.0;

/// More digits than an f64 holds are not a format.
const MAX_DECIMALS: usize = 17;

/// How the numbers of a column are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NumberFormat {
    decimal: char,
    prefix: String,
    suffix: String,
    /// The separator of thousands, and numbers from a thousand on with it and without it.
    group: Option<char>,
    grouped: usize,
    ungrouped: usize,
    /// Some negative number has its sign behind the prefix.
    sign_inside: bool,
    /// Some negative number has the typographic minus.
    long_minus: bool,
    /// Numbers seen.
    numbers: usize,
    /// Numbers by their decimals, and by their significant digits.
    decimals: [usize; MAX_DECIMALS + 1],
    digits: [usize; MAX_DECIMALS + 1],
    /// Numbers with an exponent, and how the first of them writes it.
    exponents: usize,
    exponent: Option<Exponent>,
    /// Some cell is above zero.
    positive: bool,
    /// Every cell above zero starts with '+'.
    plus: bool,
}

impl NumberFormat {
    pub fn new(decimal: char) -> NumberFormat {
        NumberFormat {
            decimal,
            prefix: String::new(),
            suffix: String::new(),
            group: None,
            grouped: 0,
            ungrouped: 0,
            sign_inside: false,
            long_minus: false,
            numbers: 0,
            decimals: [0; MAX_DECIMALS + 1],
            digits: [0; MAX_DECIMALS + 1],
            exponents: 0,
            exponent: None,
            positive: false,
            plus: true,
        }
    }

    /// Whether cells can have this format; a file may say anything.
    pub fn is_sound(&self) -> bool {
        let short = |text: &str| text.chars().count() <= 8;
        let counts = self.decimals.iter().chain(&self.digits).chain([&self.numbers]);
        matches!(self.decimal, '.' | ',')
            && short(&self.prefix)
            && short(&self.suffix)
            && counts.into_iter().all(|&n| n < 1 << 48)
            && self.exponent.is_none_or(|e| e.width <= MAX_DECIMALS)
    }

    /// Takes in one more cell where a number without a dress belongs.
    #[inline]
    pub fn see_plain(&mut self, number: &Plain) -> bool {
        if !self.prefix.is_empty() || !self.suffix.is_empty() {
            return false;
        }
        self.ungrouped += usize::from(number.value.abs() >= 1000.0);
        self.numbers += 1;
        // A plain number has at most sixteen of each.
        self.decimals.get_mut(number.decimals).into_iter().for_each(|n| *n += 1);
        self.digits.get_mut(number.digits).into_iter().for_each(|n| *n += 1);
        if number.value > 0.0 {
            self.positive = true;
            self.plus = false;
        }
        true
    }

    /// Takes in one more cell, if it is dressed as the first one; a column has one currency and one separator.
    pub fn see(&mut self, number: &Number) -> bool {
        let dress = &number.dress;
        let bare = dress.prefix.is_empty() && dress.suffix.is_empty();
        if bare && self.prefix.is_empty() && self.suffix.is_empty() {
            // As nearly always.
        } else if self.numbers == 0 {
            self.prefix = dress.prefix.into();
            self.suffix = dress.suffix.into();
        } else if self.prefix != dress.prefix || self.suffix != dress.suffix {
            return false;
        }
        match (self.group, dress.group) {
            (Some(a), Some(b)) if a != b => return false,
            (_, None) => self.ungrouped += usize::from(number.is_long()),
            (_, some) => {
                self.group = some;
                self.grouped += 1;
            }
        }
        self.numbers += 1;
        self.sign_inside |= dress.sign_inside;
        self.long_minus |= dress.long_minus;
        // A number has no more of them than are counted.
        self.decimals.get_mut(number.decimals).into_iter().for_each(|n| *n += 1);
        self.digits.get_mut(number.digits).into_iter().for_each(|n| *n += 1);
        self.exponents += usize::from(number.exponent.is_some());
        self.exponent = self.exponent.or(number.exponent);
        if number.value > 0.0 {
            self.positive = true;
            self.plus &= number.plus;
        }
        true
    }

    /// The number that a cell of the column says.
    pub fn float(&self, text: &str) -> Option<f64> {
        match self.is_plain() {
            true => Plain::read(text.as_bytes()).map(|n| n.value).or_else(|| text.trim().parse().ok()),
            false => Number::read(text, self.decimal).map(|n| n.value),
        }
    }

    /// The whole number that a cell of the column says.
    pub fn integer(&self, text: &str) -> Option<i64> {
        match self.is_plain() {
            true => match Plain::read(text.as_bytes()) {
                Some(n) if n.whole => Some(n.value as i64),
                _ => text.trim().parse().ok(),
            },
            false => Number::read(text, self.decimal)?.integer,
        }
    }

    fn is_plain(&self) -> bool {
        self.decimal == '.' && self.group.is_none() && self.prefix.is_empty() && self.suffix.is_empty() && !self.long_minus
    }

    /// A filled number as the column writes its own: rounded to the digits that all but one in a hundred of its cells make do
    /// with, inside the bounds. One cell that a computer wrote as 9.899999 does not give all fills six decimals.
    pub fn rounded(&self, x: f64, bounds: (f64, f64)) -> String {
        self.with_digits(x, bounds, |seen| covering(seen, self.numbers - self.numbers / 100))
    }

    /// A number that the column holds, with all the digits it may have there.
    pub fn level(&self, x: f64) -> String {
        self.with_digits(x, (f64::NEG_INFINITY, f64::INFINITY), |seen| covering(seen, self.numbers))
    }

    /// A number with at most as many digits as `most` says of those seen.
    fn with_digits(&self, x: f64, bounds: (f64, f64), most: impl Fn(&[usize]) -> usize) -> String {
        let inside = |text: &String| text.parse().is_ok_and(|y: f64| bounds.0 <= y && y <= bounds.1);
        let (digits, most) = (most(&self.digits).max(1), most(&self.decimals));
        let fewest = self.decimals.iter().position(|&n| n > 0).unwrap_or(0).min(most);
        let limit = if most == 0 { TWO_63 } else { 1e15 };
        let text = if self.exponents > 0 {
            let fewest = self.digits.iter().position(|&n| n > 0).unwrap_or(1).min(digits);
            Some(self.scientific(x, fewest, digits)).filter(inside)
        } else if (-limit..limit).contains(&x) {
            let unit = 10f64.powi(most as i32);
            let nearest = fixed(x, fewest, most);
            let steps = [nearest, fixed((x * unit).ceil() / unit, fewest, most), fixed((x * unit).floor() / unit, fewest, most)];
            steps.into_iter().find(inside)
        } else {
            None
        };
        self.dress(&text.unwrap_or_else(|| shortest(x)))
    }

    /// A filled number with all its digits.
    pub fn exact(&self, x: f64) -> String {
        self.dress(&shortest(x))
    }

    /// A number of so many significant digits: with an exponent where most of the column's numbers have one.
    fn scientific(&self, x: f64, fewest: usize, most: usize) -> String {
        let text = format!("{:.*e}", most - 1, x);
        let (Some(style), Some((mantissa, power))) = (self.exponent, text.split_once('e')) else { return text };
        if 2 * self.exponents <= self.numbers {
            return shortest(text.parse().unwrap_or(x));
        }
        let mantissa = fixed(mantissa.parse().unwrap_or(x), fewest - 1, most - 1);
        let (sign, power) = match power.strip_prefix('-') {
            Some(p) => ("-", p),
            None => (if style.plus { "+" } else { "" }, power),
        };
        let e = if style.upper { 'E' } else { 'e' };
        format!("{mantissa}{e}{sign}{power:0>width$}", width = style.width)
    }

    /// Plain digits in the column's own dress: its sign ('+' where its numbers have one, none before zero), separators, decimal
    /// mark and currency.
    fn dress(&self, plain: &str) -> String {
        let x: f64 = plain.parse().unwrap_or(0.0);
        let digits = plain.trim_start_matches('-');
        let sign = match x {
            x if x > 0.0 && self.positive && self.plus => "+",
            x if x < 0.0 && self.long_minus => "−",
            x if x < 0.0 => "-",
            _ => "",
        };
        let whole = digits.find(['.', 'e', 'E']).unwrap_or(digits.len());
        let (left, rest) = digits.split_at(whole);
        let mut number = String::with_capacity(2 * plain.len());
        let group = self.group.filter(|_| self.grouped >= self.ungrouped && !rest.contains(['e', 'E']));
        for (i, c) in left.chars().enumerate() {
            number.extend(group.filter(|_| i > 0 && (whole - i).is_multiple_of(3)));
            number.push(c);
        }
        match rest.strip_prefix('.') {
            Some(decimals) => {
                number.push(self.decimal);
                number.push_str(decimals);
            }
            None => number.push_str(rest),
        }
        let (prefix, suffix) = (&self.prefix, &self.suffix);
        match self.sign_inside {
            true => format!("{prefix}{sign}{number}{suffix}"),
            false => format!("{sign}{prefix}{number}{suffix}"),
        }
    }
}

/// The smallest place up to which a table of counts holds at least `due`.
fn covering(counts: &[usize], due: usize) -> usize {
    let mut sum = 0;
    let reached = counts.iter().position(|&n| {
        sum += n;
        sum >= due && sum > 0
    });
    reached.unwrap_or(0)
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
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5000) })]

        #[test]
        fn a_number_is_read_quickly_as_it_is_read_slowly(text in "[-0]?[0-9.]{0,18}") {
            if let Some(quick) = Plain::read(text.as_bytes()) {
                prop_assert_eq!(Some(Number::from(quick)), Number::plain(&text, Dress::default()));
                prop_assert_eq!(quick.value.to_bits(), text.parse::<f64>().unwrap().to_bits());
            }
        }
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let value = |t| Number::read(t, '.').map(|n| n.value);
        for (text, x) in [("12", 12.0), ("-0.5", -0.5), ("+3", 3.0), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), (" 7 ", 7.0)] {
            assert_eq!(value(text), Some(x), "{text}");
        }
        for text in ["", "-", ".", "e5", "1e", "1e+", "1,5", "0x10", "1_000", "nan", "NaN", "one", "12 3", "--1", "1.2.3"] {
            assert_eq!(Number::read(text, '.'), None, "{text}");
        }
        assert_eq!(value("-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(value("Infinity"), Some(f64::INFINITY));
        assert_eq!(value("1e999"), Some(f64::INFINITY));
    }

    #[test]
    fn the_way_a_number_is_written_is_kept() {
        let read = |t| Number::read(t, '.').unwrap();
        assert_eq!((read("1.250").decimals, read("1.250").digits), (3, 4));
        assert_eq!((read("1.5e-3").decimals, read("1.5e3").decimals), (4, 0));
        assert_eq!(read("1e-300").decimals, 17);
        assert!(read("007").leading_zero && !read("0").leading_zero && !read("0.7").leading_zero);
        assert!(read("12").whole && !read("12.0").whole && !read("1e2").whole);
    }

    fn format(cells: &[&str]) -> NumberFormat {
        format_with(cells, '.')
    }

    fn format_with(cells: &[&str], decimal: char) -> NumberFormat {
        let mut f = NumberFormat::new(decimal);
        cells.iter().for_each(|c| assert!(f.see(&Number::read(c, decimal).unwrap()), "{c}"));
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
        assert_eq!(scientific.rounded(123.4, OPEN), "1.2e2");
        assert_eq!(format(&["1E3", "2.50E+04"]).rounded(-1234.5, OPEN), "-1.23E3");
        assert_eq!(format(&["1.00e+03", "2.50e-04"]).rounded(2e4, OPEN), "2.00e+04");
        // Where exponents are the exception, as %g writes them, they stay it.
        let mixed = format(&["1.2e-7", "0.34", "0.57"]);
        assert_eq!((mixed.rounded(0.1234, OPEN), mixed.rounded(1.24e-8, OPEN)), ("0.12".into(), "1.2e-8".into()));
        assert_eq!(format(&["1"]).exact(2.123456789012345), "2.123456789012345");
        assert_eq!(format(&["1"]).exact(1.5e-9), "1.5e-9");
    }

    #[test]
    fn one_cell_in_a_hundred_does_not_set_the_decimals() {
        let mut cells = vec!["1.5"; 99];
        cells.push("9.899999");
        assert_eq!(format(&cells).rounded(2.345678, OPEN), "2.3");
        assert_eq!(format(&cells[50..]).rounded(2.345678, OPEN), "2.345678");
        // A level is written as it stands there, however rare.
        assert_eq!(format(&cells).level(9.899999), "9.899999");
    }

    #[test]
    fn a_number_is_read_in_its_dress() {
        let value = |t, decimal| Number::read(t, decimal).map(|n| n.value);
        for (text, x) in [
            ("1,234,567", 1_234_567.0),
            ("1 234.5", 1234.5),
            ("-12'345", -12_345.0),
            ("1\u{202f}234", 1234.0),
            ("$1,200.50", 1200.5),
            ("-$5", -5.0),
            ("$-5", -5.0),
            ("€ 5", 5.0),
            ("12 %", 12.0),
            ("−3", -3.0),
        ] {
            assert_eq!(value(text, '.'), Some(x), "{text}");
        }
        for text in [
            "1,23",
            "1,2345",
            "0,123",
            "1,234 567",
            "12,34,567",
            "1.234,5",
            "$",
            "%",
            "$ %",
            "5 kg",
            "5%%x",
            "--5",
            "-$-5",
            "1.5.5",
        ] {
            assert_eq!(value(text, '.'), None, "{text}");
        }
        for (text, x) in [("3,5", 3.5), ("1.234,56", 1234.56), ("1.234", 1234.0), ("1,5E-7", 1.5e-7), ("7", 7.0), (",5", 0.5)] {
            assert_eq!(value(text, ','), Some(x), "{text}");
        }
        for text in ["3.5", "1,234.5", "1,2,3", "1,5.5"] {
            assert_eq!(value(text, ','), None, "{text}");
        }
        assert_eq!(Number::read("1,234", '.').unwrap().integer, Some(1234));
    }

    #[test]
    fn a_fill_takes_the_dress_of_its_column() {
        let comma = format_with(&["3,50", "1.234,25"], ',');
        assert_eq!(comma.rounded(1e6, OPEN), "1.000.000,00");
        assert_eq!(comma.exact(0.5), "0,5");
        let dollars = format(&["$1,200.50", "-$5.00"]);
        assert_eq!((dollars.rounded(-1e4, OPEN), dollars.rounded(12.0, OPEN)), ("-$10,000.00".into(), "$12.00".into()));
        assert_eq!(format(&["$-5", "$7"]).rounded(-6.0, OPEN), "$-6");
        assert_eq!(format(&["−5", "7"]).rounded(-6.0, OPEN), "−6");
        assert_eq!(format(&["12 %", "7 %"]).rounded(9.4, OPEN), "9 %");
        assert_eq!(format(&["1 234", "950"]).rounded(123_456.0, OPEN), "123 456");
        assert_eq!(format(&["1 234", "9500", "2000"]).rounded(123_456.0, OPEN), "123456");
        for (a, b) in [("$5", "5"), ("5", "5 %"), ("1,234", "1 234")] {
            let mut f = format(&[a]);
            assert!(!f.see(&Number::read(b, '.').unwrap()), "{a} {b}");
        }
    }

    #[test]
    fn what_a_column_writes_it_reads_back() {
        for cells in [
            &["$1,200.50", "-$5.00"][..],
            &["1.5e-07", "2e+10"],
            &["12 %", "7.5 %"],
            &["+1'000", "-2'000"],
            &["7", "0.25"],
            &["−7", "0.25"],
        ] {
            let f = format(cells);
            for x in [0.0, 1.0, -2.5, 999.996, -1234.5678, 9.99e6, 1e-3] {
                let text = f.exact(x);
                assert_eq!(f.float(&text), Some(x), "{text}");
                let text = f.rounded(x, OPEN);
                assert!(f.float(&text).is_some_and(|y| (y - x).abs() <= 0.5 || f.exponents > 0), "{x}: {text}");
            }
        }
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
