//! Arrow IPC files, Feather files of version 2 among them, as record batches.
//!
//! ```no_run
//! use lacuna::{ImputeExt, data::ipc};
//! let batch = ipc::read("data.arrow")?;
//! ipc::write(&batch.impute_vae()?, "filled.arrow")?;
//! # Ok::<(), lacuna::Error>(())
//! ```

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;

use crate::data::file::write_whole;
use crate::error::{Error, Result};

type ArrowResult = std::result::Result<RecordBatch, ArrowError>;

/// The first bytes of a file.
const FILE: &[u8] = b"ARROW1";
/// The first bytes of a stream: the mark of a message.
const STREAM: &[u8] = &[0xff; 4];

/// Reads a whole file, its batches under each other.
///
/// # Errors
/// As [`read_from`].
pub fn read(path: impl AsRef<Path>) -> Result<RecordBatch> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(Some(path), "read", e))?;
    read_from(file, path)
}

/// Reads a whole file or stream, its batches under each other; `path` names it in messages. Buffers may be plain or LZ4.
///
/// # Errors
/// Reading fails; it is neither an Arrow IPC file nor a stream; its buffers are compressed by Zstandard.
pub fn read_from(mut input: impl Read, path: &Path) -> Result<RecordBatch> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|e| Error::io(Some(path), "read", e))?;
    let failed = |e: ArrowError| {
        let message = match e {
            ArrowError::InvalidArgumentError(m) if m.contains("zstd") => {
                "its buffers are compressed by Zstandard; write it without compression or with lz4".to_string()
            }
            other => format!("not a whole Arrow IPC file: {other}"),
        };
        Error::io(Some(path), "read", io::Error::new(io::ErrorKind::InvalidData, message))
    };
    if bytes.starts_with(FILE) {
        let reader = FileReader::try_new(Cursor::new(bytes), None).map_err(failed)?;
        return joined(reader.schema(), reader).map_err(failed);
    }
    if bytes.starts_with(STREAM) {
        let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(failed)?;
        return joined(reader.schema(), reader).map_err(failed);
    }
    let found = match bytes.starts_with(b"FEA1") {
        true => "a Feather file of version 1; write it anew as version 2",
        false => "neither an Arrow IPC file nor an Arrow IPC stream",
    };
    Err(Error::io(Some(path), "read", io::Error::new(io::ErrorKind::InvalidData, found)))
}

/// The batches under each other.
fn joined(schema: SchemaRef, batches: impl Iterator<Item = ArrowResult>) -> ArrowResult {
    match <[RecordBatch; 1]>::try_from(batches.collect::<std::result::Result<Vec<_>, _>>()?) {
        Ok([batch]) => Ok(batch),
        Err(batches) => concat_batches(&schema, &batches),
    }
}

/// Whether bytes begin as an Arrow IPC file or stream does; six of them tell.
pub fn is_arrow(bytes: &[u8]) -> bool {
    bytes.starts_with(FILE) || bytes.starts_with(STREAM)
}

/// Writes a file that appears whole or not at all: under another name first, in the same folder, then renamed.
///
/// # Errors
/// The folder cannot be written to.
pub fn write(batch: &RecordBatch, path: impl AsRef<Path>) -> Result<()> {
    write_whole(path.as_ref(), |file| write_to(batch, file))
}

/// Writes a file of one batch, without compression.
///
/// # Errors
/// Writing fails.
pub fn write_to(batch: &RecordBatch, out: impl Write) -> Result<()> {
    let failed = |e: ArrowError| match e {
        ArrowError::IoError(_, source) => Error::io(None, "write", source),
        other => other.into(),
    };
    let mut writer = FileWriter::try_new_buffered(out, &batch.schema()).map_err(failed)?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(failed)
}
