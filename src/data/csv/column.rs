//! One column as text: which cells are missing, what the others are, how they are written.

use std::collections::HashMap;

use super::CsvOptions;
use super::cell::{Number, NumberFormat, TRUTHS, truths};
use crate::data::schema::{ColumnKind, SchemaOptions};
use crate::error::{Error, ErrorKind, Result, Warning};

/// How the cells of one column are read and written.
#[derive(Clone, Debug)]
pub(super) struct TextColumn {
    pub missing: Missing,
    pub form: CellForm,
}

/// Which cells are missing.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    tokens: Vec<String>,
    /// Stated levels.
    levels: Vec<String>,
}

impl Missing {
    pub fn is(&self, text: &str) -> bool {
        let trimmed = text.trim();
        self.tokens.iter().any(|t| t == trimmed) && !self.levels.iter().any(|l| l == text)
    }
}

#[derive(Clone, Debug)]
pub(super) enum CellForm {
    Truth([&'static str; 2]),
    Integer(NumberFormat),
    Float(NumberFormat),
    Text(Spelling),
}

/// Where a column spells a stated level in its own way: `1.0` for the level `1`, `True` for `true`.
#[derive(Clone, Debug, Default)]
pub(super) struct Spelling {
    pub level_of: HashMap<String, String>,
    text_of: HashMap<String, String>,
}

impl CellForm {
    /// A level of the schema as this column writes it.
    pub fn level(&self, level: &str) -> String {
        match self {
            CellForm::Truth(pair) => pair[usize::from(level == "true")].to_string(),
            CellForm::Integer(format) | CellForm::Float(format) => match level.parse() {
                Ok(x) => format.rounded(x, (f64::NEG_INFINITY, f64::INFINITY)),
                Err(_) => level.to_string(),
            },
            CellForm::Text(spelling) => spelling.text_of.get(level).cloned().unwrap_or_else(|| level.to_string()),
        }
    }
}

/// What is stated of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stated {
    Nothing,
    Numbers(ColumnKind),
    Levels,
    Ignored,
}

/// One pass over a column's cells, to learn what they are.
pub(super) struct Scan<'a> {
    name: &'a str,
    stated: Stated,
    missing: Missing,
    spelling: Spelling,
    observed: usize,
    numbers: usize,
    format: NumberFormat,
    /// Numbers that are whole and fit in i64.
    integers: usize,
    /// Some number is a code: a leading zero, or more digits than i64 has.
    code: bool,
    /// Row and text of the first infinity, and of the first text that is no number.
    infinite: Option<(usize, String)>,
    word: Option<(usize, String)>,
    /// Texts that are no numbers, with counts; one more than are ever named.
    words: Vec<(String, usize)>,
    /// The entries of `TRUTHS` that fit every cell so far.
    truths: u8,
}

/// A column of numbers with at most this many different words is a column of numbers with a missing token or two.
const FEW_WORDS: usize = 5;

impl<'a> Scan<'a> {
    pub fn new(name: &'a str, options: &CsvOptions, schema: &SchemaOptions) -> Scan<'a> {
        let spec = schema.spec(name);
        let stated = match spec.kind {
            _ if schema.exclude.iter().any(|e| e == name) => Stated::Ignored,
            Some(ColumnKind::Ignored) => Stated::Ignored,
            Some(kind) if kind.is_numeric() => Stated::Numbers(kind),
            None if spec.levels.is_none() => Stated::Nothing,
            _ => Stated::Levels,
        };
        let mut tokens = options.na.clone();
        tokens.extend(spec.na.unwrap_or_default());
        let levels = if stated == Stated::Levels { spec.levels.unwrap_or_default() } else { Vec::new() };
        Scan {
            name,
            stated,
            missing: Missing { tokens, levels },
            spelling: Spelling::default(),
            observed: 0,
            numbers: 0,
            format: NumberFormat::new(),
            integers: 0,
            code: false,
            infinite: None,
            word: None,
            words: Vec::new(),
            truths: u8::MAX,
        }
    }

    pub fn see(&mut self, text: &str, row: usize) {
        if self.missing.is(text) {
            return;
        }
        self.observed += 1;
        match self.stated {
            Stated::Ignored => {}
            Stated::Levels => self.see_level(text),
            _ => self.see_value(text, row),
        }
    }

    fn see_level(&mut self, text: &str) {
        let levels = &self.missing.levels;
        if levels.is_empty() || levels.iter().any(|l| l == text) || self.spelling.level_of.contains_key(text) {
            return;
        }
        let number = |t: &str| Number::read(t).map(|n| n.value);
        let same =
            |l: &&String| (number(l).is_some() && number(l) == number(text)) || (truths(l) != 0 && l.eq_ignore_ascii_case(text));
        if let Some(level) = levels.iter().find(same) {
            self.spelling.text_of.entry(level.clone()).or_insert_with(|| text.to_string());
            self.spelling.level_of.insert(text.to_string(), level.clone());
        }
    }

    fn see_value(&mut self, text: &str, row: usize) {
        if self.truths != 0 {
            self.truths &= truths(text);
        }
        match Number::read(text) {
            Some(number) if number.value.is_infinite() && !number.whole => {
                self.infinite.get_or_insert_with(|| (row, text.to_string()));
            }
            Some(number) => {
                self.numbers += 1;
                self.format.see(&number);
                let fits = number.whole && text.trim().parse::<i64>().is_ok();
                self.integers += usize::from(fits);
                self.code |= number.leading_zero || (number.whole && !fits);
            }
            None => {
                self.word.get_or_insert_with(|| (row, text.to_string()));
                match self.words.iter().position(|w| w.0 == text) {
                    Some(i) => self.words[i].1 += 1,
                    None if self.words.len() <= FEW_WORDS => self.words.push((text.to_string(), 1)),
                    None => {}
                }
            }
        }
    }

    /// What the cells are, by the table at [`CsvTable`].
    pub fn finish(self) -> Result<(TextColumn, Option<Warning>)> {
        let wrong = |(row, found): &(usize, String), expected: String| -> Error {
            let kind = ErrorKind::Value { column: self.name.into(), row: row + 1, found: format!("'{found}'"), expected };
            kind.into()
        };
        let all_numbers = self.word.is_none() && self.numbers > 0 && !self.code;
        match (&self.stated, &self.word, &self.infinite) {
            (Stated::Numbers(kind), Some(word), _) => {
                let advice = format!("the column is stated to be {kind}; pass --na '{}' to treat it as missing", word.1);
                return Err(wrong(word, format!("{advice}, or state another kind")));
            }
            (Stated::Numbers(_), None, Some(infinite)) => return Err(wrong(infinite, finite(&infinite.1))),
            (Stated::Nothing, None, Some(infinite)) if all_numbers => return Err(wrong(infinite, finite(&infinite.1))),
            _ => {}
        }
        let numeric = match self.stated {
            Stated::Numbers(_) => true,
            Stated::Nothing => all_numbers,
            Stated::Levels | Stated::Ignored => false,
        };
        let nearly = self.stated == Stated::Nothing
            && !self.words.is_empty()
            && self.words.len() <= FEW_WORDS
            && !self.code
            && 10 * self.numbers >= 9 * self.observed;
        let warning = nearly.then(|| {
            let mut words = self.words.clone();
            words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            Warning::NearlyNumeric { column: self.name.into(), words }
        });
        let truth = self.truths.trailing_zeros() as usize;
        let form = match TRUTHS.get(truth) {
            Some(pair) if self.stated == Stated::Nothing && self.observed > 0 => CellForm::Truth(*pair),
            _ if numeric && self.numbers > 0 && self.integers == self.numbers => CellForm::Integer(self.format),
            _ if numeric => CellForm::Float(self.format),
            _ => CellForm::Text(self.spelling),
        };
        Ok((TextColumn { missing: self.missing, form }, warning))
    }
}

fn finite(found: &str) -> String {
    format!("a finite number is due; replace it, or pass --na '{}' to treat it as missing", found.trim())
}
