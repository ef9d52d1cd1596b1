//! A batch as CSV.

use std::fmt::Write as _;
use std::io::Write;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::data::arrow::strict;
use crate::data::csv::quote;
use crate::error::{Error, Result};

/// Writes a batch as CSV with a header: dates and times in ISO 8601, those with a zone in UTC, numbers in their shortest form
/// that reads back the same, null as an empty field, the empty text as `""`.
///
/// # Errors
/// A column that one field of text cannot hold, such as a list or bytes; writing fails.
pub fn write_csv(batch: &RecordBatch, mut out: impl Write) -> Result<()> {
    let written = |e| Error::io(None, "write", e);
    let schema = batch.schema();
    let arrays = schema.fields().iter().zip(batch.columns());
    let arrays = arrays.map(|(f, array)| readable(f.name(), array)).collect::<Result<Vec<_>>>()?;
    let options = FormatOptions::default().with_null("");
    let columns = arrays.iter().map(|a| ArrayFormatter::try_new(a, &options)).collect::<std::result::Result<Vec<_>, _>>()?;
    let mut line = String::new();
    for (j, field) in schema.fields().iter().enumerate() {
        push(&mut line, j, field.name());
    }
    let (mut text, mut out) = (String::new(), std::io::BufWriter::new(&mut out));
    writeln!(out, "{line}").map_err(written)?;
    for row in 0..batch.num_rows() {
        line.clear();
        for (j, (array, column)) in arrays.iter().zip(&columns).enumerate() {
            text.clear();
            if array.is_null(row) || *array.data_type() == DataType::Null {
                line.push_str(if j > 0 { "," } else { "" });
            } else {
                write!(text, "{}", column.value(row)).map_err(|_| unwritable(schema.field(j).name(), array.data_type()))?;
                push(&mut line, j, &text);
            }
        }
        writeln!(out, "{line}").map_err(written)?;
    }
    out.flush().map_err(written)
}

/// Adds field `j` to a line, in quotes where it needs them.
fn push(line: &mut String, j: usize, text: &str) {
    if j > 0 {
        line.push(',');
    }
    line.push_str(&quote(text, b',', false));
}

fn unwritable(name: &str, data_type: &DataType) -> Error {
    Error::schema(format!("column `{name}` of type {data_type} has no CSV form; write an Arrow file, or drop the column"))
}

/// The column in a type whose cells read as the text they are to be.
fn readable(name: &str, array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, values) => readable(name, &strict(array, values)?),
        // The format of a named zone would need its rules.
        DataType::Timestamp(unit, Some(_)) => {
            strict(&strict(array, &DataType::Int64)?, &DataType::Timestamp(*unit, Some("+00:00".into())))
        }
        DataType::Date64 => strict(array, &DataType::Date32),
        DataType::Float16 => strict(array, &DataType::Float32),
        t if t.is_nested() || t.is_binary() || matches!(t, DataType::FixedSizeBinary(_) | DataType::Interval(_)) => {
            Err(unwritable(name, t))
        }
        _ => Ok(array.clone()),
    }
}
