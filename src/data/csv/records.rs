//! A CSV text as its records: what the fields say, and where they stand, so that one can be copied as it is.

use std::borrow::Cow;
use std::ops::Range;

use ::csv::{ReaderBuilder, StringRecord};

use super::BOM;

/// The records of a text, one after the other, the header first: what their fields say, by the csv crate, and where they stand.
/// A line ends with LF, CRLF or CR; empty lines are passed over.
pub(super) struct Records<'a> {
    text: &'a str,
    delimiter: u8,
    reader: ::csv::Reader<&'a [u8]>,
    record: StringRecord,
    /// In a file of one column an empty line behind the header is a record: a missing cell.
    pub one_column: bool,
    /// Where the fields of the record lie, their quotes included.
    pub fields: Vec<Range<usize>>,
    /// The record, its line end included.
    pub line: Range<usize>,
    /// The text ended before a quote of the record was closed.
    pub open_quote: bool,
}

impl<'a> Records<'a> {
    /// The delimiter is ASCII, and neither a quote nor a line end.
    pub fn new(text: &'a str, delimiter: u8, one_column: bool) -> Records<'a> {
        let mut builder = ReaderBuilder::new();
        let reader = builder.has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
        let (record, fields) = (StringRecord::new(), Vec::new());
        Records { text, delimiter, reader, record, one_column, fields, line: 0..0, open_quote: false }
    }

    /// Moves to the next record; false at the end.
    pub fn next(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut at = self.line.end;
        self.fields.clear();
        if at > 0 && self.one_column && line_end(bytes, at) > 0 {
            // The reader passes over it.
            self.record.clear();
            self.record.push_field("");
            self.fields.push(at..at);
            self.line = at..at + line_end(bytes, at);
            return true;
        }
        if at == 0 && self.text.starts_with(BOM) {
            // The reader passes over a second mark too.
            at = BOM.len_utf8();
        }
        while line_end(bytes, at) > 0 {
            at += line_end(bytes, at);
        }
        // Reading text in memory, with any number of fields a record, does not fail.
        if !self.reader.read_record(&mut self.record).unwrap_or(false) {
            self.line = bytes.len()..bytes.len();
            return false;
        }
        let start = at;
        for i in 0..self.record.len() {
            at += usize::from(i > 0);
            let from = at;
            if bytes.get(at) == Some(&b'"') {
                at = self.behind_quotes(at);
                while bytes.get(at).is_some_and(|&b| b != self.delimiter && b != b'\n' && b != b'\r') {
                    at += 1;
                }
            } else {
                at += self.record[i].len();
            }
            self.fields.push(from..at);
        }
        self.line = start..at + line_end(bytes, at);
        true
    }

    /// Where the quoted part that opens at `open` ends; a doubled quote does not end it.
    fn behind_quotes(&mut self, open: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = open + 1;
        loop {
            match bytes.get(at) {
                None => {
                    self.open_quote = true;
                    return at;
                }
                Some(b'"') if bytes.get(at + 1) == Some(&b'"') => at += 2,
                Some(b'"') => return at + 1,
                Some(_) => at += 1,
            }
        }
    }

    /// The fields of the record: as they stand in the text, and what they say.
    pub fn both(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.fields.iter().map(|field| &self.text[field.clone()]).zip(&self.record)
    }

    /// What the fields say.
    pub fn texts(&self) -> Vec<String> {
        self.record.iter().map(String::from).collect()
    }

    /// The line on which the record starts, 1-based.
    pub fn line_number(&self) -> usize {
        let bytes = self.text.as_bytes();
        let ends = |&i: &usize| bytes[i] == b'\n' || (bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
        1 + (0..self.line.start).filter(ends).count()
    }
}

/// Bytes of the line end that stands here, if one does.
fn line_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..) {
        Some([b'\r', b'\n', ..]) => 2,
        Some([b'\r' | b'\n', ..]) => 1,
        _ => 0,
    }
}

/// The text as a field: with quotes where it needs them, or where the column has them.
pub(crate) fn quote(text: &str, delimiter: u8, always: bool) -> Cow<'_, str> {
    let special = |b: u8| b == delimiter || matches!(b, b'"' | b'\r' | b'\n');
    if always || text.is_empty() || text.bytes().any(special) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> (Vec<Vec<String>>, bool) {
        let mut records = Records::new(text, b',', false);
        let mut all = Vec::new();
        while records.next() {
            // A field alone, as it stands, says what it said in its record.
            for (raw, text) in records.both().filter(|(raw, _)| !raw.is_empty()) {
                assert_eq!(oracle(raw), [[text]], "{raw:?}");
            }
            all.push(records.texts());
        }
        (all, records.open_quote)
    }

    /// What the csv crate makes of the same text.
    fn oracle(text: &str) -> Vec<Vec<String>> {
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        reader.records().map(|r| r.unwrap().iter().map(String::from).collect()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn records_are_those_of_the_csv_crate(text in "[a\",\r\n é]{0,30}") {
            let (records, open_quote) = split(&text);
            // A text that ends inside quotes is an error here; what it says does not matter.
            if !open_quote {
                prop_assert_eq!(records, oracle(&text));
            }
        }

        #[test]
        fn a_quoted_text_is_read_back(text in "[a\",\r\n é]{0,12}", always: bool) {
            let field = quote(&text, b',', always).into_owned();
            prop_assert_eq!(split(&field), (vec![vec![text]], false));
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_noticed() {
        for text in ["\"", "a,\"b\n", "\"a\"\"", "a\n\"b\"\"\n\n"] {
            assert!(split(text).1, "{text:?}");
        }
        for text in ["", "a,\"b\"", "a\"", "\"a\"\"\"", "\"\""] {
            assert!(!split(text).1, "{text:?}");
        }
    }

    #[test]
    fn a_mark_at_the_start_shifts_nothing() {
        let mut records = Records::new("\u{feff}a,b\n1,2\n", b',', false);
        for (texts, fields) in [(["a", "b"], [3..4, 5..6]), (["1", "2"], [7..8, 9..10])] {
            assert!(records.next());
            assert_eq!((records.texts(), records.fields.as_slice()), (texts.map(String::from).to_vec(), &fields[..]));
        }
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let mut records = Records::new("a\r\n\r\n\"b\nc\"\rd\n\ne", b',', false);
        let mut lines = Vec::new();
        while records.next() {
            lines.push(records.line_number());
        }
        assert_eq!(lines, [1, 3, 5, 7]);
    }
}
