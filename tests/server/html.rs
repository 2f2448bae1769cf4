//! The page of a run as a browser reads it: Chromium opens the file, and is asked what it shows.

mod browser;
mod sample;

use std::path::{Path, PathBuf};

use podgate::output::html::render;
use podgate::output::results::{Finding, Object, Results};
use serde_json::json;

use browser::Browser;

/// The page in a file, which stays for whoever wants to look at it.
fn written(name: &str, results: &Results) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html");
    std::fs::create_dir_all(&directory).expect("it can be made");
    let file = directory.join(format!("{name}.html"));
    std::fs::write(&file, render(results)).expect("it can be written");
    file
}

/// How many objects have a finding of that kind.
fn with(results: &Results, is: impl Fn(&Finding) -> bool) -> usize {
    let has = |it: &&Object| it.findings.iter().any(&is);
    results.objects.iter().filter(has).count()
}

const ROWS_SHOWN: &str = "document.querySelectorAll('.matrix tbody tr:not([hidden])').length";
const SECTIONS_SHOWN: &str = "document.querySelectorAll('.workload:not([hidden])').length";
const CONTROLS_SHOWN: &str = "[...new Set([...document.querySelectorAll('.workload:not([hidden]) .findings > tbody > tr:not([hidden])')]
    .map((it) => it.querySelector('span').textContent))].join()";
/// Opens everything, for what is closed has no size.
const OPEN: &str = "document.querySelectorAll('details').forEach((it) => { it.open = true; })";
/// Not that of the window, which grows with what it holds on a phone.
const WIDTH: &str = "document.documentElement.scrollWidth";

#[test]
fn a_thousand_workloads_are_a_few_megabytes() {
    let page = render(&sample::cluster());
    assert!((1 << 20..4 << 20).contains(&page.len()), "{}", page.len());
}

#[test]
fn every_page_opens_without_a_complaint_and_asks_nothing_of_the_outside() {
    let Some(shared) = Browser::shared() else {
        return;
    };
    let mut browser = Browser::turn(&shared);
    for (name, results) in [
        ("cluster", sample::cluster()),
        ("incomplete", sample::incomplete()),
        ("compared", sample::compared()),
        ("manifests", sample::manifests()),
        ("hostile", sample::hostile()),
        ("empty", sample::of_size(0)),
    ] {
        let file = written(name, &results);
        browser.open(&file, "?q=web");
        if results.objects.len() < 1000 {
            browser.evaluate(OPEN);
        }
        let counted = browser.evaluate("document.querySelectorAll('.workload').length");
        assert_eq!(counted, json!(results.objects.len()), "{name}");
        let dead = "[...document.querySelectorAll('a')].filter((it) => !document.getElementById(it.hash.slice(1))).length";
        assert_eq!(
            browser.evaluate(dead),
            json!(0),
            "{name}: links that lead nowhere"
        );
        let harm = "[typeof window.harmed, document.scripts.length, document.images.length]";
        assert_eq!(browser.evaluate(harm), json!(["undefined", 1, 0]), "{name}");
        assert_eq!(
            browser.complaints(),
            Vec::<&serde_json::Value>::new(),
            "{name}"
        );
        let asked = browser.requests();
        let is_own = |it: &&str| it.starts_with("file:") || it.starts_with("data:");
        assert!(asked.iter().all(is_own), "{name}: {asked:?}");
        assert_eq!(asked.iter().filter(|it| it.starts_with("file:")).count(), 1);
    }
}

#[test]
fn the_link_to_a_filter_shows_what_matches_and_nothing_else() {
    let Some(shared) = Browser::shared() else {
        return;
    };
    let mut browser = Browser::turn(&shared);
    let results = sample::compared();
    let file = written("compared", &results);
    let of = |control: &'static str| with(&results, move |it| it.control == control);
    let of_namespace = results
        .objects
        .iter()
        .filter(|it| it.namespace == "shop")
        .count();
    let rejected = |it: &Finding| it.mode != it.pod_mode && it.pod_mode.to_string() == "enforce";
    browser.open(&file, "?control=sysctls&sort=kind");
    assert_eq!(browser.evaluate(ROWS_SHOWN), json!(of("sysctls")));
    assert_eq!(browser.evaluate(CONTROLS_SHOWN), json!("sysctls"));
    for (filter, expected, controls) in [
        ("?control=seccomp", of("seccomp"), Some("seccomp")),
        (
            "?control=capabilities&new=1",
            with(&results, |it| it.new),
            Some("capabilities"),
        ),
        ("?mode=p", with(&results, rejected), None),
        ("?namespace=shop", of_namespace, None),
        ("?q=kernel.MSGMAX", of("sysctls"), None),
        ("?q=there+is+no+such+thing", 0, Some("")),
    ] {
        browser.follow(filter);
        assert_eq!(browser.evaluate(ROWS_SHOWN), json!(expected), "{filter}");
        assert_eq!(
            browser.evaluate(SECTIONS_SHOWN),
            json!(expected),
            "{filter}"
        );
        if let Some(controls) = controls {
            assert_eq!(
                browser.evaluate(CONTROLS_SHOWN),
                json!(controls),
                "{filter}"
            );
        }
    }
    browser.evaluate("document.querySelector('#filter > button').click()");
    assert_eq!(browser.evaluate(ROWS_SHOWN), json!(results.objects.len()));
    assert_eq!(browser.evaluate("location.hash"), json!(""));
}

#[test]
fn columns_sort_cells_lead_to_findings_and_sections_open_at_once() {
    let Some(shared) = Browser::shared() else {
        return;
    };
    let mut browser = Browser::turn(&shared);
    let results = sample::compared();
    let file = written("compared", &results);
    let mut counts: Vec<usize> = results.objects.iter().map(|it| it.findings.len()).collect();
    counts.sort_unstable();
    let shown = "[...document.querySelector('.matrix').tBodies[0].rows].map((it) => Number(it.cells[3].textContent))";
    browser.open(&file, "?sort=findings");
    assert_eq!(browser.evaluate(shown), json!(counts));
    counts.reverse();
    browser.evaluate("document.querySelectorAll('.matrix thead button')[3].click()");
    assert_eq!(browser.evaluate(shown), json!(counts));
    assert_eq!(browser.evaluate("location.hash"), json!("#?sort=-findings"));

    browser.evaluate("document.querySelector('.matrix td a').click()");
    let target = "(() => { const it = document.querySelector(':target'); return [it.localName, it.closest('.workload').open,
        document.querySelectorAll('.workload[open]').length]; })()";
    assert_eq!(browser.evaluate(target), json!(["tr", true, 1]));

    let toggle = "document.querySelector('#workloads > button').click()";
    let open = "document.querySelectorAll('.workload[open]').length";
    browser.evaluate(toggle);
    assert_eq!(browser.evaluate(open), json!(results.objects.len()));
    browser.evaluate(toggle);
    assert_eq!(browser.evaluate(open), json!(0));
    assert_eq!(browser.complaints(), Vec::<&serde_json::Value>::new());
}

#[test]
fn without_its_script_everything_is_there_to_read() {
    let Some(shared) = Browser::shared() else {
        return;
    };
    let mut browser = Browser::turn(&shared);
    browser.without_scripts();
    let results = sample::compared();
    let file = written("compared", &results);
    let first = results
        .objects
        .iter()
        .find(|it| !it.findings.is_empty())
        .expect("there is one");
    let link = format!("{}/{}/{}", first.namespace, first.kind, first.name);
    browser.open(&file, &format!("{link}:{}", first.findings[0].control));
    // The browser itself opens what a link leads into.
    let open = format!("document.getElementById('{link}').open");
    assert_eq!(browser.evaluate(&open), json!(true));
    let controls =
        "document.querySelectorAll('button, input, select, #filter:not([hidden])').length";
    assert_eq!(
        browser.evaluate(controls),
        json!(0),
        "nothing that would do nothing"
    );
    assert_eq!(browser.evaluate(ROWS_SHOWN), json!(results.objects.len()));
    browser.evaluate(OPEN);
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().expect("it is text");
    for finding in &first.findings {
        assert!(text.contains(&finding.required) && text.contains(&finding.current));
    }
    browser.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = false; })");
    browser.prefer("dark", "print");
    let height = "document.querySelector('.findings').offsetHeight > 0";
    assert_eq!(
        browser.evaluate(height),
        json!(true),
        "what is closed is printed"
    );
    let colour = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(
        browser.evaluate(colour),
        json!("rgb(255, 255, 255)"),
        "paper is white"
    );
}

#[test]
fn fits_a_phone_and_a_desk_in_light_and_dark() {
    let Some(shared) = Browser::shared() else {
        return;
    };
    let mut browser = Browser::turn(&shared);
    for (name, results) in [
        ("incomplete", sample::incomplete()),
        ("hostile", sample::hostile()),
    ] {
        let file = written(name, &results);
        browser.open(&file, "");
        browser.evaluate(OPEN);
        for width in [390, 800, 1400] {
            browser.resize(width);
            let needed = browser.evaluate(WIDTH).as_u64();
            assert!(needed <= Some(width), "{name} at {width} takes {needed:?}");
        }
    }
    let colour = "getComputedStyle(document.body).backgroundColor";
    let toggle = "document.querySelector('.theme').click()";
    browser.prefer("light", "screen");
    let light = browser.evaluate(colour);
    browser.prefer("dark", "screen");
    let dark = browser.evaluate(colour);
    assert_ne!(light, dark);
    browser.evaluate(toggle);
    assert_eq!(browser.evaluate(colour), light);
    browser.evaluate(toggle);
    assert_eq!(browser.evaluate(colour), dark);
}
