//! The output directory: every file appears whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file or directory that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct WriteError {
    /// What was being written.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

/// A directory that is known to exist and to be writable.
#[derive(Debug, Clone)]
pub struct OutputDirectory {
    root: PathBuf,
}

impl OutputDirectory {
    /// Creates the directory where it is missing and proves that files can be made in it.
    ///
    /// # Errors
    /// [`WriteError`] when it cannot be created or written to.
    pub fn create(root: &Path) -> Result<Self, WriteError> {
        let failed = |source| WriteError {
            path: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(failed)?;
        NamedTempFile::new_in(root).map_err(failed)?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Writes `bytes` to `name` (a path below the directory) through a temporary file and a rename.
    ///
    /// # Errors
    /// [`WriteError`] with the path; a previous file of that name is then untouched.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, WriteError> {
        let path = self.root.join(name);
        let failed = |source| WriteError {
            path: path.clone(),
            source,
        };
        let parent = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(failed)?;
        let mut file = NamedTempFile::with_prefix_in(".tmp-", parent).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        set_readable(file.as_file()).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(path)
    }
}

/// Temporary files are private to their owner; results are read by other containers of the same pod.
#[cfg(unix)]
fn set_readable(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_readable(_file: &fs::File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::OutputDirectory;

    #[test]
    fn files_are_replaced_whole_and_leave_no_temporary_behind() {
        let scratch = tempfile::tempdir().unwrap();
        let output = OutputDirectory::create(&scratch.path().join("a/b")).unwrap();
        output.write("deep/x.txt", b"one").unwrap();
        let path = output.write("deep/x.txt", b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "only the result remains");
    }

    #[test]
    fn a_file_in_the_way_is_named_in_the_error() {
        let scratch = tempfile::tempdir().unwrap();
        let blocked = scratch.path().join("file");
        std::fs::write(&blocked, b"x").unwrap();
        let error = OutputDirectory::create(&blocked.join("out")).unwrap_err();
        assert!(error.to_string().contains("file/out"), "{error}");
    }
}
