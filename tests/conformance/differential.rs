//! Random Pods and workloads at random levels and versions: podgate says of each what upstream says, letter by letter.
//!
//! `PODGATE_CASES` and `PODGATE_SEED` make a longer run, or another one.

use std::ops::Range;
use std::{env, thread};

use podgate::control::{AnyControl, Findings};
use podgate::output::pod_security::{Violation, violations};
use podgate::pod::Kind;
use podgate::pod::object::Object;
use podgate::policy::level::{Level, Version, pod_security};
use serde::Deserialize;

use super::oracle::{self, Oracle};

/// How many objects in CI.
const CASES: u64 = 200_000;

/// How many Pods it takes for every character to be in one.
const CHARACTERS: u64 = 0x11_0000 / 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict<'a> {
    level: &'a str,
    version: &'a str,
    api_version: &'a str,
    kind: &'a str,
    violations: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    reason: String,
    detail: String,
}

/// The controls of every level and version that has been asked for.
#[derive(Default)]
struct Levels(Vec<(Level, Version, Vec<AnyControl>)>);

// === impl Levels ===

impl Levels {
    fn controls(&mut self, level: Level, version: Version) -> &[AnyControl] {
        let known = self
            .0
            .iter()
            .position(|it| (it.0, it.1) == (level, version));
        let at = known.unwrap_or_else(|| {
            self.0.push((level, version, pod_security(level, version)));
            self.0.len() - 1
        });
        &self.0[at].2
    }
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

#[test]
fn random_objects_are_judged_as_pod_security_admission_judges_them() {
    let (seed, cases) = (number("PODGATE_SEED", 1), number("PODGATE_CASES", CASES));
    let Some(oracle) = oracle::build() else {
        return;
    };
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8) as u64;
    let share = cases.div_ceil(workers);
    let violating: u64 = thread::scope(|scope| {
        let start = |from: u64| {
            let numbers = from..cases.min(from + share);
            scope.spawn(move || compare(Oracle::start(oracle, seed, &numbers), numbers))
        };
        let running: Vec<_> = (0..workers)
            .map(|it| start(cases.min(it * share)))
            .collect();
        running.into_iter().map(|it| it.join().unwrap()).sum()
    });
    // Both verdicts are common, so neither is agreed on by chance.
    assert!(
        violating > cases / 10 && violating < cases - cases / 20,
        "{violating} of {cases}"
    );
}

#[test]
fn every_character_of_an_annotation_is_quoted_as_go_quotes_it() {
    let Some(oracle) = oracle::build() else {
        return;
    };
    let violating = compare(Oracle::characters(oracle, CHARACTERS), 0..CHARACTERS);
    assert_eq!(violating, CHARACTERS);
}

/// How many of these objects break their level.
fn compare(mut oracle: Oracle, numbers: Range<u64>) -> u64 {
    let mut levels = Levels::default();
    let (mut text, mut line) = (String::new(), String::new());
    let (mut at, mut violating) = (numbers.start, 0);
    while oracle.read(&mut text) && oracle.read(&mut line) {
        let verdict: Verdict<'_> = serde_json::from_str(&line).unwrap();
        let of = |it: Expected| Violation {
            reason: it.reason,
            detail: it.detail,
        };
        let expected: Vec<_> = verdict.violations.into_iter().map(of).collect();
        let level = if verdict.level == "baseline" {
            Level::Baseline
        } else {
            Level::Restricted
        };
        let version = verdict.version.parse().unwrap();
        let kind = Kind::from_type(verdict.api_version, verdict.kind).unwrap();
        let object =
            Object::decode(kind, &text).unwrap_or_else(|it| panic!("object {at}: {it}:\n{text}"));
        let mut findings = Findings::default();
        if let Some(pod) = &object.pod {
            for control in levels.controls(level, version) {
                control.check(pod, &mut findings);
            }
        }
        let found = violations(level, version, &findings.into_vec());
        assert_eq!(
            found, expected,
            "object {at} at {} {}:\n{text}",
            verdict.level, verdict.version
        );
        at += 1;
        violating += u64::from(!expected.is_empty());
    }
    assert!(oracle.ended_well());
    assert_eq!(at, numbers.end);
    violating
}
