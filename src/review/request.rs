//! The request half of a review.

use std::collections::BTreeMap;

use crate::decision::pod_security::{exempt, is_out_of_scope};
use crate::decision::{self, Decision, Operation, PodSecurityDecision, Stage, decide};
use crate::output::{self, pod_security::UNLISTED};
use crate::pod::{Kind, PodView, json};
use crate::policy::PolicySet;

use super::count::Count;
use super::envelope::{AdmissionRequest, AdmissionReview, Carried};
use super::existing::Existing;
use super::namespace::{self, Verdict};
use super::response::{Answer, deny, unlooked};
use crate::pod::object::Object;

/// A review that has been read, its objects still raw.
#[derive(Debug)]
pub struct Review<'a> {
    request: AdmissionRequest<'a>,
}

/// What is known of the labels of a review's namespace.
#[derive(Debug, Clone, Copy)]
pub enum Labels<'l> {
    /// These are they.
    Known(&'l BTreeMap<String, String>),
    /// There is no cluster to ask, or nobody wants to know.
    Unknown,
    /// They were asked for in vain, for this reason.
    Failed(&'l str),
}

/// Why a body is no review. There is no request to answer, so this is an HTTP status 400.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nothing was sent.
    #[error("the body is empty; expected an AdmissionReview of admission.k8s.io/v1")]
    Empty,
    /// Not JSON, or a field of the wrong type.
    #[error("the body is no AdmissionReview: {}{source} (line {line}, column {column})", .path.as_ref().map(|it| format!("{it}: ")).unwrap_or_default())]
    Decode {
        /// Which field, if it can be told.
        path: Option<String>,
        /// 1-based.
        line: usize,
        /// 1-based, in bytes.
        column: usize,
        /// What is wrong.
        #[source]
        source: json::Error,
    },
    /// Another kind, or another version of it.
    #[error("the body is {found}; expected an AdmissionReview of admission.k8s.io/v1")]
    WrongType {
        /// What it says it is.
        found: String,
    },
    /// A review without a request, or one without a uid.
    #[error("the AdmissionReview has no {0}")]
    Missing(&'static str),
}

/// Characters of why an object cannot be read: a path may hold keys of any length.
const MAX_REASON: usize = 1000;

/// Controllers of the control plane: what they are told ends in an Event.
const CONTROLLERS: &str = "system:serviceaccount:kube-system:";
/// All of them at once, unless their manager was told to give each its service account.
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

// === impl Labels ===

impl<'l> From<Option<&'l BTreeMap<String, String>>> for Labels<'l> {
    fn from(it: Option<&'l BTreeMap<String, String>>) -> Self {
        it.map_or(Self::Unknown, Self::Known)
    }
}

// === impl Review ===

impl<'a> Review<'a> {
    /// Reads the body of a webhook call.
    ///
    /// # Errors
    /// If it is no `AdmissionReview` of `admission.k8s.io/v1` with a request and a uid.
    pub fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::Empty);
        }
        let review = AdmissionReview::read(body).map_err(|source| {
            let (line, column) = source.line_col(body);
            Refusal::Decode {
                path: AdmissionReview::locate(body),
                line,
                column,
                source,
            }
        })?;
        let (version, kind) = (
            review.api_version.unwrap_or_default(),
            review.kind.unwrap_or_default(),
        );
        if (&*version, &*kind) != ("admission.k8s.io/v1", "AdmissionReview") {
            let shown = |text: &str| {
                if text.is_empty() {
                    "nothing".to_owned()
                } else {
                    output::text::clean(text, 80)
                }
            };
            let found = format!(
                "of kind {} and apiVersion {}",
                shown(&kind),
                shown(&version)
            );
            return Err(Refusal::WrongType { found });
        }
        let request = review.request.ok_or(Refusal::Missing("request"))?;
        if request.uid.is_empty() {
            return Err(Refusal::Missing("request.uid"));
        }
        Ok(Self { request })
    }

    /// The namespace the object is in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.request.namespace
    }

    /// What the answer has to repeat.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.request.uid
    }

    /// The kind, if podgate judges it.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.request.kind()
    }

    /// True for that operation.
    pub(super) fn is_for(&self, operation: Operation) -> bool {
        self.request.operation() == operation
    }

    /// True if the answer depends on the object at all.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.request.judged().is_some()
    }

    /// True if the labels of the namespace matter to the answer.
    #[must_use]
    pub fn needs_labels(&self, stage: Stage, set: &PolicySet) -> bool {
        let request = &self.request;
        self.is_judged()
            && (set.selects_by_labels()
                || set
                    .pod_security()
                    .filter(|_| stage != Stage::Mutate)
                    .is_some_and(|source| {
                        let user = &request.user_info.username;
                        exempt(source, &request.namespace, user).is_none()
                    }))
    }

    /// Whose Pods have to be looked at before this is answered: those of a namespace that begins to enforce more.
    #[must_use]
    pub fn existing<'s>(&self, set: &'s PolicySet) -> Option<Existing<'s>> {
        if !self.request.is_namespace() || self.unclear().is_some() {
            return None;
        }
        let source = set.pod_security()?;
        match self.namespace_review().verdict(source) {
            Verdict::Raised(asked) => Some(Existing::new(source, &self.request.name, asked)),
            Verdict::Answer(_) => None,
        }
    }

    /// Admitted, with what is to be told of the namespace's Pods.
    #[must_use]
    pub fn answer_existing(&self, warnings: Vec<String>) -> Answer {
        Answer::warned(self.uid(), warnings)
    }

    fn namespace_review(&self) -> namespace::Review<'_> {
        let request = &self.request;
        namespace::Review {
            uid: self.uid(),
            name: &request.name,
            namespace: &request.namespace,
            operation: request.operation(),
            object: match &request.object {
                Some(Carried::Text(raw)) => Some(raw),
                _ => None,
            },
            old: request.old_object,
        }
    }

    /// Why it cannot be told whether podgate has to judge this. Every API server says both.
    fn unclear(&self) -> Option<String> {
        if self.request.resource.resource.is_empty() {
            return Some("request.resource.resource is missing".to_owned());
        }
        match &*self.request.operation {
            "CREATE" | "UPDATE" | "DELETE" | "CONNECT" => None,
            "" => Some("request.operation is missing".to_owned()),
            other => Some(format!(
                "request.operation is {}; expected CREATE, UPDATE, DELETE or CONNECT",
                output::text::quoted([other])
            )),
        }
    }

    /// Decides the review and writes the answer.
    #[must_use]
    pub fn answer<'l>(
        &self,
        stage: Stage,
        set: &PolicySet,
        labels: impl Into<Labels<'l>>,
    ) -> Answer {
        let request = &self.request;
        let labels = labels.into();
        if let Some(why) = self.unclear() {
            let message =
                format!("podgate cannot judge this request, so it is not admitted: {why}");
            return deny(self.uid(), 400, "BadRequest", &message);
        }
        if let Some(source) = set.pod_security().filter(|_| request.is_namespace()) {
            return match self.namespace_review().verdict(source) {
                Verdict::Answer(answer) => answer,
                // Nobody looked at its Pods.
                Verdict::Raised(_) => self.answer_existing(vec![UNLISTED.to_owned()]),
            };
        }
        match request.judged() {
            Some(kind) => self.judge(kind, stage, set, labels),
            None => Answer::allowed(self.uid()),
        }
    }

    /// The answer about an object of this kind, which has to be read first.
    fn judge(&self, kind: Kind, stage: Stage, set: &PolicySet, labels: Labels<'_>) -> Answer {
        let request = &self.request;
        let unreadable = |what: &str, why: String| {
            let message = format!(
                "podgate cannot judge this {}, so it is not admitted: {what}{}",
                kind.name(),
                output::text::clean(&why, MAX_REASON)
            );
            let answer = deny(self.uid(), 400, "BadRequest", &message);
            match set.pod_security() {
                Some(_) if stage != Stage::Mutate => answer.counting(Count::fatal(request)),
                _ => answer,
            }
        };
        let decoded;
        let object = match &request.object {
            Some(Carried::Read(object)) => &**object,
            Some(Carried::Text(raw)) => match Object::decode(kind, raw.get()) {
                Ok(object) => {
                    decoded = object;
                    &decoded
                }
                Err(error) => {
                    return unreadable("request.object cannot be read: ", error.to_string());
                }
            },
            None => return unreadable("request.object ", "is missing".to_owned()),
        };
        let Some(pod) = &object.pod else {
            // A workload without a template is refused by the API server itself. Another object is not.
            if request.sub_resource.is_empty() {
                return Answer::allowed(self.uid());
            }
            let why = format!(
                "has no {}, and podgate does not know the subresource {}",
                kind.template().join("."),
                output::text::quoted([&*request.sub_resource])
            );
            return unreadable("request.object ", why);
        };
        let old = match request
            .old_object
            .filter(|_| request.operation() == Operation::Update)
        {
            None => None,
            Some(raw) => match Object::decode(kind, raw.get()) {
                Ok(object) => object.pod,
                Err(error) => {
                    return unreadable("request.oldObject cannot be read: ", error.to_string());
                }
            },
        };
        let decision = decide(
            set,
            &decision::Request {
                stage,
                operation: request.operation(),
                kind,
                subresource: &request.sub_resource,
                namespace: &request.namespace,
                namespace_labels: match labels {
                    Labels::Known(labels) => Some(labels),
                    Labels::Unknown | Labels::Failed(_) => None,
                },
                user: &request.user_info.username,
                groups: &request.user_info.groups,
                pod,
                old: old.as_ref(),
            },
        );
        let decision = match decision {
            Ok(decision) => decision,
            Err(too_many) => return unreadable("", too_many.to_string()),
        };
        if stage == Stage::Mutate {
            return Answer::patched(self.uid(), pod, &decision);
        }
        let named = self.named(kind, object, pod);
        self.tell(&named, set, labels, decision)
    }

    /// The answer of the validating half.
    fn tell(
        &self,
        named: &output::Object<'_>,
        set: &PolicySet,
        labels: Labels<'_>,
        mut decision: Decision<'_>,
    ) -> Answer {
        let request = &self.request;
        if let Labels::Failed(why) = labels
            && set.pod_security().is_some()
            && decision.pod_security.is_none()
            && !is_out_of_scope(named.kind, &request.sub_resource, request.operation())
        {
            if named.kind == Kind::Pod {
                return unlooked(self.uid(), &request.namespace, why)
                    .counting(Count::fatal(request));
            }
            let why = format!(
                "failed to lookup namespace \"{}\": {why}",
                request.namespace
            );
            decision.pod_security = Some(PodSecurityDecision::unknown(why));
        }
        let user = &*request.user_info.username;
        let is_controller = user.starts_with(CONTROLLERS) || user == CONTROLLER_MANAGER;
        let answer = Answer::decided(self.uid(), &request.name, named, &decision, is_controller);
        match &decision.pod_security {
            Some(it) => answer.counting(Count::of(request, it)),
            None => answer,
        }
    }

    fn named<'o>(
        &'o self,
        kind: Kind,
        object: &'o Object<'_>,
        pod: &'o PodView<'_>,
    ) -> output::Object<'o> {
        let metadata = object.metadata.as_ref().unwrap_or(&pod.metadata);
        let name = Some(&*self.request.name)
            .filter(|name| !name.is_empty())
            .or(metadata.name.as_deref())
            .or(metadata.generate_name.as_deref());
        let owner = metadata
            .owner_references
            .iter()
            .find(|it| it.controller == Some(true));
        output::Object {
            kind,
            namespace: &self.request.namespace,
            name: name.unwrap_or_default(),
            owner: owner.map(|it| (&*it.kind, &*it.name)),
        }
    }
}
