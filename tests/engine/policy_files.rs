//! Policy files as editors, generators and attackers write them: read as they are meant, or refused in a few words.

use podgate::policy::PolicySet;

const HEAD: &str = "apiVersion: podgate.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: p}\n";
const SPEC: &str = "spec: {mode: enforce, level: baseline}\n";

fn load(text: &str) -> Result<Vec<String>, String> {
    let files = [("p.yaml".to_owned(), text.to_owned())];
    match PolicySet::load("here", &files) {
        Ok(set) => Ok(set.policies().iter().map(|it| it.name.clone()).collect()),
        Err(error) => {
            let (text, rendered) = (error.to_string(), error.render(false));
            assert!(
                text.len() < 50_000 && rendered.len() < 50_000,
                "too much is said"
            );
            Err(text)
        }
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = load(text).unwrap_err();
    assert!(
        error.starts_with(expected),
        "{error:.300} does not start with {expected}"
    );
}

#[test]
fn what_editors_leave_behind_changes_nothing() {
    let plain = format!("{HEAD}{SPEC}");
    let second = plain.replace("name: p", "name: q");
    for text in [
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        format!("\u{feff}---\r\n{}...\r\n", plain.replace('\n', "\r\n")),
        format!("{plain}\t\n\t# a tab\n"),
        plain.trim_end().to_owned(),
        format!("# nothing\n---\n---\n{plain}---\n# nothing\n"),
        format!("%YAML 1.2\n---\n{plain}"),
    ] {
        assert_eq!(load(&text), Ok(vec!["p".to_owned()]), "{text:?}");
    }
    let both = load(&format!("{plain}---\n{second}"));
    assert_eq!(both, Ok(vec!["p".to_owned(), "q".to_owned()]));
    refused(
        &format!("{HEAD}spec:\n\tmode: enforce\n"),
        "p.yaml:5:1: invalid YAML: a tab cannot indent",
    );
    refused(
        &format!("{plain}---\n{plain}"),
        "p.yaml:8:18: there is a policy \"p\" in p.yaml already",
    );
}

#[test]
fn what_is_far_too_large_is_refused_in_a_few_words() {
    let of = |spec: &str| format!("{HEAD}spec: {spec}\n");
    let scalar = "X".repeat(1_000_000);
    refused(
        &of(&format!("{{mode: {scalar}}}")),
        "p.yaml:4:14: unknown mode \"XXX",
    );
    refused(
        &of(&format!("{{inject: {{seccompProfile: {scalar}}}}}")),
        "p.yaml:4:33: \"XXX",
    );
    refused(
        &of(&format!(
            "{{mode: enforce, controls: {{? {scalar} : {{}}}}}}"
        )),
        "p.yaml:4:36: unknown control \"XXX",
    );
    refused(
        &HEAD.replace("name: p", &format!("name: {scalar}")),
        "p.yaml:1:1: missing field \"spec\"; p.yaml:3:18: \"XXX",
    );
    for deep in ["[", "- ", "{a: "] {
        let error = load(&deep.repeat(100_000)).unwrap_err();
        assert!(
            error.contains("nested more than 128 levels deep"),
            "{error:.300}"
        );
    }
    let mut laughs = "a0: &a0 [x, x]\n".to_owned();
    for at in 1..40 {
        laughs += &format!("a{at}: &a{at} [*a{0}, *a{0}]\n", at - 1);
    }
    let error = load(&format!("{laughs}{HEAD}{SPEC}")).unwrap_err();
    assert!(
        error.contains("the aliases of this file expand to more than 32 MiB"),
        "{error:.300}"
    );
}

#[test]
fn a_thousand_errors_are_not_told_one_by_one() {
    for separator in [", ", ",\n    "] {
        let names = format!("a{separator}").repeat(1000);
        let text = format!(
            "{HEAD}spec: {{mode: enforce, controls: {{capabilities: {{requiredDrop: [{names}]}}}}}}\n"
        );
        refused(
            &text,
            "p.yaml:4:64: \"a\" is no capability as Kubernetes names it (write A); ",
        );
        assert!(
            load(&text)
                .unwrap_err()
                .ends_with("; p.yaml: and 950 more problems")
        );
    }
}
