//! Results for people who read an audit: by namespace and workload, one line a finding, in columns.
//!
//! Lines of the table fit the width: the columns that matter least are shortened first. What must not be overlooked,
//! errors above all, is wrapped and never shortened.

mod columns;

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::results::{Fate, Item, Namespace, Object, Results, items};
use super::text::{clean, count};

use columns::{Columns, fit, wrap};

/// Workloads that are named as obstacles of a namespace.
const MAX_OBSTACLES: usize = 5;
/// Things that are named of those skipped for one reason.
const MAX_SKIPPED: usize = 3;
/// How much of a reason is shown.
const MAX_WHY: usize = 2000;

/// What the lines are written with.
struct Table<'o> {
    out: &'o mut dyn Write,
    width: usize,
    styles: Styles,
}

/// The colours; all plain if none are asked for.
#[derive(Default)]
struct Styles {
    title: Style,
    bad: Style,
    warning: Style,
    dim: Style,
}

/// Writes them for a terminal of that width; `usize::MAX` shortens nothing.
///
/// # Errors
/// What the writer says.
pub fn write(results: &Results, width: usize, color: bool, out: &mut dyn Write) -> io::Result<()> {
    let styles = if color {
        Styles::colored()
    } else {
        Styles::default()
    };
    let mut table = Table { out, width, styles };
    table.head(results)?;
    table.findings(results)?;
    table.namespaces(&results.namespaces)?;
    table.skipped(results)?;
    table.errors(results)?;
    table.wrapped(Style::new(), 0, &results.sentence())
}

/// The namespaces of objects, in the order in which they come.
fn by_namespace(objects: &[Object]) -> Vec<(&str, Vec<&Object>)> {
    let mut groups: Vec<(&str, Vec<&Object>)> = Vec::new();
    let mut known = BTreeMap::new();
    for object in objects {
        let name = object.namespace.as_str();
        let at = *known.entry(name).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, objects)) => objects.push(object),
            None => groups.push((name, vec![object])),
        }
    }
    groups
}

/// The cells of an item, in the order of [`columns::HEADER`].
fn cells(item: &Item<'_>) -> [String; columns::COUNT] {
    let first = item.first();
    let policies = match first.fate() {
        Fate::PodsRejected => &first.pod_policies,
        _ => &first.policies,
    };
    let policies: Vec<String> = policies.iter().map(|it| clean(it, 253)).collect();
    let mut result = word(first.fate()).to_owned();
    if first.new {
        result.push_str(", new");
    }
    let mut place = match &first.in_pod {
        None => String::new(),
        Some(pod) => format!("in Pod {}: ", clean(pod, 253)),
    };
    place.push_str(&item.place());
    if first.pods > 0 {
        place.push_str(&format!(
            " ({})",
            count(usize::try_from(first.pods).unwrap_or(usize::MAX), "Pod")
        ));
    }
    [
        result,
        clean(&first.control, 253),
        place,
        item.current(),
        item.required(),
        policies.join(", "),
    ]
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Rejected => "rejected",
        Fate::PodsRejected => "Pods rejected",
        Fate::Warned => "warned of",
        Fate::Recorded => "recorded",
        Fate::Clean => "clean",
    }
}

// === impl Table ===

impl Table<'_> {
    fn head(&mut self, results: &Results) -> io::Result<()> {
        let run = &results.run;
        let cluster = run.cluster.iter().map(|it| format!("cluster {it}"));
        let started = run.started.iter().cloned();
        let since = run.since.iter().map(|it| format!("compared with {it}"));
        let enforce = run.as_enforce.then(|| "as if enforced".to_owned());
        let said: Vec<String> = cluster
            .chain(started)
            .chain(run.selection.iter().cloned())
            .chain(since)
            .chain(enforce)
            .map(|it| clean(&it, MAX_WHY))
            .collect();
        if said.is_empty() {
            return Ok(());
        }
        self.wrapped(self.styles.dim, 0, &said.join(", "))?;
        writeln!(self.out)
    }

    fn findings(&mut self, results: &Results) -> io::Result<()> {
        let all = results.objects.iter().flat_map(|it| items(&it.findings));
        let columns = Columns::of(all.map(|it| cells(&it)), self.width);
        for (namespace, objects) in by_namespace(&results.objects) {
            let broken: Vec<&&Object> = objects
                .iter()
                .filter(|it| !it.findings.is_empty())
                .collect();
            if broken.is_empty() {
                continue;
            }
            let name = match clean(namespace, 253) {
                empty if empty.is_empty() => "no namespace".to_owned(),
                name => format!("namespace {name}"),
            };
            self.line(self.styles.title, &name)?;
            self.line(self.styles.dim, &columns.header())?;
            for object in &broken {
                self.object(object, &columns)?;
            }
            let clean = objects.len() - broken.len();
            if clean > 0 {
                let text = format!("  {} with no findings", count(clean, "further object"));
                self.line(self.styles.dim, &text)?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn object(&mut self, object: &Object, columns: &Columns) -> io::Result<()> {
        let place = object
            .place
            .as_ref()
            .map(|it| clean(&it.to_string(), MAX_WHY));
        let place = place.map_or(String::new(), |it| format!(", {it}"));
        let pods = usize::try_from(object.pods).unwrap_or(usize::MAX);
        let pods = match pods {
            0 => String::new(),
            pods => format!(", {}", count(pods, "Pod")),
        };
        let text = format!("  {} {}{pods}{place}", object.title(), object.fate.would());
        self.line(Style::new(), &text)?;
        for item in items(&object.findings) {
            let style = self.styles.of(item.first().fate());
            let (result, rest) = columns.line(&cells(&item));
            writeln!(self.out, "{style}{result}{style:#}{rest}")?;
        }
        Ok(())
    }

    fn namespaces(&mut self, namespaces: &[Namespace]) -> io::Result<()> {
        if namespaces.is_empty() {
            return Ok(());
        }
        self.line(self.styles.title, "What each namespace is ready for")?;
        for it in namespaces {
            let labels: Vec<String> = it
                .labels
                .iter()
                .map(|(key, value)| clean(&format!("{key}={value}"), 253))
                .collect();
            let labels = match labels.join(", ") {
                none if none.is_empty() => "no labels".to_owned(),
                labels => format!("labels {labels}"),
            };
            let next = match &it.next {
                None => String::new(),
                Some(next) => format!(
                    "; {} of {} in the way of {}",
                    it.obstacles.len(),
                    count(
                        usize::try_from(it.workloads).unwrap_or(usize::MAX),
                        "workload"
                    ),
                    clean(next, 253)
                ),
            };
            let text = format!(
                "{}: {}{next} ({labels})",
                clean(&it.name, 253),
                clean(&it.ready_for, 253)
            );
            self.wrapped(Style::new(), 2, &text)?;
            for obstacle in it.obstacles.iter().take(MAX_OBSTACLES) {
                let text = format!(
                    "{} {}: {}",
                    clean(&obstacle.kind, 63),
                    clean(&obstacle.name, 253),
                    clean(&obstacle.controls.join(", "), MAX_WHY)
                );
                self.wrapped(self.styles.dim, 4, &text)?;
            }
            if let Some(more) = it.obstacles.len().checked_sub(MAX_OBSTACLES)
                && more > 0
            {
                self.wrapped(self.styles.dim, 4, &format!("and {more} more"))?;
            }
        }
        writeln!(self.out)
    }

    /// Together where the reason is the same.
    fn skipped(&mut self, results: &Results) -> io::Result<()> {
        let mut reasons: Vec<(&str, u64, Vec<String>)> = Vec::new();
        for it in &results.skipped {
            let place = it
                .place
                .as_ref()
                .map_or(String::new(), |it| format!(" ({it})"));
            let what = clean(&format!("{}{place}", it.what), MAX_WHY);
            match reasons.iter_mut().find(|(why, ..)| *why == it.why) {
                Some((_, number, names)) => {
                    *number += it.count;
                    names.push(what);
                }
                None => reasons.push((&it.why, it.count, vec![what])),
            }
        }
        for (why, number, names) in &reasons {
            let shown = names[..names.len().min(MAX_SKIPPED)].join(", ");
            let more = match names.len().saturating_sub(MAX_SKIPPED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let text = format!("{number} skipped, {}: {shown}{more}", clean(why, MAX_WHY));
            self.wrapped(self.styles.warning, 0, &text)?;
        }
        if !reasons.is_empty() {
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn errors(&mut self, results: &Results) -> io::Result<()> {
        if results.errors.is_empty() && results.run.complete {
            return Ok(());
        }
        let text = format!(
            "NOT COMPLETE: {} could not be judged, and nothing is said of what stands there",
            results.errors.len()
        );
        self.wrapped(self.styles.bad, 0, &text)?;
        for it in &results.errors {
            let place = it.place.as_ref().map(ToString::to_string);
            let place = place.filter(|place| *place != it.what);
            let place = place.map_or(String::new(), |it| format!(" ({it})"));
            let what = clean(&format!("{}{place}", it.what), MAX_WHY);
            self.wrapped(
                self.styles.bad,
                2,
                &format!("{what}: {}", clean(&it.why, MAX_WHY)),
            )?;
        }
        writeln!(self.out)
    }

    /// One line, shortened to fit.
    fn line(&mut self, style: Style, text: &str) -> io::Result<()> {
        writeln!(self.out, "{style}{}{style:#}", fit(text, self.width))
    }

    /// As many lines as it takes, the later ones further in.
    fn wrapped(&mut self, style: Style, indent: usize, text: &str) -> io::Result<()> {
        for line in wrap(text, indent, self.width) {
            writeln!(self.out, "{style}{line}{style:#}")?;
        }
        Ok(())
    }
}

// === impl Styles ===

impl Styles {
    fn colored() -> Self {
        Self {
            title: Style::new().bold(),
            bad: AnsiColor::Red.on_default().bold(),
            warning: AnsiColor::Yellow.on_default(),
            dim: Style::new().dimmed(),
        }
    }

    fn of(&self, fate: Fate) -> Style {
        match fate {
            Fate::Rejected | Fate::PodsRejected => self.bad,
            Fate::Warned => self.warning,
            Fate::Recorded | Fate::Clean => self.dim,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::results::testing::{cluster, hostile, manifests, nothing};
    use super::*;

    fn text(results: &Results, width: usize, color: bool) -> String {
        let mut out = Vec::new();
        write(results, width, color, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_audit_is_told_by_namespace_and_workload() {
        let expected = r#"cluster v1.37.0, 2026-11-24T17:00:00Z, compared with 2026-11-01T17:00:00Z

namespace ops
    RESULT          CONTROL         WHERE                                                IS    MUST BE         POLICY
  DaemonSet ops/agent would be rejected
    rejected        hostNamespaces  spec.template.spec.hostIPC                           true  false or unset  baseline
  1 further object with no findings

namespace shop
    RESULT          CONTROL         WHERE                                                IS    MUST BE         POLICY
  Deployment shop/web would be rejected, 3 Pods
    rejected        privileged      containers "web", "log": securityContext.privileged  true  false or unset  baseline
    warned of, new  hostNamespaces  in Pod web-1: spec.hostPID (1 Pod)                   true  false or unset  baseline
  Pod shop/one would be rejected
    rejected        hostNamespaces  spec.hostNetwork                                     true  false or unset  baseline

What each namespace is ready for
  shop: privileged; 1 of 2 workloads in the way of baseline (labels enforce=baseline)
    Deployment web: privileged

12 skipped, they run no more: Pods that have ended

NOT COMPLETE: 1 could not be judged, and nothing is said of what stands there
  list of pods in namespace dark: forbidden

4 judged: 3 would be rejected, 0 would have their Pods rejected; 1 further findings, 4 fixed since. 12 skipped, 1 could not be judged
"#;
        assert_eq!(text(&cluster(), usize::MAX, false), expected);
        let nothing = text(&nothing("audit"), 80, false);
        assert!(nothing.starts_with("0 judged: "), "{nothing}");
    }

    #[test]
    fn a_narrow_terminal_shortens_what_matters_least() {
        let text = text(&cluster(), 80, false);
        let expected = "\
    rejected        privileged      containers \"web\", \"log\"…  true  false or un…
";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("\n  list of pods in namespace dark: forbidden\n"));
    }

    #[test]
    fn every_line_fits_and_only_colour_is_added() {
        for results in [cluster(), manifests(), hostile()] {
            for width in [20, 30, 45, 60, 80, 100, 132, 200] {
                let plain = text(&results, width, false);
                for line in plain.lines() {
                    assert!(columns::width(line) <= width, "{width}: {line}");
                    assert!(!line.contains(char::is_control) && !line.contains('\u{202e}'));
                    assert_eq!(line.trim_end(), line);
                }
                let colored = text(&results, width, true);
                assert!(colored.contains("\u{1b}[1m"));
                let mut stripped = String::new();
                for part in colored.split('\u{1b}') {
                    let rest = part.strip_prefix('[').and_then(|it| it.split_once('m'));
                    stripped.push_str(rest.map_or(part, |(_, it)| it));
                }
                assert_eq!(stripped, plain);
            }
        }
    }

    #[test]
    fn a_wide_one_loses_nothing() {
        let text = text(&manifests(), usize::MAX, false);
        assert!(!text.contains('…'));
        for part in [
            "1 skipped, carries no Pod: ConfigMap shop/settings (c.yaml:90:3)\n",
            "  bad.yaml (bad.yaml:7:3): expected a value\n",
            "  Pod shop/web would be rejected, deploy/a b.yaml:1:3\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
