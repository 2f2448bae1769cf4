//! The policy directory: read as a whole, and watched by content.
//!
//! Content and not time stamps, since kubelet swaps a symlink (`..data`) and nothing else. A change counts when two
//! looks in a row saw the same, so that half-written files and half-swapped directories are not taken for policies.
//! A directory that cannot be read is an error, never an empty one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};

/// What is read; anything else in the directory is not a policy.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The files of a directory by name, in the order of their names, with their text.
pub type Files = Vec<(String, String)>;

/// Why a directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The directory, or a file in it, could not be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not text.
    #[error("{path:?} is not UTF-8 text")]
    NotText {
        /// Which.
        path: PathBuf,
    },
}

/// Reads every `.yaml`, `.yml` and `.json` file in the directory itself, through symlinks.
/// Names that begin with a dot are passed over, kubelet's `..data` among them.
///
/// # Errors
/// When the directory or one of these files cannot be read: a part is never given for the whole.
pub fn read(directory: &Path) -> Result<Files, DirectoryError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DirectoryError::Read { path, source }
    };
    let mut files = Files::new();
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let Some(name) = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            continue;
        };
        let wanted = path
            .extension()
            .is_some_and(|found| EXTENSIONS.iter().any(|extension| found == *extension));
        if name.starts_with('.') || !wanted || fs::metadata(&path).map_err(failed(&path))?.is_dir()
        {
            continue;
        }
        let text = fs::read(&path).map_err(failed(&path))?;
        let text =
            String::from_utf8(text).map_err(|_| DirectoryError::NotText { path: path.clone() })?;
        files.push((name, text));
    }
    files.sort();
    Ok(files)
}

/// Looks at the directory for ever, and calls back when it differs from what was `known`, or last called back with,
/// in two looks in a row. An error is called back once, and so is the return to what was there before it.
pub async fn watch<F>(directory: PathBuf, known: Files, every: Duration, mut on_change: F)
where
    F: FnMut(Result<Files, DirectoryError>),
{
    let mut known = Seen::Files(known);
    let mut candidate = None;
    loop {
        sleep(every).await;
        let directory = directory.clone();
        // A blocking task that panics or is cancelled only happens while the runtime ends.
        let Ok(found) = spawn_blocking(move || read(&directory)).await else {
            return;
        };
        let seen = Seen::of(&found);
        if seen == known {
            candidate = None;
        } else if candidate.as_ref() == Some(&seen) {
            known = seen;
            candidate = None;
            on_change(found);
        } else {
            candidate = Some(seen);
        }
    }
}

/// What a look saw, comparable.
#[derive(PartialEq, Eq)]
enum Seen {
    Files(Files),
    Unreadable(PathBuf, io::ErrorKind),
    NotText(PathBuf),
}

// === impl Seen ===

impl Seen {
    fn of(found: &Result<Files, DirectoryError>) -> Self {
        match found {
            Ok(files) => Self::Files(files.clone()),
            Err(DirectoryError::Read { path, source }) => {
                Self::Unreadable(path.clone(), source.kind())
            }
            Err(DirectoryError::NotText { path }) => Self::NotText(path.clone()),
        }
    }
}
