//! Policies that inject: any of the registered injections, spread over one to three policies.

use podgate::control::INJECTIONS;
use podgate::policy::PolicySet;
use serde_json::{Map, Value, json};

use super::choices::Choices;

/// One injection of one policy.
#[derive(Clone)]
pub(crate) struct Injects {
    /// Which policy.
    pub(crate) policy: usize,
    /// What, as policies write it.
    pub(crate) name: &'static str,
    pub(crate) value: Value,
}

pub(crate) const MOST: usize = 3;

/// Some injections. Those of two policies differ in their values only if `conflicts`, apart from capabilities, which
/// add up.
pub(crate) fn injections(it: &mut Choices<'_>, conflicts: bool) -> Vec<Injects> {
    let count = 1 + it.below(MOST);
    let mut chosen = Vec::new();
    for &name in INJECTIONS {
        if !it.once_in(2) {
            continue;
        }
        let policy = it.below(count);
        let first = value(it, name);
        if count > 1 && it.once_in(3) {
            let may_differ = conflicts || name == "capabilities";
            let second = if may_differ {
                value(it, name)
            } else {
                first.clone()
            };
            chosen.push(Injects {
                policy: (policy + 1) % count,
                name,
                value: second,
            });
        }
        chosen.push(Injects {
            policy,
            name,
            value: first,
        });
    }
    if chosen.is_empty() {
        chosen.push(Injects {
            policy: 0,
            name: "seccompProfile",
            value: json!("RuntimeDefault"),
        });
    }
    chosen
}

fn value(it: &mut Choices<'_>, name: &str) -> Value {
    match name {
        "seccompProfile" | "appArmorProfile" => {
            json!(it.pick(&["RuntimeDefault", "Localhost/a.json", "Unconfined"]))
        }
        "seLinuxOptions" => json!({"level": it.pick(&["s0:c1,c2", "s0"])}),
        "capabilities" => capabilities(it),
        "allowPrivilegeEscalation" | "automountServiceAccountToken" => json!(it.once_in(6)),
        "runAsNonRoot" | "readOnlyRootFilesystem" => json!(!it.once_in(6)),
        "runAsUser" | "runAsGroup" | "fsGroup" => json!(it.pick(&[1000, 0, 65535])),
        "supplementalGroups" => it.pick(&[json!([2000]), json!([0, 5])]),
        "hostUsers" => json!(false),
        "runtimeClassName" => json!(it.pick(&["gvisor", "kata.v2"])),
        other => unreachable!("the generator knows no value for the injection {other}"),
    }
}

fn capabilities(it: &mut Choices<'_>) -> Value {
    let drop = it.pick(&[
        &["ALL"][..],
        &["NET_RAW"],
        &["MKNOD", "ALL"],
        &[],
        &["SYS_ADMIN"],
    ]);
    let add = it.pick(&[
        &[][..],
        &["CHOWN"],
        &["SYS_TIME", "SETUID"],
        &["MKNOD"],
        &["SYS_ADMIN"],
    ]);
    // One policy that says both is refused.
    let add: Vec<_> = add.iter().filter(|name| !drop.contains(name)).collect();
    match it.below(4) {
        0 => json!({"drop": drop}),
        1 => json!({"add": add}),
        _ => json!({"drop": drop, "add": add}),
    }
}

/// A set of these injections: policies by these names, written in this order, each with the controls that its
/// injections satisfy if `judges`.
#[track_caller]
pub(crate) fn set(
    injections: &[Injects],
    names: [&str; MOST],
    order: [usize; MOST],
    judges: bool,
) -> PolicySet {
    crate::support::policies(&yaml(injections, names, order, judges))
}

pub(crate) fn yaml(
    injections: &[Injects],
    names: [&str; MOST],
    order: [usize; MOST],
    judges: bool,
) -> String {
    let mut text = String::new();
    for policy in order {
        let of_it = || injections.iter().filter(|it| it.policy == policy);
        let inject: Map<String, Value> = of_it()
            .map(|it| (it.name.to_owned(), it.value.clone()))
            .collect();
        if inject.is_empty() {
            continue;
        }
        let mut spec = json!({"inject": inject});
        if judges {
            spec["mode"] = json!("enforce");
            spec["controls"] = of_it().map(control).collect::<Map<_, _>>().into();
        }
        let document = json!({"apiVersion": "podgate.dev/v1alpha1", "kind": "PodPolicy",
                              "metadata": {"name": names[policy]}, "spec": spec});
        text += &format!("---\n{document}\n");
    }
    text
}

/// The control that finds nothing missing where this was injected.
fn control(injects: &Injects) -> (String, Value) {
    let value = &injects.value;
    let must = |value: &Value| json!({"rule": "must", "ranges": [{"min": value, "max": value}]});
    let (name, parameters) = match injects.name {
        "seccompProfile" => ("seccomp", json!({"required": true, "allowed": [value]})),
        "appArmorProfile" => ("appArmor", json!({"required": true, "allowed": [value]})),
        "seLinuxOptions" => ("seLinux", json!({"must": value})),
        "capabilities" => (
            "capabilities",
            json!({"requiredDrop": dropped(value), "allowedAdd": ["*"]}),
        ),
        "runAsUser" => ("runAsUser", {
            let mut it = must(value);
            it["forbidRoot"] = json!(false);
            it
        }),
        "runAsGroup" => ("runAsGroup", must(value)),
        "fsGroup" => ("fsGroup", must(value)),
        "supplementalGroups" => ("supplementalGroups", must(&value[0])),
        "hostUsers" => ("hostUsers", json!({})),
        "runtimeClassName" => (
            "runtimeClass",
            json!({"required": true, "allowed": [value]}),
        ),
        "automountServiceAccountToken" => ("automountServiceAccountToken", json!({})),
        same => (same, json!({})),
    };
    (name.to_owned(), parameters)
}

fn dropped(capabilities: &Value) -> Value {
    capabilities
        .get("drop")
        .cloned()
        .unwrap_or_else(|| json!([]))
}
