//! Dates and times as text: the one format of a column, found or stated, and filled cells in it.

use std::fmt::{self, Write};

use ::polars::prelude::{DataType, TimeUnit, TimeZone};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Sort {
    Date,
    Time,
    Datetime,
    /// With the offset from UTC.
    Zoned,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Date(NaiveDate),
    Time(NaiveTime),
    /// In UTC where the cell has an offset.
    Datetime(NaiveDateTime),
}

/// Digits of a second behind `mark`, as few as `fewest` and as many as `most`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Fraction {
    mark: char,
    fewest: usize,
    most: usize,
}

/// How a column writes its dates and times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MomentForm {
    sort: Sort,
    /// As strftime has it; of a format that was found, without fraction and offset.
    format: String,
    /// The fraction and the offset of a format that was found; a stated one has them in `format`.
    fraction: Option<Fraction>,
    zone: Option<String>,
    /// Seconds east of UTC that fills are written with.
    #[serde(with = "offset")]
    offset: FixedOffset,
    unit: Unit,
}

/// What the cells ask of the unit they are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Unit {
    /// Some cell is between two microseconds.
    fine: bool,
    /// Some cell is further away than i64 counts in nanoseconds.
    far: bool,
}

impl Unit {
    fn see(&mut self, t: NaiveDateTime) {
        self.fine |= !t.nanosecond().is_multiple_of(1000);
        self.far |= t.and_utc().timestamp_nanos_opt().is_none();
    }

    fn is_nanos(self) -> bool {
        self.fine && !self.far
    }
}

#[rustfmt::skip]
const DATES: [&str; 25] = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y-%-m-%-d", "%Y/%-m/%-d", "%d.%m.%Y", "%-d.%-m.%Y", "%d/%m/%Y", "%m/%d/%Y",
    "%-d/%-m/%Y", "%-m/%-d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%-d-%-m-%Y", "%-m-%-d-%Y", "%d-%b-%Y", "%-d-%b-%Y", "%d %b %Y",
    "%-d %b %Y", "%d %B %Y", "%-d %B %Y", "%b %d, %Y", "%b %-d, %Y", "%B %d, %Y", "%B %-d, %Y",
];
const TIMES: [&str; 8] = ["%H:%M:%S", "%H:%M", "%-H:%M:%S", "%-H:%M", "%I:%M:%S %p", "%I:%M %p", "%-I:%M:%S %p", "%-I:%M %p"];

/// A text in parts, none of them read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Parts<'a> {
    date: &'a str,
    /// What stands between date and time: `T`, a blank, or nothing.
    between: &'a str,
    time: &'a str,
    mark: char,
    fraction: &'a str,
    /// `Z` or an offset, with the blank before it.
    zone: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes a text apart that has the looks of a date or a time.
    fn of(text: &'a str) -> Option<Parts<'a>> {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if !(4..=45).contains(&text.len()) || digits < 3 || !text.is_ascii() {
            return None;
        }
        let Some(colon) = text.find(':') else { return Some(Parts { date: text, ..Parts::default() }) };
        let hour = text[..colon].bytes().rev().take_while(u8::is_ascii_digit).count();
        let (before, time) = text.split_at(colon - hour);
        let (date, between) = before.split_at(before.len().saturating_sub(1));
        if !matches!(between, "" | " " | "T") || date.is_empty() != between.is_empty() {
            return None;
        }
        let end = time.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(time.len());
        let (clock, mut rest) = time.split_at(end);
        let (mut mark, mut fraction) = ('.', "");
        if let Some(behind) = rest.strip_prefix(['.', ',']) {
            let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
            (mark, fraction) = (rest.chars().next()?, &behind[..digits]);
            rest = &behind[digits..];
            if digits == 0 || digits > 9 {
                return None;
            }
        }
        let noon = matches!(rest, " AM" | " PM") && fraction.is_empty();
        let (time, zone) = if noon { (time, "") } else { (clock, rest) };
        Some(Parts { date, between, time, mark, fraction, zone })
    }

    fn nanos(&self) -> Option<u32> {
        match self.fraction {
            "" => Some(0),
            f => Some(f.parse::<u32>().ok()? * 10u32.pow(9 - f.len() as u32)),
        }
    }
}

/// `Z`, `+01`, `+0100` or `+01:00`, perhaps behind a blank.
fn offset(zone: &str) -> Option<FixedOffset> {
    let zone = zone.strip_prefix(' ').unwrap_or(zone);
    if zone == "Z" {
        return FixedOffset::east_opt(0);
    }
    let east = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match zone.len() {
        3 => (&zone[1..], "0"),
        5 => zone[1..].split_at(2),
        6 => zone[1..].split_once(':')?,
        _ => return None,
    };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok()).flatten();
    FixedOffset::east_opt(east * (number(hours)? * 3600 + number(minutes).filter(|m| *m < 60)? * 60))
}

/// Whether the value is written as the text, to the letter: chrono reads more than it writes.
fn says(value: impl fmt::Display, text: &str) -> bool {
    struct Rest<'a>(&'a str);
    impl Write for Rest<'_> {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(s).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    write!(rest, "{value}").is_ok() && rest.0.is_empty()
}

fn date(text: &str, format: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, format).ok().filter(|d| says(d.format(format), text))
}

fn time(text: &str, format: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, format).ok().filter(|t| says(t.format(format), text))
}

/// The formats that fit every cell taken in so far.
#[derive(Clone, Debug, PartialEq)]
struct Fitting {
    /// Bits of [`DATES`]; `None` for cells without a date.
    dates: Option<u32>,
    between: String,
    times: Option<u8>,
    zone: String,
}

/// One pass over a column's cells, to find the format that all of them have.
#[derive(Clone, Debug, Default)]
pub(super) struct MomentScan {
    fitting: Option<Fitting>,
    /// Cells that fit, and others that were shown.
    pub fits: usize,
    misfits: usize,
    /// Row and text of the first cell that does not fit.
    pub first_misfit: Option<(usize, String)>,
    fraction: Option<Fraction>,
    unit: Unit,
}

/// What a column's cells turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Form(MomentForm),
    /// Day and month can be either way round: both formats.
    Ambiguous(String, String),
}

impl MomentScan {
    /// Takes in one more cell.
    pub fn see(&mut self, text: &str, row: usize) {
        // A column of other text is not worth the search.
        if self.misfits > 100 && self.misfits > self.fits {
            return;
        }
        let text = text.trim();
        match Parts::of(text).and_then(|parts| Some((self.narrowed(&parts)?, parts))) {
            Some((fitting, parts)) => {
                self.note(&fitting, &parts);
                self.fitting = Some(fitting);
                self.fits += 1;
            }
            None => {
                self.misfits += 1;
                self.first_misfit.get_or_insert_with(|| (row, text.to_string()));
            }
        }
    }

    /// The formats that fit the cell too, if any do.
    fn narrowed(&self, parts: &Parts) -> Option<Fitting> {
        let old = self.fitting.as_ref();
        if old.is_some_and(|f| f.between != parts.between || f.zone != parts.zone) {
            return None;
        }
        if !parts.zone.is_empty() && (parts.date.is_empty() || offset(parts.zone).is_none()) {
            return None;
        }
        let bits = |n: usize, fits: &dyn Fn(usize) -> bool| (0..n).filter(|&i| fits(i)).fold(0u32, |set, i| set | 1 << i);
        let dates = old.map_or(Some(u32::MAX), |f| f.dates);
        let dates = match (parts.date, dates) {
            ("", None) => None,
            ("", Some(_)) if old.is_none() => None,
            (text, Some(set)) if !text.is_empty() => {
                Some(bits(DATES.len(), &|i| set & 1 << i != 0 && date(text, DATES[i]).is_some())).filter(|s| *s != 0).map(Some)?
            }
            _ => return None,
        };
        let times = old.map_or(Some(u8::MAX), |f| f.times);
        let times = match (parts.time, times) {
            ("", None) => None,
            ("", Some(_)) if old.is_none() => None,
            (text, Some(set)) if !text.is_empty() => {
                let fits = |i: usize| set & 1 << i != 0 && time(text, TIMES[i]).is_some();
                Some(bits(TIMES.len(), &fits) as u8).filter(|s| *s != 0).map(Some)?
            }
            _ => return None,
        };
        // A fraction is one of a second.
        if !parts.fraction.is_empty() && !TIMES[times?.trailing_zeros() as usize].ends_with("%S") {
            return None;
        }
        let same_mark = |f: Fraction| f.mark == parts.mark || parts.fraction.is_empty() || f.most == 0;
        if !self.fraction.is_none_or(same_mark) {
            return None;
        }
        Some(Fitting { dates, between: parts.between.into(), times, zone: parts.zone.into() })
    }

    /// Notes what the fraction and the range of a cell that fits say.
    fn note(&mut self, fitting: &Fitting, parts: &Parts) {
        let digits = parts.fraction.len();
        self.fraction = Some(match self.fraction {
            None => Fraction { mark: parts.mark, fewest: digits, most: digits },
            Some(f) => Fraction {
                mark: if f.most == 0 { parts.mark } else { f.mark },
                fewest: f.fewest.min(digits),
                most: f.most.max(digits),
            },
        });
        let day = fitting.dates.and_then(|set| date(parts.date, DATES[set.trailing_zeros() as usize]));
        let fraction = parts.nanos().and_then(|n| NaiveTime::MIN.with_nanosecond(n));
        if let (Some(day), Some(fraction)) = (day, fraction) {
            self.unit.see(day.and_time(fraction));
        }
    }

    /// The format of the cells that fit.
    pub fn finish(&self) -> Option<Found> {
        let fitting = self.fitting.as_ref()?;
        let dates = |set: u32| (0..DATES.len()).filter(move |i| set & 1 << i != 0).map(|i| DATES[i]);
        let date = fitting.dates.and_then(|set| dates(set).next());
        let time = fitting.times.map(|set| TIMES[set.trailing_zeros() as usize]);
        if let (Some(date), Some(set)) = (date, fitting.dates) {
            let turned: String = date
                .chars()
                .map(|c| {
                    if c == 'd' {
                        'm'
                    } else if c == 'm' {
                        'd'
                    } else {
                        c
                    }
                })
                .collect();
            if turned != date && dates(set).any(|d| d == turned) {
                return Some(Found::Ambiguous(date.into(), turned));
            }
        }
        let sort = match (date, time) {
            (Some(_), None) => Sort::Date,
            (None, _) => Sort::Time,
            _ if fitting.zone.is_empty() => Sort::Datetime,
            _ => Sort::Zoned,
        };
        Some(Found::Form(MomentForm {
            sort,
            format: [date.unwrap_or(""), &fitting.between, time.unwrap_or("")].concat(),
            fraction: self.fraction.filter(|f| f.most > 0),
            zone: Some(fitting.zone.clone()),
            offset: offset(&fitting.zone).or_else(|| FixedOffset::east_opt(0))?,
            unit: self.unit,
        }))
    }
}

/// An offset in a file: seconds east of UTC.
mod offset {
    use chrono::FixedOffset;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(offset: &FixedOffset, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i32(offset.local_minus_utc())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<FixedOffset, D::Error> {
        FixedOffset::east_opt(i32::deserialize(from)?).ok_or_else(|| serde::de::Error::custom("no offset from UTC"))
    }
}

impl MomentForm {
    /// Whether cells can have this form; a file may say anything.
    pub fn is_sound(&self) -> bool {
        // A time zone's text ends the cell and is no part of the format.
        let fraction = self.fraction.is_none_or(|f| f.fewest <= f.most && f.most <= 9);
        let zone = self.zone.as_ref().is_none_or(|zone| zone.chars().count() <= 8);
        fraction && zone && MomentForm::stated("", &self.format).is_ok()
    }

    /// A format that the user states for a column: any strftime format that holds a whole date, a time of day, or both.
    pub fn stated(column: &str, format: &str) -> Result<MomentForm> {
        let wrong = || {
            let expected = "a strftime format of a date, a time or both, such as %d/%m/%Y or %Y-%m-%d %H:%M";
            Error::config(format!("format of column `{column}`"), format!("'{format}'"), expected)
        };
        let utc = FixedOffset::east_opt(0).ok_or_else(wrong)?;
        let base = MomentForm {
            sort: Sort::Zoned,
            format: format.into(),
            fraction: None,
            zone: None,
            offset: utc,
            unit: Unit::default(),
        };
        // A format is what it can read back of what it writes.
        let sample = DateTime::from_timestamp(981_173_106, 0).ok_or_else(wrong)?;
        let mut text = String::new();
        write!(text, "{}", sample.with_timezone(&utc).format(format)).map_err(|_| wrong())?;
        let sorts = [Sort::Zoned, Sort::Datetime, Sort::Date, Sort::Time];
        let forms = sorts.map(|sort| MomentForm { sort, ..base.clone() });
        forms.into_iter().find(|form| form.read(&text).is_some()).ok_or_else(wrong)
    }

    /// Takes in one cell of a column with a stated format: whether it fits, what it needs.
    pub fn see(&mut self, text: &str, first: bool) -> bool {
        let Some(moment) = self.read(text) else { return false };
        if first && self.sort == Sort::Zoned {
            self.offset = DateTime::parse_from_str(text.trim(), &self.format).map_or(self.offset, |t| *t.offset());
        }
        if let Moment::Datetime(t) = moment {
            self.unit.see(t);
        }
        true
    }

    fn read(&self, text: &str) -> Option<Moment> {
        let text = text.trim();
        let format = self.format.as_str();
        let Some(zone) = &self.zone else {
            return match self.sort {
                Sort::Date => NaiveDate::parse_from_str(text, format).ok().map(Moment::Date),
                Sort::Time => NaiveTime::parse_from_str(text, format).ok().map(Moment::Time),
                Sort::Datetime => NaiveDateTime::parse_from_str(text, format).ok().map(Moment::Datetime),
                Sort::Zoned => DateTime::parse_from_str(text, format).ok().map(|t| Moment::Datetime(t.naive_utc())),
            };
        };
        let core = text.strip_suffix(zone.as_str())?;
        let parts = Parts::of(text)?;
        let core = match parts.fraction {
            "" => core,
            f => &core[..core.len() - f.len() - 1],
        };
        let nanos = parts.nanos()?;
        match self.sort {
            Sort::Date => date(core, format).map(Moment::Date),
            Sort::Time => Some(Moment::Time(time(core, format)?.with_nanosecond(nanos)?)),
            Sort::Datetime | Sort::Zoned => {
                let t = NaiveDateTime::parse_from_str(core, format).ok()?.with_nanosecond(nanos)?;
                Some(Moment::Datetime(t.checked_sub_offset(self.offset)?))
            }
        }
    }

    /// The type of the column in a frame.
    pub fn dtype(&self) -> DataType {
        let unit = if self.unit.is_nanos() { TimeUnit::Nanoseconds } else { TimeUnit::Microseconds };
        match self.sort {
            Sort::Date => DataType::Date,
            Sort::Time => DataType::Time,
            Sort::Datetime => DataType::Datetime(unit, None),
            Sort::Zoned => DataType::Datetime(unit, Some(TimeZone::UTC)),
        }
    }

    /// The format, if it alone says how the column is read.
    pub fn plain(&self) -> Option<&str> {
        let alone = self.fraction.is_none() && self.zone.as_deref().is_none_or(str::is_empty);
        alone.then_some(&self.format)
    }

    /// The format, for people.
    pub fn describe(&self) -> String {
        let fraction = self.fraction.map_or("", |_| "%.f");
        format!("{}{fraction}{}", self.format, self.zone.as_deref().unwrap_or(""))
    }

    /// The number of a cell in the units of [`MomentForm::dtype`]: days, nanoseconds since midnight, or micro- or nanoseconds.
    pub fn value(&self, text: &str) -> Option<i64> {
        match self.read(text)? {
            Moment::Date(d) => Some(d.signed_duration_since(NaiveDate::default()).num_days()),
            Moment::Time(t) => Some((t - NaiveTime::MIN).num_nanoseconds()?),
            Moment::Datetime(t) if self.unit.is_nanos() => t.and_utc().timestamp_nanos_opt(),
            Moment::Datetime(t) => Some(t.and_utc().timestamp_micros()),
        }
    }

    /// A filled number as the column writes its own: rounded to the last place of the format, inside the bounds.
    pub fn write(&self, x: f64, bounds: (f64, f64)) -> String {
        // Nanoseconds in a unit of the number, and the numbers that the calendar holds.
        let (unit, least, most) = match self.sort {
            Sort::Date => (86_400_000_000_000, -9e7, 9e7),
            Sort::Time => (1, 0.0, 86_399_999_999_999.0),
            _ if self.unit.is_nanos() => (1, -9.2e18, 9.2e18),
            _ => (1000, -8e18, 8e18),
        };
        let (low, high) = (bounds.0.max(least), bounds.1.min(most));
        let step = (self.resolution() / unit).max(1);
        let places = [f64::round, f64::ceil, f64::floor].map(|round| (round(x / step as f64) as i64).saturating_mul(step));
        let nearest = places.into_iter().find(|&y| low <= y as f64 && y as f64 <= high);
        self.text(nearest.unwrap_or(x.max(low).min(high) as i64))
    }

    /// The cell of a number in the units of [`MomentForm::dtype`].
    fn text(&self, value: i64) -> String {
        let mut text = String::new();
        // Writing to a string fails for no format that was tried when it was found or stated.
        let (_, nanos) = match self.sort {
            Sort::Date => {
                let day = i32::try_from(value).ok().and_then(NaiveDate::from_epoch_days).unwrap_or_default();
                (write!(text, "{}", day.format(&self.format)), 0)
            }
            Sort::Time => {
                let t = NaiveTime::MIN.overflowing_add_signed(TimeDelta::nanoseconds(value)).0;
                (write!(text, "{}", t.format(&self.format)), t.nanosecond())
            }
            Sort::Datetime | Sort::Zoned => {
                let micros = |value| DateTime::from_timestamp_micros(value).unwrap_or_default();
                let utc = if self.unit.is_nanos() { DateTime::from_timestamp_nanos(value) } else { micros(value) };
                let t = utc.with_timezone(&self.offset);
                (write!(text, "{}", t.format(&self.format)), t.nanosecond())
            }
        };
        if let Some(f) = self.fraction {
            let digits = format!("{nanos:09}");
            let kept = digits[..f.most].trim_end_matches('0').len().max(f.fewest);
            if kept > 0 {
                text.push(f.mark);
                text.push_str(&digits[..kept]);
            }
        }
        text.push_str(self.zone.as_deref().unwrap_or(""));
        text
    }

    /// Nanoseconds between neighbouring texts of the format: the longest unit in which a moment can run on and look the same.
    fn resolution(&self) -> i64 {
        if let Some(f) = self.fraction {
            return 10i64.pow(9 - f.most as u32);
        }
        let second = 1_000_000_000;
        let shown = |nanos: i64| {
            let mut text = String::new();
            // 2001-02-03, a midnight in the column's own zone.
            let t = DateTime::from_timestamp_nanos(981_158_400 * second + nanos);
            let _ = write!(text, "{}", t.format(&self.format));
            text
        };
        let units = [86_400 * second, 3600 * second, 60 * second, second, 1_000_000, 1000];
        units.into_iter().find(|unit| shown(0) == shown(unit - 1)).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cells: &[&str]) -> Option<Found> {
        let mut scan = MomentScan::default();
        cells.iter().enumerate().for_each(|(i, c)| scan.see(c, i));
        if scan.fits < cells.len() { None } else { scan.finish() }
    }

    fn form(cells: &[&str]) -> MomentForm {
        match found(cells) {
            Some(Found::Form(form)) => form,
            other => panic!("{cells:?}: {other:?}"),
        }
    }

    const OPEN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    #[test]
    fn a_column_has_one_format_and_writes_in_it() {
        // Cells, the format, and the text of 2021-02-03 04:05:06.789012345.
        let columns: [(&[&str], &str, &str); 27] = [
            (&["2024-03-01", "1999-12-31"], "%Y-%m-%d", "2021-02-03"),
            (&["2024/03/01"], "%Y/%m/%d", "2021/02/03"),
            (&["31.12.1999", "01.03.2024"], "%d.%m.%Y", "03.02.2021"),
            (&["1.3.2024", "31.12.1999"], "%-d.%-m.%Y", "3.2.2021"),
            (&["01/03/2024", "31/03/2024"], "%d/%m/%Y", "03/02/2021"),
            (&["03/01/2024", "03/31/2024"], "%m/%d/%Y", "02/03/2021"),
            (&["3/1/2024", "12/31/2024"], "%-m/%-d/%Y", "2/3/2021"),
            (&["31-12-2024"], "%d-%m-%Y", "03-02-2021"),
            (&["01-Mar-2024"], "%d-%b-%Y", "03-Feb-2021"),
            (&["Mar 01, 2024", "May 31, 2024"], "%b %d, %Y", "Feb 03, 2021"),
            (&["March 1, 2024", "May 31, 2024"], "%B %-d, %Y", "February 3, 2021"),
            (&["2024-03-01 10:30"], "%Y-%m-%d %H:%M", "2021-02-03 04:05"),
            (&["2024-03-01T10:30:00"], "%Y-%m-%dT%H:%M:%S", "2021-02-03T04:05:07"),
            (&["2024-03-01T10:30:00Z"], "%Y-%m-%dT%H:%M:%SZ", "2021-02-03T04:05:07Z"),
            (&["2024-03-01T10:30:00+02:00"], "%Y-%m-%dT%H:%M:%S+02:00", "2021-02-03T06:05:07+02:00"),
            (&["2024-03-01 10:30:00 -0530"], "%Y-%m-%d %H:%M:%S -0530", "2021-02-02 22:35:07 -0530"),
            (&["2024-03-01 10:30:00.123"], "%Y-%m-%d %H:%M:%S%.f", "2021-02-03 04:05:06.789"),
            (&["2024-03-01 10:30:00.1234567"], "%Y-%m-%d %H:%M:%S%.f", "2021-02-03 04:05:06.7890123"),
            (&["2024-03-01 10:30:00,5Z", "2024-03-01 10:30:00Z"], "%Y-%m-%d %H:%M:%S%.fZ", "2021-02-03 04:05:06,8Z"),
            (&["2024-03-01 10:30:00.000000001"], "%Y-%m-%d %H:%M:%S%.f", "2021-02-03 04:05:06.789012345"),
            (&["31.12.2024 10:30"], "%d.%m.%Y %H:%M", "03.02.2021 04:05"),
            (&["12/31/2024 9:30 PM"], "%m/%d/%Y %-I:%M %p", "02/03/2021 4:05 AM"),
            (&["10:30"], "%H:%M", "04:05"),
            (&["9:30", "10:30"], "%-H:%M", "4:05"),
            (&["10:30:15"], "%H:%M:%S", "04:05:07"),
            (&["10:30:15.25", "10:30:15"], "%H:%M:%S%.f", "04:05:06.79"),
            (&["10:30:15.250"], "%H:%M:%S%.f", "04:05:06.789"),
        ];
        let midnight = 1_612_310_400_i64;
        for (cells, format, due) in columns {
            let form = form(cells);
            assert_eq!(form.describe(), format);
            let clock = 14_706_789_012_345_i64;
            let x = match form.dtype() {
                DataType::Date => (midnight / 86_400) as f64,
                DataType::Time => clock as f64,
                DataType::Datetime(TimeUnit::Nanoseconds, _) => exactly(&form, midnight * 1_000_000_000 + clock, due),
                _ => (midnight * 1_000_000 + clock / 1000) as f64,
            };
            if x.is_finite() {
                assert_eq!(form.write(x, OPEN), due, "{format}");
            }
            for cell in cells {
                assert_eq!(form.text(form.value(cell).unwrap()), *cell, "{format}");
            }
        }
    }

    /// Nanoseconds of today are more than f64 holds: their text is checked from the whole number.
    fn exactly(form: &MomentForm, nanos: i64, due: &str) -> f64 {
        let step = form.resolution();
        assert_eq!(form.text((nanos + step / 2) / step * step), due);
        f64::NAN
    }

    #[test]
    fn what_is_no_date_or_of_two_formats_is_none() {
        for cells in [
            &["2024-02-30"][..],
            &["24-03-01"],
            &["2024-03"],
            &["25:10"],
            &["10:30 h"],
            &["A-123-45"],
            &["1.2.3"],
            &["20240301"],
            &["10:30Z"],
            &["2024-03-01T"],
            &["2024-03-01 10:30.5"],
            &["2024-03-01T10:30:00+25:00"],
            &["2024-03-01", "2024/03/01"],
            &["2024-03-01", "2024-03-01 10:30"],
            &["2024-03-01 10:30", "10:30"],
            &["2024-03-01T10:30:00Z", "2024-03-01T10:30:00+01:00"],
            &["13/12/2024", "12/13/2024"],
            &["01.03.2024", "1.3.2024"],
            &["2024-03-01 10:30:00.5", "2024-03-01 10:30:00,5"],
        ] {
            assert_eq!(found(cells), None, "{cells:?}");
        }
    }

    #[test]
    fn day_and_month_are_not_guessed() {
        let both = |a: &str, b: &str| Some(Found::Ambiguous(a.into(), b.into()));
        assert_eq!(found(&["01/02/2024", "03/03/2024"]), both("%d/%m/%Y", "%m/%d/%Y"));
        assert_eq!(found(&["1/2/2024 10:30", "12/11/2024 10:30"]), both("%-d/%-m/%Y", "%-m/%-d/%Y"));
        assert_eq!(found(&["01-02-2024"]), both("%d-%m-%Y", "%m-%d-%Y"));
    }

    #[test]
    fn the_unit_is_the_one_that_the_cells_need() {
        let unit = |cells: &[&str]| form(cells).dtype();
        let naive = |unit| DataType::Datetime(unit, None);
        assert_eq!(unit(&["2024-03-01 10:30:00.123456"]), naive(TimeUnit::Microseconds));
        assert_eq!(unit(&["2024-03-01 10:30:00.123456000"]), naive(TimeUnit::Microseconds));
        assert_eq!(unit(&["2024-03-01 10:30:00.1234567"]), naive(TimeUnit::Nanoseconds));
        // Nanoseconds do not reach this far.
        assert_eq!(unit(&["2924-03-01 10:30:00.1234567"]), naive(TimeUnit::Microseconds));
        assert_eq!(unit(&["2024-03-01 10:30Z"]), DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)));
        assert_eq!(form(&["1970-01-02"]).value("1969-12-31"), Some(-1));
        assert_eq!(form(&["1970-01-01T01:00:00+01:00"]).value("1970-01-01T01:00:01+01:00"), Some(1_000_000));
        assert_eq!(form(&["00:00:01"]).value("00:00:01"), Some(1_000_000_000));
    }

    #[test]
    fn rounding_stays_inside_the_bounds_and_the_day() {
        let minutes = form(&["10:30"]);
        assert_eq!(minutes.write(86_399.9e9, OPEN), "23:59");
        assert_eq!(minutes.write(-5.0, OPEN), "00:00");
        assert_eq!(minutes.write(89e9, (0.0, 90e9)), "00:01");
        let day = form(&["2024-03-01"]);
        assert_eq!(day.write(0.6, OPEN), "1970-01-02");
        assert_eq!(day.write(1e300, (0.0, 2.0)), "1970-01-03");
        assert!(day.write(1e300, OPEN).starts_with('+'));
    }

    #[test]
    fn a_format_can_be_stated() {
        let mut day = MomentForm::stated("d", "%Y%m%d").unwrap();
        assert_eq!(day.dtype(), DataType::Date);
        assert!(day.see("20240301", true) && !day.see("20240230", false));
        assert_eq!(day.write(19_783.2, OPEN), "20240301");
        let mut zoned = MomentForm::stated("d", "%d/%m/%y %H:%M %z").unwrap();
        assert!(zoned.see("1/3/24 10:30 +0200", true));
        assert_eq!(zoned.dtype(), DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)));
        assert_eq!(zoned.write(1_709_281_840e6, OPEN), "01/03/24 10:31 +0200");
        let mut fine = MomentForm::stated("d", "%Y-%m-%d %H:%M:%S%.9f").unwrap();
        assert!(fine.see("2024-03-01 10:30:00.123456789", true) && fine.see("2024-03-01 10:30:00.000000000", false));
        assert_eq!(fine.dtype(), DataType::Datetime(TimeUnit::Nanoseconds, None));
        assert_eq!(MomentForm::stated("d", "%H.%M").unwrap().dtype(), DataType::Time);
        for format in ["", "%Y", "%Q", "%Y-%m", "day"] {
            let e = MomentForm::stated("d", format).unwrap_err();
            assert!(e.is_usage() && e.to_string().starts_with("format of column `d` is '"), "{e}");
        }
    }
}
