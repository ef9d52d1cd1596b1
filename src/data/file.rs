//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes a file that appears whole or not at all: under another name first, in the same folder, then renamed. A file that
/// stands there keeps its permissions, and its content where writing fails; a link stays, and what it leads to is
/// written; a device is written to as it is.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let failed = |e| Error::io(Some(path), "write", e);
    let target = behind_links(path);
    // A file that may not be written may not be replaced either.
    let permissions = match OpenOptions::new().write(true).open(&target) {
        Ok(mut there) => {
            let metadata = there.metadata().map_err(failed)?;
            if !metadata.is_file() {
                return write(&mut there);
            }
            Some(metadata.permissions())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(failed(e)),
    };
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The folder's own error: that of the temporary file names a file that nobody knows.
    fs::metadata(folder).map_err(failed)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)] // As any new file, not for its owner alone.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(|e| failed(e.kind().into()))?;
    write(file.as_file_mut())?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions).map_err(failed)?;
    }
    // A full disk may say so only now, and a file that is renamed before its content is safe may be empty after a power cut.
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map_err(|e| failed(e.error))?;
    Ok(())
}

/// The path without links; a link that leads nowhere yet names the file to come.
fn behind_links(path: &Path) -> PathBuf {
    let to_come = || fs::read_link(path).map(|to| path.with_file_name(to));
    fs::canonicalize(path).or_else(|_| to_come()).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(text: &str) -> impl FnOnce(&mut File) -> Result<()> {
        move |file| file.write_all(text.as_bytes()).map_err(|e| Error::io(None, "write", e))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failure_midway_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let half = |file: &mut File| {
            text("half")(file)?;
            Err(Error::schema("no more"))
        };
        assert_eq!(write_whole(&path, half).unwrap_err().to_string(), "no more");
        assert!(names(folder.path()).is_empty());
        write_whole(&path, text("old")).unwrap();
        assert_eq!(write_whole(&path, half).unwrap_err().to_string(), "no more");
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()), ("old", 1));
        write_whole(&path, text("new, and longer")).unwrap();
        write_whole(&path, text("new")).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()), ("new", 1));
    }

    #[test]
    fn what_cannot_be_written_is_named_by_the_path_given() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("none/x"), folder.path().to_owned()] {
            let e = write_whole(&path, text("new")).unwrap_err().to_string();
            let why = e.strip_prefix(&format!("cannot write `{}`: ", path.display()));
            assert!(why.is_some_and(|why| !why.contains(".tmp")), "{e}");
        }
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_links_and_devices_are_respected() {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [path, link, dangling] = ["x", "link", "dangling"].map(|name| folder.path().join(name));
        write_whole(&path, text("old")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        symlink("to come", &dangling).unwrap();
        write_whole(&link, text("new")).unwrap();
        write_whole(&dangling, text("new")).unwrap();
        assert!([&link, &dangling].iter().all(|l| fs::symlink_metadata(l).unwrap().is_symlink()));
        assert_eq!([&path, &dangling].map(|p| fs::read_to_string(p).unwrap()), ["new", "new"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        write_whole(Path::new("/dev/null"), text("new")).unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }
}
