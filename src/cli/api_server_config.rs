//! `podgate api-server-config`: what an API server needs to show podgate a certificate, as files.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;

use super::serve::lifetime;
use crate::cluster::certificates::{Pair, PairError, Use, new_authority};

/// The plugins that call webhooks.
const PLUGINS: [&str; 2] = ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"];

/// Write what the API server needs to be let in by `podgate serve --client-ca`.
///
/// Makes an authority (client-ca.crt, client-ca.key) and a client certificate of it with its key (client.pem), and writes
/// the kubeconfig and the `AdmissionConfiguration` that name it, for the flag --admission-control-config-file of
/// kube-apiserver. Run it again on the same directory to renew the client certificate: the authority stays, and
/// kube-apiserver takes another client.pem within five minutes, without a restart.
#[derive(Args, Clone, Debug)]
pub struct ApiServerConfigArgs {
    /// Directory to write into; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Where the files will be on the machine of the API server [default: DIR]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,

    /// podgate's own namespace
    #[arg(long, value_name = "NAME", default_value = "podgate-system")]
    namespace: String,

    /// The Service that the webhook configurations name
    #[arg(long, value_name = "NAME", default_value = "podgate")]
    service: String,

    /// The port of that Service
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    port: u16,

    /// The name in the client certificate, for `podgate serve --client-name`
    #[arg(long, value_name = "NAME", default_value = "kube-apiserver")]
    name: String,

    /// How long the client certificate is good; nobody renews it by himself
    #[arg(long, value_name = "DURATION", default_value = "8760h", value_parser = lifetime)]
    lifetime: Duration,
}

/// How much longer than a client certificate its authority lives.
const AUTHORITY: u32 = 10;

#[derive(Debug, thiserror::Error)]
enum ConfigError {
    #[error("cannot read {0:?}: {1}")]
    Read(PathBuf, #[source] io::Error),
    #[error("cannot write {0:?}: {1}")]
    Write(PathBuf, #[source] io::Error),
    #[error("only one of client-ca.crt and client-ca.key is in {0:?}")]
    Half(PathBuf),
    #[error("client-ca.crt and client-ca.key in {0:?} cannot be used: {1}")]
    Authority(PathBuf, #[source] PairError),
    #[error("the authority in {0:?} expired on {1}: make another one in another directory")]
    Expired(PathBuf, Timestamp),
    #[error("cannot make a certificate: {0}")]
    Make(#[from] PairError),
}

/// Writes the files and says what is to be done with them.
#[must_use]
pub fn run(args: ApiServerConfigArgs) -> ExitCode {
    match write(args) {
        Ok(told) => {
            // The files are there, whoever reads this.
            let _ = io::stdout().write_all(told.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn write(args: ApiServerConfigArgs) -> Result<String, ConfigError> {
    let ApiServerConfigArgs {
        directory,
        path,
        namespace,
        service,
        port,
        name,
        lifetime,
    } = args;
    fs::create_dir_all(&directory).map_err(|error| ConfigError::Write(directory.clone(), error))?;
    let now = Timestamp::now();
    let authority = if let Some(authority) = stored(&directory, now)? {
        authority
    } else {
        let authority = new_authority(now, lifetime.saturating_mul(AUTHORITY))?;
        put(&directory, "client-ca.key", &authority.key)?;
        put(&directory, "client-ca.crt", &authority.certificate)?;
        authority
    };
    let client = authority.sign(Use::Client(&name), now, lifetime)?;
    // What a relative path would be relative to is not for the reader of the files to guess.
    let here = || std::path::absolute(&directory).unwrap_or_else(|_| directory.clone());
    let there = path.unwrap_or_else(here);
    let there = |file: &str| there.join(file).display().to_string();
    // One file: whoever replaces it never leaves a certificate beside another's key.
    let identity = format!("{}{}", client.certificate, client.key);
    put(&directory, "client.pem", &identity)?;
    let user = format!("{service}.{namespace}.svc:{port}");
    put(
        &directory,
        "kubeconfig.yaml",
        &kubeconfig(&user, &there("client.pem")),
    )?;
    put(
        &directory,
        "admission.yaml",
        &admission(&there("kubeconfig.yaml")),
    )?;
    let until = client.validity()?.not_after;
    let written = directory.display();
    Ok(format!(
        "Written to {written}, good until {until}. Run this again before then; the authority stays the same.\n\
         \n\
         1. Copy client.pem, kubeconfig.yaml and admission.yaml to {} on every machine with an API server.\n\
         2. Start kube-apiserver with --admission-control-config-file={}. If it has such a file already, add the two\n\
         \x20  plugins of admission.yaml to it.\n\
         3. When every API server shows its certificate, start podgate with --client-ca on a copy of client-ca.crt,\n\
         \x20  and with --client-name {name}. Before that they would be locked out.\n\
         \n\
         To renew, copy client.pem alone: kube-apiserver reads it again for every new connection, and looks at it every\n\
         five minutes. The two other files it reads only when it starts.\n\
         \n\
         client-ca.key signs further clients: keep it away from the cluster.\n",
        there("").trim_end_matches('/'),
        there("admission.yaml"),
    ))
}

/// The authority that is in the directory already.
fn stored(directory: &Path, now: Timestamp) -> Result<Option<Pair>, ConfigError> {
    let read = |file: &str| match fs::read_to_string(directory.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::Read(directory.join(file), error)),
    };
    match (read("client-ca.crt")?, read("client-ca.key")?) {
        (Some(certificate), Some(key)) => {
            let authority = Pair { certificate, key };
            let until = authority
                .check()
                .and_then(|()| authority.validity())
                .map_err(|error| ConfigError::Authority(directory.to_owned(), error))?
                .not_after;
            if until <= now {
                return Err(ConfigError::Expired(directory.to_owned(), until));
            }
            Ok(Some(authority))
        }
        (None, None) => Ok(None),
        _ => Err(ConfigError::Half(directory.to_owned())),
    }
}

/// Puts a file in place as a whole, readable by nobody else.
fn put(directory: &Path, file: &str, text: &str) -> Result<(), ConfigError> {
    let (path, partial) = (directory.join(file), directory.join(format!(".{file}.new")));
    // One that a run left that was cut off may be readable by others.
    let removed = match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let written = removed
        .and_then(|()| {
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&partial)
        })
        .and_then(|mut it| it.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&partial, &path));
    written.map_err(|error| ConfigError::Write(path, error))
}

/// The API server looks its credentials up by the name of the user: the host and port that it calls.
fn kubeconfig(user: &str, identity: &str) -> String {
    let (user, identity) = (quoted(user), quoted(identity));
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         users:\n\
         \x20 - name: {user}\n\
         \x20   user:\n\
         \x20     client-certificate: {identity}\n\
         \x20     client-key: {identity}\n"
    )
}

fn admission(kubeconfig: &str) -> String {
    let mut text = String::from(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n",
    );
    for plugin in PLUGINS {
        text.push_str(&format!(
            "  - name: {plugin}\n\
             \x20   configuration:\n\
             \x20     apiVersion: apiserver.config.k8s.io/v1\n\
             \x20     kind: WebhookAdmissionConfiguration\n\
             \x20     kubeConfigFile: {}\n",
            quoted(kubeconfig)
        ));
    }
    text
}

/// JSON strings are YAML strings.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
