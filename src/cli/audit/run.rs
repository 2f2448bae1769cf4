//! From the flags to the results, and to the exit code.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::cluster::client::connect_as_kubectl;
use crate::output::results::{Fate, Finding, Results};
use crate::output::{csv, html, json, junit, markdown, sarif, table};
use crate::policy::level::Version;
use crate::policy::{Mode, PolicySet};
use crate::report::{Judge, ReportApi, Reports, Scan, Selection, compare};

use super::super::{has_color, load_policies};
use super::terminal::{self, Line};
use super::{AuditArgs, FailOn, Format, Reporting};

pub(super) fn run(args: AuditArgs) -> Result<ExitCode, String> {
    let AuditArgs {
        namespaces,
        all_namespaces: _,
        selector,
        field_selector,
        policies,
        level,
        pod_security_labels,
        as_mode,
        output,
        since,
        write_reports,
        report_api,
        fail_on,
        kubeconfig,
        context,
    } = args;
    if fail_on == FailOn::New && since.is_none() {
        return Err(
            "error: --fail-on new needs --since: new is what earlier results do not have"
                .to_owned(),
        );
    }
    // Before the cluster is asked: what is wrong with a file should not cost a scan.
    let earlier = since.as_deref().map(read_earlier).transpose()?;
    let set = match level {
        Some((level, version)) => PolicySet::of_level(level, version),
        None => load_policies(policies.as_deref(), has_color(&io::stderr()))?,
    };
    let set = if pod_security_labels {
        set.with_pod_security()
    } else {
        set
    };
    let version = level.map_or(Version::LATEST, |(_, version)| version);
    let judge = Judge::new(set, version, as_mode.is_some());
    let selection = Selection {
        namespaces,
        labels: selector,
        fields: field_selector,
    };
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| format!("error: cannot start: {error}"))?;
    crate::server::install_crypto_provider();
    let (results, reported) = runtime.block_on(async {
        let client = connect_as_kubectl(kubeconfig.as_deref(), context.as_deref())
            .await
            .map_err(|error| format!("error: {error}"))?;
        // Before the scan as well.
        let reports = if write_reports {
            let reports = Reports::discover(client.clone(), report_api.api(), version).await;
            Some(reports.map_err(|error| format!("error: {error}"))?)
        } else {
            None
        };
        let stop = stop_on_signal();
        let mut results = scan(client, &judge, selection.clone(), stop.clone()).await;
        if let Some(earlier) = &earlier {
            compare(&mut results, earlier);
        }
        let reported = match &reports {
            Some(reports) => Some(reports.write(&mut results, &selection, &stop).await),
            None => None,
        };
        Ok::<_, String>((results, reported))
    })?;
    let written = write(output, &results);
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(format!("error: cannot write: {error}"));
    }
    if let Some(reported) = reported {
        eprintln!("{reported}");
    }
    // The table names them itself; beside any other format an incomplete run must not be silent.
    let untold = results.errors.iter().filter(|_| output != Format::Table);
    for error in untold {
        let (what, why) = (terminal::clean(&error.what), terminal::clean(&error.why));
        eprintln!("error: {what}: {why}");
    }
    Ok(ExitCode::from(if results.run.complete {
        u8::from(fails(&results, fail_on))
    } else {
        2
    }))
}

/// Cancelled by Ctrl-C, which ends a run with what is known so far.
fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_signal.cancel();
        }
    });
    stop
}

/// Scans until the end or until it is stopped, and notes when, and how long it took.
async fn scan(
    client: Client,
    judge: &Judge,
    selection: Selection,
    stop: CancellationToken,
) -> Results {
    let (started, clock) = (jiff::Timestamp::now(), std::time::Instant::now());
    let mut line = Line::new();
    let progress = |progress: crate::report::Progress<'_>| line.show(progress);
    let mut results = Scan::new(client, judge, selection, stop, progress)
        .run()
        .await;
    line.clear();
    // Seconds are enough, and read well.
    let started = started.round(jiff::Unit::Second).unwrap_or(started);
    results.run.started = Some(started.to_string());
    results.run.seconds = Some((clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
    results
}

fn read_earlier(path: &Path) -> Result<Results, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("error: cannot read {}: {error}", path.display()))?;
    json::read(&text).map_err(|error| format!("error: {}: {error}", path.display()))
}

fn write(format: Format, results: &Results) -> io::Result<()> {
    let stdout = io::stdout();
    let (width, color) = (terminal::width(), has_color(&stdout));
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Table => table::write(results, width, color, &mut out),
        Format::Json => json::write(results, &mut out),
        Format::Csv => csv::write(results, &mut out),
        Format::Markdown => markdown::write(results, &mut out),
        Format::Sarif => sarif::write(results, &mut out),
        Format::Junit => junit::write(results, &mut out),
        Format::Html => out.write_all(html::render(results).as_bytes()),
    }?;
    out.flush()
}

// === impl Reporting ===

impl Reporting {
    /// The one that was asked for.
    fn api(self) -> Option<ReportApi> {
        match self {
            Self::Auto => None,
            Self::Openreports => Some(ReportApi::OpenReports),
            Self::Wgpolicy => Some(ReportApi::PolicyReport),
        }
    }
}

fn fails(results: &Results, fail_on: FailOn) -> bool {
    let mut findings = results.objects.iter().flat_map(|it| &it.findings);
    let is_at_least = |mode: Mode| move |it: &Finding| it.mode.max(it.pod_mode) >= mode;
    match fail_on {
        FailOn::Enforce => results
            .objects
            .iter()
            .any(|it| it.fate >= Fate::PodsRejected),
        FailOn::Warn => findings.any(is_at_least(Mode::Warn)),
        FailOn::Audit => findings.any(is_at_least(Mode::Audit)),
        FailOn::New => findings.any(|it| it.new),
    }
}
