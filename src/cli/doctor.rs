//! `podgate doctor`: what is wrong with an installed gate, seen from outside, and how to mend it.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum, builder::PossibleValuesParser};

use super::{has_color, load_policies};
use crate::cluster::client::connect_as_kubectl;
use crate::cluster::inspect::{Reach, inspect};
use crate::cluster::snapshot::Names;
use crate::doctor::{CANARIES, CERTIFICATES, CHECKS, HEALTH, examine};
use crate::output::diagnosis::{Diagnosis, Severity, human, write_json};
use crate::server::parse_go_duration;

/// Look at an installed gate from outside, and name what is wrong with it and how to mend it.
///
/// Nothing is written to the cluster. The API server is asked in a dry run whether two Pods could be created: it really
/// calls the webhooks for that, and creates nothing. The replicas are asked how they are through the API server's proxy,
/// and which certificate they present through a forwarded port; manifests/doctor-rbac.yaml has the rights that all of
/// that needs. Exit code: 0 everything could be looked at, and nothing is wrong that counts; 1 something is (see
/// --fail-on); 2 something could not be looked at, and is named.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// The namespace of the gate
    #[arg(short, long, value_name = "NAMESPACE", default_value_t = Names::default().namespace)]
    pub namespace: String,

    /// The Service that the API server is to call
    #[arg(long, value_name = "NAME", default_value_t = Names::default().service)]
    pub service: String,

    /// The `ValidatingWebhookConfiguration`
    #[arg(long, value_name = "NAME", default_value_t = Names::default().validating)]
    pub validating: String,

    /// The `MutatingWebhookConfiguration`
    #[arg(long, value_name = "NAME", default_value_t = Names::default().mutating)]
    pub mutating: String,

    /// The Deployment
    #[arg(long, value_name = "NAME", default_value_t = Names::default().deployment)]
    pub deployment: String,

    /// The `ConfigMap` of policies
    #[arg(long, value_name = "NAME", default_value_t = Names::default().policies)]
    pub config_map: String,

    /// The policies that are meant to be in force, in the place of the `ConfigMap`'s
    #[arg(long, env = "PODGATE_POLICIES", value_name = "DIR")]
    pub policies: Option<PathBuf>,

    /// The namespace in which the dry runs are tried: one that the gate judges
    #[arg(long, value_name = "NAMESPACE", default_value_t = Names::default().canary)]
    pub canary_namespace: String,

    /// Checks to leave out; again for further ones
    #[arg(long, value_name = "CHECK", value_parser = PossibleValuesParser::new(CHECKS.map(|(check, _)| check)), hide_possible_values = true)]
    pub skip: Vec<String>,

    /// How the diagnosis is written
    #[arg(short, long, value_enum, default_value_t = Format::Human)]
    pub output: Format,

    /// Show what is as it should be, too
    #[arg(short, long)]
    pub verbose: bool,

    /// The least that makes the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    pub fail_on: FailOn,

    /// How long to wait for each answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,

    /// Credentials for the API server [default: KUBECONFIG, else ~/.kube/config, else those of the Pod]
    #[arg(long, env = "PODGATE_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context in it [default: the current one]
    #[arg(long)]
    pub context: Option<String>,
}

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, in a terminal
    Human,
    /// For programs: everything that is known
    Json,
}

/// The least that makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// The gate does not work, or lets Pods in unchecked
    Error,
    /// Something will break it, or weakens it
    Warning,
}

/// Runs it.
#[must_use]
pub fn run(args: DoctorArgs) -> ExitCode {
    match diagnose(args) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn diagnose(args: DoctorArgs) -> Result<ExitCode, String> {
    let DoctorArgs {
        namespace,
        service,
        validating,
        mutating,
        deployment,
        config_map,
        policies,
        canary_namespace,
        skip,
        output,
        verbose,
        fail_on,
        timeout,
        kubeconfig,
        context,
    } = args;
    // Before the cluster is asked: what is wrong with a file should not cost a wait.
    let set = match policies {
        Some(directory) => Some(load_policies(Some(&directory), has_color(&io::stderr()))?),
        None => None,
    };
    let names = Names {
        namespace: namespace.clone(),
        service,
        validating,
        mutating,
        deployment,
        policies: config_map,
        canary: canary_namespace,
    };
    let is_wanted = |checks: &[&str]| {
        !checks
            .iter()
            .all(|it| skip.iter().any(|skipped| skipped == it))
    };
    let reach = Reach {
        limit: timeout,
        canaries: is_wanted(&CANARIES),
        certificates: is_wanted(&CERTIFICATES),
        health: is_wanted(&HEALTH),
    };
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| format!("error: cannot start: {error}"))?;
    crate::server::install_crypto_provider();
    let snapshot = runtime.block_on(async {
        let client = connect_as_kubectl(kubeconfig.as_deref(), context.as_deref())
            .await
            .map_err(|error| format!("error: {error}"))?;
        Ok::<_, String>(Box::pin(inspect(client, names, reach)).await)
    })?;
    let observations = examine(&snapshot, set.as_ref());
    let diagnosis = Diagnosis::new(&namespace, &skip, observations);
    if let Err(error) = write(&diagnosis, output, verbose)
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(format!("error: cannot write: {error}"));
    }
    let least = match fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warning => Severity::Warning,
    };
    Ok(ExitCode::from(if diagnosis.complete {
        u8::from(diagnosis.has(least))
    } else {
        2
    }))
}

fn write(diagnosis: &Diagnosis, format: Format, verbose: bool) -> io::Result<()> {
    let stdout = io::stdout();
    let color = has_color(&stdout);
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Human => human::write(diagnosis, verbose, color, &mut out),
        Format::Json => write_json(diagnosis, &mut out),
    }?;
    out.flush()
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    match parse_go_duration(text) {
        Some(Duration::ZERO) | None => Err("not a duration; write it as 5s, 1m30s or 250ms"),
        Some(duration) => Ok(duration),
    }
}
