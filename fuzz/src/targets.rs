//! What each target does with its bytes. Nothing here may panic, whatever they are.

use std::path::Path;

use polars::prelude::{Cell, DataFrame, DataType, Series};
use serde::Deserialize;

use crate::data::physical;
use crate::data::schema::{Profile, Values};
use crate::data::table::{Cells, Gaps};
use crate::{ColumnSpec, CsvOptions, CsvTable, Schema, SchemaOptions, VaeImputer};

/// Reads the bytes behind the first two as CSV, the settings taken from those; infers kinds, writes a fill into every gap and
/// reads that again.
pub fn csv(data: &[u8]) {
    let [settings, text @ ..] = data else { return };
    let mut options = CsvOptions {
        delimiter: [b',', b';', b'\t', b'|'][usize::from(settings % 4)],
        decimal: if settings & 4 > 0 { b',' } else { b'.' },
        ..CsvOptions::default()
    };
    if settings & 8 > 0 {
        options.na.extend(["?".into(), "\"\"".into(), "-9".into()]);
    }
    let read = |text: &[u8]| CsvTable::read(text, Path::new("t.csv"), &options, &SchemaOptions::default());
    let Ok(table) = read(text) else { return };
    let frame = table.to_frame().expect("a table becomes a frame");
    assert_eq!(frame.columns.len(), table.header().len());
    for (column, format) in table.formats() {
        let stated = SchemaOptions::default().format(&column, &format);
        CsvTable::read(text, Path::new("t.csv"), &options, &stated).expect("a format that was found can be stated");
    }
    let Ok(schema) = Schema::from_profiles(profiles(&frame), &SchemaOptions::default()) else { return };
    let (gaps, cells) = fills(&schema, &frame);
    for round in [true, false] {
        let mut out = Vec::new();
        table.write(&schema, &gaps, &cells, &[], round, &mut out).expect("memory takes all");
        let again = read(&out).unwrap_or_else(|e| panic!("what was written cannot be read: {e}"));
        assert_eq!((again.rows(), again.header()), (table.rows(), table.header()));
        if gaps.len() == 0 && !text.starts_with(b"\x1f\x8b") {
            assert_eq!(out, text);
        }
    }
}

/// Reads a schema file and reads a table under it.
pub fn schema(data: &[u8]) {
    #[derive(Deserialize)]
    struct File {
        columns: Vec<ColumnSpec>,
    }
    let Ok(file) = serde_json::from_slice::<File>(data) else { return };
    let options = SchemaOptions { columns: file.columns, ..SchemaOptions::default() };
    let Ok(table) = CsvTable::read(TABLE.as_bytes(), Path::new("t.csv"), &CsvOptions::default(), &options) else { return };
    let frame = table.to_frame().expect("a table becomes a frame");
    let Ok(schema) = Schema::from_profiles(profiles(&frame), &options) else { return };
    let again: File = serde_json::from_str(&schema.to_json()).expect("a schema is written as it is read");
    assert_eq!(again.columns.len(), schema.columns().len());
    let (gaps, cells) = fills(&schema, &frame);
    for round in [true, false] {
        let mut out = Vec::new();
        table.write(&schema, &gaps, &cells, &[], round, &mut out).expect("memory takes all");
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), TABLE.matches('\n').count());
    }
}

/// A column of each form, each with a gap.
const TABLE: &str = "\
n,x,d,t,m,b,c
1,1.5,2024-01-31,10:30,2024-01-31 10:30:00,true,u
2,-2.25,2024-02-29,11:45,2024-02-29 11:45:00,false,v
30,1e3,2020-12-31,00:00,2020-12-31 00:00:00,true,w
,,,,,,
";

/// Reads the bytes behind the first as a model file; where that is odd, they are its metadata, and the sizes of its tensors.
pub fn model(data: &[u8]) {
    let Some((&raw, data)) = data.split_first() else { return };
    let packed;
    let file = match raw % 2 {
        0 => data,
        _ => {
            let Some(file) = container(data) else { return };
            packed = file;
            packed.as_slice()
        }
    };
    let Ok(model) = VaeImputer::load_from(file, "m") else { return };
    let mut saved = Vec::new();
    model.save_to(&mut saved).expect("memory takes all");
    VaeImputer::load_from(saved.as_slice(), "m").unwrap_or_else(|e| panic!("what was saved cannot be loaded: {e}"));
    let mut columns = model.schema().columns().iter();
    assert!(columns.all(|c| [f64::NEG_INFINITY, -1e300, -0.5, 0.0, 1.0, 1e300].iter().all(|&x| !c.admit(x).is_nan())));
}

/// A safetensors file of the given metadata, behind the sizes of three tensors in two bytes each; all numbers in it are 0.5.
fn container(data: &[u8]) -> Option<Vec<u8>> {
    let (sizes, text) = data.split_at_checked(6)?;
    let text = std::str::from_utf8(text).ok()?;
    let names = [("noise", 4), ("member.0", 4), ("linear", 8)];
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "lacuna": text }));
    let mut body = Vec::new();
    for ((name, bytes), size) in names.into_iter().zip(sizes.chunks(2)) {
        let each = usize::from(size[0]) + 256 * usize::from(size[1]);
        // The linear model, and a draw of its parameters.
        let shape = if name == "linear" { vec![2, each] } else { vec![each] };
        let n: usize = shape.iter().product();
        let start = body.len();
        (0..n).for_each(|_| match bytes {
            4 => body.extend(0.5_f32.to_le_bytes()),
            _ => body.extend(0.5_f64.to_le_bytes()),
        });
        let dtype = if bytes == 4 { "F32" } else { "F64" };
        let tensor = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, body.len()] });
        header.insert(name.into(), tensor);
    }
    let header = serde_json::to_vec(&header).ok()?;
    Some([&(header.len() as u64).to_le_bytes()[..], &header, &body].concat())
}

/// What `lacuna::data::polars` says of a frame's columns, for the few types that CSV has.
fn profiles(frame: &DataFrame) -> Vec<Profile> {
    let column = |c: &Series| {
        let cells: Vec<&Cell> = c.cells.iter().flatten().collect();
        let numbers: Option<Vec<f64>> = cells.iter().map(|c| number(c)).collect();
        let values = match numbers {
            Some(numbers) if !matches!(c.dtype, DataType::String | DataType::Boolean) => values(&c.dtype, &numbers),
            _ => {
                let mut levels: Vec<(String, usize)> = Vec::new();
                for cell in &cells {
                    let text = match cell {
                        Cell::Text(text) => text.clone(),
                        Cell::Truth(x) => x.to_string(),
                        Cell::Integer(x) => x.to_string(),
                        Cell::Float(x) => x.to_string(),
                    };
                    match levels.iter_mut().find(|l| l.0 == text) {
                        Some(level) => level.1 += 1,
                        None => levels.push((text, 1)),
                    }
                }
                levels.sort();
                Values::Levels { levels, declared: false }
            }
        };
        Profile { name: c.name.clone(), dtype: c.dtype.clone(), observed: cells.len(), values }
    };
    frame.columns.iter().map(column).collect()
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Integer(x) => Some(*x as f64),
        Cell::Float(x) => Some(*x),
        _ => None,
    }
}

fn values(dtype: &DataType, numbers: &[f64]) -> Values {
    let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut distinct: Vec<f64> = numbers.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let integers = || numbers.iter().map(|&x| x as i128);
    Values::Numbers {
        integer_dtype: physical::is_integer(dtype),
        min,
        max,
        whole: numbers.iter().all(|x| x.fract() == 0.0),
        stored: integers().min().filter(|_| physical::range(dtype).is_some()).map(|least| (physical::step(dtype, integers()), least)),
        distinct: Some(distinct.iter().map(f64::to_string).collect()),
        skew: 3.0,
        log_skew: (min > 0.0).then_some(0.0),
    }
}

/// A fill for every gap of a column that is filled: numbers at and beyond its ends in turn, its last level.
fn fills(schema: &Schema, frame: &DataFrame) -> (Gaps, Cells) {
    let mut gaps = Gaps::default();
    let mut cells = Vec::new();
    for (column, input) in schema.columns().iter().zip(&frame.columns) {
        let missing: Vec<usize> = (0..input.cells.len()).filter(|&i| input.cells[i].is_none()).collect();
        gaps.missing.push(missing.len());
        let rows = if column.left().is_none() { missing } else { Vec::new() };
        let fill = |i: usize| match column.kind().has_levels() {
            true => column.levels().len().saturating_sub(1) as f64,
            false => column.clamp([0.1234567, 1e300, -1e300, 1e-310][i % 4]),
        };
        cells.push((0..rows.len()).map(fill).collect());
        gaps.rows.push(rows);
    }
    (gaps, cells)
}

