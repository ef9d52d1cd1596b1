//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::{Compression, GzBuilder};
use lacuna::{Error, ErrorKind};
use tempfile::NamedTempFile;

/// Temporary files that have not become outputs yet.
static IN_PROGRESS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn in_progress() -> MutexGuard<'static, Vec<PathBuf>> {
    IN_PROGRESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Outputs that have appeared.
static PUBLISHED: AtomicUsize = AtomicUsize::new(0);

/// Removes what is in progress and ends the process, once it is said how many files have appeared; for the handler of Ctrl-C.
pub fn abandon(code: i32, say: impl FnOnce(usize)) -> ! {
    // An output that is being renamed appears first.
    let paths = in_progress();
    say(PUBLISHED.load(Ordering::SeqCst));
    for path in paths.iter() {
        // Nothing can be done about a file that stays.
        let _ = fs::remove_file(path);
    }
    std::process::exit(code)
}

/// A place to write to: standard output, a device, or a file that is replaced at the end.
#[derive(Debug)]
pub struct Output {
    name: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stdout,
    Device(File),
    Replace { temporary: NamedTempFile, target: PathBuf },
}

/// Whether the path names a standard stream.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-") || path == Path::new("/dev/stdout")
}

impl Output {
    /// Makes sure that the path can be written, and changes nothing there yet.
    pub fn open(path: &Path) -> Result<Output, Error> {
        let failed = |source| Error::from(ErrorKind::Io { path: Some(path.to_owned()), action: "write", source });
        let sink = if is_standard(path) { Sink::Stdout } else { Sink::open(path).map_err(failed)? };
        Ok(Output { name: path.to_owned(), sink })
    }

    /// Writes with the given function and makes the file appear; packed, if its name ends in `.gz`.
    pub fn publish(mut self, write: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<Written, Error> {
        let packs = self.name.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        let write = |out: &mut dyn Write| if packs { pack(out, write) } else { write(out) };
        let done = match &mut self.sink {
            Sink::Stdout => write(&mut io::stdout().lock()),
            Sink::Device(file) => write(file),
            Sink::Replace { temporary, .. } => write(temporary.as_file_mut()),
        };
        let stdout = matches!(self.sink, Sink::Stdout);
        let failed = |name, source| Error::from(ErrorKind::Io { path: Some(name), action: "write", source });
        match done {
            Ok(()) => {}
            Err(e) => match e.kind() {
                ErrorKind::Io { source, .. } if stdout && source.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(Written::ClosedPipe);
                }
                // The library does not know the file's name.
                ErrorKind::Io { path: None, source, .. } if !stdout => {
                    return Err(failed(self.name, io::Error::new(source.kind(), source.to_string())));
                }
                _ => return Err(e),
            },
        }
        if let Sink::Replace { temporary, target } = self.sink {
            // A full disk may say so only now, and a file that is renamed before its content is safe may be empty after a power cut.
            if let Err(e) = temporary.as_file().sync_all() {
                return Err(failed(self.name, e));
            }
            let mut paths = in_progress();
            paths.retain(|p| p != temporary.path());
            temporary.persist(target).map_err(|e| failed(self.name, e.error))?;
            PUBLISHED.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Written::Whole)
    }
}

/// Packs what the function writes; without time and name in it, so that the same table gives the same file.
fn pack(out: &mut dyn Write, write: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<(), Error> {
    let mut packer = GzBuilder::new().write(out, Compression::default());
    write(&mut packer)?;
    packer.finish().map(|_| ()).map_err(|source| ErrorKind::Io { path: None, action: "write", source }.into())
}

/// How writing ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    Whole,
    /// The reader of standard output has seen enough.
    ClosedPipe,
}

impl Sink {
    fn open(path: &Path) -> io::Result<Sink> {
        let existing = match fs::metadata(path) {
            Ok(m) if m.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(m) if !m.is_file() => return Ok(Sink::Device(OpenOptions::new().write(true).open(path)?)),
            Ok(m) => {
                // A file that may not be written may not be replaced either.
                OpenOptions::new().write(true).open(path)?;
                Some(m.permissions())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        // Through a link, the file it leads to is replaced.
        let target = resolved(path);
        let folder = match target.parent() {
            Some(p) if p != Path::new("") => p,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".lacuna-").suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        // The folder's own error; the temporary file's would name a file the user does not know.
        fs::metadata(folder)?;
        let mut paths = in_progress();
        let temporary = builder.tempfile_in(folder).map_err(|e| e.kind())?;
        paths.push(temporary.path().to_owned());
        if let Some(permissions) = existing {
            temporary.as_file().set_permissions(permissions)?;
        }
        Ok(Sink::Replace { temporary, target })
    }
}

/// The path without links; of a file that does not exist yet, its folder's with its name.
pub fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    // A link that leads nowhere yet names the file to come.
    let path = &fs::read_link(path).map_or_else(|_| path.to_owned(), |to| path.with_file_name(to));
    let folder = path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
    match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
