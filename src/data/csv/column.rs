//! One column as text: which cells are missing, what the others are, how they are written.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::CsvOptions;
use super::cell::{Number, NumberFormat, Plain, TRUTHS, truths};
use super::moment::{Found, MomentForm, MomentScan};
use super::records::Field;
use crate::data::numbers::{Numbers, Summary};
use crate::data::schema::{ColumnKind, LEVELS_BY_THEMSELVES, SchemaOptions};
use crate::error::{Error, ErrorKind, Result, Warning};

/// How the cells of one column are read and written.
#[derive(Clone, Debug)]
pub(super) struct TextColumn {
    pub missing: Missing,
    pub form: CellForm,
    /// Every observed cell stands in quotes, so filled ones do too.
    pub quoted: bool,
    /// What the cells come to where all are numbers that f64 holds, without their distinct values where these are too many to be levels
    /// by themselves; `None` of other columns, and of a file that is not read to learn from.
    pub numbers: Option<Summary>,
}

impl TextColumn {
    /// A column of a form that is known already.
    pub fn of(name: &str, options: &CsvOptions, schema: &SchemaOptions, form: CellForm, quoted: bool) -> Result<TextColumn> {
        Ok(TextColumn { missing: Scan::new(name, options, schema, false)?.missing, form, quoted, numbers: None })
    }
}

/// Which cells are missing.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    tokens: Vec<String>,
    not_applicable: Vec<String>,
    /// The bytes that a token may begin with, or the blanks before it.
    begins: Begins,
    /// Stated levels.
    levels: Vec<String>,
    /// `""` is an empty text; without the quotes the cell is missing.
    empty_text: bool,
}

/// An empty field in quotes, and the token for it.
const EMPTY_TEXT: &str = "\"\"";

/// A set of bytes.
#[derive(Clone, Debug)]
struct Begins([bool; 256]);

#[expect(clippy::indexing_slicing, reason = "a place for each of the 256 bytes")]
impl Begins {
    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    fn of<'a>(tokens: impl Iterator<Item = &'a String>) -> Begins {
        let mut set = [false; 256];
        tokens.filter_map(|t| t.bytes().next()).for_each(|b| set[usize::from(b)] = true);
        // Blanks: those of ASCII, and the others, which are longer.
        (0..=b' ').chain(128..=255).for_each(|b| set[usize::from(b)] = true);
        Begins(set)
    }
}

impl Missing {
    /// Whether a cell can be missing, by its first byte as it stands in the file.
    #[inline]
    pub fn may_be(&self, raw: &[u8]) -> bool {
        raw.first().is_none_or(|&b| b == b'"' || self.begins.has(b))
    }

    /// Whether a cell is missing or not applicable, given as it stands in the file and as what it says.
    pub fn is(&self, raw: &str, text: &str) -> bool {
        if text.bytes().next().is_some_and(|b| !self.begins.has(b)) {
            return false;
        }
        if raw == EMPTY_TEXT {
            return !self.empty_text;
        }
        let trimmed = text.trim();
        let mut tokens = self.tokens.iter().chain(&self.not_applicable);
        tokens.any(|t| t == trimmed) && (text.is_empty() || !self.levels.iter().any(|l| l == text))
    }

    /// Whether a cell is not applicable.
    pub fn is_not_applicable(&self, raw: &str, text: &str) -> bool {
        self.not_applicable.iter().any(|t| t == text.trim()) && self.is(raw, text)
    }

    /// Whether some text means that a cell is not applicable.
    pub fn knows_not_applicable(&self) -> bool {
        !self.not_applicable.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CellForm {
    #[serde(with = "truth")]
    Truth([&'static str; 2]),
    Integer(NumberFormat),
    Float(NumberFormat),
    Moment(MomentForm),
    Text(Spelling),
}

/// Where a column spells a stated level in its own way: `1.0` for the level `1`, `True` for `true`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spelling {
    pub level_of: HashMap<String, String>,
    text_of: HashMap<String, String>,
}

/// A pair of [`TRUTHS`] in a file: the first of the two words.
mod truth {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::TRUTHS;

    pub fn serialize<S: Serializer>(pair: &[&'static str; 2], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(pair[0])
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[&'static str; 2], D::Error> {
        let text = String::deserialize(from)?;
        TRUTHS.into_iter().find(|pair| pair[0] == text).ok_or_else(|| serde::de::Error::custom("no pair of truths"))
    }
}

impl CellForm {
    /// Whether a scan of cells can have come to this form; a file may say anything.
    pub fn is_sound(&self) -> bool {
        match self {
            CellForm::Integer(format) | CellForm::Float(format) => format.is_sound(),
            CellForm::Moment(form) => form.is_sound(),
            CellForm::Truth(_) | CellForm::Text(_) => true,
        }
    }

    /// A level of the schema as this column writes it.
    pub fn level(&self, level: &str) -> String {
        match self {
            CellForm::Truth([no, yes]) => (if level == "true" { yes } else { no }).to_string(),
            CellForm::Integer(format) | CellForm::Float(format) => match level.parse() {
                Ok(x) => format.level(x),
                Err(_) => level.to_string(),
            },
            CellForm::Text(spelling) => spelling.text_of.get(level).cloned().unwrap_or_else(|| level.to_string()),
            CellForm::Moment(_) => level.to_string(),
        }
    }
}

/// What is stated of a column's cells.
#[derive(Clone, Debug, PartialEq)]
enum Stated {
    Nothing,
    Numbers(ColumnKind),
    Moments(MomentForm),
    Levels,
    Ignored,
}

/// One pass over a column's cells, to learn what they are.
pub(super) struct Scan<'a> {
    name: &'a str,
    stated: Stated,
    decimal: char,
    delimiter: u8,
    missing: Missing,
    spelling: Spelling,
    observed: usize,
    /// Observed cells in quotes.
    quoted: usize,
    /// Empty cells with quotes, and without.
    empty_texts: usize,
    empty_fields: usize,
    numbers: usize,
    format: NumberFormat,
    /// Numbers that are whole and fit in i64.
    integers: usize,
    /// Some number is a code: a leading zero, or more digits than i64 has.
    code: bool,
    /// Row and text of the first number, of the first infinity, and of the first text that is no number.
    first: Option<(usize, String)>,
    infinite: Option<(usize, String)>,
    word: Option<(usize, String)>,
    /// Texts that are no numbers, with counts; one more than are ever named.
    words: Vec<(String, usize)>,
    moments: MomentScan,
    commas: Commas,
    /// The entries of `TRUTHS` that fit every cell so far.
    truths: u8,
    /// What the cells come to, as long as they are numbers that f64 holds.
    tally: Option<Numbers>,
}

/// Whether the cells of a column could be numbers with a decimal comma, though the point is stated.
#[derive(Default)]
struct Commas {
    refuted: bool,
    /// The first cell with a comma.
    example: Option<String>,
}

impl Commas {
    fn see(&mut self, text: &str, number: Option<&Number>) {
        if self.refuted {
            return;
        }
        if !text.contains(',') {
            self.refuted = !number.is_some_and(|n| n.whole);
        } else if Number::read(text, ',').is_some_and(|n| n.dress.group.is_none()) {
            self.example.get_or_insert_with(|| text.trim().to_string());
        } else {
            self.refuted = true;
        }
    }
}

/// From here on f64 skips integers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A column of numbers with at most this many different words is a column of numbers with a missing token or two.
const FEW_WORDS: usize = 5;

impl<'a> Scan<'a> {
    /// `learn`: what its numbers come to is of interest too.
    pub fn new(name: &'a str, options: &CsvOptions, schema: &SchemaOptions, learn: bool) -> Result<Scan<'a>> {
        let spec = schema.spec(name);
        let stated = match (spec.kind, &spec.format) {
            _ if schema.exclude.iter().any(|e| e == name) => Stated::Ignored,
            (Some(ColumnKind::Ignored), _) => Stated::Ignored,
            (Some(kind), Some(_)) if kind.has_levels() => {
                let field = format!("kind of column `{name}`");
                return Err(Error::config(field, kind, "continuous: a format is stated, for dates or times"));
            }
            (_, Some(format)) => Stated::Moments(MomentForm::stated(name, format)?),
            (Some(kind), None) if kind.is_numeric() => Stated::Numbers(kind),
            (None, None) if spec.levels.is_none() => Stated::Nothing,
            _ => Stated::Levels,
        };
        let mut tokens = options.na.clone();
        tokens.extend(spec.na.unwrap_or_default());
        let levels = if stated == Stated::Levels { spec.levels.unwrap_or_default() } else { Vec::new() };
        let empty_text = levels.iter().any(String::is_empty) || !tokens.iter().any(String::is_empty);
        let decimal = char::from(options.decimal);
        let learn = learn && matches!(stated, Stated::Nothing | Stated::Numbers(_));
        Ok(Scan {
            name,
            stated,
            decimal,
            delimiter: options.delimiter,
            missing: Missing {
                begins: Begins::of(tokens.iter().chain(&options.not_applicable)),
                tokens,
                not_applicable: options.not_applicable.clone(),
                levels,
                empty_text,
            },
            spelling: Spelling::default(),
            observed: 0,
            quoted: 0,
            empty_texts: 0,
            empty_fields: 0,
            numbers: 0,
            format: NumberFormat::new(decimal),
            integers: 0,
            code: false,
            first: None,
            infinite: None,
            word: None,
            words: Vec::new(),
            moments: MomentScan::default(),
            commas: Commas::default(),
            truths: u8::MAX,
            tally: learn.then(|| Numbers::keeping(LEVELS_BY_THEMSELVES)),
        })
    }

    /// Takes in the column's cells of some rows, the first of which is `first`.
    pub fn see_all(&mut self, text: &str, fields: impl Iterator<Item = Field>, first: usize) {
        let numbers = self.decimal == '.' && matches!(self.stated, Stated::Nothing | Stated::Numbers(_));
        for (row, field) in (first..).zip(fields) {
            let bytes = field.bytes(text.as_bytes());
            if numbers
                && !self.missing.may_be(bytes)
                && let Some(number) = Plain::read(bytes)
                && self.see_plain(&number)
            {
                continue;
            }
            self.see(field.raw(text), &field.text(text), row);
        }
    }

    /// Takes in a number as most files write them, in a column that has one already: as [`Scan::see`] does.
    #[inline]
    fn see_plain(&mut self, number: &Plain) -> bool {
        if self.numbers == 0 || !self.format.see_plain(number) {
            return false;
        }
        self.observed += 1;
        self.numbers += 1;
        self.truths = 0;
        self.commas.refuted |= !number.whole;
        self.integers += usize::from(number.whole);
        self.code |= number.leading_zero;
        if let Some(tally) = &mut self.tally {
            tally.push(number.value);
        }
        true
    }

    /// Takes in one more cell as it stands in the file.
    fn see(&mut self, raw: &str, text: &str, row: usize) {
        if self.missing.is(raw, text) {
            if raw == EMPTY_TEXT {
                self.empty_texts += 1;
            } else if raw.is_empty() {
                self.empty_fields += 1;
            }
            return;
        }
        self.quoted += usize::from(raw.starts_with('"'));
        self.observed += 1;
        match &mut self.stated {
            Stated::Ignored => {}
            Stated::Levels => self.see_level(text),
            Stated::Moments(form) => {
                if !form.see(text, self.observed == 1) {
                    self.word.get_or_insert_with(|| (row, text.to_string()));
                }
            }
            _ => self.see_value(text, row),
        }
    }

    fn see_level(&mut self, text: &str) {
        let levels = &self.missing.levels;
        if levels.is_empty() || levels.iter().any(|l| l == text) || self.spelling.level_of.contains_key(text) {
            return;
        }
        let decimal = self.decimal;
        let number = |t: &str, decimal| Number::read(t, decimal).map(|n| n.value);
        let same = |l: &&String| {
            let level = number(l, '.');
            (level.is_some() && level == number(text, decimal)) || (truths(l) != 0 && l.eq_ignore_ascii_case(text))
        };
        if let Some(level) = levels.iter().find(same) {
            self.spelling.text_of.entry(level.clone()).or_insert_with(|| text.to_string());
            self.spelling.level_of.insert(text.to_string(), level.clone());
        }
    }

    fn see_value(&mut self, text: &str, row: usize) {
        let number = Number::read(text, self.decimal);
        if self.truths != 0 {
            self.truths &= truths(text);
        }
        self.commas.see(text, number.as_ref());
        match number {
            Some(number) if number.value.is_infinite() && !number.whole => {
                self.tally = None;
                self.infinite.get_or_insert_with(|| (row, text.to_string()));
            }
            Some(number) if self.format.see(&number) => {
                if self.numbers == 0 {
                    self.first = Some((row, text.to_string()));
                }
                self.numbers += 1;
                self.integers += usize::from(number.integer.is_some());
                self.code |= number.leading_zero || (number.whole && number.integer.is_none());
                self.tally.take_if(|_| number.whole && number.value.abs() >= EXACT);
                if let Some(tally) = &mut self.tally {
                    tally.push(number.value);
                }
            }
            _ => {
                self.tally = None;
                self.moments.see(text, row);
                self.word.get_or_insert_with(|| (row, text.to_string()));
                let full = self.words.len() > FEW_WORDS;
                match self.words.iter_mut().find(|w| w.0 == text) {
                    Some(word) => word.1 += 1,
                    None if !full => self.words.push((text.to_string(), 1)),
                    None => {}
                }
            }
        }
    }

    fn wrong(&self, (row, found): &(usize, String), expected: String) -> Error {
        ErrorKind::Value { column: self.name.into(), row: row + 1, found: format!("'{found}'"), expected }.into()
    }

    /// What the cells are, by the table at [`CsvTable`](super::CsvTable).
    pub fn finish(mut self) -> Result<(TextColumn, Vec<Warning>)> {
        let column = self.name.to_string();
        let all_numbers = self.word.is_none() && self.numbers > 0 && !self.code;
        let all_moments = self.observed > 0 && self.moments.fits == self.observed;
        let found = self.moments.finish();
        match (&self.stated, &self.word, &self.infinite, &found) {
            (Stated::Numbers(kind), Some(first), _, Some(Found::Ambiguous(a, b))) if all_moments => {
                let advice =
                    format!("the column is stated to be {kind}; its cells read as {a} and as {b}, state one as its format");
                return Err(self.wrong(first, advice));
            }
            (Stated::Numbers(kind), Some(word), ..) if !all_moments => {
                let advice = format!("the column is stated to be {kind}; pass --na '{}' to treat it as missing", word.1);
                return Err(self.wrong(word, format!("{advice}, or state another kind")));
            }
            (Stated::Moments(form), Some(word), ..) => {
                let advice = format!("a date or time in the stated format {} is due; pass --na '{}'", form.describe(), word.1);
                return Err(self.wrong(word, format!("{advice} to treat it as missing, or state another format")));
            }
            (Stated::Numbers(_), None, Some(infinite), _) => return Err(self.wrong(infinite, finite(&infinite.1))),
            (Stated::Nothing, None, Some(infinite), _) if all_numbers => return Err(self.wrong(infinite, finite(&infinite.1))),
            _ => {}
        }
        let mut warnings = Vec::new();
        let numeric = match self.stated {
            Stated::Numbers(_) => !all_moments,
            Stated::Nothing => all_numbers,
            _ => false,
        };
        if self.stated == Stated::Nothing {
            warnings.extend(self.second_thoughts(all_numbers, all_moments, found.as_ref()));
        }
        let truth = TRUTHS.get(self.truths.trailing_zeros() as usize).filter(|_| self.observed > 0);
        let form = match (self.stated, found, truth) {
            (Stated::Moments(form), ..) => CellForm::Moment(form),
            (Stated::Nothing | Stated::Numbers(_), Some(Found::Form(form)), _) if all_moments => CellForm::Moment(form),
            (Stated::Nothing, _, Some(pair)) => CellForm::Truth(*pair),
            _ if numeric && self.numbers > 0 && self.integers == self.numbers => CellForm::Integer(self.format),
            _ if numeric => CellForm::Float(self.format),
            (stated, ..) => {
                // A writer that leaves some empty cells without quotes means something by the others.
                let told_apart = self.observed > 0 && self.empty_texts > 0 && self.empty_fields > 0;
                let open = stated == Stated::Nothing || (stated == Stated::Levels && self.missing.levels.is_empty());
                if told_apart && open && !self.missing.tokens.iter().any(|t| t == EMPTY_TEXT) {
                    self.missing.empty_text = true;
                    warnings.push(Warning::EmptyText { column, empty: self.empty_texts, missing: self.empty_fields });
                }
                CellForm::Text(self.spelling)
            }
        };
        let quoted = self.observed > 0 && self.quoted == self.observed;
        let numbers = self.tally.filter(|_| matches!(form, CellForm::Integer(_) | CellForm::Float(_)));
        let numbers = numbers.map(Numbers::finish);
        Ok((TextColumn { missing: self.missing, form, quoted, numbers }, warnings))
    }

    /// What a column that nothing is stated of could be meant to be.
    fn second_thoughts(&self, all_numbers: bool, all_moments: bool, found: Option<&Found>) -> Option<Warning> {
        let column = self.name.to_string();
        // Where fields need no quotes for it, a comma is more often a decimal mark than a separator.
        let example = self.commas.example.clone().filter(|_| !self.commas.refuted && self.decimal == '.');
        if let Some(example) = example.filter(|_| !all_numbers || self.delimiter != b',') {
            return Some(Warning::DecimalComma { column, example });
        }
        match found {
            Some(Found::Ambiguous(a, b)) if all_moments => {
                return Some(Warning::AmbiguousDates { column, formats: [a.clone(), b.clone()] });
            }
            Some(Found::Form(form)) if !all_moments && 10 * self.moments.fits >= 9 * self.observed => {
                let misfits = [&self.moments.first_misfit, &self.first, &self.infinite];
                let (row, found) = misfits.into_iter().flatten().min()?.clone();
                let cells = self.observed - self.moments.fits;
                return Some(Warning::NearlyDates { column, format: form.describe(), cells, row: row + 1, found });
            }
            _ => {}
        }
        let nearly =
            !self.words.is_empty() && self.words.len() <= FEW_WORDS && !self.code && 10 * self.numbers >= 9 * self.observed;
        let mut words = self.words.clone();
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        nearly.then_some(Warning::NearlyNumeric { column, words })
    }
}

fn finite(found: &str) -> String {
    format!("a finite number is due; replace it, or pass --na '{}' to treat it as missing", found.trim())
}
