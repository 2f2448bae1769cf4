//! `podgate audit`: what runs in a cluster, judged as the gate would.

mod run;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::policy::level::{Level, Version};

/// Judge what runs in a cluster, and say who breaks what.
///
/// Reads Pods and workloads, and writes nothing to the cluster unless --write-reports asks for it. Findings are told of the topmost owner: of a Deployment,
/// not of its Pods. Exit code: 0 complete, and nothing is found that counts; 1 complete, and something is (see
/// --fail-on); 2 incomplete: something could not be read, judged or written, and the results name it.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// Namespaces to look at [default: all]
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,

    /// Look at all namespaces, which is the default
    #[arg(short = 'A', long, conflicts_with = "namespaces")]
    pub all_namespaces: bool,

    /// Only Pods and workloads with these labels, as kubectl selects them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// Only Pods with these fields, as kubectl selects them, and the workloads that own them
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,

    /// Directory of policies [default: the policies that podgate ships]
    #[arg(
        long,
        env = "PODGATE_POLICIES",
        value_name = "DIR",
        conflicts_with = "level"
    )]
    pub policies: Option<PathBuf>,

    /// In the place of policies: a level that is enforced everywhere, such as baseline or restricted:v1.30
    #[arg(long, value_name = "LEVEL[:VERSION]", value_parser = level)]
    pub level: Option<(Level, Version)>,

    /// Judge by the pod-security.kubernetes.io labels of namespaces too
    #[arg(long, env = "PODGATE_POD_SECURITY_LABELS")]
    pub pod_security_labels: bool,

    /// Take every policy to be in this mode: what would be rejected if everything were enforced
    #[arg(long = "as", value_enum, value_name = "MODE")]
    pub as_mode: Option<As>,

    /// How the results are written
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,

    /// Earlier results, as -o json wrote them: tell what is new, and what is fixed
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,

    /// Write what was found into the cluster too: a report for each workload that breaks something
    ///
    /// As reports of openreports.io/v1alpha1 or policyreports of wgpolicyk8s.io/v1alpha2, whose CRDs podgate does not install.
    /// A report is named after the uid of its workload, which owns it, and is written only when its content changed.
    /// Those of workloads that are clean or gone are removed after a complete scan without selectors; those of other
    /// tools are left alone. What is rejected, or its Pods are, is a fail; what is warned of or recorded is a warn. A
    /// report that would be larger than 1 MiB is cut: its summary counts everything, and its annotation podgate.dev/cut
    /// what is not listed. manifests/audit-rbac.yaml has the rights that it needs.
    #[arg(long)]
    pub write_reports: bool,

    /// What reports are written as
    #[arg(long, value_enum, value_name = "API", default_value_t = Reporting::Auto, requires = "write_reports")]
    pub report_api: Reporting,

    /// The least that makes the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Enforce)]
    pub fail_on: FailOn,

    /// Credentials for the API server [default: KUBECONFIG, else ~/.kube/config, else those of the Pod]
    #[arg(long, env = "PODGATE_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context in it [default: the current one]
    #[arg(long)]
    pub context: Option<String>,
}

/// The one mode that policies can be taken to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum As {
    /// Rejects
    Enforce,
}

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, in a terminal
    Table,
    /// For programs, and for --since: everything that is known
    Json,
    /// For spreadsheets: a line for each finding
    Csv,
    /// For an issue or a wiki
    Markdown,
    /// For code hosts
    Sarif,
    /// For CI: a test for each workload
    Junit,
    /// One file to look at and to mail around
    Html,
}

/// What reports are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reporting {
    /// The first of these two that the cluster serves
    Auto,
    /// The reports of openreports.io/v1alpha1
    Openreports,
    /// The policyreports of wgpolicyk8s.io/v1alpha2
    Wgpolicy,
}

/// The least that makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Something that is rejected, or its Pods are
    Enforce,
    /// Something that is warned of
    Warn,
    /// Any finding
    Audit,
    /// Any finding that was not there before (with --since)
    New,
}

/// Runs it.
#[must_use]
pub fn run(args: AuditArgs) -> ExitCode {
    match run::run(args) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn level(text: &str) -> Result<(Level, Version), String> {
    let (level, version) = text.split_once(':').unwrap_or((text, "latest"));
    let level = match level {
        "baseline" => Level::Baseline,
        "restricted" => Level::Restricted,
        _ => return Err("a level is baseline or restricted".to_owned()),
    };
    let version = version
        .parse()
        .map_err(|_| "a version is latest or v1.30".to_owned())?;
    Ok((level, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_may_have_a_version() {
        assert_eq!(level("baseline"), Ok((Level::Baseline, Version::LATEST)));
        assert_eq!(
            level("restricted:v1.24"),
            Ok((Level::Restricted, Version::of_minor(24)))
        );
        assert!(level("privileged").is_err_and(|it| it.contains("baseline or restricted")));
        assert!(level("baseline:1.30").is_err_and(|it| it.contains("v1.30")));
    }
}
