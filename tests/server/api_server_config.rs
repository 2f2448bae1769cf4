//! `podgate api-server-config` as an administrator types it: what it writes, what it keeps, what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use jiff::Timestamp;
use podgate::cluster::certificates::{Pair, new_authority};
use serde_json::Value;
use tempfile::TempDir;

const FILES: [&str; 5] = [
    "admission.yaml",
    "client-ca.crt",
    "client-ca.key",
    "client.pem",
    "kubeconfig.yaml",
];

const HOUR: Duration = Duration::from_hours(1);

/// Runs it in this directory.
fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_podgate"))
        .arg("api-server-config")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("podgate starts")
}

#[track_caller]
fn written(directory: &Path, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[track_caller]
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).expect("it is text")
}

fn read(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).expect("the file is there")
}

fn yaml(directory: &Path, file: &str) -> Value {
    serde_saphyr::from_str(&read(directory, file)).expect("it is YAML")
}

/// The names of all files, the hidden ones too.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |it: fs::DirEntry| it.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.flatten().map(name).collect();
    names.sort();
    names
}

#[test]
fn all_files_are_for_their_owner_alone_and_nothing_else_is_left() {
    let directory = TempDir::new().expect("a directory");
    let out = directory.path().join("out");
    fs::create_dir(&out).expect("a directory");
    // Of a run that was cut off, on a machine that is generous.
    for file in [".client.pem.new", "client.pem"] {
        fs::write(out.join(file), "half").expect("a file");
        let generous = fs::Permissions::from_mode(0o644);
        fs::set_permissions(out.join(file), generous).expect("it is ours");
    }

    written(directory.path(), &["out"]);

    assert_eq!(names(&out), FILES);
    for file in FILES {
        let mode = fs::metadata(out.join(file)).expect("it is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn paths_in_the_files_are_absolute_and_those_of_the_machine_that_is_named() {
    let directory = TempDir::new().expect("a directory");
    let here = directory.path().canonicalize().expect("it is there");
    for (arguments, place) in [
        (&["out"][..], here.join("out").display().to_string()),
        (
            &["out", "--path", "/etc/kubernetes/podgate"],
            "/etc/kubernetes/podgate".to_owned(),
        ),
    ] {
        let told = written(&here, arguments);

        let out = here.join("out");
        let identity = format!("{place}/client.pem");
        let user = &yaml(&out, "kubeconfig.yaml")["users"][0]["user"];
        assert_eq!(user["client-certificate"], identity);
        assert_eq!(user["client-key"], identity);
        let admission = yaml(&out, "admission.yaml");
        let plugins = admission["plugins"].as_array().expect("a list");
        assert_eq!(plugins.len(), 2);
        for plugin in plugins {
            assert_eq!(
                plugin["configuration"]["kubeConfigFile"],
                format!("{place}/kubeconfig.yaml")
            );
        }
        let flag = format!("--admission-control-config-file={place}/admission.yaml");
        assert!(told.contains(&flag), "{told}");
    }
}

#[test]
fn the_api_server_finds_its_certificate_under_the_name_that_it_calls() {
    let directory = TempDir::new().expect("a directory");
    for (arguments, user) in [
        (&["."][..], "podgate.podgate-system.svc:443"),
        (
            &[".", "--namespace=gate", "--service=pods", "--port=8443"],
            "pods.gate.svc:8443",
        ),
    ] {
        written(directory.path(), arguments);
        let kubeconfig = yaml(directory.path(), "kubeconfig.yaml");
        assert_eq!(kubeconfig["users"][0]["name"], user);
    }
}

#[test]
fn a_renewal_keeps_the_authority_and_changes_the_certificate() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path();
    written(path, &["."]);
    let before = FILES.map(|it| read(path, it));

    written(path, &["."]);

    let after = FILES.map(|it| read(path, it));
    let differs = |at: &usize| before[*at] != after[*at];
    let changed = (0..FILES.len()).filter(differs).map(|at| FILES[at]);
    let changed: Vec<&str> = changed.collect();
    assert_eq!(changed, ["client.pem"]);
}

#[test]
fn half_an_authority_and_one_that_is_none_are_errors_that_change_nothing() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path();
    written(path, &["."]);
    let identity = read(path, "client.pem");
    let (certificate, key) = (read(path, "client-ca.crt"), read(path, "client-ca.key"));

    for half in ["client-ca.crt", "client-ca.key"] {
        let kept = read(path, half);
        fs::remove_file(path.join(half)).expect("it was there");
        let error = refused(path, &["."]);
        assert!(
            error.contains("only one of client-ca.crt and client-ca.key is in"),
            "{error}"
        );
        fs::write(path.join(half), kept).expect("a file");
    }
    let stranger = new_authority(Timestamp::now(), HOUR).expect("it is made");
    for (certificate, key) in [("no PEM", &*key), (&*certificate, &*stranger.key)] {
        fs::write(path.join("client-ca.crt"), certificate).expect("a file");
        fs::write(path.join("client-ca.key"), key).expect("a file");
        let error = refused(path, &["."]);
        assert!(error.contains("cannot be used: "), "{error}");
    }
    assert_eq!(read(path, "client.pem"), identity);
}

#[test]
fn an_authority_that_has_expired_signs_nothing() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path();
    let long_ago = Timestamp::now() - HOUR * 48;
    let Pair { certificate, key } = new_authority(long_ago, HOUR).expect("it is made");
    fs::write(path.join("client-ca.crt"), certificate).expect("a file");
    fs::write(path.join("client-ca.key"), key).expect("a file");

    let error = refused(path, &["."]);

    assert!(error.contains("expired on "), "{error}");
    assert_eq!(names(path), ["client-ca.crt", "client-ca.key"]);
}

#[test]
fn a_certificate_ends_with_its_authority_and_the_date_that_is_told_is_its_own() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path();
    let authority = new_authority(Timestamp::now(), HOUR).expect("it is made");
    fs::write(path.join("client-ca.crt"), &authority.certificate).expect("a file");
    fs::write(path.join("client-ca.key"), &authority.key).expect("a file");

    let told = written(path, &["."]);

    let until = authority.validity().expect("it is a certificate").not_after;
    assert!(told.contains(&format!("good until {until}")), "{told}");
    let identity = read(path, "client.pem");
    let (certificate, key) = identity.split_at(identity.find("-----BEGIN PRIVATE").expect("a key"));
    let written = Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    written.check().expect("they belong together");
    let validity = written.validity().expect("it is a certificate");
    assert_eq!(validity.not_after, until);
}
