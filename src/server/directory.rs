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
    /// More than one of these.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<DirectoryError>),
}

/// Reads every `.yaml`, `.yml` and `.json` file in the directory itself, through symlinks.
/// Names that begin with a dot are passed over, kubelet's `..data` among them.
///
/// # Errors
/// When the directory or any of these files cannot be read, all of them at once: a part is never given for the whole.
pub fn read(directory: &Path) -> Result<Files, DirectoryError> {
    let failed = |source| DirectoryError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    let mut files = Files::new();
    let mut errors = Vec::new();
    for path in paths {
        let Some(name) = policy_name(&path) else {
            continue;
        };
        match read_file(path) {
            Ok(Some(text)) => files.push((name, text)),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    match (errors.pop(), errors.is_empty()) {
        (None, _) => Ok(files),
        (Some(error), true) => Err(error),
        (Some(last), false) => {
            errors.push(last);
            Err(DirectoryError::Several(errors))
        }
    }
}

/// True if a file of that name is read.
#[must_use]
pub fn is_policy(name: &str) -> bool {
    let extension = Path::new(name).extension();
    let is_known = extension.is_some_and(|it| EXTENSIONS.iter().any(|known| it == *known));
    is_known && !name.starts_with('.')
}

/// The name of a file that is to be read.
fn policy_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    is_policy(&name).then_some(name)
}

/// Its text; none if it is a directory.
fn read_file(path: PathBuf) -> Result<Option<String>, DirectoryError> {
    let read = fs::metadata(&path).and_then(|metadata| {
        if metadata.is_dir() {
            return Ok(None);
        }
        fs::read(&path).map(Some)
    });
    match read.map(|bytes| bytes.map(String::from_utf8).transpose()) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(_)) => Err(DirectoryError::NotText { path }),
        Err(source) => Err(DirectoryError::Read { path, source }),
    }
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
    Several(Vec<Seen>),
}

// === impl Seen ===

impl Seen {
    fn of(found: &Result<Files, DirectoryError>) -> Self {
        match found {
            Ok(files) => Self::Files(files.clone()),
            Err(error) => Self::failed(error),
        }
    }

    fn failed(error: &DirectoryError) -> Self {
        match error {
            DirectoryError::Read { path, source } => Self::Unreadable(path.clone(), source.kind()),
            DirectoryError::NotText { path } => Self::NotText(path.clone()),
            DirectoryError::Several(errors) => {
                Self::Several(errors.iter().map(Self::failed).collect())
            }
        }
    }
}
