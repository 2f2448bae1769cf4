//! `policies/README.md` says of policy files what is so: its examples load, and it leaves out no control, no injection,
//! no parameter, no word that a parameter may be, and no default.

use std::collections::BTreeSet;

use podgate::control::{AnyControl, INJECTIONS, NAMES};
use podgate::document::{Fields, Problem, Problems, parse};
use podgate::policy::{LoadError, PolicySet};

const PAGE: &str = include_str!("../../policies/README.md");

/// What no field and no word is like.
const STRANGE: &str = "zzzzzzzzzz";

/// One row of a table, cell by cell.
type Row = Vec<&'static str>;

/// The text under a heading, without that under further ones.
struct Section {
    /// The heading above, for those of the third level.
    part: &'static str,
    name: &'static str,
    text: &'static str,
}

/// A block of code.
struct Block {
    language: &'static str,
    text: &'static str,
}

// === impl Section ===

impl Section {
    fn all() -> Vec<Self> {
        let mut sections = Vec::new();
        for part in PAGE.split("\n## ").skip(1) {
            let mut subsections = part.split("\n### ");
            let (part, text) = subsections.next().unwrap().split_once('\n').unwrap();
            sections.push(Self {
                part,
                name: part,
                text,
            });
            for section in subsections {
                let (name, text) = section.split_once('\n').unwrap();
                sections.push(Self { part, name, text });
            }
        }
        sections
    }

    #[track_caller]
    fn named(name: &str) -> Self {
        Self::all()
            .into_iter()
            .find(|it| it.name == name && it.part == name)
            .unwrap()
    }

    /// Those of the third level.
    fn within(part: &str) -> Vec<Self> {
        let within = Self::all()
            .into_iter()
            .filter(|it| it.part == part && it.name != part);
        within.collect()
    }

    fn blocks(&self) -> Vec<Block> {
        blocks(self.text)
    }

    /// The rows of its table, without the head.
    fn rows(&self) -> Vec<Row> {
        let lines = self.text.lines().filter_map(|it| it.strip_prefix("| "));
        let rows = lines.map(|it| {
            it.trim_end_matches('|')
                .split(" | ")
                .map(str::trim)
                .collect()
        });
        rows.skip(1).collect()
    }

    /// The names in the first column.
    fn documented(&self) -> Vec<&'static str> {
        self.rows().iter().map(|row| code(row[0])[0]).collect()
    }

    /// The text with every run of white space as one space.
    fn words(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn blocks(text: &'static str) -> Vec<Block> {
    let fenced = text.split("```").skip(1).step_by(2);
    let block = |it: &'static str| it.split_once('\n').unwrap();
    fenced
        .map(block)
        .map(|(language, text)| Block { language, text })
        .collect()
}

/// Everything in backticks.
fn code(text: &'static str) -> Vec<&'static str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn load(text: &str) -> Result<PolicySet, LoadError> {
    PolicySet::load("here", &[("payments.yaml".to_owned(), text.to_owned())])
}

fn policy(spec: &str) -> String {
    let head = "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: p}\nspec:\n";
    let lines = spec.lines().map(|line| format!("  {line}\n"));
    head.to_owned() + &lines.collect::<String>()
}

/// What is wrong with a policy of this `spec`.
fn problems(spec: &str) -> Vec<Problem> {
    match load(&policy(spec)) {
        Err(LoadError::Problems(files)) => files.into_iter().flat_map(|it| it.1).collect(),
        _ => panic!("nothing is wrong with {spec}"),
    }
}

/// The fields that are known where a `spec` has a strange one.
fn known(spec: &str) -> Vec<String> {
    let problems = problems(spec);
    let is_field = |it: &&Problem| it.message == format!("unknown field \"{STRANGE}\"");
    let problem = problems.iter().find(is_field).expect(spec);
    let hint = problem.hint.as_deref().unwrap();
    let list = hint.strip_prefix("known fields: ").expect(hint);
    let mut names: Vec<String> = Vec::new();
    for name in list.split(", ") {
        // A field may be asked for twice.
        if !names.iter().any(|it| it == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The words that may stand where a `spec` has a strange one, if only certain ones may.
fn words(spec: &str) -> Option<Vec<String>> {
    problems(spec).iter().find_map(|problem| {
        let (_, words) = problem
            .message
            .split_once(&format!("\"{STRANGE}\", expected "))?;
        Some(
            words
                .replace(" or ", ", ")
                .split(", ")
                .map(str::to_owned)
                .collect(),
        )
    })
}

/// Asserts that both name the same, in whatever order, and nothing twice.
#[track_caller]
fn assert_same(documented: &[&str], known: &[String], what: &str) {
    let sorted = |names: &mut dyn Iterator<Item = &str>| {
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    let documented = sorted(&mut documented.iter().copied());
    let known = sorted(&mut known.iter().map(String::as_str));
    assert_eq!(documented, known, "{what}: documented is not what is known");
}

fn control(name: &str, parameters: &str) -> String {
    format!("mode: audit\ncontrols: {{{name}: {parameters}}}")
}

/// The control with these parameters over its defaults. What else it would need to be asked for does not matter.
fn read(name: &str, parameters: &str) -> AnyControl {
    let nodes = parse(parameters).unwrap();
    let mut problems = Problems::new();
    let mut fields = Fields::of(&nodes[0], &mut problems).unwrap();
    let default = AnyControl::default_of(name).unwrap();
    let control = default.read(&mut fields, &mut problems);
    fields.finish(&mut problems);
    control
}

#[test]
fn every_policy_on_the_page_loads_but_the_one_that_is_shown_to_be_refused() {
    let (mut loaded, mut refused) = (0, 0);
    let blocks = blocks(PAGE);
    for (index, Block { language, text }) in blocks.iter().enumerate() {
        let next = blocks.get(index + 1);
        let errors = next.filter(|it| it.text.starts_with("error: "));
        match (*language, load(text), errors) {
            ("yaml", Err(error), Some(errors)) => {
                assert_eq!(error.render(false), errors.text.trim_end());
                refused += 1;
            }
            ("yaml", Ok(_), None) => loaded += 1,
            ("yaml", Err(error), None) => {
                let is_fragment = ["controls:\n", "inject:\n"]
                    .iter()
                    .any(|it| text.starts_with(it));
                assert!(is_fragment, "{}", error.render(false));
            }
            ("yaml", Ok(_), Some(_)) => panic!("nothing is wrong with\n{text}"),
            ("text", _, _) => assert!(text.starts_with("error: "), "{text}"),
            (other, _, _) => panic!("nobody tries what is {other}:\n{text}"),
        }
    }
    assert_eq!((loaded, refused), (5, 1));
}

#[test]
fn every_control_and_every_injection_has_its_section() {
    let names = |part| {
        Section::within(part)
            .iter()
            .map(|it| it.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names("Controls"), NAMES);
    assert_eq!(names("Injections"), INJECTIONS);
}

#[test]
fn the_fields_of_a_policy_and_of_its_match_are_those_of_the_page() {
    let strange = format!("{STRANGE}: 1");
    assert_same(
        &Section::named("A policy").documented(),
        &known(&strange),
        "spec",
    );
    let spec = format!("match: {{{strange}}}");
    assert_same(
        &Section::named("match").documented(),
        &known(&spec),
        "match",
    );
    // The longest of the examples has every key.
    let example = Section::named("match").blocks()[0].text;
    for key in known(&spec) {
        assert!(
            example.contains(&format!(" {key}:")),
            "{key} is in no example"
        );
    }
    for selector in ["namespaceSelector", "podSelector"] {
        for key in known(&format!("match: {{{selector}: {{{strange}}}}}")) {
            assert!(
                example.contains(&format!("{key}:")),
                "{key} is in no example"
            );
        }
    }
}

#[test]
fn the_parameters_of_every_control_are_those_of_the_page() {
    for section in Section::within("Controls") {
        let name = section.name;
        let mut known = known(&control(name, &format!("{{{STRANGE}: 1}}")));
        known.retain(|it| it != "mode");
        assert_same(&section.documented(), &known, name);
    }
}

/// Lists and mappings in parameters: what they hold is in the column of types.
#[test]
fn the_fields_within_parameters_are_those_of_the_page() {
    let mut count = 0;
    for section in Section::within("Controls") {
        for row in section.rows() {
            let (parameter, kind) = (code(row[0])[0], row[1]);
            let value = if kind.starts_with("list of `") {
                format!("[{{{STRANGE}: 1}}]")
            } else if kind.starts_with("at least one of `") {
                format!("{{{STRANGE}: 1}}")
            } else {
                continue;
            };
            let spec = control(section.name, &format!("{{{parameter}: {value}}}"));
            assert_same(
                &code(kind),
                &known(&spec),
                &format!("{}: {parameter}", section.name),
            );
            count += 1;
        }
    }
    assert_eq!(count, 7);
    for section in Section::within("Injections") {
        if let "capabilities" | "seLinuxOptions" = section.name {
            let spec = format!("inject: {{{}: {{{STRANGE}: 1}}}}", section.name);
            for field in known(&spec) {
                assert!(
                    code(section.text).contains(&&*field),
                    "{}: {field}",
                    section.name
                );
            }
        }
    }
}

#[test]
fn the_words_that_a_field_may_be_are_those_of_the_page() {
    let mut count = 0;
    let mut compare = |row: &Row, found: Option<Vec<String>>| {
        let is_choice = row[1].starts_with('`') || row[1].starts_with("of `");
        let Some(found) = found else {
            // The version is told otherwise.
            assert!(!is_choice || row[0] == "`version`", "{row:?}");
            return;
        };
        assert_same(&code(row[1]), &found, row[0]);
        count += 1;
    };
    for row in Section::named("A policy").rows() {
        compare(&row, words(&format!("{}: {STRANGE}", code(row[0])[0])));
    }
    for row in Section::named("match").rows() {
        let spec = format!("match: {{{}: {STRANGE}}}", code(row[0])[0]);
        let found = words(&spec);
        compare(&row, found);
    }
    for section in Section::within("Controls") {
        for row in section.rows() {
            let value = if row[1].starts_with("of ") {
                format!("[{STRANGE}]")
            } else {
                STRANGE.to_owned()
            };
            let parameters = format!("{{{}: {value}}}", code(row[0])[0]);
            // A text that may be any text is no problem.
            let found = load(&policy(&control(section.name, &parameters))).is_err();
            compare(
                &row,
                found
                    .then(|| words(&control(section.name, &parameters)))
                    .flatten(),
            );
        }
    }
    assert_eq!(count, 3 + 1 + 7);
    let modes = words(&control("privileged", &format!("{{mode: {STRANGE}}}"))).unwrap();
    assert_eq!(modes, ["enforce", "warn", "audit", "none"]);
    let told = Section::named("Modes");
    assert!(modes.iter().all(|mode| code(told.text).contains(&&**mode)));
    let version = problems(&format!("mode: audit\nlevel: baseline\nversion: {STRANGE}"));
    let rows = Section::named("A policy").rows();
    let row = rows.iter().find(|row| row[0] == "`version`").unwrap();
    let versions = code(row[1]);
    let versions = format!("{}, or {} to {}", versions[0], versions[1], versions[2]);
    assert_eq!(version[0].hint.as_deref(), Some(&*versions));
}

#[test]
fn every_default_on_the_page_is_the_default() {
    for section in Section::within("Controls") {
        let name = section.name;
        let default = AnyControl::default_of(name).unwrap();
        for row in section.rows() {
            let (parameter, told) = (code(row[0])[0], row[2]);
            match told {
                // To give a list is something else, an empty one too.
                "any" => {
                    let list = if row[1].starts_with("list of `min`") {
                        "[{min: 1, max: 2}]"
                    } else {
                        "[]"
                    };
                    let given = read(name, &format!("{{{parameter}: {list}}}"));
                    assert_ne!(given, default, "{name}: {parameter}");
                }
                "none" => assert_eq!((name, parameter), ("seLinux", "must")),
                "none: must be given" => {
                    let problems = problems(&control(name, "{}"));
                    assert!(
                        problems
                            .iter()
                            .any(|it| it.hint.as_ref().is_some_and(|it| it.contains(parameter))),
                        "{name}: {parameter} need not be given"
                    );
                }
                told if told.contains("below") => {
                    let nodes = parse(section.blocks()[0].text).unwrap();
                    let own = nodes[0]
                        .get("controls")
                        .and_then(|it| it.get(name))
                        .unwrap();
                    assert_eq!(read(name, &own.to_json()), default, "{name}: {parameter}");
                }
                told => {
                    let value = told
                        .strip_prefix('`')
                        .and_then(|it| it.strip_suffix('`'))
                        .expect(told);
                    assert_eq!(
                        read(name, &format!("{{{parameter}: {value}}}")),
                        default,
                        "{name}: {parameter}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_example_loads_and_every_parameter_has_one() {
    let controls = Section::within("Controls").into_iter();
    for section in controls.chain(Section::within("Injections")) {
        let name = section.name;
        let blocks = section.blocks();
        assert!(!blocks.is_empty(), "{name} has no example");
        for Block { text, .. } in &blocks {
            let mode = if section.part == "Controls" {
                "mode: audit\n"
            } else {
                ""
            };
            let set = match load(&policy(&format!("{mode}{text}"))) {
                Ok(set) => set,
                Err(error) => panic!("{name}: {}", error.render(false)),
            };
            let policy = &set.policies()[0];
            let asked = set.checks().iter().map(AnyControl::name);
            let found: BTreeSet<_> = asked
                .chain(policy.injections.iter().map(|(_, it)| it.name()))
                .collect();
            assert_eq!(found, BTreeSet::from([name]));
        }
        for parameter in section.documented() {
            let is_used = |it: &Block| it.text.contains(&format!("{parameter}:"));
            assert!(
                blocks.iter().any(is_used),
                "{name}: no example has {parameter}"
            );
        }
    }
}

#[test]
fn every_section_says_where_a_control_comes_from_and_what_an_injection_can_break() {
    let levels = ["baseline", "restricted"].map(|level| {
        let set = load(&policy(&format!("mode: audit\nlevel: {level}"))).unwrap();
        (
            level,
            set.checks()
                .iter()
                .map(AnyControl::name)
                .collect::<Vec<_>>(),
        )
    });
    for section in Section::within("Controls") {
        let asking = levels
            .iter()
            .filter(|(_, names)| names.contains(&section.name));
        let list: Vec<_> = asking.map(|(level, _)| *level).collect();
        let list = if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(", ")
        };
        let words = section.words();
        assert!(
            words.contains(&format!(" Levels: {list}. ")),
            "{} is not of: {list}",
            section.name
        );
        let (_, from) = words.split_once(" From: ").expect(section.name);
        assert_eq!(from.starts_with("PSS "), list != "none", "{}", section.name);
    }
    for section in Section::within("Injections") {
        let words = section.words();
        assert!(words.starts_with("Writes "), "{}", section.name);
        assert!(words.contains(" Breaks"), "{}", section.name);
    }
}

#[test]
fn the_levels_written_out_are_the_levels() {
    let blocks = Section::named("Levels").blocks();
    assert_eq!(blocks.len(), 2);
    for (level, Block { text, .. }) in ["baseline", "restricted"].iter().zip(blocks) {
        let short = load(&policy(&format!("mode: enforce\nlevel: {level}"))).unwrap();
        let long = load(text).unwrap();
        assert_eq!(long.policies()[0].name, format!("{level}-written-out"));
        assert_eq!(long.checks(), short.checks(), "{level}");
        assert_eq!(
            long.policies()[0].checks,
            short.policies()[0].checks,
            "{level}"
        );
    }
}
