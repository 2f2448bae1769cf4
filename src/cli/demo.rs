//! `podgate demo`: the gate on its embedded default, asked about the shipped examples as an API server would ask, and
//! its answers as kubectl would print them. Nothing is made up: every answer came over TLS from the gate that runs.

mod api_server;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use self::api_server::{ApiServer, CallError, Outcome};
use super::serve::greeting;
use crate::document::{self, Node};
use crate::pod::Kind;
use crate::policy::shipped;
use crate::server::engine::Engine;
use crate::server::{Config, Health, Shutdown, Timeouts, serve};

/// Flags of `podgate demo`.
#[derive(Args, Clone, Copy, Debug)]
pub struct DemoArgs {
    /// Go on serving until Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

/// A shipped example, and what it is there to show.
struct Example {
    about: &'static str,
    file: &'static str,
    text: &'static str,
}

macro_rules! examples {
    ($($name:literal: $about:literal,)*) => {
        [$(Example {
            about: $about,
            file: concat!("manifests/examples/", $name),
            text: include_str!(concat!("../../manifests/examples/", $name)),
        }),*]
    };
}

const EXAMPLES: [Example; 4] = examples! {
    "node-shell.yaml": "A Pod that could take over its node is rejected:",
    "web.yaml": "A Pod that says nothing about security gets defaults that cannot stop it from starting:",
    "agent.yaml": "A workload is not rejected, but whoever applies it hears what its Pods would meet:",
    "hardened.yaml": "A Pod that asks for little is admitted, and not touched:",
};

/// The webhook's name in `manifests/base/webhooks`.
const WEBHOOK: &str = "gate.podgate.dev";

const COMMAND: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("cannot start: {0}")]
    Start(Box<dyn std::error::Error>),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("cannot read the example {0}: {1}")]
    Example(&'static str, String),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Runs it.
#[must_use]
pub fn run(args: DemoArgs) -> ExitCode {
    let DemoArgs { keep } = args;
    let result = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(demo(keep)),
        Err(error) => Err(DemoError::Start(error.into())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has seen enough.
        Err(DemoError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(keep: bool) -> Result<(), DemoError> {
    let start = |error: Box<dyn std::error::Error>| DemoError::Start(error);
    let set = shipped().map_err(|error| start(error.into()))?;
    let health = Health::default();
    health.policies_loaded(set.policies().len(), set.hash());
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config {
        listen: any_port,
        admin_listen: any_port,
        timeouts: Timeouts {
            drain_delay: Duration::ZERO,
            ..Timeouts::default()
        },
        ..Config::default()
    };
    let shutdown = if keep {
        Shutdown::on_signals().map_err(|error| start(error.into()))?
    } else {
        Shutdown::default()
    };
    let engine = Arc::new(Engine::new(set, None));
    let serving = serve(config, engine, health, shutdown.clone())
        .await
        .map_err(|error| start(error.into()))?;

    let mut out = AutoStream::auto(io::stdout()).lock();
    writeln!(
        out,
        "podgate serves the shipped policies on https://{}. Its answers, as kubectl would print them:",
        serving.address()
    )?;
    let mut api_server =
        ApiServer::connect(serving.address(), serving.ca().unwrap_or_default()).await?;
    for (index, example) in EXAMPLES.iter().enumerate() {
        writeln!(out, "\n{}. {}\n", index + 1, example.about)?;
        tell(&mut out, &mut api_server, example).await?;
    }
    drop(api_server);
    writeln!(
        out,
        "\nYour own manifests:       podgate check FILE|DIR\n\
         A real API server to try: cargo run --example cluster"
    )?;
    if keep {
        writeln!(out, "\n{}Ctrl-C ends it.", greeting(&serving))?;
        drop(out);
    } else {
        shutdown.drain();
    }
    serving.wait().await.map_err(|error| start(error.into()))?;
    Ok(())
}

async fn tell(
    out: &mut impl Write,
    api_server: &mut ApiServer,
    example: &Example,
) -> Result<(), DemoError> {
    let (kind, before) = read(example)?;
    let Outcome {
        object,
        warnings,
        denied,
    } = api_server.create(kind, before.clone()).await?;
    writeln!(
        out,
        "{COMMAND}$ kubectl apply -f {}{COMMAND:#}",
        example.file
    )?;
    for warning in warnings {
        writeln!(out, "{WARNING}Warning:{WARNING:#} {warning}")?;
    }
    if let Some(denied) = denied {
        return Ok(writeln!(
            out,
            "{BAD}Error from server ({}):{BAD:#} error when creating \"{}\": admission webhook \"{WEBHOOK}\" denied the \
             request: {}",
            denied.reason, example.file, denied.message
        )?);
    }
    let group = if kind.group().is_empty() {
        String::new()
    } else {
        format!(".{}", kind.group())
    };
    let name = before["metadata"]["name"].as_str().unwrap_or_default();
    writeln!(out, "{}{group}/{name} created", kind.name().to_lowercase())?;
    if object != before {
        writeln!(
            out,
            "\n{QUIET}# What is stored, beside what was sent:{QUIET:#}"
        )?;
        difference(out, &yaml(example, &before)?, &yaml(example, &object)?)?;
    }
    Ok(())
}

fn read(example: &Example) -> Result<(Kind, Value), DemoError> {
    let failed = |why: String| DemoError::Example(example.file, why);
    let documents = document::parse(example.text).map_err(|problem| failed(problem.message))?;
    let [node] = &documents[..] else {
        return Err(failed("not one document".to_owned()));
    };
    let text = |key| node.get(key).and_then(Node::as_str).unwrap_or_default();
    let kind = Kind::from_type(text("apiVersion"), text("kind"));
    let kind = kind.ok_or_else(|| failed("not a kind that is judged".to_owned()))?;
    let object =
        serde_json::from_str(&node.to_json()).map_err(|error| failed(error.to_string()))?;
    Ok((kind, object))
}

fn yaml(example: &Example, object: &Value) -> Result<String, DemoError> {
    serde_saphyr::to_string(object)
        .map_err(|error| DemoError::Example(example.file, error.to_string()))
}

fn difference(out: &mut impl Write, before: &str, after: &str) -> io::Result<()> {
    for change in TextDiff::from_lines(before, after).iter_all_changes() {
        match change.tag() {
            ChangeTag::Insert => write!(out, "{GOOD}+ {change}{GOOD:#}")?,
            ChangeTag::Delete => write!(out, "{BAD}- {change}{BAD:#}")?,
            ChangeTag::Equal => write!(out, "  {change}")?,
        }
    }
    Ok(())
}
