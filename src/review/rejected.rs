//! A new Pod that was rejected although a controller wanted it, for whoever tells the controller's owner.
//!
//! What is told is read from the answer, and whose Pod it is from the request once more: only reviews that end like this
//! pay for it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, Outcome, Review};
use crate::decision::Operation;
use crate::pod::listed::Owner;
use crate::pod::text::null_default;
use crate::pod::{Kind, Text, json};

/// Bytes of [`Rejected::note`]: an Event takes 1024.
const MAX_NOTE: usize = 1000;

/// A Pod of a controller, rejected when it was to be created.
#[derive(Debug, PartialEq)]
pub struct Rejected<'a> {
    /// The Pod's namespace, which is the owner's too.
    pub namespace: Text<'a>,
    /// The controller.
    pub owner: Owner<'a>,
    /// The first line of the rejection, at most 1000 bytes.
    pub note: String,
    /// The same number for the same findings, whatever the Pod is called.
    pub findings: u64,
}

#[derive(Deserialize)]
#[serde(expecting = "an AdmissionReview")]
struct Asked<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Request<'a> {
    #[serde(borrow, default, deserialize_with = "null_default")]
    namespace: Text<'a>,
    #[serde(default, deserialize_with = "null_default")]
    dry_run: bool,
    #[serde(borrow)]
    object: Object<'a>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Metadata<'a> {
    #[serde(borrow, default, deserialize_with = "null_default")]
    owner_references: Vec<Owner<'a>>,
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    status: Status<'a>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    details: Details<'a>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    causes: &'a RawValue,
}

// === impl Review ===

impl Review<'_> {
    /// True if this answer rejects a new Pod, so that [`Rejected::read`] may find something.
    #[must_use]
    pub fn rejects_new_pod(&self, answer: &Answer) -> bool {
        answer.outcome == Outcome::Denied
            && self.kind() == Some(Kind::Pod)
            && self.is_for(Operation::Create)
    }
}

// === impl Rejected ===

impl<'a> Rejected<'a> {
    /// Of the body of a review that rejects a new Pod, and its answer. `None` for a dry run, and for a Pod without a
    /// controller: whoever creates it himself has been told. A node is no workload.
    #[must_use]
    pub fn read(review: &'a [u8], answer: &[u8]) -> Option<Self> {
        let Asked { request } = json::from_slice::<Asked<'a>>(review).ok()?;
        let mut owners = request.object.metadata.owner_references.into_iter();
        let owner = owners
            .find(|it| it.controller == Some(true))
            .filter(|it| &*it.kind != "Node" && !request.dry_run)?;
        let status = json::from_slice::<Answered<'_>>(answer)
            .ok()?
            .response
            .status;
        let mut findings = DefaultHasher::new();
        status.details.causes.get().hash(&mut findings);
        Some(Self {
            namespace: request.namespace,
            owner,
            note: first_line(&status.message),
            findings: findings.finish(),
        })
    }
}

/// The first line of a text, cut where it would not fit.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.len() <= MAX_NOTE {
        return line.to_owned();
    }
    let end = line.floor_char_boundary(MAX_NOTE - '…'.len_utf8());
    format!("{}…", &line[..end])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::decision::Stage;
    use crate::policy::shipped;
    use crate::review::Labels;

    fn review(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": "CREATE", "namespace": "shop",
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
                "object": {
                    "metadata": {"name": "web-1-a", "ownerReferences": [
                        {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "o"},
                        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "r", "controller": true},
                    ]},
                    "spec": {"hostPID": true, "containers": [{"name": "app", "image": "app:1"}]},
                },
            },
        });
        change(&mut review["request"]);
        serde_json::to_vec(&review).unwrap()
    }

    fn read(body: &[u8]) -> Option<Rejected<'_>> {
        let set = shipped().unwrap();
        let review = Review::parse(body).unwrap();
        let answer = review.answer(Stage::Validate, &set, Labels::Unknown);
        if !review.rejects_new_pod(&answer) {
            return None;
        }
        Rejected::read(body, &answer.body)
    }

    #[test]
    fn the_controller_is_told_what_the_answer_says() {
        let body = review(|_| ());
        let rejected = read(&body).unwrap();
        assert_eq!(&*rejected.namespace, "shop");
        assert_eq!(
            [
                &rejected.owner.api_version,
                &rejected.owner.kind,
                &rejected.owner.name,
                &rejected.owner.uid
            ]
            .map(|it| &**it),
            ["apps/v1", "ReplicaSet", "web-1", "r"]
        );
        assert!(rejected.note.contains("hostPID"), "{}", rejected.note);
    }

    #[test]
    fn a_person_gets_several_lines_and_the_controller_the_first_of_them() {
        let body = review(|it| it["userInfo"]["username"] = json!("jane"));
        let note = read(&body).unwrap().note;
        assert!(note.contains("web-1-a") && !note.contains('\n'), "{note}");
    }

    #[test]
    fn nobody_is_told_of_anything_but_a_rejected_new_pod_of_a_controller() {
        let changes: [fn(&mut Value); 6] = [
            |it| it["dryRun"] = json!(true),
            |it| it["object"]["spec"]["hostPID"] = json!(false),
            |it| it["object"]["metadata"]["ownerReferences"] = json!(null),
            |it| it["object"]["metadata"]["ownerReferences"][1]["controller"] = json!(false),
            |it| it["object"]["metadata"]["ownerReferences"][1]["kind"] = json!("Node"),
            |it| {
                let template = it["object"].clone();
                it["resource"] =
                    json!({"group": "apps", "version": "v1", "resource": "replicasets"});
                it["object"] =
                    json!({"metadata": template["metadata"], "spec": {"template": template}});
            },
        ];
        for (at, change) in changes.into_iter().enumerate() {
            assert_eq!(read(&review(change)), None, "{at}");
        }
    }

    #[test]
    fn findings_are_the_same_for_pods_of_another_name_and_others_for_other_fields() {
        let findings = |change: fn(&mut Value)| read(&review(change)).unwrap().findings;
        let first = findings(|_| ());
        assert_eq!(
            first,
            findings(|it| it["object"]["metadata"]["name"] = json!("web-1-b"))
        );
        assert_ne!(
            first,
            findings(|it| it["object"]["spec"]["hostIPC"] = json!(true))
        );
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let cut = first_line(&"ä".repeat(2000));
        assert!(cut.len() <= MAX_NOTE && cut.ends_with("ä…"), "{cut}");
        assert_eq!(first_line("one\ntwo"), "one");
    }
}
