//! What README, ARCHITECTURE, CONTRIBUTING, `policies/`, `manifests/` and `certs/` say of the repository is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const README: &str = include_str!("../../README.md");
const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");

fn in_root(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

fn text_of(path: &str) -> String {
    fs::read_to_string(in_root(path)).unwrap_or_else(|error| format!("{path}: {error}"))
}

/// The names in a directory, in order; those that begin with a dot are not shown.
fn names(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(in_root(path)).expect("it is a directory");
    let name = |it: fs::DirEntry| it.file_name().to_string_lossy().into_owned();
    let names = entries.map(|it| name(it.expect("it can be read")));
    names.filter(|it| !it.starts_with('.')).collect()
}

/// Every file of a directory with that extension, as `directory/name`.
fn files(directory: &str, extension: &str) -> Vec<String> {
    let names = names(directory).into_iter();
    let files = names.filter(|it| Path::new(it).extension().is_some_and(|it| it == extension));
    files.map(|it| format!("{directory}/{it}")).collect()
}

/// What `podgate … --help` prints; empty if there is no such subcommand.
fn help(subcommand: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_podgate"))
        .args([subcommand, "--help"])
        .output()
        .expect("podgate starts");
    if output.status.success() {
        String::from_utf8(output.stdout).expect("it is text")
    } else {
        String::new()
    }
}

/// The flags in a text: `--keep`, `-n`, without their values.
fn flags(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.split(|c: char| !is_part(c));
    let is_flag = |word: &&str| {
        let long = word.strip_prefix("--");
        let name = long.or(word.strip_prefix('-')).unwrap_or_default();
        name.starts_with(|c: char| c.is_ascii_lowercase()) && (long.is_some() || name.len() == 1)
    };
    words.filter(is_flag).collect()
}

/// Everything between single backticks, and every line of a block of code. What is fenced as text is what programs print.
fn code(markdown: &str) -> Vec<&str> {
    let mut code = Vec::new();
    for (index, part) in markdown.split("```").enumerate() {
        if index % 2 == 1 {
            code.extend(part.lines().filter(|_| !part.starts_with("text\n")));
        } else {
            code.extend(part.split('`').skip(1).step_by(2));
        }
    }
    code
}

/// The commands that a text tells a reader to type, as their subcommand and their flags.
fn commands(snippets: &[&str]) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    for snippet in snippets {
        let snippet = snippet.split(" #").next().unwrap_or_default();
        let starts = ["podgate ", "cargo run -- "];
        let after = starts.iter().find_map(|start| {
            let at = snippet.find(start)?;
            let before = &snippet[..at];
            // A release of Helm has the name, too.
            let is_word = at == 0 || before.ends_with([' ', '(']) && !before.contains("helm ");
            is_word.then(|| &snippet[at + start.len()..])
        });
        let Some(after) = after else { continue };
        let subcommand = after.split(' ').next().unwrap_or_default();
        let flags = flags(after).into_iter().map(str::to_owned).collect();
        found.push((subcommand.to_owned(), flags));
    }
    found
}

/// Asserts that each of the commands is one that the binary has.
#[track_caller]
fn assert_known(place: &str, commands: &[(String, BTreeSet<String>)]) {
    for (subcommand, flags) in commands {
        let help = help(subcommand);
        assert!(
            !help.is_empty(),
            "{place}: there is no `podgate {subcommand}`"
        );
        let known = self::flags(&help);
        for flag in flags {
            assert!(
                known.contains(flag.as_str()),
                "{place}: `podgate {subcommand}` has no {flag}"
            );
        }
    }
}

#[test]
fn every_command_in_the_documents_exists() {
    let mut seen = BTreeSet::new();
    for path in [
        "README.md",
        "policies/README.md",
        "certs/README.md",
        "manifests/README.md",
    ] {
        let text = text_of(path);
        let commands = commands(&code(&text));
        assert!(!commands.is_empty(), "{path} names no command");
        assert_known(path, &commands);
        seen.extend(commands.into_iter().map(|(subcommand, _)| subcommand));
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        [
            "api-server-config",
            "audit",
            "check",
            "demo",
            "doctor",
            "serve"
        ]
    );
    for path in [files("policies", "yaml"), yaml_below("manifests")].concat() {
        let text = text_of(&path);
        let comments = text
            .lines()
            .filter_map(|it| it.split_once('#').map(|(_, it)| it));
        let snippets: Vec<&str> = comments.flat_map(code_or_all).collect();
        assert_known(&path, &commands(&snippets));
    }
}

/// A comment may be a command as it stands.
fn code_or_all(comment: &str) -> Vec<&str> {
    let comment = comment.trim();
    if comment.starts_with("podgate ") && comment.contains(" --") {
        vec![comment]
    } else {
        code(comment)
    }
}

/// A subcommand whose flags are told in a list item, one after another: all of the item is about it.
#[test]
fn every_flag_that_the_readme_tells_of_a_subcommand_is_its_own() {
    let mut told = BTreeSet::new();
    for item in README.split("\n* ").skip(1) {
        let item = item.split("\n\n").next().unwrap_or_default();
        let code = code(item).join("\n");
        let Some((_, rest)) = code.split_once("podgate ") else {
            continue;
        };
        let subcommand: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
        let flags: BTreeSet<String> = flags(&code).into_iter().map(str::to_owned).collect();
        told.extend(flags.iter().cloned());
        assert_known("README.md", &[(subcommand, flags)]);
    }
    assert!(
        told.contains("--policies") && told.contains("--keep"),
        "{told:?}"
    );
}

#[test]
fn the_variables_in_the_manifests_are_those_of_serve() {
    let help = help("serve");
    let is_known = |name: &str| help.contains(&format!("[env: {name}="));
    let mut seen = BTreeSet::new();
    for path in yaml_below("manifests") {
        let text = text_of(&path);
        let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
        for word in text.split(|c: char| !is_part(c)) {
            if word.starts_with("PODGATE_") {
                assert!(
                    is_known(word),
                    "{path}: `podgate serve` does not know {word}"
                );
                seen.insert(word.to_owned());
            }
        }
    }
    assert!(seen.contains("PODGATE_POLICIES"), "{seen:?}");
}

/// Every YAML file below a directory.
fn yaml_below(directory: &str) -> Vec<String> {
    let mut found = files(directory, "yaml");
    for name in names(directory) {
        let path = format!("{directory}/{name}");
        if in_root(&path).is_dir() {
            found.extend(yaml_below(&path));
        }
    }
    found
}

#[test]
fn what_the_deployment_says_in_words_is_understood() {
    for (name, value) in [
        ("PODGATE_LISTEN", "[::]:8443"),
        ("PODGATE_POD_SECURITY_LABELS", "false"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_podgate"))
            .args(["serve", "--policies", "/nowhere"])
            .env(name, value)
            .output()
            .expect("podgate starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("/nowhere"), "{name}={value}: {said}");
    }
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut count = 0;
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "policies/README.md",
        "certs/README.md",
        "manifests/README.md",
    ] {
        let text = text_of(path);
        let directory = in_root(path);
        let directory = directory.parent().expect("a file is in a directory");
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                in_root(path)
            } else {
                directory.join(file)
            };
            assert!(target.exists(), "{path} links to {link}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).expect("a page");
                assert!(
                    anchors(&text).contains(anchor),
                    "{path} links to {link}, which has {:?}",
                    anchors(&text)
                );
            }
            count += 1;
        }
    }
    assert!(count > 5, "{count} links");
}

/// The anchors of the headings of a page, as the usual renderers make them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in markdown.lines().filter_map(|it| it.strip_prefix('#')) {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let twin = (1..).map(|it| format!("{anchor}-{it}"));
        let mut free = std::iter::once(anchor.clone()).chain(twin);
        anchors.extend(free.find(|it| !anchors.contains(it)));
    }
    anchors
}

#[test]
fn the_first_command_of_the_readme_is_the_demo() {
    let block = README
        .split("```console\n")
        .nth(1)
        .expect("it shows commands");
    assert!(block.starts_with("$ cargo run -- demo "), "{block}");
    assert!(!help("demo").is_empty());
    assert!(README.contains("`cargo run --example cluster`"));
    let cargo = text_of("Cargo.toml");
    assert!(cargo.contains("[[example]]\nname = \"cluster\"\n"));
}

/// Paths in backticks: `policies/baseline.yaml`, `src/control.rs`, `tests/fuzz`.
#[test]
fn every_path_that_a_document_names_exists() {
    let tops = ["src", "tests", "policies", "manifests", "certs"].map(|it| format!("{it}/"));
    let mut count = 0;
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "policies/README.md",
        "manifests/README.md",
    ] {
        let text = text_of(path);
        for word in code(&text).iter().flat_map(|it| it.split(' ')) {
            let is_path = tops.iter().any(|top| word.starts_with(top.as_str()));
            if is_path
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
            {
                assert!(in_root(word).exists(), "{path} names {word}");
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count} paths");
}

#[test]
fn the_policies_that_are_listed_are_those_that_are_there() {
    let listed: BTreeSet<String> = text_of("policies/README.md")
        .split("](")
        .skip(1)
        .filter_map(|it| it.split(')').next())
        .filter(|it| !it.contains('/') && it.contains(".yaml"))
        .map(|it| format!("policies/{it}"))
        .collect();
    assert_eq!(listed, files("policies", "yaml").into_iter().collect());
    let shipped = podgate::policy::SHIPPED.map(|(name, _)| format!("policies/{name}"));
    assert_eq!(listed, BTreeSet::from(shipped));
}

#[test]
fn the_rooms_of_the_architecture_are_those_of_the_source() {
    let rooms: BTreeSet<String> = ARCHITECTURE
        .lines()
        .filter_map(|it| it.strip_prefix("| `src/")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let room = |name: &String| name.trim_end_matches(".rs").to_owned();
    let mut found: BTreeSet<String> = names("src").iter().map(room).collect();
    for front in ["lib", "main"] {
        assert!(found.remove(front), "there is no {front}.rs");
    }
    assert_eq!(rooms, found);
}
