//! The images of the tests, made without docker and without a registry.
//!
//! podgate's is what the last stage of `Containerfile` says, read from there, so that the two cannot differ; only the
//! binary is of the profile that the tests are built with, because an optimised one takes minutes. It is linked here
//! against the library that cargo has built already: cargo itself would put it in the place of `target/debug/podgate`,
//! which other tests may be running at that moment.

mod archive;
mod containerfile;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use self::{
    archive::{File, Image},
    containerfile::{Containerfile, ContainerfileError},
};
use super::namespaces::source;
use crate::Test;

/// As an `images:` entry of a kustomization names it.
pub const PODGATE: (&str, &str) = ("podgate.test/podgate", "tested");

/// What the runtime starts to hold the namespaces of a Pod.
pub const PAUSE: &str = "podgate.test/pause:1";

/// The probe, with three beginnings: as root, as somebody by number, as somebody by name.
pub const PROBE_ROOT: &str = "podgate.test/probe:root";
pub const PROBE_NUMBER: &str = "podgate.test/probe:number";
pub const PROBE_NAME: &str = "podgate.test/probe:name";

/// The number of the last two.
pub const PROBE_USER: u32 = 4711;

const CONTAINERFILE: &str = include_str!("../../Containerfile");

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("Containerfile: {0}")]
    Containerfile(#[from] ContainerfileError),
    #[error("cannot build {what}:\n{said}")]
    Build { what: &'static str, said: String },
    #[error("cargo named no library of podgate's")]
    NoLibrary,
    #[error("cannot write an image: {0}")]
    Io(#[from] io::Error),
}

pub const TESTS: &[Test] = &[
    (
        "image::is_one_static_binary_and_starts_it_as_somebody_who_is_not_root",
        is_one_static_binary_and_starts_it_as_somebody_who_is_not_root,
    ),
    (
        "image::is_given_to_docker_and_to_the_manifests_with_the_same_user",
        is_given_to_docker_and_to_the_manifests_with_the_same_user,
    ),
    (
        "image::is_refused_by_the_tests_if_the_containerfile_says_more_than_they_read",
        is_refused_by_the_tests_if_the_containerfile_says_more_than_they_read,
    ),
];

/// Writes all images as archives into `directory`, ready to be imported.
pub fn build_all(directory: &Path) -> Result<(), ImageError> {
    fs::create_dir_all(directory)?;
    let probe = build_probe(directory)?;
    let probe_image = |name: &str, user: &str, mode: &str| Image {
        name: name.to_owned(),
        user: user.to_owned(),
        entrypoint: vec!["/probe".into(), mode.into()],
        files: vec![
            File::program("probe", probe.clone()),
            File::data(
                "etc/passwd",
                format!("somebody:x:{PROBE_USER}:{PROBE_USER}::/:/probe\n"),
            ),
        ],
    };
    let number = PROBE_USER.to_string();
    for image in [
        podgate(directory)?,
        probe_image(PAUSE, "65535:65535", "wait"),
        probe_image(PROBE_ROOT, "", "stay"),
        probe_image(PROBE_NUMBER, &number, "stay"),
        probe_image(PROBE_NAME, "somebody", "stay"),
    ] {
        let file = image.name.replace(['/', ':'], "-") + ".tar";
        image.write(&directory.join(file))?;
    }
    Ok(())
}

/// podgate's own, as the Containerfile says.
fn podgate(scratch: &Path) -> Result<Image, ImageError> {
    let said = Containerfile::parse(CONTAINERFILE)?;
    let binary = fs::read(build_podgate(&said.rustc_flags, scratch)?)?;
    let files = said
        .files
        .iter()
        .map(|path| File::program(path, binary.clone()));
    Ok(Image {
        name: format!("{}:{}", PODGATE.0, PODGATE.1),
        user: said.user,
        entrypoint: said.entrypoint,
        files: files.collect(),
    })
}

fn build_podgate(flags: &[String], scratch: &Path) -> Result<PathBuf, ImageError> {
    let library = podgate_library()?;
    let dependencies = library.parent().ok_or(ImageError::NoLibrary)?;
    let extern_podgate = format!("podgate={}", library.display());
    let binary = scratch.join("podgate");
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["src/main.rs", "--crate-name=podgate", "--edition=2024"])
        .args(flags)
        .args(["-C", "strip=symbols", "--extern", &extern_podgate, "-L"])
        .arg(format!("dependency={}", dependencies.display()))
        .arg("-o")
        .arg(&binary)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    ran("podgate as a static binary", &rustc.output()?)?;
    Ok(binary)
}

/// The library that this test was built with. Everything is fresh, so cargo only says where it is.
fn podgate_library() -> Result<PathBuf, ImageError> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["test", "--no-run", "--test=node", "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output()?;
    ran("podgate's library", &output)?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|it| it["target"]["name"] == "podgate" && it["profile"]["test"] == false)
        .flat_map(|it| it["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|it| it.as_str().map(PathBuf::from))
        .find(|it| it.extension().is_some_and(|it| it == "rlib"))
        .ok_or(ImageError::NoLibrary)
}

fn build_probe(scratch: &Path) -> Result<Vec<u8>, ImageError> {
    let binary = scratch.join("probe");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&binary)
        .arg(source("probe.c"));
    ran("the probe", &cc.output()?)?;
    Ok(fs::read(binary)?)
}

fn ran(what: &'static str, output: &Output) -> Result<(), ImageError> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(ImageError::Build { what, said })
}

fn is_one_static_binary_and_starts_it_as_somebody_who_is_not_root() {
    let said = Containerfile::parse(CONTAINERFILE).unwrap();
    assert_eq!(said.files, ["podgate"]);
    assert_eq!(said.entrypoint, ["/podgate"]);
    assert_eq!(said.user, "65532:65532");
    assert_eq!(said.rustc_flags, ["-C", "target-feature=+crt-static"]);
}

fn is_given_to_docker_and_to_the_manifests_with_the_same_user() {
    let said = Containerfile::parse(CONTAINERFILE).unwrap();
    let manifest = include_str!("../../manifests/base/gate/deployment.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    let context = &documents[0]["spec"]["template"]["spec"]["securityContext"];
    let user = format!("{}:{}", context["runAsUser"], context["runAsGroup"]);
    assert_eq!(said.user, user);
}

fn is_refused_by_the_tests_if_the_containerfile_says_more_than_they_read() {
    for (more, why) in [
        ("ENV A=b", "ENV A=b"),
        ("RUN [\"/podgate\", \"--version\"]", "RUN"),
        ("COPY manifests /manifests", "COPY manifests"),
        ("FROM debian", "debian"),
    ] {
        let error = Containerfile::parse(&format!("{CONTAINERFILE}{more}\n")).unwrap_err();
        assert!(error.to_string().contains(why), "{more}: {error}");
    }
}
