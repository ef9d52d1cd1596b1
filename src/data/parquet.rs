//! Parquet files as DataFrames, behind the feature `parquet`.
//!
//! ```no_run
//! use lacuna::{ImputeExt, data::parquet};
//! let df = parquet::read("data.parquet")?;
//! parquet::write(&df.impute_vae()?, "filled.parquet")?;
//! # Ok::<(), lacuna::Error>(())
//! ```

use std::fs::File;
use std::io;
use std::path::Path;

use ::polars::prelude::{DataFrame, ParquetReader, ParquetWriter, SerReader};

use crate::data::file::write_whole;
use crate::error::{Error, Result};

/// Reads a whole file.
///
/// # Errors
/// The file cannot be opened, or is not a Parquet file.
pub fn read(path: impl AsRef<Path>) -> Result<DataFrame> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(Some(path), "read", e))?;
    ParquetReader::new(file).finish().map_err(|e| Error::io(Some(path), "read", io::Error::other(e)))
}

/// Writes a file that appears whole or not at all: under another name first, in the same folder, then renamed.
///
/// # Errors
/// The folder cannot be written to; a column's type has no Parquet form.
pub fn write(df: &DataFrame, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    write_whole(path, |file| {
        let written = ParquetWriter::new(file).finish(&mut df.clone());
        written.map(|_| ()).map_err(|e| Error::io(Some(path), "write", io::Error::other(e)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::polars::prelude::df;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let df = df!("x" => [Some(1.5), None], "n" => [Some(i64::MAX), None], "t" => [Some("ä"), None]).unwrap();
        write(&df, &path).unwrap();
        assert!(read(&path).unwrap().equals_missing(&df));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let missing = read(&path).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read `") && missing.contains("x.parquet"), "{missing}");
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let other = read(&path).unwrap_err().to_string();
        assert!(other.starts_with("cannot read `") && other.contains("x.parquet"), "{other}");
        let nowhere = write(&DataFrame::default(), folder.path().join("no/x.parquet")).unwrap_err();
        assert!(nowhere.to_string().starts_with("cannot write `"), "{nowhere}");
    }
}
