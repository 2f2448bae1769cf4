//! One workload's findings as a report, in either of the two APIs.
//!
//! The same findings give the same report in every run: how many Pods there are and what they are called is left out,
//! as both change while nothing that anybody has to mend does.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::output::results::{Fate, Finding, Item, Object};
use crate::output::text::clean;
use crate::policy::level::Version;

use super::api::ReportApi;
use super::{CONTENT, CUT, MANAGED_BY, MANAGER};

/// A report of more bytes is cut: etcd takes 1.5 MiB, and the API server adds who wrote which field.
const MAX_BYTES: usize = 1 << 20;
/// What is added to a report when its rows are known.
const RESERVED: usize = 512;
/// `"timestamp":{"nanos":0,"seconds":-9223372036854775808},` and a comma.
const TIMESTAMP: usize = 64;
/// How much of one property is kept.
const MAX_PROPERTY: usize = 2000;
/// A uid is 36 characters long.
const MAX_UID: usize = 63;
/// From the least, in steps of what follows from a finding and of whether baseline forbids it.
const SEVERITIES: [&str; 4] = ["info", "low", "medium", "high"];

/// A report, ready to be applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    /// The uid of its workload, which is its name too unless that is taken.
    pub(super) uid: String,
    /// What its content hashes to, all but the time.
    pub(super) content: String,
    /// The whole object.
    pub(super) value: Value,
}

// === impl Report ===

impl Report {
    /// The report of what was found in this object at `seconds` since the epoch; none if it cannot be named after the
    /// object, or belongs nowhere.
    pub(super) fn of(
        object: &Object,
        api: ReportApi,
        version: Version,
        seconds: Option<i64>,
    ) -> Option<Self> {
        let uid = object.uid.as_deref().filter(|it| is_name(it))?;
        if object.namespace.is_empty() {
            return None;
        }
        let rows = rows(object, uid, version);
        let count = |result: &str| rows.iter().filter(|it| it["result"] == result).count();
        let summary =
            json!({"pass": 0, "fail": count("fail"), "warn": count("warn"), "error": 0, "skip": 0});
        let mut value = head(object, uid, api);
        value["summary"] = summary;

        let mut room = MAX_BYTES.saturating_sub(RESERVED + value.to_string().len());
        let total = rows.len();
        let fits = |row: &Value| {
            let left = room.checked_sub(row.to_string().len() + TIMESTAMP);
            left.inspect(|left| room = *left).is_some()
        };
        let rows: Vec<Value> = rows.into_iter().take_while(fits).collect();
        let cut = total - rows.len();
        value["results"] = Value::Array(rows);
        if cut > 0 {
            value["metadata"]["annotations"][CUT] = cut.to_string().into();
        }
        let content = hash(&[&value.to_string()]);
        value["metadata"]["annotations"][CONTENT] = content.clone().into();
        if let Some(seconds) = seconds
            && let Some(rows) = value["results"].as_array_mut()
        {
            for row in rows {
                row["timestamp"] = json!({"seconds": seconds, "nanos": 0});
            }
        }
        Some(Self {
            uid: uid.to_owned(),
            content,
            value,
        })
    }
}

/// All but the rows and what is counted of them.
fn head(object: &Object, uid: &str, api: ReportApi) -> Value {
    let Object {
        api_version,
        kind,
        namespace,
        name,
        ..
    } = object;
    let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid});
    let scope = json!({"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name, "uid": uid});
    let mut value = json!({
        "apiVersion": api.api_version(),
        "kind": api.kind(),
        "metadata": {
            "name": uid,
            "namespace": namespace,
            "labels": {MANAGED_BY: MANAGER},
            "annotations": {},
            "ownerReferences": [owner],
        },
        "scope": scope,
    });
    if api == ReportApi::OpenReports {
        value["source"] = MANAGER.into();
        // What is missing is not to be taken for what was not looked at.
        value["configuration"] = json!({"limits": {"statusFilter": ["fail", "warn", "skip"]}});
    }
    value
}

/// A row for each finding and each policy that asks for it in the mode that counts; what rejects comes first, as what is
/// cut is cut from the end.
fn rows(object: &Object, uid: &str, version: Version) -> Vec<Value> {
    let mut seen = HashMap::new();
    let mut rows = Vec::new();
    for finding in &object.findings {
        let policies = match finding.fate() {
            Fate::PodsRejected => &finding.pod_policies,
            _ => &finding.policies,
        };
        for policy in policies {
            let mut row = row(finding, policy, version);
            let id = id(&row, uid, finding);
            let count: &mut u32 = seen.entry(id.clone()).or_default();
            *count += 1;
            // Two that only differ in what a row does not tell.
            let id = match *count {
                1 => id,
                count => format!("{id}-{count}"),
            };
            row["properties"]["resultID"] = id.into();
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row["result"] != "fail");
    rows
}

fn row(finding: &Finding, policy: &str, version: Version) -> Value {
    let fate = finding.fate();
    let fails = fate >= Fate::PodsRejected;
    let mode = match fate {
        Fate::PodsRejected => finding.pod_mode,
        _ => finding.mode,
    };
    let rank = match fate {
        Fate::Clean | Fate::Recorded => 0,
        Fate::Warned => 1,
        Fate::PodsRejected | Fate::Rejected => 2,
    };
    let level = finding.level.as_deref();
    let severity = SEVERITIES[rank + usize::from(level == Some("baseline"))];
    let category = match level {
        Some("baseline") => "Pod Security Standards (Baseline)",
        Some("restricted") => "Pod Security Standards (Restricted)",
        _ => "Pod Security",
    };
    json!({
        "source": MANAGER,
        "policy": clean(policy, MAX_PROPERTY),
        "rule": clean(&finding.control, MAX_PROPERTY),
        "category": category,
        "message": message(finding),
        "result": if fails { "fail" } else { "warn" },
        "scored": fails,
        "severity": severity,
        "properties": properties(finding, &mode.to_string(), version),
    })
}

/// The statement of every other format, without the name of a Pod.
fn message(finding: &Finding) -> String {
    let of_any_pod = Finding {
        in_pod: None,
        ..finding.clone()
    };
    let statement = Item {
        members: vec![&of_any_pod],
    }
    .statement();
    match &finding.in_pod {
        None => statement,
        Some(_) => format!("in its Pods: {statement}"),
    }
}

/// What a reader may filter by or show beside the message. Values are texts, as the schemas want them.
fn properties(finding: &Finding, mode: &str, version: Version) -> Map<String, Value> {
    let mut properties = BTreeMap::from([
        ("controls", finding.control.clone()),
        ("mode", mode.to_owned()),
    ]);
    if let Some(level) = &finding.level {
        properties.insert("standard", level.clone());
        properties.insert("version", version.to_string());
    }
    if let Some(it) = &finding.container {
        properties.insert("container", it.name.clone());
        properties.insert("containerList", it.list.clone());
    }
    if let Some(it) = &finding.volume {
        properties.insert("volume", it.clone());
    }
    // The place in a Pod depends on the Pod; the one in the template is where to mend it.
    if finding.in_pod.is_none() {
        properties.insert("path", finding.path.clone());
    }
    if let Some(it) = &finding.fix {
        properties.insert("fix", it.clone());
    }
    let cleaned = properties
        .into_iter()
        .map(|(key, value)| (key.to_owned(), clean(&value, MAX_PROPERTY).into()));
    cleaned.collect()
}

/// What makes a row the same in a later run: readers tell people of rows that they have not seen. Positions and wording
/// do not count.
fn id(row: &Value, uid: &str, finding: &Finding) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or_default();
    let container = finding.container.as_ref();
    hash(&[
        uid,
        text("policy"),
        text("rule"),
        text("result"),
        container.map_or("", |it| &it.list),
        container.map_or("", |it| &it.name),
        finding.volume.as_deref().unwrap_or_default(),
        &finding.field,
        &finding.current,
    ])
}

/// Tenants choose most of what is hashed, and must not be able to make two things look the same.
fn hash(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_be_bytes());
        hasher.update(text);
    }
    let digest = hasher.finalize();
    // Half of it is enough.
    let half = digest.iter().take(16);
    let number = half.fold(0, |number, byte| number << 8 | u128::from(*byte));
    format!("{number:032x}")
}

/// A uid comes from an owner reference, which anybody can write; what the API server makes can be a name.
fn is_name(uid: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    !uid.is_empty()
        && uid.len() <= MAX_UID
        && uid.bytes().all(is_plain)
        && !uid.starts_with('-')
        && !uid.ends_with('-')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
