//! Why files give no policy set: everything that is wrong in all of them, each error with its place.

use std::fmt;

use crate::document::{Problem, Source, render};

/// How many problems of one file are told. Whoever mends so many sees the others next time.
pub(super) const MAX_PROBLEMS: usize = 50;

/// Why a set of files gives no policy set. All errors of all files at once.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no policy in the files at all, which would allow everything.
    #[error("no policies: {0} holds no PodPolicy, and podgate does not run without one")]
    Empty(String),
    /// What is wrong, file by file.
    #[error("{}", Rendered(.0))]
    Problems(Vec<(Source, Vec<Problem>)>),
}

struct Rendered<'a>(&'a [(Source, Vec<Problem>)]);

// === impl LoadError ===

impl LoadError {
    /// The errors with excerpts of the files, in colour if asked.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Empty(_) => format!("error: {self}"),
            Self::Problems(files) => files
                .iter()
                .map(|(source, problems)| {
                    let (told, more) = told(problems);
                    let rendered = render(source, told, color);
                    match more {
                        Some(more) => format!("{rendered}\n\n{}: {more}", source.name),
                        None => rendered,
                    }
                })
                .collect::<Vec<_>>()
                .join("\n\n"),
        }
    }
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (source, problems) in self.0 {
            let (told, more) = told(problems);
            for problem in told {
                let (line, column) = source.line_col(problem.span.start);
                let separator = if first { "" } else { "; " };
                write!(
                    f,
                    "{separator}{}:{line}:{column}: {}",
                    source.name, problem.message
                )?;
                if let Some(hint) = &problem.hint {
                    write!(f, " ({hint})")?;
                }
                first = false;
            }
            if let Some(more) = more {
                write!(f, "; {}: {more}", source.name)?;
            }
        }
        Ok(())
    }
}

/// The problems of one file that are told, and a word about the others.
fn told(problems: &[Problem]) -> (&[Problem], Option<String>) {
    let told = &problems[..problems.len().min(MAX_PROBLEMS)];
    let more = problems.len() - told.len();
    (
        told,
        (more > 0).then(|| format!("and {more} more problems")),
    )
}
