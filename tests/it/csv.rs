//! CSV files with gaps in, the same files filled out.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use lacuna::polars::prelude::DataType;
use lacuna::{
    ColumnKind, ColumnSpec, CsvOptions, CsvTable, Error, Fit, Imputer, MeanConfig, Result, Schema, SchemaOptions, Warning,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample::select};

fn read_with(csv: &str, schema: &SchemaOptions) -> Result<CsvTable> {
    CsvTable::read(csv.as_bytes(), Path::new("t.csv"), &CsvOptions::default(), schema)
}

/// The file with its gaps filled by the mean.
fn fill_with(csv: &str, schema: &SchemaOptions) -> String {
    let table = read_with(csv, schema).unwrap();
    let df = table.to_frame().unwrap();
    let fitted = MeanConfig::default().fit_with(&df, &Schema::infer_with(&df, schema).unwrap()).unwrap();
    let mut out = Vec::new();
    fitted.fill(&df).unwrap().write_csv(&table, true, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn fill(csv: &str) -> String {
    fill_with(csv, &SchemaOptions::default())
}

#[test]
fn only_the_gaps_change() {
    let csv = "\u{feff}a,\"b,\"\"\",c\r\n1.5,\"x\r\ny\", 7\r\n,x,\r\n2.5,,9\r\n";
    let due = "\u{feff}a,\"b,\"\"\",c\r\n1.5,\"x\r\ny\", 7\r\n2.0,x,8\r\n2.5,x,9\r\n";
    assert_eq!(fill(csv), due);
    assert_eq!(fill("a\tb\n1\t2\n"), "a\tb\n1\t2\n");
    // A table without gaps keeps even quotes that are not needed.
    assert_eq!(fill("\"a\",b\n\n\"1\",2"), "\"a\",b\n\n\"1\",2");
    // The last line ends as it did.
    assert_eq!(fill("a,b\n1,x\n,\"x\ny\""), "a,b\n1,x\n1,\"x\ny\"");
    assert_eq!(fill("a\r1\r\r3\r"), "a\r1\r2\r3\r");
}

#[test]
fn an_empty_line_of_one_column_is_a_gap() {
    assert_eq!(fill("x\n\n1\n\n\n3\n\n"), "x\n2\n1\n2\n2\n3\n2\n");
    assert_eq!(fill("x\r\n1\r\n\r\n3"), "x\r\n1\r\n2\r\n3");
    assert_eq!(fill("\n\nx\n1\n\n"), "\n\nx\n1\n1\n");
    assert_eq!(fill("x\n\n"), "x\n\n");
}

#[test]
fn a_fill_is_spelt_as_its_column() {
    assert_eq!(fill("x,y\nTRUE,1\nTRUE,2\n,3\n"), "x,y\nTRUE,1\nTRUE,2\nTRUE,3\n");
    assert_eq!(fill("x,y\n1.0,1\n0.0,2\n1.0,2\n,3\n"), "x,y\n1.0,1\n0.0,2\n1.0,2\n1.0,3\n");
    assert_eq!(fill("x,y\n+1.5,1\n-0.5,2\n,3\n"), "x,y\n+1.5,1\n-0.5,2\n+0.5,3\n");
    // Levels as `Schema::to_json` states them, cells as the file spells them.
    let spec = |levels: [&str; 2]| SchemaOptions {
        columns: vec![ColumnSpec { name: "x".into(), levels: Some(levels.map(String::from).to_vec()), ..ColumnSpec::default() }],
        ..SchemaOptions::default()
    };
    let csv = "x,y\nTrue,1\nFalse,2\nTrue,2\n,3\n";
    assert_eq!(fill_with(csv, &spec(["false", "true"])), csv.replace("\n,", "\nTrue,"));
    let csv = "x,y\n1.0,1\n0.0,2\n1.0,2\n,3\n";
    assert_eq!(fill_with(csv, &spec(["0", "1"])), csv.replace("\n,", "\n1.0,"));
}

#[test]
fn every_other_byte_stays() {
    // Needless quotes, blanks around quotes, quotes inside, line ends inside, empty lines, mixed line ends, a quoted header.
    for (csv, gap, due) in [
        ("\"a\",b\n\"1\",\"x\"\n\"3\",@\n", "", "\"x\""),
        ("a,b\n1, \"x\" \n\n2,y\n3, \"x\" \n,@", "NA", "\" \"\"x\"\" \""),
        ("\u{feff}a,b\r\n\r\n1,\"x\"\"y\"\n2,@\r\r3,\"x\"\"y\"\n\n", "", "\"x\"\"y\""),
        ("a,b\n1,\"x\r\n\ny\"\n2,@\n3,\"x\r\n\ny\"", "\"NA\"", "\"x\r\n\ny\""),
        ("a,b\n1,x\"y\"\n2,@\n", "\"\"", "\"x\"\"y\"\"\""),
        ("\"a\"b,c\n1,\"x\"y\n2,@\n3,\"x\"y\n", " null ", "\"xy\""),
    ] {
        let csv_with_gap = csv.replace('@', gap);
        // The first column has a gap in one of the tables too.
        let expected = csv.replace('@', due).replace("\n,", "\n2,");
        assert_eq!(fill(&csv_with_gap), expected, "{csv:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Rows of one number and one text, written in odd ways; a gap is `None`.
    #[test]
    fn nothing_but_the_gaps_changes(
        rows in vec((option::of(select(vec!["5", "\"5\"", " 5 ", "5.0"])), select(vec!["x", "\"x\"", "\"a\r\n\"\"b\"", " \"x", "é,"])), 1..8),
        end in select(vec!["\n", "\r\n", "\r", "\n\n", "\r\n\n"]),
        mark in select(vec!["", "\u{feff}"]),
        last: bool,
        gap in select(vec!["", "NA", "\"\"", " \t", "\"NA\""]),
    ) {
        let observed: Vec<&str> = rows.iter().filter_map(|r| r.0).collect();
        let fill = match (observed.is_empty(), observed.contains(&"5.0"), observed.iter().all(|c| c.starts_with('"'))) {
            (true, ..) => gap.to_string(),
            (_, decimals, quoted) => {
                // Zeros at the end come where every cell has them.
                let number = if decimals && observed.iter().all(|c| *c == "5.0") { "5.0" } else { "5" };
                if quoted { format!("\"{number}\"") } else { number.to_string() }
            }
        };
        let text = |gap: &str| {
            let lines = rows.iter().map(|(a, b)| format!("{};{b}", a.unwrap_or(gap)));
            let lines: Vec<String> = std::iter::once("a;\"b\"".to_string()).chain(lines).collect();
            format!("{mark}{}{}", lines.join(end), if last { end } else { "" })
        };
        let options = CsvOptions { delimiter: b';', ..CsvOptions::default() };
        let table = CsvTable::read(text(gap).as_bytes(), Path::new("t.csv"), &options, &SchemaOptions::default()).unwrap();
        let df = table.to_frame().unwrap();
        let mut out = Vec::new();
        MeanConfig::default().fit(&df).unwrap().fill(&df).unwrap().write_csv(&table, true, &mut out).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), text(&fill));
    }
}

#[test]
fn money_percentages_and_thousands_come_back_in_their_dress() {
    let columns = [
        (["\"1,200\"", "\"3,400,000\""], "\"1,700,600\""),
        (["1 200", "3 400"], "2 300"),
        (["1'200.5", "3'400.5"], "2'300.5"),
        (["1\u{202f}200", "800"], "1\u{202f}000"),
        (["$1200.50", "-$200.50"], "$500.00"),
        (["12 %", "13.5 %"], "12.8 %"),
        (["€ 5", "€ 8"], "€ 7"),
        (["1e3", "3E3"], "2e3"),
        (["1.50E-07", "2.50E-07"], "2.00E-07"),
        (["+5", "+8"], "+7"),
    ];
    for ([a, b], due) in columns {
        let csv = format!("x,y\n{a},1\n{b},2\n,3\n");
        assert_eq!(fill(&csv), csv.replace("\n,", &format!("\n{due},")), "{a} {b}");
    }
    // Codes are levels: the more frequent one fills.
    assert_eq!(fill("zip,y\n00712,1\n00712,2\n10115,2\n,3\n"), "zip,y\n00712,1\n00712,2\n10115,2\n00712,3\n");
    assert_eq!(fill("q,y\nyes,1\nno,2\nyes,2\n,3\n"), "q,y\nyes,1\nno,2\nyes,2\nyes,3\n");
}

#[test]
fn a_comma_can_be_the_decimal_mark() {
    let schema = SchemaOptions::default();
    let options = |delimiter| CsvOptions { delimiter, decimal: b',', ..CsvOptions::default() };
    let filled = |csv: &str, delimiter| {
        let table = CsvTable::read(csv.as_bytes(), Path::new("t.csv"), &options(delimiter), &schema).unwrap();
        let df = table.to_frame().unwrap();
        let mut out = Vec::new();
        MeanConfig::default().fit(&df).unwrap().fill(&df).unwrap().write_csv(&table, true, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(filled("x;y\n1.234,56;3,5\n2.000,00;4\n;\n", b';'), "x;y\n1.234,56;3,5\n2.000,00;4\n1.617,28;3,8\n");
    // A fill with a comma is quoted where it has to be.
    assert_eq!(filled("x,y\n\"3,5\",1\n\"4,0\",2\n,3\n", b','), "x,y\n\"3,5\",1\n\"4,0\",2\n\"3,8\",3\n");
    assert_eq!(filled("x,y\n\"3,5\",1\n4,2\n4,4\n4,4\n,3\n", b','), "x,y\n\"3,5\",1\n4,2\n4,4\n4,4\n\"3,9\",3\n");
}

#[test]
fn an_empty_text_and_an_empty_cell_are_told_apart() {
    let nulls = |csv: &str, schema: &SchemaOptions, na: &[&str]| {
        let mut options = CsvOptions::default();
        options.na.extend(na.iter().map(|t| t.to_string()));
        let table = CsvTable::read(csv.as_bytes(), Path::new("t.csv"), &options, schema).unwrap();
        (table.to_frame().unwrap().column("x").unwrap().null_count(), table.warnings().to_vec())
    };
    let none = SchemaOptions::default();
    let both = "x,y\nb,1\n\"\",2\n\"\",3\n,4\n";
    let due = Warning::EmptyText { column: "x".into(), empty: 2, missing: 1 };
    assert_eq!(nulls(both, &none, &[]), (1, vec![due]));
    assert_eq!(nulls(both, &none, &["\"\""]), (3, vec![]));
    assert_eq!(fill(both), both.replace("\n,", "\n\"\","));
    // One kind of empty cell alone is missing; so is either among numbers.
    assert_eq!(nulls("x,y\nb,1\n\"\",2\n", &none, &[]), (1, vec![]));
    assert_eq!(nulls("x,y\n5,1\n\"\",2\n,3\n", &none, &[]), (2, vec![]));
    let levels = Some(vec![String::new(), "b".into()]);
    let spec = ColumnSpec { name: "x".into(), levels, ..ColumnSpec::default() };
    let stated = SchemaOptions { columns: vec![spec], ..SchemaOptions::default() };
    assert_eq!(nulls("x,y\nb,1\n\"\",2\n,3\n", &stated, &[]), (1, vec![]));
}

#[test]
fn a_packed_file_is_unpacked_whatever_its_name() {
    let member = |text: &str| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let read = |bytes: &[u8]| CsvTable::read(bytes, Path::new("t.csv"), &CsvOptions::default(), &SchemaOptions::default());
    let two = [member("a,b\n1,2\n"), member("3,4\n")].concat();
    assert_eq!(read(&two).unwrap().rows(), 2);
    let mut damaged = two.clone();
    damaged[14] ^= 0xff;
    for bytes in [&two[..two.len() - 5], &damaged, b"\x1f\x8b"] {
        let e = read(bytes).unwrap_err().to_string();
        assert!(e.starts_with("`t.csv`: the gzip file is damaged (") && e.ends_with("); fetch or pack it again"), "{e}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_a_warning() {
    let warnings = |csv: &str, delimiter| {
        let options = CsvOptions { delimiter, ..CsvOptions::default() };
        let table = CsvTable::read(csv.as_bytes(), Path::new("t.csv"), &options, &SchemaOptions::default()).unwrap();
        table.warnings().iter().map(Warning::to_string).collect::<Vec<_>>()
    };
    let ambiguous = "column `d` is text: its cells read as %d/%m/%Y and as %m/%d/%Y; pass --format d=%d/%m/%Y or d=%m/%d/%Y";
    assert_eq!(warnings("d,y\n01/02/2024,1\n03/04/2024,2\n", b','), [ambiguous]);
    let dates = (1..=27).map(|day| format!("2024-02-{day:02},1\n")).collect::<String>();
    let nearly = "column `d` is text: 2 cells do not fit its format %Y-%m-%d, the first of them, in row 28, says '?': \
                  pass --na '?' to treat it as missing";
    assert_eq!(warnings(&format!("d,y\n{dates}?,1\n2024,2\n"), b','), [nearly]);
    assert!(warnings(&format!("d,y\n{}?,1\n2024,2\n", &dates[..13 * 9]), b',').is_empty());
    let comma = "cells of `x` such as '3,5' may have a decimal comma: pass --decimal , if they do";
    assert_eq!(warnings("x;y\n3,5;1\n4;2\n", b';'), [comma]);
    assert_eq!(warnings("x,y\n\"3,5\",1\n4,2\n", b','), [comma]);
    // Three digits behind it: thousands where commas have to be quoted, either elsewhere.
    assert_eq!(warnings("x,y\n\"3,500\",1\n4,2\n", b','), [""; 0]);
    assert_eq!(warnings("x;y\n3,500;1\n4;2\n", b';').len(), 1);
    for clear in ["3,500.5", "3,500,000", "a, b"] {
        assert_eq!(warnings(&format!("x;y\n{clear};1\n4;2\n"), b';'), [""; 0], "{clear}");
    }
}

#[test]
fn a_format_can_be_stated() {
    let dtype = |csv: &str, schema: &SchemaOptions| Ok::<_, Error>(read_with(csv, schema)?.to_frame()?.dtypes()[0].clone());
    let stated = |format| SchemaOptions::default().format("d", format);
    assert_eq!(dtype("d,y\n20240102,1\n,2\n", &stated("%Y%m%d")).unwrap(), DataType::Date);
    assert_eq!(dtype("d,y\n01/02/2024,1\n,2\n", &stated("%m/%d/%Y").kind("d", ColumnKind::Continuous)).unwrap(), DataType::Date);
    let wrong = |schema: &SchemaOptions| dtype("d,y\n20240102,1\n2024,2\n", schema).unwrap_err();
    assert_eq!(
        wrong(&stated("%Y%m%d")).to_string(),
        "column `d`, row 2: found '2024'; a date or time in the stated format %Y%m%d is due; pass --na '2024' to treat it as \
         missing, or state another format"
    );
    assert!(wrong(&stated("%Y")).is_usage());
    assert!(wrong(&stated("%Y%m%d").kind("d", ColumnKind::Categorical)).is_usage());
    // Stated as levels, dates are text; stated as numbers, they are dates as ever.
    let csv = "d,y\n2024-01-02,1\n2024-01-03,2\n";
    assert_eq!(dtype(csv, &SchemaOptions::default().kind("d", ColumnKind::Categorical)).unwrap(), DataType::String);
    assert_eq!(dtype(csv, &SchemaOptions::default().kind("d", ColumnKind::Continuous)).unwrap(), DataType::Date);
    let e = dtype("d,y\n01/02/2024,1\n", &SchemaOptions::default().kind("d", ColumnKind::Continuous)).unwrap_err();
    assert_eq!(
        e.to_string(),
        "column `d`, row 1: found '01/02/2024'; the column is stated to be continuous; its cells read as %d/%m/%Y and as %m/%d/%Y, \
         state one as its format"
    );
}

#[test]
fn the_long_form_repeats_the_table() {
    let schema = SchemaOptions::default();
    let long = |csv: &str| {
        let table = read_with(csv, &schema)?;
        let df = table.to_frame()?;
        let mut out = Vec::new();
        MeanConfig::default().fit(&df)?.draw(&df, 2, 0)?.write_csv(&table, true, &mut out)?;
        Ok::<_, lacuna::Error>(String::from_utf8(out).unwrap())
    };
    let due = ".imp,.id,x,y\n1,1,5,a b\n1,2,5,c\n2,1,5,a b\n2,2,5,c\n";
    assert_eq!(long("x,y\n5,a b\n,c").unwrap(), due);
    let e = long(".id,x\n1,2\n").unwrap_err();
    assert!(e.to_string().contains("column `.id`"), "{e}");
}

#[test]
fn a_frame_of_another_file_is_refused() {
    let read = |csv| read_with(csv, &SchemaOptions::default()).unwrap();
    let df = read("x\n1\n\n").to_frame().unwrap();
    let filled = MeanConfig::default().fit(&df).unwrap().fill(&df).unwrap();
    assert!(filled.write_csv(&read("x\n1\n\n3\n"), true, Vec::new()).is_err());
    assert!(filled.write_csv(&read("y\n1\n\n"), true, Vec::new()).is_err());
}
