//! Files that only the node's owner may read.
//!
//! **Invariant:** a file is whole or not there: it is written under another name and moved into place.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use store::only_for_owner;

use crate::NodeError;

/// A step that failed on a file.
pub(crate) fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NodeError {
    let path = path.display().to_string();
    move |error| NodeError::File(step, path, error)
}

/// How the name of a file ends before it is whole.
pub(crate) const PART_ENDING: &str = ".part";

/// The name under which a file is written before it is whole.
pub(crate) fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(PART_ENDING);
    PathBuf::from(name)
}

/// Makes a file that was not there.
pub(crate) fn new_private_file(path: &Path) -> io::Result<File> {
    only_for_owner(OpenOptions::new().create_new(true).write(true)).open(path)
}

/// Writes a file, in place of one that may be there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    let part = part_of(path);
    // One that was left, or that somebody put there, may be open to others or lead elsewhere: it is not written into.
    if part.symlink_metadata().is_ok() {
        std::fs::remove_file(&part).map_err(failed("remove", &part))?;
    }
    let written = new_private_file(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&part, path));
    written.map_err(failed("write", path))?;
    sync(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Waits until the names in a directory are on the disk.
pub(crate) fn sync(directory: &Path) -> Result<(), NodeError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(failed("write", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_secret_is_not_written_into_what_somebody_put_there() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let directory = tempfile::tempdir().unwrap();
        let [file, elsewhere] = ["key", "elsewhere"].map(|name| directory.path().join(name));
        std::fs::write(&elsewhere, "open to all").unwrap();
        symlink(&elsewhere, part_of(&file)).unwrap();
        write_private(&file, b"secret").unwrap();
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"open to all");
        let found = file.symlink_metadata().unwrap();
        assert!(found.is_file() && found.permissions().mode() & 0o777 == 0o600, "{found:?}");
        assert!(!part_of(&file).exists());
    }
}
