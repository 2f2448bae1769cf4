//! The policy directory, read and watched.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use podgate::server::directory::{Files, read, watch};
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use super::support::{PATIENCE, kubelet_swap};

const POLL: Duration = Duration::from_millis(5);

/// A watch under way, and what it called back with: the files, or the text of an error.
struct Watching(UnboundedReceiver<Result<Files, String>>);

impl Watching {
    fn start(directory: &Path) -> Self {
        let (sender, receiver) = unbounded_channel();
        let known = read(directory).expect("it can be read at the start");
        tokio::spawn(watch(directory.to_owned(), known, POLL, move |change| {
            // The test may be over.
            let _ = sender.send(change.map_err(|error| error.to_string()));
        }));
        Self(receiver)
    }

    async fn next(&mut self) -> Result<Files, String> {
        timeout(PATIENCE, self.0.recv())
            .await
            .expect("it is noticed")
            .expect("the watch goes on")
    }

    async fn stays_quiet(&mut self) {
        assert_eq!(timeout(POLL * 20, self.0.recv()).await.ok(), None);
    }
}

fn files(files: &[(&str, &str)]) -> Files {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

#[test]
fn only_policy_files_are_read_in_the_order_of_their_names() {
    let directory = TempDir::new().expect("a directory");
    for name in [
        "b.yml",
        "a.yaml",
        "c.json",
        ".hidden.yaml",
        "README.md",
        "d.yaml.bak",
        "yaml",
    ] {
        fs::write(directory.path().join(name), name).expect("a file");
    }
    fs::create_dir(directory.path().join("e.yaml")).expect("a directory");
    assert_eq!(
        read(directory.path()).expect("it can be read"),
        files(&[
            ("a.yaml", "a.yaml"),
            ("b.yml", "b.yml"),
            ("c.json", "c.json")
        ])
    );
}

#[test]
fn what_cannot_be_read_is_an_error_and_never_left_out() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("a.yaml"), [0xff, 0xfe]).expect("a file");
    let error = read(directory.path()).expect_err("it is not text");
    assert!(
        error.to_string().ends_with("a.yaml\" is not UTF-8 text"),
        "{error}"
    );

    fs::remove_file(directory.path().join("a.yaml")).expect("it goes");
    std::os::unix::fs::symlink("nowhere", directory.path().join("b.yaml")).expect("a link");
    let error = read(directory.path()).expect_err("it leads nowhere");
    assert!(error.to_string().starts_with("cannot read \""), "{error}");

    fs::write(directory.path().join("c.yaml"), [0xff]).expect("a file");
    let error = read(directory.path()).expect_err("neither can be read");
    let text = error.to_string();
    assert!(
        text.contains("b.yaml\": No such file") && text.ends_with("c.yaml\" is not UTF-8 text"),
        "{text}"
    );

    let error = read(&directory.path().join("none")).expect_err("there is none");
    assert!(error.to_string().contains("none\": "), "{error}");
}

#[tokio::test]
async fn three_swaps_by_kubelet_are_all_picked_up_whole() {
    let mount = TempDir::new().expect("a directory");
    let both = |text: &'static str| [("a.yaml", text), ("b.yaml", text)];
    kubelet_swap(mount.path(), "0", &both("zero"));
    let mut watching = Watching::start(mount.path());
    for (generation, text) in [("1", "one"), ("2", "two"), ("3", "three")] {
        kubelet_swap(mount.path(), generation, &both(text));
        assert_eq!(watching.next().await, Ok(files(&both(text))));
    }
    kubelet_swap(mount.path(), "4", &both("three"));
    watching.stays_quiet().await;
}

#[tokio::test]
async fn an_edit_an_addition_and_a_removal_are_noticed_and_a_touch_is_not() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("a.yaml");
    fs::write(&file, "one").expect("a file");
    let mut watching = Watching::start(directory.path());
    fs::write(&file, "two").expect("an edit");
    assert_eq!(watching.next().await, Ok(files(&[("a.yaml", "two")])));
    fs::write(directory.path().join("b.yaml"), "new").expect("an addition");
    // Written in two steps, so it may be seen empty first, but it is seen.
    while watching.next().await != Ok(files(&[("a.yaml", "two"), ("b.yaml", "new")])) {}
    fs::write(&file, "two").expect("the same again");
    fs::write(directory.path().join("notes.txt"), "new").expect("something else");
    watching.stays_quiet().await;
    fs::remove_file(&file).expect("a removal");
    assert_eq!(watching.next().await, Ok(files(&[("b.yaml", "new")])));
}

#[tokio::test]
async fn a_directory_that_goes_away_is_an_error_once_and_its_return_is_told() {
    let parent = TempDir::new().expect("a directory");
    let (here, away) = (parent.path().join("policies"), parent.path().join("away"));
    fs::create_dir(&here).expect("a directory");
    fs::write(here.join("a.yaml"), "one").expect("a file");
    let mut watching = Watching::start(&here);
    fs::rename(&here, &away).expect("it goes");
    let error = watching.next().await.expect_err("it cannot be read");
    assert!(error.starts_with("cannot read \""), "{error}");
    watching.stays_quiet().await;
    fs::rename(&away, &here).expect("it returns");
    assert_eq!(watching.next().await, Ok(files(&[("a.yaml", "one")])));
}

#[tokio::test]
async fn an_emptied_directory_is_told_as_empty_and_left_to_the_engine_to_refuse() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("a.yaml"), "one").expect("a file");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let mut watching = Watching::start(directory.path());
    fs::remove_file(directory.path().join("a.yaml")).expect("it goes");
    assert_eq!(watching.next().await, Ok(Files::new()));
}
