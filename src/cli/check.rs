//! `podgate check`: the verdict of the webhooks on manifests, before anybody applies them.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::decision::{Decision, Judged, Operation, Request, Stage, decide};
use crate::document::{self, Excerpt, Level, Node, Problem, Segment, Source, Span};
use crate::output::group::{Group, group};
use crate::output::rejection::{pod_policy_names, policy_names};
use crate::output::text::{MAX_VALUE, clean};
use crate::pod::Kind;
use crate::policy::{Mode, PolicySet, shipped};
use crate::review::object::Object;
use crate::server::directory;

/// Judge manifests as the webhooks would.
///
/// Everything is judged as if injection had run, in every namespace and for every requester that cannot be known. Exit
/// code: 0 nothing would be rejected, neither what is given nor the Pods that would come of it; 1 something would; 2
/// something could not be judged. Warnings alone are no reason to fail, and objects of other kinds are skipped.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Manifests: files, directories (*.yaml, *.yml, *.json, all levels), or - for standard input
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub paths: Vec<PathBuf>,

    /// Directory of policies [default: the policies that podgate ships]
    #[arg(long, env = "PODGATE_POLICIES", value_name = "DIR")]
    pub policies: Option<PathBuf>,

    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    pub namespace: String,

    /// How the findings are written
    #[arg(short, long, value_enum, default_value_t = Format::Human)]
    pub output: Format,
}

/// The output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// With excerpts of the manifests
    Human,
    /// For programs
    Json,
}

/// What has been seen so far.
#[derive(Default)]
struct Summary {
    judged: usize,
    rejected: usize,
    /// Workloads that would be admitted, and whose Pods would not.
    doomed: usize,
    warned: usize,
    unreadable: usize,
    /// Objects of kinds that carry no Pod, or that podgate does not know.
    skipped: usize,
    objects: Vec<Value>,
    errors: Vec<Value>,
}

/// The one thing that is read from many files.
struct Check<'a> {
    set: &'a PolicySet,
    namespace: &'a str,
    format: Format,
    color: bool,
    summary: Summary,
}

/// Runs it.
#[must_use]
pub fn run(args: CheckArgs) -> ExitCode {
    let CheckArgs {
        paths,
        policies,
        namespace,
        output,
    } = args;
    let color = std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let set = match load(policies.as_deref(), color) {
        Ok(set) => set,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut check = Check {
        set: &set,
        namespace: &namespace,
        format: output,
        color,
        summary: Summary::default(),
    };
    for path in &paths {
        check.path(path);
    }
    check.finish()
}

fn load(directory: Option<&Path>, color: bool) -> Result<PolicySet, String> {
    let loaded = match directory {
        None => shipped(),
        Some(directory) => {
            let files = directory::read(directory).map_err(|error| format!("error: {error}"))?;
            PolicySet::load(&directory.display().to_string(), &files)
        }
    };
    loaded.map_err(|error| error.render(color))
}

// === impl Check ===

impl Check<'_> {
    fn path(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            return match std::io::stdin().read_to_string(&mut text) {
                Ok(_) => self.text("<stdin>".to_owned(), text),
                Err(error) => self.unreadable(&format!("cannot read standard input: {error}")),
            };
        }
        if path.is_dir() {
            let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            return match entries {
                Err(error) => self.unreadable(&format!("cannot read {}: {error}", path.display())),
                Ok(entries) => {
                    let mut paths: Vec<_> = entries.into_iter().map(|it| it.path()).collect();
                    paths.sort();
                    let is_manifest = |it: &Path| {
                        it.extension().is_some_and(|end| {
                            ["yaml", "yml", "json"].iter().any(|one| end == *one)
                        })
                    };
                    for it in paths.iter().filter(|it| it.is_dir() || is_manifest(it)) {
                        self.path(it);
                    }
                }
            };
        }
        match std::fs::read_to_string(path) {
            Ok(text) => self.text(path.display().to_string(), text),
            Err(error) => self.unreadable(&format!("cannot read {}: {error}", path.display())),
        }
    }

    fn unreadable(&mut self, message: &str) {
        self.summary.unreadable += 1;
        self.summary.errors.push(json!({"message": message}));
        eprintln!("error: {message}");
    }

    fn text(&mut self, name: String, text: String) {
        let source = Source::new(name, text);
        match document::parse(&source.text) {
            Err(problem) => self.problem(&source, problem),
            Ok(documents) => {
                for node in &documents {
                    self.object(&source, node);
                }
            }
        }
    }

    fn problem(&mut self, source: &Source, problem: Problem) {
        self.summary.unreadable += 1;
        let (line, column) = source.line_col(problem.span.start);
        self.summary.errors.push(json!({
            "file": source.name,
            "line": line,
            "column": column,
            "message": problem.message,
        }));
        eprintln!("{}", document::render(source, &[problem], self.color));
    }

    fn object(&mut self, source: &Source, node: &Node) {
        let text = |key| node.get(key).and_then(Node::as_str);
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return self.problem(
                source,
                Problem::new(
                    node.span,
                    "no Kubernetes object: apiVersion or kind is missing",
                ),
            );
        };
        if kind.ends_with("List")
            && let Some(document::Value::Sequence(items)) = node.get("items").map(|it| &it.value)
        {
            for item in items {
                self.object(source, item);
            }
            return;
        }
        let Some(kind) = Kind::from_type(version, kind) else {
            self.summary.skipped += 1;
            return;
        };
        let json = defaulted(kind, &node.to_json());
        let object = match Object::decode(kind, &json) {
            Ok(object) => object,
            Err(error) => {
                return self.problem(
                    source,
                    Problem::new(
                        node.span,
                        format!("cannot judge this {}: {error}", kind.name()),
                    ),
                );
            }
        };
        self.summary.judged += 1;
        let Some(pod) = &object.pod else { return };
        let metadata = node.get("metadata");
        let field = |key| metadata.and_then(|it| it.get(key)).and_then(Node::as_str);
        let namespace = field("namespace").unwrap_or(self.namespace);
        let request = Request {
            stage: Stage::Whole,
            operation: Operation::Create,
            kind,
            subresource: "",
            namespace,
            namespace_labels: None,
            user: "",
            groups: &[],
            pod,
            old: None,
        };
        let decision = decide(self.set, &request);
        self.summary.rejected += usize::from(!decision.allowed());
        let is_doomed = decision.allowed() && decision.findings.iter().any(Judged::dooms_pods);
        self.summary.doomed += usize::from(is_doomed);
        let name = field("name")
            .or_else(|| field("generateName"))
            .unwrap_or_default();
        let object = crate::output::Object {
            kind,
            namespace,
            name,
            owner: None,
        };
        match self.format {
            Format::Human => self.human(source, node, &object, &decision),
            Format::Json => self
                .summary
                .objects
                .push(record(source, node, &object, &decision)),
        }
    }

    fn human(
        &mut self,
        source: &Source,
        node: &Node,
        object: &crate::output::Object<'_>,
        decision: &Decision<'_>,
    ) {
        for item in group(&decision.findings) {
            let judged = item.first();
            let level = match judged.mode {
                Mode::Enforce => Level::Error,
                _ if judged.dooms_pods() => Level::Error,
                Mode::Warn => Level::Warning,
                Mode::Audit => Level::Note,
            };
            self.summary.warned += usize::from(judged.pod_mode != Mode::Enforce);
            let finding = &judged.finding;
            let fate = match judged.mode {
                Mode::Enforce => format!(" is rejected by {}", policy_names(&item)),
                _ if judged.dooms_pods() => {
                    format!(": its Pods will be rejected by {}", pod_policy_names(&item))
                }
                Mode::Warn => format!(" is warned of by {}", policy_names(&item)),
                Mode::Audit => format!(" is recorded by {}", policy_names(&item)),
            };
            let mut helps: Vec<String> = item
                .fix(object.kind)
                .map(|it| format!("fix: {it}"))
                .into_iter()
                .collect();
            if item.members.len() > 1 {
                helps.push(format!("all of: {}", item.path(object.kind)));
            }
            let excerpt = Excerpt {
                level,
                title: format!("{}: {object}{fate}", finding.control),
                span: span_of(node, &object.kind.path(&finding.path())),
                label: format!(
                    "{}{} is {}; must be {}",
                    item.who(),
                    clean(&finding.field, 400),
                    clean(&finding.current, MAX_VALUE),
                    clean(&finding.required, 3 * MAX_VALUE)
                ),
                helps,
            };
            let text = document::render_excerpt(source, &excerpt, self.color);
            self.say(&format!("{text}\n"));
        }
    }

    /// Writes a line. Whoever closed the pipe has read enough; he still has the exit code.
    fn say(&mut self, line: &str) {
        let written = writeln!(std::io::stdout().lock(), "{line}");
        if let Err(error) = written
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            self.unreadable(&format!("cannot write: {error}"));
        }
    }

    fn finish(mut self) -> ExitCode {
        let Summary {
            judged,
            rejected,
            doomed,
            warned,
            unreadable,
            skipped,
            objects,
            errors,
        } = std::mem::take(&mut self.summary);
        self.summary.unreadable = unreadable;
        let text = match self.format {
            Format::Json => {
                let all = json!({
                    "judged": judged,
                    "rejected": rejected,
                    "podsRejected": doomed,
                    "unreadable": unreadable,
                    "skipped": skipped,
                    "objects": objects,
                    "errors": errors,
                });
                format!("{all:#}")
            }
            Format::Human => format!(
                "{judged} judged: {rejected} would be rejected, {doomed} would have their Pods rejected; {warned} further findings. \
                 {skipped} skipped, {unreadable} could not be judged"
            ),
        };
        self.say(&text);
        ExitCode::from(if self.summary.unreadable > 0 {
            2
        } else {
            u8::from(rejected + doomed > 0)
        })
    }
}

fn record(
    source: &Source,
    node: &Node,
    object: &crate::output::Object<'_>,
    decision: &Decision<'_>,
) -> Value {
    let findings: Vec<Value> = decision
        .findings
        .iter()
        .map(|judged| {
            let one = Group {
                members: vec![judged],
            };
            let finding = &judged.finding;
            let path = object.kind.path(&finding.path());
            let (line, column) = source.line_col(span_of(node, &path).start);
            json!({
                "control": finding.control,
                "mode": judged.mode.to_string(),
                "podMode": judged.pod_mode.to_string(),
                "policies": judged.policies.iter().map(|it| &it.name).collect::<Vec<_>>(),
                "path": path,
                "current": finding.current,
                "required": finding.required,
                "fix": one.fix(object.kind),
                "line": line,
                "column": column,
            })
        })
        .collect();
    json!({
        "file": source.name,
        "kind": object.kind.name(),
        "namespace": object.namespace,
        "name": object.name,
        "allowed": decision.allowed(),
        "findings": findings,
        "injected": decision.injected.iter().map(|it| json!({
            "path": object.kind.path(&it.edit.path()),
            "value": it.edit.change.value(),
            "policy": it.policy,
        })).collect::<Vec<_>>(),
    })
}

/// The place of a path like `spec.containers[0].securityContext` in the document, or of its nearest parent.
fn span_of(node: &Node, path: &str) -> Span {
    let segments = path.split('.').flat_map(|part| {
        let (name, index) = part
            .strip_suffix(']')
            .and_then(|it| it.split_once('['))
            .unwrap_or((part, ""));
        let index = index.parse().ok().map(Segment::Index);
        std::iter::once(Segment::Key(name)).chain(index)
    });
    node.descend(segments).1
}

/// The manifest with the one default that the API server fills in before admission and a control reads:
/// a volume without a source is an `emptyDir`.
fn defaulted(kind: Kind, json: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(json) else {
        return json.to_owned();
    };
    let mut at = Some(&mut value);
    for key in kind.template() {
        at = at.and_then(|it| it.get_mut(*key));
    }
    let volumes = at
        .and_then(|it| it.pointer_mut("/spec/volumes"))
        .and_then(Value::as_array_mut);
    for volume in volumes
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if volume.keys().all(|key| key == "name") {
            volume.insert("emptyDir".to_owned(), json!({}));
        }
    }
    value.to_string()
}
