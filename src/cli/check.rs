//! `podgate check`: the verdict of the webhooks on manifests, before anybody applies them.

mod manifests;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::output::{csv, human, json, junit, markdown, sarif};

use super::{has_color, load_policies};
use manifests::Manifests;

/// Judge manifests as the webhooks would.
///
/// Everything is judged as if injection had run, in every namespace and for every requester that cannot be known. Exit
/// code: 0 nothing would be rejected, neither what is given nor the Pods that would come of it; 1 something would; 2
/// something could not be judged. Warnings alone are no reason to fail, and objects of other kinds are skipped.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Manifests: files, directories (*.yaml, *.yml, *.json, all levels), or - for standard input
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub paths: Vec<PathBuf>,

    /// Directory of policies [default: the policies that podgate ships]
    #[arg(long, env = "PODGATE_POLICIES", value_name = "DIR")]
    pub policies: Option<PathBuf>,

    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    pub namespace: String,

    /// How the findings are written
    #[arg(short, long, value_enum, default_value_t = Format::Human)]
    pub output: Format,
}

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// With excerpts of the manifests
    Human,
    /// For programs: everything that is known
    Json,
    /// For code hosts, which show it beside the lines of a change
    Sarif,
    /// For CI, which shows it as tests
    Junit,
    /// For a comment on a pull request
    Markdown,
    /// For a spreadsheet
    Csv,
}

/// Runs it.
#[must_use]
pub fn run(args: CheckArgs) -> ExitCode {
    let CheckArgs {
        paths,
        policies,
        namespace,
        output,
    } = args;
    let color = has_color(&io::stdout());
    let set = match load_policies(policies.as_deref(), color) {
        Ok(set) => set,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut manifests = Manifests::new(&set, &namespace, color);
    for path in &paths {
        manifests.read(path);
    }
    manifests.results.count();
    let written = write(output, &manifests, color);
    // Whoever closed the pipe has read enough; he still has the exit code.
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        eprintln!("error: cannot write: {error}");
        return ExitCode::from(2);
    }
    ExitCode::from(if manifests.results.run.complete {
        u8::from(manifests.results.rejects())
    } else {
        2
    })
}

fn write(format: Format, manifests: &Manifests<'_>, color: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let results = &manifests.results;
    match format {
        Format::Human => human::write(results, &manifests.sources, color, &mut out),
        Format::Json => json::write(results, &mut out),
        Format::Sarif => sarif::write(results, &mut out),
        Format::Junit => junit::write(results, &mut out),
        Format::Markdown => markdown::write(results, &mut out),
        Format::Csv => csv::write(results, &mut out),
    }?;
    out.flush()
}
