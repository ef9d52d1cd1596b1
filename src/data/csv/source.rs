//! The bytes of a file, to be read several times in blocks of whole records: kept in memory, or left on disk.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

use super::records::{line_ends, whole_records};

/// The first bytes of a gzip file.
const GZIP: &[u8] = b"\x1f\x8b";

/// A file's bytes, unpacked.
pub(super) enum Source {
    Memory(Vec<u8>),
    Disk {
        file: File,
        packed: bool,
        /// Length and time of change when it was opened.
        state: (u64, Option<SystemTime>),
    },
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Memory(bytes) => write!(f, "{} bytes", bytes.len()),
            Source::Disk { state, .. } => write!(f, "a file of {} bytes", state.0),
        }
    }
}

/// What went wrong with the bytes.
#[derive(Debug)]
pub(super) enum Trouble {
    Io(io::Error),
    /// The gzip file is damaged.
    Damaged(io::Error),
    /// The file is another than before.
    Changed,
    /// A record does not end within [`RECORD_MOST`] bytes.
    Endless,
}

/// Bytes of a record at most, and of a block as a rule.
const RECORD_MOST: usize = 1 << 30;
pub(super) const BLOCK: usize = 1 << 18;

impl Source {
    /// Reads `input` into memory, or into a temporary file where it has more than `most` bytes.
    pub fn new(input: impl Read, most: usize) -> Result<Source, Trouble> {
        let mut input = input;
        let mut start = Vec::new();
        input.by_ref().take(GZIP.len() as u64).read_to_end(&mut start).map_err(Trouble::Io)?;
        let packed = start == GZIP;
        let whole = io::Cursor::new(start).chain(input);
        match packed {
            true => Source::kept(MultiGzDecoder::new(whole), most, Trouble::Damaged),
            false => Source::kept(whole, most, Trouble::Io),
        }
    }

    fn kept(mut input: impl Read, most: usize, failed: fn(io::Error) -> Trouble) -> Result<Source, Trouble> {
        let mut bytes = Vec::new();
        // One more, to see whether there are more.
        input.by_ref().take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() <= most {
            bytes.shrink_to_fit();
            return Ok(Source::Memory(bytes));
        }
        let mut file = tempfile::tempfile().map_err(Trouble::Io)?;
        loop {
            file.write_all(&bytes).map_err(Trouble::Io)?;
            bytes.resize(BLOCK, 0);
            bytes.shrink_to_fit();
            let n = read_some(&mut input, &mut bytes).map_err(failed)?;
            bytes.truncate(n);
            if n == 0 {
                return Source::disk(file, false);
            }
        }
    }

    /// A file that stays where it is; one of at most `most` bytes, or that cannot be read twice, is read now.
    pub fn of_file(mut file: File, most: usize) -> Result<Source, Trouble> {
        let metadata = file.metadata().map_err(Trouble::Io)?;
        if !metadata.is_file() || metadata.len() <= most as u64 || file.stream_position().map_err(Trouble::Io)? > 0 {
            return Source::new(file, most);
        }
        let mut start = [0; 2];
        file.read_exact(&mut start).map_err(Trouble::Io)?;
        Source::disk(file, start == GZIP)
    }

    fn disk(file: File, packed: bool) -> Result<Source, Trouble> {
        let state = state(&file).map_err(Trouble::Io)?;
        Ok(Source::Disk { file, packed, state })
    }

    /// The bytes from `from` on, in blocks of about `size` bytes; one reader at a time.
    pub fn blocks(&self, from: u64, delimiter: u8, size: usize) -> Result<Blocks<'_>, Trouble> {
        let input = match self {
            Source::Memory(bytes) => Input::Memory(bytes),
            Source::Disk { file, packed, state } => {
                let mut handle = file;
                handle.seek(SeekFrom::Start(if *packed { 0 } else { from })).map_err(Trouble::Io)?;
                let reader: Box<dyn Read + Send> = match packed {
                    true => Box::new(MultiGzDecoder::new(io::BufReader::new(handle))),
                    false => Box::new(handle),
                };
                Input::Disk { reader, packed: *packed, rest: Vec::new(), over: false, file, state: *state }
            }
        };
        let mut blocks = Blocks { input, at: 0, delimiter, size };
        match &mut blocks.input {
            Input::Disk { reader, packed: true, .. } => {
                io::copy(&mut reader.take(from), &mut io::sink()).map_err(Trouble::Damaged)?;
            }
            Input::Memory(bytes) => *bytes = &bytes[from as usize..],
            Input::Disk { .. } => {}
        }
        blocks.at = from;
        Ok(blocks)
    }

    /// The line on which the byte at `at` stands, 1-based.
    pub fn line(&self, at: u64) -> Result<u64, Trouble> {
        let mut line = 1;
        let mut blocks = self.blocks(0, b',', BLOCK)?;
        let mut last = None;
        let mut left = at;
        while left > 0 {
            let Some(bytes) = blocks.any(left.min(BLOCK as u64) as usize)? else { break };
            line += last.map_or(0, |b| line_ends(&[b], bytes.first().copied())) as u64;
            line += line_ends(&bytes[..bytes.len() - 1], bytes.last().copied()) as u64;
            last = bytes.last().copied();
            left -= bytes.len() as u64;
        }
        // A record never starts between a CR and its LF.
        Ok(line + last.map_or(0, |b| line_ends(&[b], None)) as u64)
    }
}

fn state(file: &File) -> io::Result<(u64, Option<SystemTime>)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// Reads until the buffer is full or the input ends.
fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match input.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}

/// Some whole records of a file.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Where it starts in the file.
    pub start: u64,
}

/// A file's blocks, in order.
pub(super) struct Blocks<'a> {
    input: Input<'a>,
    at: u64,
    delimiter: u8,
    /// Bytes of a block, if its records are no longer.
    size: usize,
}

enum Input<'a> {
    /// What has not been handed out.
    Memory(&'a [u8]),
    Disk {
        reader: Box<dyn Read + Send + 'a>,
        packed: bool,
        /// Read, and not handed out.
        rest: Vec<u8>,
        over: bool,
        file: &'a File,
        state: (u64, Option<SystemTime>),
    },
}

impl<'a> Blocks<'a> {
    /// The next block; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Block<'a>>, Trouble> {
        let (mut size, delimiter) = (self.size, self.delimiter);
        let bytes = loop {
            let (seen, over) = self.look(size)?;
            if over {
                break seen.len();
            }
            let whole = whole_records(seen, delimiter);
            if whole > 0 {
                break whole;
            }
            if size >= RECORD_MOST {
                return Err(Trouble::Endless);
            }
            size *= 2;
        };
        self.take(bytes)
    }

    /// At most so many bytes, cut anywhere; `None` at the end.
    pub fn any(&mut self, most: usize) -> Result<Option<Cow<'a, [u8]>>, Trouble> {
        let n = self.look(most)?.0.len();
        Ok(self.take(n.min(most))?.map(|block| block.bytes))
    }

    /// The next `size` bytes, more or fewer where there are no others, and whether that is all.
    fn look(&mut self, size: usize) -> Result<(&[u8], bool), Trouble> {
        match &mut self.input {
            Input::Memory(bytes) => Ok((&bytes[..size.min(bytes.len())], size >= bytes.len())),
            Input::Disk { reader, packed, rest, over, file, state: known } => {
                if rest.len() < size && !*over {
                    let had = rest.len();
                    rest.resize(size, 0);
                    let failed = if *packed { Trouble::Damaged } else { Trouble::Io };
                    let n = read_some(reader, &mut rest[had..]).map_err(failed)?;
                    rest.truncate(had + n);
                    *over = had + n < size;
                    if *over && state(file).map_err(Trouble::Io)? != *known {
                        return Err(Trouble::Changed);
                    }
                }
                Ok((rest, *over))
            }
        }
    }

    fn take(&mut self, n: usize) -> Result<Option<Block<'a>>, Trouble> {
        let start = self.at;
        self.at += n as u64;
        let bytes = match &mut self.input {
            Input::Memory(bytes) => {
                let (block, rest) = bytes.split_at(n);
                *bytes = rest;
                Cow::Borrowed(block)
            }
            Input::Disk { rest, .. } => {
                let later = rest.split_off(n);
                Cow::Owned(std::mem::replace(rest, later))
            }
        };
        Ok((n > 0).then_some(Block { bytes, start }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    /// All blocks one after the other, and how many there are.
    fn read(source: &Source, from: u64, size: usize) -> (Vec<u8>, usize) {
        let mut blocks = source.blocks(from, b',', size).unwrap();
        let (mut all, mut n) = (Vec::new(), 0);
        while let Some(block) = blocks.next().unwrap() {
            assert_eq!(block.start, from + all.len() as u64);
            all.extend_from_slice(&block.bytes);
            n += 1;
        }
        (all, n)
    }

    #[test]
    fn bytes_are_the_same_in_memory_on_disk_and_packed() {
        let text = "a,b\r\n1,\"x\ny\"\r\n\r\n2,z\r\n".repeat(50);
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let sources = [
            Source::new(text.as_bytes(), 1 << 20),
            Source::new(text.as_bytes(), text.len()),
            Source::new(text.as_bytes(), 10),
            Source::new(packed.as_slice(), 10),
            Source::of_file(file(text.as_bytes()), 1 << 20),
            Source::of_file(file(text.as_bytes()), 10),
            Source::of_file(file(&packed), 10),
        ];
        let kept = sources.iter().map(|s| matches!(s, Ok(Source::Memory(_)))).collect::<Vec<_>>();
        assert_eq!(kept, [true, true, false, false, true, false, false]);
        for source in sources {
            let source = source.unwrap();
            for (from, size) in [(0, 1), (0, 20), (5, 100), (5, 1 << 18)] {
                let (all, n) = read(&source, from, size);
                assert!(all == text.as_bytes()[from as usize..], "{source:?} {size}");
                assert!(size > 100 || n > 10, "{n}");
            }
            let lines = [0, 5, 14, 16].map(|at| source.line(at).unwrap());
            assert_eq!(lines, [1, 2, 4, 5]);
        }
    }

    #[test]
    fn a_file_that_changes_is_noticed() {
        let text = b"a,b\n1,2\n".repeat(50);
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &text).unwrap();
        let source = Source::of_file(File::open(path.path()).unwrap(), 10).unwrap();
        read(&source, 0, 100);
        std::fs::OpenOptions::new().append(true).open(path.path()).unwrap().write_all(b"3,4\n").unwrap();
        let mut blocks = source.blocks(0, b',', 100).unwrap();
        let end = std::iter::repeat_with(|| blocks.next()).find(|b| !matches!(b, Ok(Some(_))));
        assert!(matches!(end, Some(Err(Trouble::Changed))), "{end:?}");
    }
}
