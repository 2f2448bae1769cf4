//! What the page says, and that nothing from outside becomes part of it.

mod contrast;

use std::collections::{BTreeMap, HashSet};

use html5gum::{Token, Tokenizer};

use super::*;
use crate::output::results::{
    API_VERSION, Container, Failure, Injected, KIND, Namespace, Object, Obstacle, Place, Run,
    Skipped, Summary,
};

/// What somebody may call a thing to harm the reader.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "' autofocus onfocus='alert(1)",
    "</pre></td><img src=https://example.com/x>",
    "\u{1b}[31mred\u{0}\r\n\u{7f}",
    "\u{202e}gnp.exe\u{2066}\u{feff}",
    "--><!--<![CDATA[",
    "javascript:alert(1)&lt;&#60;",
];

fn results(objects: Vec<Object>) -> Results {
    Results {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        run: Run {
            command: "audit".to_owned(),
            complete: true,
            ..Run::default()
        },
        summary: Summary {
            judged: objects.len() as u64,
            ..Summary::default()
        },
        namespaces: Vec::new(),
        objects,
        skipped: Vec::new(),
        errors: Vec::new(),
    }
}

fn finding(text: &str) -> Finding {
    Finding {
        control: text.to_owned(),
        mode: Mode::Warn,
        pod_mode: Mode::Enforce,
        policies: vec![text.to_owned()],
        pod_policies: vec![text.to_owned()],
        level: Some(text.to_owned()),
        container: Some(Container {
            list: "containers".to_owned(),
            name: text.to_owned(),
        }),
        volume: Some(text.to_owned()),
        field: text.to_owned(),
        path: text.to_owned(),
        in_pod: Some(text.to_owned()),
        current: text.to_owned(),
        source: Some(text.to_owned()),
        required: text.to_owned(),
        fix: Some(format!("a:\n  {text}")),
        pods: 2,
        place: None,
        new: true,
    }
}

fn object(text: &str) -> Object {
    Object {
        api_version: text.to_owned(),
        kind: text.to_owned(),
        namespace: text.to_owned(),
        name: text.to_owned(),
        uid: Some(text.to_owned()),
        place: None,
        pods: 2,
        fate: Fate::PodsRejected,
        findings: vec![finding(text)],
        injected: vec![Injected {
            path: text.to_owned(),
            value: text.into(),
            policy: text.to_owned(),
        }],
    }
}

/// A run in which everything that is text is one of [`HOSTILE`].
fn hostile() -> Results {
    let mut results = results(HOSTILE.map(object).to_vec());
    let text = HOSTILE.join("");
    results.run.policies = vec![text.clone()];
    results.run.cluster = Some(text.clone());
    results.run.since = Some(text.clone());
    results.run.complete = false;
    results.errors = vec![Failure {
        what: text.clone(),
        why: text.clone(),
        place: None,
    }];
    results.skipped = vec![Skipped {
        what: text.clone(),
        why: text.clone(),
        count: 2,
        place: None,
    }];
    let namespace = |name: &str| Namespace {
        name: name.to_owned(),
        labels: BTreeMap::from([(name.to_owned(), name.to_owned())]),
        workloads: 1,
        ready_for: "baseline".to_owned(),
        next: Some("restricted".to_owned()),
        obstacles: vec![Obstacle {
            kind: name.to_owned(),
            name: name.to_owned(),
            controls: vec![name.to_owned()],
        }],
    };
    results.namespaces = HOSTILE.map(namespace).to_vec();
    results
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it is UTF-8")
}

/// Holds the page to what is true of every page, as an HTML parser reads it.
fn check(page: &str) {
    let mut open = Vec::new();
    let (mut ids, mut links) = (HashSet::new(), Vec::new());
    // The tokenizer does not know that these are no markup.
    let markup = page.replace(STYLE, "").replace(SCRIPT, "");
    for token in Tokenizer::new(&markup) {
        match token.expect("it can be read") {
            Token::StartTag(tag) => {
                let name = string(&tag.name);
                for (key, value) in &tag.attributes {
                    let (key, value) = (string(key), string(value));
                    assert!(
                        !key.starts_with("on") && key != "style" && key != "src",
                        "{key}"
                    );
                    if key == "id" {
                        assert!(ids.insert(value.clone()), "{value} is there twice");
                    }
                    if key == "href" && name == "a" {
                        let id = value.strip_prefix('#').expect("links stay in the page");
                        links.push(id.to_owned());
                    } else if key == "href" {
                        assert_eq!(value, "data:,");
                    }
                }
                if !["meta", "link", "wbr"].contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(string(&tag.name))),
            Token::String(text) => {
                let is_seen = |c: char| c == '\n' || c == '\t' || !crate::output::text::misleads(c);
                assert!(string(&text).chars().all(is_seen));
            }
            Token::Error(error) => unreachable!("{error:?}"),
            Token::Comment(_) => unreachable!("there is no comment in it"),
            Token::Doctype(_) => {}
        }
    }
    assert_eq!(open, Vec::<String>::new());
    for link in links {
        assert!(ids.contains(&link), "{link} leads nowhere");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
    assert!(!page.contains("<img"));
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let page = render(&hostile());
    check(&page);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("<i>\\u{202e}</i>gnp.exe"));
}

#[test]
fn the_same_results_are_the_same_page() {
    assert_eq!(render(&hostile()), render(&hostile()));
}

#[test]
fn the_policy_allows_this_style_and_script_alone() {
    let page = render(&results(Vec::new()));
    for (kind, start, end) in [
        ("style", "<style>", "</style>"),
        ("script", "<script>", "</script>"),
    ] {
        let content = page
            .split(start)
            .nth(1)
            .and_then(|it| it.split(end).next())
            .expect("it is there");
        assert!(page.contains(&format!("{kind}-src &#39;{}&#39;", hash(content))));
    }
    assert!(page.contains("content=\"default-src &#39;none&#39;;"));
    for asks in [
        "@import",
        "url(",
        "fetch(",
        "XMLHttpRequest",
        "http:",
        "https:",
    ] {
        assert!(!STYLE.contains(asks) && !SCRIPT.contains(asks), "{asks}");
    }
}

#[test]
fn an_empty_run_says_so() {
    let page = render(&results(Vec::new()));
    check(&page);
    assert!(page.contains("<h1>0 workloads judged.</h1>"));
    assert!(page.contains("Nothing was judged."));
    assert!(!page.contains("NOT COMPLETE"));
}

#[test]
fn an_incomplete_run_says_so_loudly_and_why() {
    let mut results = results(vec![object("web")]);
    results.run.complete = false;
    results.errors = vec![Failure {
        what: "list of pods in namespace shop".to_owned(),
        why: "forbidden".to_owned(),
        place: None,
    }];
    let page = render(&results);
    check(&page);
    assert!(page.contains("NOT COMPLETE"));
    assert!(page.contains("<b>list of pods in namespace shop</b>: forbidden"));
}

#[test]
fn objects_of_one_name_are_all_there() {
    let page = render(&results(vec![object("web"), object("web"), object("db")]));
    check(&page);
    for id in ["web/web/web", "web/web/web/2", "db/db/db"] {
        assert!(page.contains(&format!("<details id=\"{id}\"")), "{id}");
        assert!(page.contains(&format!("href=\"#{id}\"")), "{id}");
    }
}

#[test]
fn a_cell_leads_to_the_first_finding_of_its_control() {
    let mut web = object("web");
    web.findings = vec![finding("b"), finding("a"), finding("b")];
    web.findings[2].current = "other".to_owned();
    let page = render(&results(vec![web]));
    check(&page);
    for id in ["web/web/web:a", "web/web/web:b"] {
        assert!(page.contains(&format!("href=\"#{id}\">P</a>")), "{id}");
        assert_eq!(page.matches(&format!("<tr id=\"{id}\"")).count(), 1, "{id}");
    }
}

#[test]
fn what_was_not_judged_is_found_in_its_file() {
    let mut results = results(Vec::new());
    let place = |line| Place {
        file: "deploy/shop.yaml".to_owned(),
        line,
        column: line.min(3),
        ..Place::default()
    };
    results.errors = vec![Failure {
        what: "deploy/shop.yaml".to_owned(),
        why: "is no YAML".to_owned(),
        place: Some(place(0)),
    }];
    results.skipped = vec![Skipped {
        what: "ConfigMap shop/settings".to_owned(),
        why: "it makes no Pods".to_owned(),
        count: 1,
        place: Some(place(80)),
    }];
    let page = render(&results);
    check(&page);
    assert!(page.contains("is no YAML<small> deploy/shop.yaml</small>"));
    assert!(page.contains("it makes no Pods<small> deploy/shop.yaml:80:3</small>"));
}

#[test]
fn the_verdict_is_the_worst_that_would_happen() {
    for (judged, rejected, pods_rejected, expected) in [
        (0, 0, 0, "0 workloads judged"),
        (1, 0, 0, "1 workload judged, none would be rejected"),
        (1200, 3, 0, "3 of 1,200 workloads would be rejected"),
        (12, 0, 4, "4 of 12 workloads would have their Pods rejected"),
        (
            12,
            3,
            4,
            "3 of 12 workloads would be rejected, 4 would have their Pods rejected",
        ),
    ] {
        let mut results = results(Vec::new());
        results.summary = Summary {
            judged,
            rejected,
            pods_rejected,
            ..Summary::default()
        };
        assert_eq!(verdict::sentence(&results), expected);
    }
}

#[test]
fn a_value_injected_into_several_containers_is_said_once() {
    let mut web = object("web");
    let into = |at: usize, value: bool| Injected {
        path: format!("spec.containers[{at}].stdin"),
        value: value.into(),
        policy: "defaults".to_owned(),
    };
    web.injected = vec![
        into(0, false),
        into(1, true),
        into(2, false),
        into(3, false),
    ];
    let page = render(&results(vec![web]));
    check(&page);
    for (paths, value) in [("[0,2,3]", "false"), ("[1]", "true")] {
        let row = format!(
            "<code>spec<wbr>.containers{paths}<wbr>.stdin</code></th><td><code>{value}</code></td>"
        );
        assert_eq!(page.matches(&row).count(), 1, "{row}");
    }
}

#[test]
fn five_hundred_containers_are_one_row() {
    let mut web = object("web");
    web.findings = vec![finding("privileged"); 500];
    for (at, it) in web.findings.iter_mut().enumerate() {
        it.path = format!("spec.containers[{at}].securityContext.privileged");
    }
    let page = render(&results(vec![web]));
    check(&page);
    assert_eq!(page.matches("<pre>").count(), 1);
    assert!(page.contains("spec<wbr>.containers[0-499]<wbr>.securityContext"));
    assert!(page.contains("and 492 more"));
}

#[test]
fn containers_that_break_a_control_alike_share_a_row() {
    let mut web = object("web");
    let mut other = finding("web");
    other.container = Some(Container {
        list: "initContainers".to_owned(),
        name: "setup".to_owned(),
    });
    web.findings.push(other);
    let page = render(&results(vec![web]));
    check(&page);
    assert_eq!(page.matches("<pre>").count(), 1);
    assert!(page.contains("init container <b>setup</b>"));
}
