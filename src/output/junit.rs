//! Results as `JUnit` XML, which every CI shows as tests: one suite a file or namespace, one test an object.
//!
//! A test fails if its object would be rejected, or its Pods would; what only warns is its output. What could not be
//! judged is an error, what was not judged on purpose is skipped.

use std::collections::BTreeMap;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::results::{Fate, Item, Object, Place, Results, items};
use super::text::{clean, count};

/// How much of any one text is shown.
const MAX_TEXT: usize = 4000;

/// What became of a test.
enum Verdict {
    Passed,
    /// Its message, its kind and everything that is to be said.
    Failed(String, &'static str, String),
    Erred(String),
    Skipped(String),
}

/// One test.
struct Case<'r> {
    name: String,
    place: Option<&'r Place>,
    verdict: Verdict,
    /// What is to be said of it besides.
    output: String,
}

/// Tests of one file or namespace.
struct Suite<'r> {
    name: String,
    cases: Vec<Case<'r>>,
}

/// Writes them, indented, with a line break at the end.
///
/// # Errors
/// What the writer says.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    let suites = suites(results);
    let mut xml = Writer::new_with_indent(&mut *out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = format!("podgate {}", clean(&results.run.command, MAX_TEXT));
    let all = suites.iter().flat_map(|it| &it.cases);
    xml.create_element("testsuites")
        .with_attribute(("name", name.as_str()))
        .with_attributes(borrowed(&counts(all)))
        .write_inner_content(|xml| suites.iter().try_for_each(|it| suite(xml, results, it)))?;
    out.write_all(b"\n")
}

/// In the order in which their first test comes.
fn suites(results: &Results) -> Vec<Suite<'_>> {
    let objects = results.objects.iter().map(|it| {
        let name = match &it.place {
            Some(place) => &place.file,
            None if it.namespace.is_empty() => "(no namespace)",
            None => &it.namespace,
        };
        (name, Case::of(it))
    });
    let rest = |place: Option<&'_ Place>| place.map_or("(run)", |it| it.file.as_str()).to_owned();
    let errors = results.errors.iter().map(|it| {
        let verdict = Verdict::Erred(clean(&it.why, MAX_TEXT));
        (
            rest(it.place.as_ref()),
            Case::unjudged(&it.what, it.place.as_ref(), verdict),
        )
    });
    let skipped = results.skipped.iter().map(|it| {
        let why = clean(&it.why, MAX_TEXT);
        let why = match it.count {
            1 => why,
            many => format!("{many}: {why}"),
        };
        (
            rest(it.place.as_ref()),
            Case::unjudged(&it.what, it.place.as_ref(), Verdict::Skipped(why)),
        )
    });
    let mut suites: Vec<Suite<'_>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let objects = objects.map(|(name, case)| (name.to_owned(), case));
    for (name, case) in objects.chain(errors).chain(skipped) {
        let at = *known.entry(name).or_insert_with_key(|name| {
            suites.push(Suite {
                name: clean(name, MAX_TEXT),
                cases: Vec::new(),
            });
            suites.len() - 1
        });
        suites[at].cases.push(case);
    }
    suites
}

fn suite<W: Write>(xml: &mut Writer<W>, results: &Results, suite: &Suite<'_>) -> io::Result<()> {
    let element = xml
        .create_element("testsuite")
        .with_attribute(("name", suite.name.as_str()))
        .with_attributes(borrowed(&counts(suite.cases.iter())));
    let element = match &results.run.started {
        Some(started) => element.with_attribute(("timestamp", started.as_str())),
        None => element,
    };
    element.write_inner_content(|xml| {
        let mut cases = suite.cases.iter();
        cases.try_for_each(|it| case(xml, &suite.name, it))
    })?;
    Ok(())
}

fn case<W: Write>(xml: &mut Writer<W>, suite: &str, case: &Case<'_>) -> io::Result<()> {
    let mut attributes = vec![("name", case.name.clone()), ("classname", suite.to_owned())];
    if let Some(place) = case.place {
        attributes.push(("file", clean(&place.file, MAX_TEXT)));
        if place.line > 0 {
            attributes.push(("line", place.line.to_string()));
        }
    }
    let element = xml
        .create_element("testcase")
        .with_attributes(borrowed(&attributes));
    if matches!(case.verdict, Verdict::Passed) && case.output.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|xml| {
        match &case.verdict {
            Verdict::Passed => {}
            Verdict::Failed(message, kind, text) => {
                xml.create_element("failure")
                    .with_attribute(("message", message.as_str()))
                    .with_attribute(("type", *kind))
                    .write_text_content(BytesText::new(text))?;
            }
            Verdict::Erred(message) => {
                xml.create_element("error")
                    .with_attribute(("message", message.as_str()))
                    .with_attribute(("type", "notJudged"))
                    .write_text_content(BytesText::new(message))?;
            }
            Verdict::Skipped(message) => {
                xml.create_element("skipped")
                    .with_attribute(("message", message.as_str()))
                    .write_empty()?;
            }
        }
        if !case.output.is_empty() {
            xml.create_element("system-out")
                .write_text_content(BytesText::new(&case.output))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn counts<'c, 'r: 'c>(cases: impl Iterator<Item = &'c Case<'r>>) -> [(&'static str, String); 4] {
    let verdicts: Vec<&Verdict> = cases.map(|it| &it.verdict).collect();
    let number = |is: fn(&Verdict) -> bool| {
        let those = verdicts.iter().filter(|it| is(it));
        those.count().to_string()
    };
    [
        ("tests", number(|_| true)),
        ("failures", number(|it| matches!(it, Verdict::Failed(..)))),
        ("errors", number(|it| matches!(it, Verdict::Erred(_)))),
        ("skipped", number(|it| matches!(it, Verdict::Skipped(_)))),
    ]
}

fn borrowed<'a>(attributes: &'a [(&'a str, String)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    attributes
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
}

// === impl Case ===

impl<'r> Case<'r> {
    fn of(object: &'r Object) -> Self {
        let all = items(&object.findings);
        let (rejecting, further): (Vec<Item<'_>>, Vec<Item<'_>>) = all
            .into_iter()
            .partition(|it| it.first().fate() >= Fate::PodsRejected);
        let kind = match object.fate {
            Fate::Rejected | Fate::PodsRejected => Some(object.fate.name()),
            Fate::Clean | Fate::Recorded | Fate::Warned => None,
        };
        let told =
            |items: &[Item<'_>]| -> String { items.iter().map(|it| tell(object, it)).collect() };
        let (verdict, output) = match kind {
            // An update may keep what the object had before: told, and no reason to fail.
            None => (Verdict::Passed, told(&rejecting) + &told(&further)),
            Some(kind) => {
                let mut names: Vec<&str> = Vec::new();
                for item in &rejecting {
                    let name = item.first().control.as_str();
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                let message = format!(
                    "{}: {} ({})",
                    object.fate.would(),
                    count(rejecting.len(), "finding"),
                    clean(&names.join(", "), MAX_TEXT)
                );
                (
                    Verdict::Failed(message, kind, told(&rejecting)),
                    told(&further),
                )
            }
        };
        Self {
            name: object.title(),
            place: object.place.as_ref(),
            verdict,
            output,
        }
    }

    fn unjudged(what: &str, place: Option<&'r Place>, verdict: Verdict) -> Self {
        Self {
            name: clean(what, MAX_TEXT),
            place,
            verdict,
            output: String::new(),
        }
    }
}

/// One item in two or three lines.
fn tell(object: &Object, item: &Item<'_>) -> String {
    let first = item.first();
    let line = match &first.place {
        Some(place) if place.line > 0 => format!("line {}: ", place.line),
        _ => String::new(),
    };
    let fix = match &first.fix {
        Some(fix) => format!("  fix: {}\n", clean(fix, MAX_TEXT)),
        None => String::new(),
    };
    format!(
        "{line}{}: {}{}\n  {}\n{fix}",
        clean(&first.control, MAX_TEXT),
        object.title(),
        item.verdict(),
        item.statement()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use roxmltree::{Document, Node};

    use super::super::results::testing::{cluster, hostile, manifests, nothing};
    use super::*;

    fn written(results: &Results) -> String {
        let mut out = Vec::new();
        write(results, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn named<'a>(node: Node<'a, 'a>, name: &str) -> Vec<Node<'a, 'a>> {
        let all = node.descendants();
        all.filter(|it| it.has_tag_name(name)).collect()
    }

    /// What every reader of `JUnit` relies on: that the counts are those of the elements.
    fn assert_counted(document: &Document<'_>) {
        let root = document.root_element();
        assert!(root.has_tag_name("testsuites"));
        for node in std::iter::once(root).chain(named(root, "testsuite")) {
            for (attribute, element) in [
                ("tests", "testcase"),
                ("failures", "failure"),
                ("errors", "error"),
                ("skipped", "skipped"),
            ] {
                let number: usize = node.attribute(attribute).unwrap().parse().unwrap();
                assert_eq!(number, named(node, element).len(), "{attribute}");
            }
        }
        for case in named(root, "testcase") {
            let suite = case.parent().unwrap();
            assert_eq!(case.attribute("classname"), suite.attribute("name"));
            assert!(!case.attribute("name").unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_written_is_well_formed_and_counted() {
        for results in [manifests(), cluster(), hostile(), nothing("check")] {
            let text = written(&results);
            assert!(text.ends_with("</testsuites>\n"), "{text}");
            let document = Document::parse(&text).unwrap();
            assert_counted(&document);
            let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert_eq!(text.lines().find(|it| it.contains(bad)), None);
        }
    }

    #[test]
    fn each_object_is_a_test_with_what_became_of_it() {
        let text = written(&manifests());
        let document = Document::parse(&text).unwrap();
        let cases = named(document.root(), "testcase");
        let told: Vec<(&str, &str, Option<&str>, String)> = cases
            .iter()
            .map(|it| {
                let inside = it.children().filter(Node::is_element);
                let inside: Vec<&str> = inside.map(|it| it.tag_name().name()).collect();
                (
                    it.attribute("classname").unwrap(),
                    it.attribute("name").unwrap(),
                    it.attribute("line"),
                    inside.join(" "),
                )
            })
            .collect();
        let expected = [
            ("deploy/a b.yaml", "Pod shop/web", Some("1"), "failure"),
            (
                "deploy/a b.yaml",
                "Deployment shop/api",
                Some("20"),
                "failure",
            ),
            ("c.yaml", "Pod shop/app", Some("1"), "system-out"),
            ("c.yaml", "Pod ops/top", Some("30"), "system-out"),
            ("c.yaml", "Pod ops/good", Some("60"), ""),
            ("c.yaml", "ConfigMap shop/settings", Some("90"), "skipped"),
            ("missing.yaml", "missing.yaml", None, "error"),
            ("bad.yaml", "bad.yaml", Some("7"), "error"),
        ];
        let expected = expected.map(|(suite, name, line, it)| (suite, name, line, it.to_owned()));
        assert_eq!(told, expected);

        let failure = named(cases[0], "failure")[0];
        assert_eq!(
            failure.attribute("message"),
            Some("would be rejected: 2 findings (privileged, hostNamespaces)")
        );
        assert_eq!(failure.attribute("type"), Some("rejected"));
        assert_eq!(
            failure.text(),
            Some(
                "line 5: privileged: Pod shop/web is rejected by policy \"baseline\"\n  \
                 containers \"web\", \"log\": securityContext.privileged is true; must be false or unset\n  \
                 fix: securityContext: {privileged: false}\n\
                 line 7: hostNamespaces: Pod shop/web is rejected by policy \"baseline\"\n  \
                 spec.hostPID is true; must be false or unset\n  \
                 fix: spec: {hostPID: false}\n"
            )
        );
    }

    #[test]
    fn a_cluster_is_told_by_namespace() {
        let text = written(&cluster());
        let document = Document::parse(&text).unwrap();
        let suites = named(document.root(), "testsuite");
        let names: Vec<_> = suites
            .iter()
            .map(|it| it.attribute("name").unwrap())
            .collect();
        assert_eq!(names, ["ops", "shop", "(run)"]);
        assert_eq!(
            suites[0].attribute("timestamp"),
            Some("2026-11-24T17:00:00Z")
        );
        let skipped = named(suites[2], "skipped")[0];
        assert_eq!(skipped.attribute("message"), Some("12: they run no more"));
    }
}
