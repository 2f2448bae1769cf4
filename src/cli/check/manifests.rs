//! Manifests, read from files and judged one by one.
//!
//! What cannot be judged is told on standard error at once, with an excerpt of its file, and is an error of the results
//! too; nothing stops the rest from being judged.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::control::TooMany;
use crate::decision::{Operation, Request, Stage, decide};
use crate::document::{self, Node, Problem, Source};
use crate::output::human::Sources;
use crate::output::results::{Failure, Fate, Object, Place, Results, Skipped};
use crate::output::text::title;
use crate::pod::object;
use crate::pod::{Kind, PodView};
use crate::policy::{PolicySet, level::Version};

/// Standard input, as results name it.
const STDIN: &str = "<stdin>";
/// What is read of a directory.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// What has been read so far.
pub(super) struct Manifests<'a> {
    set: &'a PolicySet,
    levels: PolicySet,
    namespace: &'a str,
    color: bool,
    pub(super) results: Results,
    pub(super) sources: Sources,
}

// === impl Manifests ===

impl<'a> Manifests<'a> {
    /// Nothing yet. Objects that name no namespace count as of `namespace`; `color` is for what is told on the way.
    pub(super) fn new(set: &'a PolicySet, namespace: &'a str, color: bool) -> Self {
        Self {
            set,
            levels: PolicySet::of_levels(Version::LATEST),
            namespace,
            color,
            results: Results::new("check", set),
            sources: Sources::default(),
        }
    }

    /// Reads and judges a file, a directory with all below it, or standard input.
    pub(super) fn read(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            return match std::io::stdin().read_to_string(&mut text) {
                Ok(_) => self.text(STDIN.to_owned(), text),
                Err(error) => self.unreadable("standard input", STDIN, &error),
            };
        }
        let name = path.display().to_string();
        if !path.is_dir() {
            return match std::fs::read_to_string(path) {
                Ok(text) => self.text(name, text),
                Err(error) => self.unreadable(&name, &name, &error),
            };
        }
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match entries {
            Err(error) => self.unreadable(&name, &name, &error),
            Ok(entries) => {
                let mut paths: Vec<_> = entries.into_iter().map(|it| it.path()).collect();
                paths.sort();
                let is_manifest = |it: &Path| {
                    let extension = it.extension();
                    extension.is_some_and(|end| EXTENSIONS.iter().any(|one| end == *one))
                };
                for it in paths.iter().filter(|it| it.is_dir() || is_manifest(it)) {
                    self.read(it);
                }
            }
        }
    }

    fn unreadable(&mut self, what: &str, file: &str, error: &std::io::Error) {
        eprintln!("error: cannot read {what}: {error}");
        self.results.errors.push(Failure {
            what: what.to_owned(),
            why: format!("cannot be read: {error}"),
            place: Some(Place::whole(file)),
        });
    }

    fn text(&mut self, name: String, text: String) {
        let source = Source::new(name, text);
        match document::parse(&source.text) {
            Err(problem) => self.problem(&source, source.name.clone(), problem),
            Ok(documents) => {
                for node in &documents {
                    self.node(&source, node);
                }
            }
        }
        self.sources.keep(source);
    }

    fn problem(&mut self, source: &Source, what: String, problem: Problem) {
        let hint = problem.hint.iter().map(|it| format!(" ({it})"));
        self.results.errors.push(Failure {
            what,
            why: format!("{}{}", problem.message, hint.collect::<String>()),
            place: Some(Place::of(source, problem.span)),
        });
        eprintln!("{}", document::render(source, &[problem], self.color));
    }

    fn node(&mut self, source: &Source, node: &Node) {
        let text = |key| node.get(key).and_then(Node::as_str);
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            let message = "no Kubernetes object: apiVersion or kind is missing";
            let problem = Problem::new(node.span, message);
            return self.problem(source, source.name.clone(), problem);
        };
        if kind.ends_with("List")
            && let Some(document::Value::Sequence(items)) = node.get("items").map(|it| &it.value)
        {
            for item in items {
                self.node(source, item);
            }
            return;
        }
        let metadata = node.get("metadata");
        let field = |key| metadata.and_then(|it| it.get(key)).and_then(Node::as_str);
        let name = field("name")
            .or_else(|| field("generateName"))
            .unwrap_or_default();
        let Some(known) = Kind::from_type(version, kind) else {
            self.results.skipped.push(Skipped {
                what: title(kind, field("namespace").unwrap_or_default(), name),
                why: "of a kind that is not judged: no Pod, and no template of one that podgate knows".to_owned(),
                count: 1,
                place: Some(Place::of(source, node.span)),
            });
            return;
        };
        let object = crate::output::Object {
            kind: known,
            namespace: field("namespace").unwrap_or(self.namespace),
            name,
            owner: None,
        };
        self.object(source, node, &object, version);
    }

    fn object(
        &mut self,
        source: &Source,
        node: &Node,
        object: &crate::output::Object<'_>,
        version: &str,
    ) {
        let json = defaulted(object.kind, &node.to_json());
        let judged = object::Object::decode(object.kind, &json)
            .map_err(|error| error.to_string())
            .and_then(|decoded| {
                let judged = self.judge(object, version, decoded.pod.as_ref());
                judged.map_err(|error| error.to_string())
            });
        match judged {
            Ok(mut judged) => {
                judged.locate(source, node);
                self.results.objects.push(judged);
            }
            Err(why) => {
                let message = format!("cannot judge this {}: {why}", object.kind.name());
                let problem = Problem::new(node.span, message);
                self.problem(source, object.to_string(), problem);
            }
        }
    }

    fn judge(
        &self,
        object: &crate::output::Object<'_>,
        version: &str,
        pod: Option<&PodView<'_>>,
    ) -> Result<Object, TooMany> {
        let Some(pod) = pod else {
            return Ok(without_template(object, version));
        };
        let request = Request {
            stage: Stage::Whole,
            operation: Operation::Create,
            kind: object.kind,
            subresource: "",
            namespace: object.namespace,
            namespace_labels: None,
            user: "",
            groups: &[],
            pod,
            old: None,
        };
        let mut judged = Object::of(object, version, None, &decide(self.set, &request)?);
        if !judged.findings.is_empty() {
            judged.grade(&decide(&self.levels, &request)?);
        }
        Ok(judged)
    }
}

/// A workload that has no Pods to speak of.
fn without_template(object: &crate::output::Object<'_>, version: &str) -> Object {
    Object {
        api_version: version.to_owned(),
        kind: object.kind.name().to_owned(),
        namespace: object.namespace.to_owned(),
        name: object.name.to_owned(),
        uid: None,
        place: None,
        pods: 0,
        fate: Fate::Clean,
        findings: Vec::new(),
        injected: Vec::new(),
    }
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
