//! Dtypes that store each cell as an integer: integers, dates, times, durations, decimals. What that integer means, as
//! the model's number and as text.
//!
//! The model's number is the integer itself (days, or counts of a column's time unit), for a decimal its value.

use ::polars::prelude::{Categories, DataType, FrozenCategories, TimeUnit, TimeZone, UnknownKind};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// Nanoseconds of a day.
const DAY: i128 = 86_400_000_000_000;

/// Up to here f64 holds every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Least and greatest integer that a cell can hold; `None` for dtypes that do not store integers, or have no model.
pub(crate) fn range(dtype: &DataType) -> Option<(i128, i128)> {
    macro_rules! of {
        ($native:ty) => {
            (i128::from(<$native>::MIN), i128::from(<$native>::MAX))
        };
    }
    Some(match dtype {
        DataType::Int8 => of!(i8),
        DataType::Int16 => of!(i16),
        DataType::Int32 | DataType::Date => of!(i32),
        DataType::Int64 | DataType::Datetime(..) | DataType::Duration(_) => of!(i64),
        DataType::Int128 => of!(i128),
        DataType::UInt8 => of!(u8),
        DataType::UInt16 => of!(u16),
        DataType::UInt32 => of!(u32),
        DataType::UInt64 => of!(u64),
        DataType::Time => (0, DAY - 1),
        DataType::Decimal(precision, _) => {
            let greatest = 10_i128.pow(*precision as u32) - 1;
            (-greatest, greatest)
        }
        _ => return None,
    })
}

/// Whether cells are whole numbers by themselves: integers, and decimals without decimals.
pub(crate) fn is_integer(dtype: &DataType) -> bool {
    match dtype {
        DataType::Decimal(_, scale) => *scale == 0,
        _ => dtype.is_integer() && range(dtype).is_some(),
    }
}

/// The dtypes of columns that are modelled and their names in files, but for those with a unit, a zone, a scale or levels.
const NAMES: [(&str, DataType); 17] = [
    ("bool", DataType::Boolean),
    ("i8", DataType::Int8),
    ("i16", DataType::Int16),
    ("i32", DataType::Int32),
    ("i64", DataType::Int64),
    ("i128", DataType::Int128),
    ("u8", DataType::UInt8),
    ("u16", DataType::UInt16),
    ("u32", DataType::UInt32),
    ("u64", DataType::UInt64),
    ("f32", DataType::Float32),
    ("f64", DataType::Float64),
    ("str", DataType::String),
    ("date", DataType::Date),
    ("time", DataType::Time),
    ("null", DataType::Null),
    ("other", DataType::Unknown(UnknownKind::Any)),
];
const UNITS: [(&str, TimeUnit); 3] =
    [("ms", TimeUnit::Milliseconds), ("us", TimeUnit::Microseconds), ("ns", TimeUnit::Nanoseconds)];

/// A dtype as a word in a file: `i64`, `datetime[us, Europe/Rome]`, `decimal[10, 2]`, `enum`; `other` for those without a
/// model.
pub(crate) fn name(dtype: &DataType) -> String {
    let of = |unit: &TimeUnit| UNITS.iter().find(|u| u.1 == *unit).map_or("us", |u| u.0);
    match dtype {
        DataType::Datetime(unit, None) => format!("datetime[{}]", of(unit)),
        DataType::Datetime(unit, Some(zone)) => format!("datetime[{}, {zone}]", of(unit)),
        DataType::Duration(unit) => format!("duration[{}]", of(unit)),
        DataType::Decimal(precision, scale) => format!("decimal[{precision}, {scale}]"),
        DataType::Categorical(..) => "categorical".into(),
        DataType::Enum(..) => "enum".into(),
        _ => NAMES.iter().find(|(_, known)| known == dtype).map_or("other", |(name, _)| name).into(),
    }
}

/// The dtype that [`name`] gave a word for; an enum has the given levels.
pub(crate) fn named(name: &str, levels: &[String]) -> Option<DataType> {
    let (word, arguments) = name.strip_suffix(']').and_then(|n| n.split_once('[')).unwrap_or((name, ""));
    let mut arguments = arguments.split(", ");
    let first = arguments.next()?;
    let unit = || UNITS.iter().find(|u| u.0 == first).map(|u| u.1);
    Some(match word {
        "datetime" => match arguments.next() {
            None => DataType::Datetime(unit()?, None),
            Some(zone) => DataType::Datetime(unit()?, TimeZone::opt_try_new(Some(zone)).ok()?),
        },
        "duration" => DataType::Duration(unit()?),
        "decimal" => {
            let (precision, scale) = (first.parse().ok()?, arguments.next()?.parse().ok()?);
            ((1..=38).contains(&precision) && scale <= precision).then_some(DataType::Decimal(precision, scale))?
        }
        "categorical" => DataType::from_categories(Categories::global()),
        "enum" => DataType::from_frozen_categories(FrozenCategories::new(levels.iter().map(String::as_str)).ok()?),
        _ => NAMES.iter().find(|(known, _)| *known == name)?.1.clone(),
    })
}

/// Least and greatest number that a cell can hold, infinite where there is none; all floats but f32 are unlimited.
pub(crate) fn limits(dtype: &DataType) -> (f64, f64) {
    match (dtype, range(dtype)) {
        (_, Some((low, high))) => (number(dtype, low), number(dtype, high)),
        (DataType::Float32, _) => (f64::from(f32::MIN), f64::from(f32::MAX)),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// A 32-bit float that rounding carried out of two numbers, brought back; it is beyond the other where none is between them.
pub(crate) fn inward(x: f32, (low, high): (f64, f64)) -> f32 {
    match f64::from(x) {
        y if y < low => x.next_up(),
        y if y > high => x.next_down(),
        _ => x,
    }
}

/// Stored integers in a unit of the model's number.
fn units(dtype: &DataType) -> f64 {
    match dtype {
        DataType::Decimal(_, scale) => 10_f64.powi(*scale as i32),
        _ => 1.0,
    }
}

/// The model's number of a cell; beyond 2⁵³ the nearest there is.
pub(crate) fn number(dtype: &DataType, stored: i128) -> f64 {
    stored as f64 / units(dtype)
}

/// The integer to store for a filled number that is a multiple of the step already, as near as f64 can hold it.
pub(crate) fn stored(dtype: &DataType, step: Option<f64>, x: f64) -> i128 {
    let x = x * units(dtype);
    let unit = step.map_or(1, |step| (step * units(dtype)).round().max(1.0) as i128);
    let whole = match unit {
        // f64 skips integers here, and multiples with them.
        2.. if x.abs() > EXACT => ((x / unit as f64).round() as i128).saturating_mul(unit),
        _ => x.round() as i128,
    };
    // The outermost multiples are not the outermost cells.
    range(dtype).map_or(whole, |(low, high)| whole.clamp(low - low % unit, high - high % unit))
}

/// What filled numbers are multiples of: the largest of day, hour, minute, second, ms, µs and ns that divides every observed
/// moment or span, the last decimal of a decimal, one for other integers.
pub(crate) fn step(dtype: &DataType, observed: impl Iterator<Item = i128>) -> f64 {
    let unit = match dtype {
        DataType::Datetime(unit, _) | DataType::Duration(unit) => nanoseconds(*unit),
        DataType::Time => 1,
        DataType::Decimal(..) => return 1.0 / units(dtype),
        _ => return 1.0,
    };
    let common = observed.map(|x| x.unsigned_abs()).fold(0, gcd) as i128;
    let spans = [DAY, DAY / 24, DAY / 1440, DAY / 86_400, 1_000_000, 1000, 1].map(|span| span / unit);
    spans.into_iter().find(|span| *span > 0 && common % span == 0).unwrap_or(1) as f64
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Milliseconds => 1_000_000,
        TimeUnit::Microseconds => 1000,
        TimeUnit::Nanoseconds => 1,
    }
}

/// A cell as text: ISO 8601 for dates, moments (UTC, with a `Z` where the column has a zone) and times of the day, digits for
/// the others and for what lies outside the calendar. [`parse`] reads it back.
pub(crate) fn text(dtype: &DataType, stored: i128) -> String {
    match dtype {
        DataType::Decimal(_, scale) => {
            let digits = format!("{:0width$}", stored.unsigned_abs(), width = scale + 1);
            let (whole, part) = digits.split_at(digits.len() - scale);
            let text = format!("{}{whole}.{part}", if stored < 0 { "-" } else { "" });
            // As a float of that value is written.
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
        _ => calendar_text(dtype, stored).unwrap_or_else(|| stored.to_string()),
    }
}

fn calendar_text(dtype: &DataType, stored: i128) -> Option<String> {
    Some(match dtype {
        DataType::Date => NaiveDate::from_epoch_days(i32::try_from(stored).ok()?)?.to_string(),
        DataType::Datetime(unit, zone) => {
            let all = stored.checked_mul(nanoseconds(*unit))?;
            let (seconds, rest) = (all.div_euclid(1_000_000_000), all.rem_euclid(1_000_000_000));
            let moment = DateTime::from_timestamp(i64::try_from(seconds).ok()?, rest as u32)?;
            format!("{:?}{}", moment.naive_utc(), if zone.is_some() { "Z" } else { "" })
        }
        DataType::Time => {
            let (seconds, rest) = (stored.div_euclid(1_000_000_000), stored.rem_euclid(1_000_000_000));
            NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(seconds).ok()?, rest as u32)?.to_string()
        }
        _ => return None,
    })
}

/// Reads what [`text`] writes, and besides: a moment with an offset from UTC, with a blank for the `T`, or a date alone.
/// `None` for what is no cell of the dtype.
pub(crate) fn parse(dtype: &DataType, text: &str) -> Option<i128> {
    let text = text.trim();
    let found = match dtype {
        DataType::Decimal(_, scale) => decimal(text, *scale),
        _ => calendar(dtype, text).or_else(|| text.parse().ok()),
    };
    let (low, high) = range(dtype)?;
    found.filter(|x| (low..=high).contains(x))
}

fn calendar(dtype: &DataType, text: &str) -> Option<i128> {
    match dtype {
        DataType::Date => Some(i128::from(text.parse::<NaiveDate>().ok()?.to_epoch_days())),
        DataType::Datetime(unit, zone) => {
            let moment = match text.parse::<DateTime<FixedOffset>>() {
                Ok(moment) if zone.is_some() => moment.naive_utc(),
                _ => {
                    let joined = text.replacen(' ', "T", 1);
                    let day = || text.parse::<NaiveDate>().ok().map(NaiveDateTime::from);
                    joined.parse::<NaiveDateTime>().ok().or_else(day)?
                }
            };
            let moment = moment.and_utc();
            let all = i128::from(moment.timestamp()) * 1_000_000_000 + i128::from(moment.timestamp_subsec_nanos());
            Some(all.div_euclid(nanoseconds(*unit)))
        }
        DataType::Time => {
            let time = text.parse::<NaiveTime>().ok()?;
            Some(i128::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i128::from(time.nanosecond()))
        }
        _ => None,
    }
}

fn decimal(text: &str, scale: usize) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    if part.len() > scale || !part.bytes().all(|b| b.is_ascii_digit()) || !whole.ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{part}{}", "0".repeat(scale - part.len())).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::polars::prelude::TimeZone;

    const MS: DataType = DataType::Datetime(TimeUnit::Milliseconds, None);

    #[test]
    fn cells_are_written_as_they_are_read() {
        let utc = DataType::Datetime(TimeUnit::Nanoseconds, Some(TimeZone::UTC));
        let cases = [
            (DataType::Date, 19_723, "2024-01-01"),
            (DataType::Date, -1, "1969-12-31"),
            (DataType::Date, i128::from(i32::MAX), "2147483647"),
            (MS, 1_704_067_200_123, "2024-01-01T00:00:00.123"),
            (MS, -1, "1969-12-31T23:59:59.999"),
            (MS, i128::from(i64::MIN), "-9223372036854775808"),
            (utc, 1_704_067_200_000_000_001, "2024-01-01T00:00:00.000000001Z"),
            (DataType::Time, DAY - 1, "23:59:59.999999999"),
            (DataType::Duration(TimeUnit::Microseconds), -5, "-5"),
            (DataType::UInt64, i128::from(u64::MAX), "18446744073709551615"),
            (DataType::Decimal(10, 2), 1250, "12.5"),
            (DataType::Decimal(10, 2), -7, "-0.07"),
            (DataType::Decimal(38, 0), 10_i128.pow(38) - 1, "99999999999999999999999999999999999999"),
            (DataType::Decimal(38, 38), 1, "0.00000000000000000000000000000000000001"),
        ];
        for (dtype, cell, expected) in cases {
            assert_eq!(text(&dtype, cell), expected);
            assert_eq!(parse(&dtype, expected), Some(cell), "{dtype}: {expected}");
        }
    }

    #[test]
    fn dtypes_have_names_in_files() {
        let levels = ["b", "a"].map(String::from);
        let zone = |zone| TimeZone::opt_try_new(Some(zone)).unwrap();
        let mut all: Vec<DataType> = NAMES.map(|(_, dtype)| dtype).to_vec();
        all.extend(UNITS.map(|u| DataType::Datetime(u.1, None)));
        all.extend(UNITS.map(|u| DataType::Duration(u.1)));
        all.extend([DataType::Datetime(TimeUnit::Nanoseconds, zone("Europe/Rome")), DataType::Decimal(38, 2)]);
        all.push(DataType::from_categories(Categories::global()));
        all.push(DataType::from_frozen_categories(FrozenCategories::new(["b", "a"]).unwrap()));
        for dtype in all {
            assert_eq!(named(&name(&dtype), &levels), Some(dtype.clone()), "{dtype}");
        }
        assert_eq!(name(&DataType::List(Box::new(DataType::Int8))), "other");
        for bad in [
            "",
            "[",
            "i64[",
            "datetime",
            "datetime[us, Nowhere/At all]",
            "decimal[99, 2]",
            "decimal[2, 3]",
            "decimal[0, 0]",
            "list",
        ] {
            assert_eq!(named(bad, &levels), None, "{bad}");
        }
        assert_eq!(named("enum", &["a", "a"].map(String::from)), None);
    }

    #[test]
    fn moments_may_be_written_in_several_ways_and_nonsense_is_refused() {
        let zoned = DataType::Datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC));
        for other in ["2024-01-01 00:00:00", "2024-01-01", "1704067200000"] {
            assert_eq!(parse(&MS, other), Some(1_704_067_200_000), "{other}");
            assert_eq!(parse(&zoned, other), Some(1_704_067_200_000), "{other}");
        }
        assert_eq!(parse(&zoned, "2024-01-01T02:00:00+02:00"), Some(1_704_067_200_000));
        assert_eq!(parse(&MS, "2024-01-01T02:00:00+02:00"), None, "the column has no zone");
        let refused = [
            (DataType::Date, "2024-13-01"),
            (DataType::Time, "24:00:00"),
            (DataType::Time, "-1"),
            (DataType::UInt8, "256"),
            (DataType::UInt8, "1.5"),
            (DataType::Decimal(3, 1), "100"),
            (DataType::Decimal(3, 1), "1.25"),
            (DataType::Decimal(3, 1), "1.-5"),
            (DataType::Decimal(3, 1), ""),
        ];
        for (dtype, text) in refused {
            assert_eq!(parse(&dtype, text), None, "{dtype}: {text}");
        }
    }

    #[test]
    fn steps_are_the_coarsest_that_every_cell_keeps() {
        let hour = 3_600_000;
        let day = 24 * hour;
        let step = |dtype: &DataType, cells: &[i128]| step(dtype, cells.iter().copied());
        assert_eq!(step(&MS, &[0, -3 * day, 19_000 * day]), day as f64);
        assert_eq!(step(&MS, &[0, hour, day]), hour as f64);
        assert_eq!(step(&MS, &[30 * 60_000, day]), 60_000.0);
        assert_eq!(step(&MS, &[30_000]), 1000.0);
        assert_eq!(step(&MS, &[30_001]), 1.0);
        assert_eq!(step(&DataType::Duration(TimeUnit::Nanoseconds), &[3_000_000]), 1e6);
        assert_eq!(step(&DataType::Duration(TimeUnit::Nanoseconds), &[3_000, -9_000]), 1e3);
        assert_eq!(step(&DataType::Time, &[hour * 1_000_000]), 3.6e12);
        assert_eq!(step(&DataType::Date, &[100, 200]), 1.0);
        assert_eq!(step(&DataType::Decimal(9, 2), &[100, 200]), 0.01);
    }

    #[test]
    fn fills_beyond_2_to_53_stay_on_their_step_and_in_their_dtype() {
        let ns = DataType::Datetime(TimeUnit::Nanoseconds, None);
        for k in [1_700_000_000_000_123_i128, 1_700_000_000_000_124, -1_700_000_000_000_125] {
            assert_eq!(stored(&ns, Some(1000.0), (k * 1000) as f64), k * 1000);
        }
        assert_eq!(stored(&ns, Some(1.0), 1e30), i128::from(i64::MAX));
        assert_eq!(stored(&ns, Some(1000.0), 1e30), i128::from(i64::MAX) - 807);
        assert_eq!(stored(&DataType::UInt64, Some(1.0), 2_f64.powi(64)), i128::from(u64::MAX));
        assert_eq!(stored(&DataType::Decimal(38, 0), Some(1.0), 2e38), 10_i128.pow(38) - 1);
        assert_eq!(stored(&DataType::Decimal(4, 2), Some(0.01), 0.07), 7);
        assert_eq!(limits(&DataType::Decimal(4, 2)), (-99.99, 99.99));
    }
}
