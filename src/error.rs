#![doc = include_str!("../docs/errors.md")]

use std::fmt;
use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate: one pointer wide, its message says where, what was found and what to do.
///
/// ```
/// use lacuna::{Error, ErrorKind};
/// let e = Error::from(ErrorKind::UnknownColumn { column: "aeg".into(), known: vec!["age".into()] });
/// assert_eq!(e.to_string(), "there is no column `aeg`; did you mean `age`?");
/// assert!(e.is_usage());
/// ```
#[derive(Debug)]
pub struct Error(Box<ErrorKind>);

/// The kinds of [`Error`]. Rows are 1-based data rows (the header is not counted).
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Reading or writing failed.
    Io {
        /// The file, where one is involved.
        path: Option<PathBuf>,
        /// What was being done: "read", "write", …
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A CSV file is not well formed.
    Csv {
        /// The file as the user named it.
        path: PathBuf,
        /// Line of the file, 1-based, where known.
        line: Option<u64>,
        /// What was found and what to do.
        message: String,
    },
    /// A setting is out of its range, or two settings contradict each other.
    Config {
        /// The setting's name.
        field: String,
        /// What was given.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A column was named that the table does not have.
    UnknownColumn {
        /// The name as given.
        column: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A cell cannot be what its column's kind says.
    Value {
        /// The column.
        column: String,
        /// The row, 1-based.
        row: usize,
        /// The cell's content.
        found: String,
        /// What is allowed and what to do.
        expected: String,
    },
    /// The table does not fit the schema, or a schema is not usable.
    Schema {
        /// What was found and what to do.
        message: String,
    },
    /// The model could not be trained.
    Training {
        /// What was found and what to do.
        message: String,
    },
    /// A model file is damaged, of a later version, or no model.
    Model {
        /// The file as the user named it.
        path: PathBuf,
        /// What went wrong, and what to do.
        message: String,
    },
    /// The estimates of several completed tables do not go together.
    Pool {
        /// What was found and what to do.
        message: String,
    },
    /// The progress callback asked to stop.
    Interrupted,
    /// polars failed.
    Polars(polars::error::PolarsError),
    /// arrow failed.
    Arrow(arrow::error::ArrowError),
}

impl Error {
    /// What went wrong, as data.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// Whether the call was wrong (a setting, a name) rather than the data: exit code 2 of the command, not 1.
    pub fn is_usage(&self) -> bool {
        matches!(*self.0, ErrorKind::Config { .. } | ErrorKind::UnknownColumn { .. })
    }

    pub(crate) fn config(field: impl Into<String>, found: impl fmt::Display, expected: impl Into<String>) -> Error {
        ErrorKind::Config { field: field.into(), found: found.to_string(), expected: expected.into() }.into()
    }

    pub(crate) fn schema(message: impl Into<String>) -> Error {
        ErrorKind::Schema { message: message.into() }.into()
    }

    pub(crate) fn io(path: Option<&Path>, action: &'static str, source: std::io::Error) -> Error {
        ErrorKind::Io { path: path.map(Path::to_owned), action, source }.into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error(Box::new(kind))
    }
}

impl From<polars::error::PolarsError> for Error {
    fn from(e: polars::error::PolarsError) -> Error {
        ErrorKind::Polars(e).into()
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(e: arrow::error::ArrowError) -> Error {
        ErrorKind::Arrow(e).into()
    }
}

impl From<Error> for polars::error::PolarsError {
    fn from(e: Error) -> Self {
        match *e.0 {
            ErrorKind::Polars(e) => e,
            _ => polars::error::PolarsError::ComputeError(e.to_string().into()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            ErrorKind::Io { source, .. } => Some(source),
            ErrorKind::Polars(e) => Some(e),
            ErrorKind::Arrow(e) => Some(e),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ErrorKind::Io { path: Some(p), action, source } => write!(f, "cannot {action} `{}`: {source}", p.display()),
            ErrorKind::Io { path: None, action, source } => write!(f, "cannot {action}: {source}"),
            ErrorKind::Csv { path, line: Some(line), message } => write!(f, "`{}` line {line}: {message}", path.display()),
            ErrorKind::Csv { path, line: None, message } => write!(f, "`{}`: {message}", path.display()),
            ErrorKind::Config { field, found, expected } => write!(f, "{field} is {found}; it must be {expected}"),
            ErrorKind::UnknownColumn { column, known } => {
                write!(f, "there is no column `{column}`; ")?;
                match nearest(column, known) {
                    Some(name) => write!(f, "did you mean `{name}`?"),
                    None if known.len() <= 20 => {
                        write!(f, "the columns are: {}", known.join(", "))
                    }
                    None => write!(f, "the table has {} columns", known.len()),
                }
            }
            ErrorKind::Value { column, row, found, expected } => {
                write!(f, "column `{column}`, row {row}: found {found}; {expected}")
            }
            ErrorKind::Schema { message } | ErrorKind::Training { message } | ErrorKind::Pool { message } => f.write_str(message),
            ErrorKind::Model { path, message } => write!(f, "`{}`: {message}", path.display()),
            ErrorKind::Interrupted => f.write_str("interrupted"),
            ErrorKind::Polars(e) => write!(f, "polars: {e}"),
            ErrorKind::Arrow(e) => write!(f, "arrow: {e}"),
        }
    }
}

/// The known name within two edits of the given one (or equal but for case), if any.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let lower = name.to_lowercase();
    known
        .iter()
        .map(|k| (edit_distance(&lower, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 2 && *d < k.chars().count())
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A number of things in words: `1 cell`, `2 cells`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// Something the library decided alone and that its user should know.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "warning", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The column has no observed value: it stays as it is.
    EmptyColumn {
        /// The column.
        column: String,
    },
    /// The column has one observed value only: its gaps get that value.
    ConstantColumn {
        /// The column.
        column: String,
    },
    /// Text with so many levels that it reads as an identifier or free text: left out of the model.
    TooManyLevels {
        /// The column.
        column: String,
        /// Distinct values; so many at least where a limit of memory keeps them from being told apart.
        levels: usize,
        /// Observed cells.
        observed: usize,
    },
    /// The column's dtype has no model yet: it passes through.
    UnsupportedType {
        /// The column.
        column: String,
        /// The dtype's name.
        dtype: String,
    },
    /// Nearly every cell is a number, but a few hold a word.
    NearlyNumeric {
        /// The column.
        column: String,
        /// The words with their counts, most frequent first.
        words: Vec<(String, usize)>,
    },
    /// Nearly every cell is a date or a time of one format, but a few are not: the column is text.
    NearlyDates {
        /// The column.
        column: String,
        /// The format, as strftime has it.
        format: String,
        /// How many cells do not fit.
        cells: usize,
        /// Row of the first of them, 1-based.
        row: usize,
        /// What it says.
        found: String,
    },
    /// Every cell is a date, but day and month could be either way round: the column is text.
    AmbiguousDates {
        /// The column.
        column: String,
        /// The two formats, as strftime has them.
        formats: [String; 2],
    },
    /// The cells could be numbers with a decimal comma; they were not read as such.
    DecimalComma {
        /// The column.
        column: String,
        /// One of the cells.
        example: String,
    },
    /// A column of text has empty fields with quotes, read as empty text, and without, read as missing.
    EmptyText {
        /// The column.
        column: String,
        /// How many cells are `""`.
        empty: usize,
        /// How many cells are empty without quotes.
        missing: usize,
    },
    /// The header of a CSV file is one field that holds another delimiter.
    OneField {
        /// The header.
        header: String,
        /// The other delimiter.
        delimiter: char,
    },
    /// Cells hold a level that the fitted model has not seen: kept in the output, unobserved for the model.
    UnseenLevels {
        /// The column.
        column: String,
        /// How many cells.
        cells: usize,
        /// One of the levels.
        example: String,
    },
    /// A column of numbers has cells further outside the range of the fit than half its width; no fill goes there.
    OutsideRange {
        /// The column.
        column: String,
        /// How many cells.
        cells: usize,
        /// The first of them.
        example: String,
    },
    /// The table lacks a column of the fit: taken as wholly missing.
    AbsentColumn {
        /// The column.
        column: String,
    },
    /// The table has a column with missing cells that the fit did not have: it passes through.
    ExtraColumn {
        /// The column.
        column: String,
        /// Missing cells.
        missing: usize,
    },
    /// Training stopped at the time limit; the best weights so far are used.
    TimeLimit {
        /// Epochs done, of the first ensemble member.
        epochs: usize,
        /// Epochs planned.
        planned: usize,
    },
    /// The loss of a column's held-out cells was no longer finite: training stopped, the best weights so far are used.
    NotFinite {
        /// The column.
        column: String,
        /// Epochs done, of the ensemble member that stopped.
        epochs: usize,
        /// Epochs planned.
        planned: usize,
    },
    /// The latent units of no network are of use, though the columns tell of each other: the fills do without z.
    Collapsed {
        /// Latent units of each network.
        units: usize,
    },
    /// A column of the fit that has no model is missing in rows that the model makes.
    NotGenerated {
        /// The column.
        column: String,
        /// Why it has no model.
        why: String,
    },
    /// The fit saw some of the table's rows, as many as the memory allowed.
    Sampled {
        /// Rows that it saw, drawn at random.
        rows: usize,
        /// Rows of the table.
        of: usize,
    },
    /// The gaps of some columns follow what their cells would have said (missing not at random): fills and draws allow for it.
    NotAtRandom {
        /// These columns.
        columns: Vec<String>,
    },
    /// Too few observed cells to hold any out: the fit has neither early stopping nor an expected error.
    NothingHeldOut,
}

impl Warning {
    /// Takes in what another part of the same table says, if it says the same of the same column; cells are counted together.
    pub(crate) fn absorb(&mut self, other: &Warning) -> bool {
        match (&mut *self, other) {
            (Warning::UnseenLevels { column, cells, .. }, Warning::UnseenLevels { column: same, cells: more, .. })
            | (Warning::OutsideRange { column, cells, .. }, Warning::OutsideRange { column: same, cells: more, .. })
            | (Warning::ExtraColumn { column, missing: cells }, Warning::ExtraColumn { column: same, missing: more })
                if column == same =>
            {
                *cells += more;
                true
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::EmptyColumn { column } => {
                write!(f, "column `{column}` has no observed value and stays empty")
            }
            Warning::ConstantColumn { column } => write!(f, "column `{column}` has one value only: its gaps get that value"),
            Warning::TooManyLevels { column, levels, observed } => write!(
                f,
                "column `{column}` is left out of the model: {levels} distinct texts in {observed} cells; \
                 pass --kind {column}=categorical to use it"
            ),
            Warning::UnsupportedType { column, dtype } => {
                write!(f, "column `{column}` of type {dtype} has no model and passes through unchanged")
            }
            Warning::NearlyNumeric { column, words } => {
                let cells: usize = words.iter().map(|w| w.1).sum();
                let names: Vec<String> = words.iter().take(3).map(|w| format!("'{}'", w.0)).collect();
                let flags: Vec<&str> = words.iter().take(3).map(|w| w.0.as_str()).collect();
                write!(
                    f,
                    "{} of `{column}` {} {}: pass --na '{}' to treat them as missing",
                    count(cells, "cell"),
                    if cells == 1 { "says" } else { "say" },
                    names.join(" or "),
                    flags.join(",")
                )
            }
            Warning::NearlyDates { column, format, cells, row, found } => write!(
                f,
                "column `{column}` is text: {} {} not fit its format {format}, the first of them, in row {row}, says '{found}': \
                 pass --na '{found}' to treat it as missing",
                count(*cells, "cell"),
                if *cells == 1 { "does" } else { "do" },
            ),
            Warning::AmbiguousDates { column, formats: [a, b] } => {
                write!(
                    f,
                    "column `{column}` is text: its cells read as {a} and as {b}; pass --format {column}={a} or {column}={b}"
                )
            }
            Warning::DecimalComma { column, example } => {
                write!(f, "cells of `{column}` such as '{example}' may have a decimal comma: pass --decimal , if they do")
            }
            Warning::EmptyText { column, empty, missing } => write!(
                f,
                "column `{column}`: {} `\"\"` taken as empty text and {} without quotes as missing: \
                 pass --na '\"\"' to treat both as missing",
                count(*empty, "cell"),
                missing
            ),
            Warning::OneField { header, delimiter } => write!(
                f,
                "the header is one field, `{header}`: pass --delimiter '{}' if that separates the columns",
                delimiter.escape_default()
            ),
            Warning::UnseenLevels { column, cells, example } => write!(
                f,
                "column `{column}`: {} with a level unseen in the fit (such as '{example}'): \
                 kept, and unobserved for the model",
                count(*cells, "cell")
            ),
            Warning::OutsideRange { column, cells, example } => write!(
                f,
                "column `{column}`: {} far outside the range of the fit (such as {example}): its rows' fills may be worth little",
                count(*cells, "cell")
            ),
            Warning::AbsentColumn { column } => write!(f, "column `{column}` is absent: taken as wholly missing"),
            Warning::ExtraColumn { column, missing } => {
                let missing = count(*missing, "missing cell");
                write!(f, "column `{column}` was not in the fit and passes through with {missing}")
            }
            Warning::TimeLimit { epochs, planned } => {
                write!(
                    f,
                    "training stopped at the time limit after {epochs} of {planned} epochs: the best weights so far are used"
                )
            }
            Warning::NotFinite { column, epochs, planned } => write!(
                f,
                "training stopped after {epochs} of {planned} epochs, because the loss of column `{column}` was no longer finite: the \
                 best weights so far are used; exclude or rescale it"
            ),
            Warning::Collapsed { units } => write!(
                f,
                "the latent space has collapsed: its {units} units are of no use; fit again with --free-bits 0.5, a longer --warm-up \
                 or more --epochs"
            ),
            Warning::NotGenerated { column, why } => {
                write!(f, "column `{column}` has no model and is missing in every row made: {why}")
            }
            Warning::Sampled { rows, of } => {
                write!(f, "the fit saw {rows} of {of} rows, drawn at random: as many as the memory allows")
            }
            Warning::NotAtRandom { columns } => {
                let names: Vec<String> = columns.iter().take(3).map(|column| format!("`{column}`")).collect();
                let more = match columns.len().saturating_sub(names.len()) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                write!(
                    f,
                    "gaps of {}{more} follow what their cells would have said, rather than the other columns: fills and draws allow for \
                     it; pass --at-random to take all gaps for missing at random",
                    names.join(", ")
                )
            }
            Warning::NothingHeldOut => {
                f.write_str("too few observed cells to hold any out: no early stopping and no expected error")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_what_and_what_to_do() {
        let e: Error =
            ErrorKind::Value { column: "age".into(), row: 7, found: "'x'".into(), expected: "a number is due".into() }.into();
        assert_eq!(e.to_string(), "column `age`, row 7: found 'x'; a number is due");
        assert!(!e.is_usage());
        assert!(Error::config("epochs", 0, "at least 1").is_usage());
        let w = Warning::NearlyNumeric { column: "age".into(), words: vec![("?".into(), 13)] };
        assert_eq!(w.to_string(), "13 cells of `age` say '?': pass --na '?' to treat them as missing");
    }

    const PAGE: &str = include_str!("../docs/errors.md");

    /// A number for each kind; a new one needs an arm here, an example below and its text on the page.
    fn number_of_kind(kind: &ErrorKind) -> usize {
        match kind {
            ErrorKind::Io { .. } => 0,
            ErrorKind::Csv { .. } => 1,
            ErrorKind::Config { .. } => 2,
            ErrorKind::UnknownColumn { .. } => 3,
            ErrorKind::Value { .. } => 4,
            ErrorKind::Schema { .. } => 5,
            ErrorKind::Training { .. } => 6,
            ErrorKind::Model { .. } => 7,
            ErrorKind::Interrupted => 8,
            ErrorKind::Polars(_) => 9,
            ErrorKind::Arrow(_) => 10,
            ErrorKind::Pool { .. } => 11,
        }
    }

    /// A number for each warning; as above.
    fn number_of_warning(warning: &Warning) -> usize {
        match warning {
            Warning::EmptyColumn { .. } => 0,
            Warning::ConstantColumn { .. } => 1,
            Warning::TooManyLevels { .. } => 2,
            Warning::UnsupportedType { .. } => 3,
            Warning::NearlyNumeric { .. } => 4,
            Warning::NearlyDates { .. } => 5,
            Warning::AmbiguousDates { .. } => 6,
            Warning::DecimalComma { .. } => 7,
            Warning::EmptyText { .. } => 8,
            Warning::OneField { .. } => 9,
            Warning::UnseenLevels { .. } => 10,
            Warning::OutsideRange { .. } => 11,
            Warning::AbsentColumn { .. } => 12,
            Warning::ExtraColumn { .. } => 13,
            Warning::TimeLimit { .. } => 14,
            Warning::NothingHeldOut => 15,
            Warning::NotFinite { .. } => 16,
            Warning::NotGenerated { .. } => 17,
            Warning::Collapsed { .. } => 18,
            Warning::Sampled { .. } => 19,
            Warning::NotAtRandom { .. } => 20,
        }
    }

    #[test]
    fn every_error_and_warning_stands_on_the_page() {
        let text = |t: &str| t.to_string();
        let not_there = std::io::Error::from_raw_os_error(2);
        let value = "a finite number is due; replace it by a number or by a missing cell";
        let schema = "column `c` states the level 'y' twice";
        let training = "training did not stay finite, in column `x` first; exclude or rescale it";
        let later = "the model has format 2, of lacuna 0.9.0, and formats up to 1 are read; update lacuna";
        let empty = "the file is empty; a header line with the column names is due";
        let kinds = [
            ErrorKind::Io { path: Some("none.csv".into()), action: "read", source: not_there },
            ErrorKind::Csv { path: "t.csv".into(), line: None, message: empty.into() },
            ErrorKind::Config { field: text("k"), found: text("0"), expected: text("at least 1") },
            ErrorKind::UnknownColumn { column: text("aeg"), known: vec![text("age")] },
            ErrorKind::Value { column: text("a"), row: 2, found: text("inf"), expected: value.into() },
            ErrorKind::Schema { message: schema.into() },
            ErrorKind::Training { message: training.into() },
            ErrorKind::Model { path: "m.safetensors".into(), message: later.into() },
            ErrorKind::Interrupted,
            ErrorKind::Polars(polars::error::PolarsError::NoData("x".into())),
            ErrorKind::Arrow(arrow::error::ArrowError::InvalidArgumentError("x".into())),
            ErrorKind::Pool { message: "term `b` is missing in imputation 2; give every term in every imputation".into() },
        ];
        let both = [text("%d/%m/%Y"), text("%m/%d/%Y")];
        let warnings = [
            Warning::EmptyColumn { column: text("b") },
            Warning::ConstantColumn { column: text("c") },
            Warning::TooManyLevels { column: text("id"), levels: 40, observed: 40 },
            Warning::UnsupportedType { column: text("tags"), dtype: text("list[str]") },
            Warning::NearlyNumeric { column: text("age"), words: vec![(text("?"), 2)] },
            Warning::NearlyDates { column: text("d"), format: text("%Y-%m-%d"), cells: 1, row: 28, found: text("?") },
            Warning::AmbiguousDates { column: text("d"), formats: both },
            Warning::DecimalComma { column: text("x"), example: text("3,5") },
            Warning::EmptyText { column: text("x"), empty: 2, missing: 1 },
            Warning::OneField { header: text("a;b"), delimiter: ';' },
            Warning::UnseenLevels { column: text("c"), cells: 1, example: text("z") },
            Warning::OutsideRange { column: text("x"), cells: 1, example: text("900") },
            Warning::AbsentColumn { column: text("y") },
            Warning::ExtraColumn { column: text("z"), missing: 1 },
            Warning::TimeLimit { epochs: 3, planned: 90 },
            Warning::NothingHeldOut,
            Warning::NotFinite { column: text("x"), epochs: 3, planned: 90 },
            Warning::NotGenerated { column: text("id"), why: text("too many levels") },
            Warning::Collapsed { units: 4 },
            Warning::Sampled { rows: 900_000, of: 2_000_000 },
            Warning::NotAtRandom { columns: ["x", "y", "z", "u"].map(text).to_vec() },
        ];
        assert!(kinds.iter().map(number_of_kind).eq(0..kinds.len()));
        assert!(warnings.iter().map(number_of_warning).eq(0..warnings.len()));
        let kinds = kinds.map(|kind| Error::from(kind).to_string());
        for text in kinds.into_iter().chain(warnings.map(|w| w.to_string())) {
            assert!(PAGE.lines().any(|line| line == text), "not on the page: {text}");
        }
    }

    #[test]
    fn a_polars_error_survives_the_round_trip() {
        let e = polars::error::PolarsError::NoData("x".into());
        let back: polars::error::PolarsError = Error::from(e).into();
        assert!(matches!(back, polars::error::PolarsError::NoData(_)));
    }

    #[test]
    fn error_is_small_and_portable() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
