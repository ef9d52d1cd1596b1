//! A CSV text as its records: what the fields say, and where they stand, so that one can be copied as it is.

use std::borrow::Cow;
use std::ops::Range;

/// Where a field lies in its text, quotes included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    start: u32,
    end: u32,
    form: Form,
}

/// How a field stands in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Plain,
    /// In quotes, without one inside.
    Quoted,
    /// With quotes inside its quotes, or text behind them.
    Odd,
}

impl Field {
    /// Its place in the text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(self, text: &[u8]) -> &[u8] {
        &text[self.range()]
    }

    /// As it stands in the text.
    pub fn raw(self, text: &str) -> &str {
        &text[self.range()]
    }

    /// What it says.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        let raw = self.raw(text);
        match self.form {
            Form::Plain => Cow::Borrowed(raw),
            Form::Quoted => Cow::Borrowed(&raw[1..raw.len() - 1]),
            Form::Odd => Cow::Owned(unquoted(raw)),
        }
    }
}

/// What a field says that begins with a quote.
fn unquoted(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut inside = false;
    let mut rest = raw.char_indices().peekable();
    while let Some((i, c)) = rest.next() {
        match c {
            '"' if i == 0 => inside = true,
            '"' if inside && rest.next_if(|next| next.1 == '"').is_none() => inside = false,
            _ => out.push(c),
        }
    }
    out
}

/// The records of a text shorter than 4 GiB, one after the other. A line ends with LF, CRLF or CR; empty lines are passed over.
pub(super) struct Records<'a> {
    text: &'a str,
    delimiter: u8,
    /// In a file of one column an empty line behind the header is a record: a missing cell.
    one_column: bool,
    /// The fields of the record.
    pub fields: Vec<Field>,
    /// The record, its line end included.
    pub line: Range<usize>,
    /// The text ended before a quote of the record was closed.
    pub open_quote: bool,
    ends: Ends,
}

/// Where fields end, found many bytes at a time.
struct Ends {
    /// Where the bytes looked at begin, beyond any text before the first look, and a bit for each that can end a field.
    start: usize,
    bits: u64,
}

impl Ends {
    /// The first byte from `at` on that can end a field; the end of the text without one.
    #[inline]
    fn next(&mut self, bytes: &[u8], delimiter: u8, at: usize) -> usize {
        let behind = at.wrapping_sub(self.start);
        let left = if behind < 64 { self.bits >> behind << behind } else { 0 };
        if left != 0 {
            return self.start + left.trailing_zeros() as usize;
        }
        self.look(bytes, delimiter, if behind < 64 { self.start + 64 } else { at })
    }

    fn look(&mut self, bytes: &[u8], delimiter: u8, from: usize) -> usize {
        self.start = from;
        while let Some(some) = bytes[self.start.min(bytes.len())..].first_chunk() {
            self.bits = ends_of(some, delimiter);
            if self.bits != 0 {
                return self.start + self.bits.trailing_zeros() as usize;
            }
            self.start += 64;
        }
        // A quote ends no field.
        let mut last = [b'"'; 64];
        let rest = &bytes[self.start.min(bytes.len())..];
        last[..rest.len()].copy_from_slice(rest);
        self.bits = ends_of(&last, delimiter);
        if self.bits == 0 { bytes.len() } else { self.start + self.bits.trailing_zeros() as usize }
    }
}

/// A bit for each byte that is the delimiter or belongs to a line end.
#[inline]
fn ends_of(bytes: &[u8; 64], delimiter: u8) -> u64 {
    let mut found = [0u8; 64];
    for (found, &b) in found.iter_mut().zip(bytes) {
        *found = u8::from(b == delimiter) | u8::from(b == b'\n') | u8::from(b == b'\r');
    }
    let mut bits = 0;
    for (i, eight) in found.as_chunks::<8>().0.iter().enumerate() {
        // Eight bytes of one bit each to eight bits: the product has them in its highest byte.
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    bits
}

impl<'a> Records<'a> {
    /// The delimiter is ASCII, and neither a quote nor a line end.
    pub fn new(text: &'a str, delimiter: u8, one_column: bool) -> Records<'a> {
        Records {
            text,
            delimiter,
            one_column,
            fields: Vec::new(),
            line: 0..0,
            open_quote: false,
            ends: Ends { start: usize::MAX / 2, bits: 0 },
        }
    }

    /// Moves to the next record; false at the end.
    pub fn next(&mut self) -> bool {
        self.fields.clear();
        self.append()
    }

    /// Moves to the next record, whose fields follow those of the last; false at the end.
    pub fn append(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut at = self.line.end;
        while !self.one_column && line_end(bytes, at) > 0 {
            at += line_end(bytes, at);
        }
        if at >= bytes.len() {
            self.line = bytes.len()..bytes.len();
            return false;
        }
        let start = at;
        let ends = |b: u8| b == self.delimiter || b == b'\n' || b == b'\r';
        loop {
            let from = at;
            let mut form = Form::Plain;
            if bytes.get(at) == Some(&b'"') {
                (at, form) = behind_quotes(bytes, at);
                self.open_quote |= at > bytes.len();
                at = at.min(bytes.len());
                if bytes.get(at).is_some_and(|&b| !ends(b)) {
                    form = Form::Odd;
                }
            }
            at = self.ends.next(bytes, self.delimiter, at);
            self.fields.push(Field { start: from as u32, end: at as u32, form });
            if bytes.get(at) != Some(&self.delimiter) {
                break;
            }
            at += 1;
        }
        self.line = start..at + line_end(bytes, at);
        true
    }

    /// What the fields say.
    pub fn texts(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.text(self.text).into_owned()).collect()
    }
}

/// Where the quoted part that opens at `open` ends, and its form; a doubled quote does not end it. Beyond the end of the text
/// where it is never closed.
fn behind_quotes(bytes: &[u8], open: usize) -> (usize, Form) {
    let mut form = Form::Quoted;
    let mut at = open + 1;
    while let Some(quote) = bytes[at..].iter().position(|&b| b == b'"') {
        at += quote + 1;
        if bytes.get(at) != Some(&b'"') {
            return (at, form);
        }
        (at, form) = (at + 1, Form::Odd);
    }
    (bytes.len() + 1, Form::Odd)
}

/// Bytes of the line end that stands here, if one does.
pub(super) fn line_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..) {
        Some([b'\r', b'\n', ..]) => 2,
        Some([b'\r' | b'\n', ..]) => 1,
        _ => 0,
    }
}

/// Line ends in some bytes that another byte, `next`, follows.
pub(super) fn line_ends(bytes: &[u8], next: Option<u8>) -> usize {
    let follows = |i: usize| bytes.get(i + 1).copied().or(next);
    (0..bytes.len()).filter(|&i| bytes[i] == b'\n' || (bytes[i] == b'\r' && follows(i) != Some(b'\n'))).count()
}

/// The bytes up to the end of their last whole record, where more bytes may follow; zero without one.
pub(super) fn whole_records(bytes: &[u8], delimiter: u8) -> usize {
    let before = &bytes[..bytes.len().saturating_sub(1)];
    if !bytes.contains(&b'"') {
        // What follows a CR may be its LF.
        let lf = bytes.iter().rposition(|&b| b == b'\n');
        return lf.or_else(|| before.iter().rposition(|&b| b == b'\r')).map_or(0, |at| at + 1);
    }
    let (mut at, mut whole) = (0, 0);
    let mut starts = true;
    while at < bytes.len() {
        let b = bytes[at];
        if starts && b == b'"' {
            at = behind_quotes(bytes, at).0;
            starts = false;
            continue;
        }
        at += 1;
        starts = b == delimiter || b == b'\n' || b == b'\r';
        let split = b == b'\r' && (at == bytes.len() || bytes[at] == b'\n');
        if starts && b != delimiter && !split {
            whole = at;
        }
    }
    whole
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
            for field in records.fields.iter().filter(|f| !f.raw(text).is_empty()) {
                assert_eq!(oracle(field.raw(text)), [[field.text(text)]], "{field:?}");
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
        fn a_text_cut_behind_whole_records_has_the_same_records(text in "[a\",\r\n é]{0,30}", at in 0usize..30) {
            let mut at = at.min(text.len());
            while !text.is_char_boundary(at) { at -= 1 }
            let cut = whole_records(&text.as_bytes()[..at], b',');
            let (whole, open_quote) = split(&text);
            if !open_quote {
                let parts = [split(&text[..cut]).0, split(&text[cut..]).0].concat();
                prop_assert_eq!(whole, parts);
                // An empty line that is a record stays one.
                let lines = |text: &str| { let mut r = Records::new(text, b',', true); let mut n = 0; while r.next() { n += 1 } n };
                prop_assert_eq!(lines(&text), lines(&text[..cut]) + lines(&text[cut..]));
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
    fn lines_are_counted_whatever_ends_them() {
        let text = b"a\r\n\r\n\"b\nc\"\rd\n\ne";
        assert_eq!(line_ends(text, None), 6);
        assert_eq!((line_ends(b"a\r", Some(b'\n')), line_ends(b"a\r", Some(b'a'))), (0, 1));
    }
}
