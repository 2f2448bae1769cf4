//! Results as Markdown, to be a comment on a pull request.
//!
//! Every text from outside stands in a code span, so nothing in it is markup, a link or a mention. What a comment has
//! no room for is counted.

use std::io::{self, Write};

use super::results::{Fate, Item, Object, Results, items};
use super::text::{clean, count};

/// Code hosts take some 65,500 characters.
const MAX_CHARS: usize = 60_000;
/// Room for the line that counts what is left out.
const RESERVE: usize = 300;
/// How much of any one text is shown.
const MAX_TEXT: usize = 1000;

/// A line of the list, below a heading that is written once for all of its lines.
struct Entry {
    heading: usize,
    /// With its line breaks.
    text: String,
    /// What it is counted as if it is left out.
    noun: &'static str,
}

/// The comment before it is cut to size.
#[derive(Default)]
struct Draft {
    headings: Vec<String>,
    entries: Vec<Entry>,
}

/// Writes the verdict first, then what could not be judged, then the findings, the worst first.
///
/// # Errors
/// What the writer says.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    let verdict = if !results.run.complete {
        "not everything could be judged"
    } else if results.rejects() {
        "rejected"
    } else {
        "nothing would be rejected"
    };
    let mut text = format!(
        "### podgate {}: {verdict}\n\n{}.\n",
        clean(&results.run.command, MAX_TEXT),
        results.sentence()
    );
    let draft = Draft::of(results);
    let mut chars = text.chars().count();
    let mut heading = None;
    let mut left = draft.entries.as_slice();
    while let Some((entry, rest)) = left.split_first() {
        let mut more = String::new();
        if heading != Some(entry.heading) {
            more = format!("\n{}\n\n", draft.headings[entry.heading]);
        }
        more.push_str(&entry.text);
        chars += more.chars().count();
        if chars > MAX_CHARS - RESERVE {
            break;
        }
        text.push_str(&more);
        heading = Some(entry.heading);
        left = rest;
    }
    if !left.is_empty() {
        text.push_str(&format!(
            "\n**There was no room for {}.** `--output json` has everything.\n",
            counted(left)
        ));
    }
    out.write_all(text.as_bytes())
}

/// `3 findings, 1 error`, in the order in which they come.
fn counted(entries: &[Entry]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for entry in entries {
        match counts.iter_mut().find(|(noun, _)| *noun == entry.noun) {
            Some((_, number)) => *number += 1,
            None => counts.push((entry.noun, 1)),
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(noun, number)| count(*number, noun))
        .collect();
    counts.join(", ")
}

/// A text as it is, whatever stands in it. Where a code span would end, or a table's cell, every sign is an entity.
fn code(text: &str) -> String {
    let text = clean(text, MAX_TEXT);
    if !text.is_empty() && text.trim() == text && !text.contains(['`', '|']) {
        return format!("`{text}`");
    }
    let mut out = String::from("<code>");
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push_str(&format!("&#{};", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out.push_str("</code>");
    out
}

fn codes(texts: &[String]) -> String {
    let codes: Vec<String> = texts.iter().map(|it| code(it)).collect();
    codes.join(", ")
}

fn tell(item: &Item<'_>) -> String {
    let first = item.first();
    let (word, policies) = match first.fate() {
        Fate::Rejected => ("rejected", &first.policies),
        Fate::PodsRejected => ("its Pods rejected", &first.pod_policies),
        Fate::Warned => ("warned of", &first.policies),
        Fate::Recorded | Fate::Clean => ("recorded", &first.policies),
    };
    let new = if first.new { ", new" } else { "" };
    let mut text = format!(
        "- **{word}{new}** {}: {} (policy {})\n",
        code(&first.control),
        code(&item.statement()),
        codes(policies)
    );
    if let Some(fix) = &first.fix {
        text.push_str(&format!("  - fix: {}\n", code(fix)));
    }
    text
}

// === impl Draft ===

impl Draft {
    fn of(results: &Results) -> Self {
        let mut draft = Self::default();
        draft.heading("**Could not be judged**".to_owned());
        for it in &results.errors {
            let place = it.place.as_ref().map(ToString::to_string);
            let place = place.filter(|place| *place != it.what);
            let place = place.map_or(String::new(), |it| format!(" ({})", code(&it)));
            let text = format!("- {}{place}: {}\n", code(&it.what), code(&it.why));
            draft.entry("error", text);
        }
        let mut objects: Vec<&Object> = results.objects.iter().collect();
        // Stable, as is that of items: those of one fate stay in their order.
        objects.sort_by_key(|it| std::cmp::Reverse(it.fate));
        for object in objects {
            let place = object.place.as_ref().map(ToString::to_string);
            let place = place.map_or(String::new(), |it| format!(" ({})", code(&it)));
            draft.heading(format!(
                "**{}** {}{place}",
                code(&object.title()),
                object.fate.would()
            ));
            let mut items = items(&object.findings);
            items.sort_by_key(|it| std::cmp::Reverse(it.first().fate()));
            for item in &items {
                draft.entry("finding", tell(item));
            }
        }
        draft.heading("**Namespaces**".to_owned());
        for it in &results.namespaces {
            let next = it.next.as_ref().map(|next| {
                let obstacles = count(it.obstacles.len(), "workload");
                format!("; {obstacles} away from {}", code(next))
            });
            let text = format!(
                "- {}: ready for {}{}\n",
                code(&it.name),
                code(&it.ready_for),
                next.unwrap_or_default()
            );
            draft.entry("namespace", text);
        }
        draft.heading("**Skipped**".to_owned());
        for it in &results.skipped {
            let number = match it.count {
                1 => String::new(),
                many => format!("{many} "),
            };
            let place = it.place.as_ref().map(ToString::to_string);
            let place = place.map_or(String::new(), |it| format!(" ({})", code(&it)));
            let text = format!("- {number}{}{place}: {}\n", code(&it.what), code(&it.why));
            draft.entry("skip", text);
        }
        draft
    }

    /// What the next entries stand below.
    fn heading(&mut self, text: String) {
        self.headings.push(text);
    }

    fn entry(&mut self, noun: &'static str, text: String) {
        self.entries.push(Entry {
            heading: self.headings.len().saturating_sub(1),
            text,
            noun,
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::results::testing::{HOSTILE, cluster, hostile, manifests, nothing};
    use super::*;

    fn written(results: &Results) -> String {
        let mut out = Vec::new();
        write(results, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_worst_comes_first_and_what_is_clean_is_only_counted() {
        let expected = r#"### podgate check: not everything could be judged

5 judged: 1 would be rejected, 1 would have their Pods rejected; 2 further findings. 1 skipped, 2 could not be judged.

**Could not be judged**

- `missing.yaml`: `cannot be read: no such file`
- `bad.yaml` (`bad.yaml:7:3`): `expected a value`

**`Pod shop/web`** would be rejected (`deploy/a b.yaml:1:3`)

- **rejected** `privileged`: `containers "web", "log": securityContext.privileged is true; must be false or unset` (policy `baseline`)
  - fix: `securityContext: {privileged: false}`
- **rejected** `hostNamespaces`: `spec.hostPID is true; must be false or unset` (policy `baseline`)
  - fix: `spec: {hostPID: false}`

**`Deployment shop/api`** would be admitted and its Pods rejected (`deploy/a b.yaml:20:3`)

- **its Pods rejected** `hostNamespaces`: `spec.template.spec.hostPID is true; must be false or unset` (policy `baseline`)
  - fix: `spec: {hostPID: false}`

**`Pod shop/app`** would be admitted with a warning (`c.yaml:1:3`)

- **warned of** `privileged`: `container "app": securityContext.privileged is true; must be false or unset` (policy `baseline`)
  - fix: `securityContext: {privileged: false}`

**`Pod ops/top`** would be admitted and recorded (`c.yaml:30:3`)

- **recorded** `hostNamespaces`: `spec.hostNetwork is true; must be false or unset` (policy `baseline`)
  - fix: `spec: {hostPID: false}`

**Skipped**

- `ConfigMap shop/settings` (`c.yaml:90:3`): `carries no Pod`
"#;
        assert_eq!(written(&manifests()), expected);
        let text = written(&nothing("check"));
        assert!(text.starts_with("### podgate check: nothing would be rejected\n"));
    }

    #[test]
    fn a_cluster_has_its_namespaces_and_what_is_new() {
        let text = written(&cluster());
        for part in [
            "\n**Namespaces**\n\n- `shop`: ready for `privileged`; 1 workload away from `baseline`\n",
            "\n- **warned of, new** `hostNamespaces`: `in Pod web-1: spec.hostPID is true;",
            "\n- 12 `Pods that have ended`: `they run no more`\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    /// What is left of a comment when its code is taken out.
    fn outside_of_code(text: &str) -> String {
        let mut rest = String::new();
        for (index, part) in text.split('`').enumerate() {
            if index % 2 == 0 {
                rest.push_str(part);
            }
        }
        let mut out = String::new();
        for part in rest.split("<code>") {
            out.push_str(part.split_once("</code>").map_or(part, |(_, it)| it));
        }
        out
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let text = written(&hostile());
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad));
        assert!(text.lines().all(|line| line.matches('`').count() % 2 == 0));
        let outside = outside_of_code(&text);
        for bad in ["<", "@team", "script", "](", "http", "#1", "z**"] {
            assert!(!outside.contains(bad), "{bad}: {outside}");
        }
        for text in HOSTILE {
            let code = code(text);
            let inner = code.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
            match inner {
                Some(inner) => assert!(!inner.contains(['`', '|']), "{inner}"),
                None => assert!(
                    !code
                        .trim_start_matches("<code>")
                        .trim_end_matches("</code>")
                        .contains(['<', '>', '`', '|', '@', '[']),
                    "{code}"
                ),
            }
        }
        assert_eq!(code(""), "<code></code>");
        assert_eq!(code("a|b"), "<code>a&#124;b</code>");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut results = hostile();
        for _ in 0..3 {
            let again = results.objects.clone();
            results.objects.extend(again);
        }
        let again = results.objects.clone();
        results.objects.extend(again);
        results.count();
        let text = written(&results);
        assert!(text.chars().count() <= MAX_CHARS);
        assert!(text.chars().count() > MAX_CHARS - 5000);
        let shown = text.matches("- **rejected** ").count();
        let left = 256 - shown;
        let last = format!(
            "\n**There was no room for {left} findings, 8 skips.** `--output json` has everything.\n"
        );
        assert!(
            text.ends_with(&last),
            "{shown}: {}",
            &text[text.len() - 200..]
        );
    }
}
