//! CSV files with gaps in, the same files filled out.

use std::path::Path;

use lacuna::{ColumnSpec, CsvOptions, CsvTable, Fit, Imputer, MeanConfig, Result, Schema, SchemaOptions};

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
    assert_eq!(fill("\n\nx\n1\n\n"), "x\n1\n1\n");
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
