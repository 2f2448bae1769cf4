//! Registering a gate with the API server, by the configurations of `manifests/base/webhooks`.
//!
//! They are used as they are written, except for what names this gate: the CA bundle, and the namespace and port of
//! its Service. The Service is of type `ExternalName`, because the API server speaks HTTP/2 to a loopback URL but
//! HTTP/1.1 to a Service, as in production. Several gates live beside each other by judging only namespaces that
//! carry their label.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    kubectl::{Kubectl, Output},
    namespace::{self, Namespace},
};

/// A namespace with this label is judged by the gate that the value names.
pub const LABEL: &str = "podgate.dev/test-gate";

/// The namespace and the Service of the plain install; certificates are made for them.
pub const SYSTEM_NAMESPACE: &str = "podgate-system";
const SERVICE: &str = "podgate";

const WEBHOOKS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/manifests/base/webhooks/webhooks.yaml"
);

/// The API server notices a new configuration within one or two seconds.
const ACTIVE_LIMIT: Duration = Duration::from_secs(30);

/// Which namespaces a gate judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that carry [`LABEL`] with this value.
    Labelled(String),
    /// Those that `manifests/base/webhooks` says, and no other gate beside it.
    AsInstalled,
}

/// A gate's entry in the API server. Dropping it removes the webhook configurations.
#[derive(Debug)]
pub struct Registration {
    kubectl: Kubectl,
    /// `kind/name` of each configuration.
    configurations: Vec<String>,
}

// === impl Scope ===

impl Scope {
    /// Where the gate's Service is.
    pub fn service_namespace(&self) -> &str {
        match self {
            Self::Labelled(gate) => gate,
            Self::AsInstalled => SYSTEM_NAMESPACE,
        }
    }

    /// A namespace that this gate judges.
    fn judged_namespace(&self) -> &str {
        match self {
            Self::Labelled(gate) => gate,
            Self::AsInstalled => "default",
        }
    }

    /// The name that the API server will ask the gate's certificate for.
    pub fn server_name(&self) -> String {
        format!("{SERVICE}.{}.svc", self.service_namespace())
    }
}

// === impl Registration ===

impl Registration {
    /// Registers the gate that will listen on `port`, and returns when the API server calls it.
    ///
    /// Nothing may listen there yet: that both webhooks are active is seen by requests that fail because nobody
    /// answers, whatever the policies of the gate will be.
    #[track_caller]
    pub fn create(kubectl: &Kubectl, scope: &Scope, bundle: &str, port: u16) -> Self {
        let configurations = configurations(scope, bundle, port);
        let names = configurations
            .iter()
            .map(|it| format!("{}/{}", text(&it["kind"]), text(&it["metadata"]["name"])));
        let registration = Self {
            kubectl: kubectl.clone(),
            configurations: names.collect(),
        };

        let mut items = Vec::new();
        if let Scope::Labelled(gate) = scope {
            items.extend(namespace::objects(gate, &[(LABEL, gate)]));
        }
        items.push(service(scope, port));
        items.extend(configurations);
        kubectl
            .run_with_input(&["create", "-f", "-"], &namespace::list(items))
            .expect_success();

        registration.await_active(scope, port);
        registration
    }

    #[track_caller]
    fn await_active(&self, scope: &Scope, port: u16) {
        let refused = format!(":{port}: connect: connection refused");
        // The mutating configuration selects Pods only, so the second canary is seen by the validating one alone.
        for canary in [pod_canary(), deployment_canary()] {
            let deadline = Instant::now() + ACTIVE_LIMIT;
            loop {
                let output = self.dry_run(scope, &canary);
                if output.stderr.contains(&refused) {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "the webhooks are not called after {ACTIVE_LIMIT:?}\n{output}"
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Returns when the webhooks are called for a namespace that was given the label just now.
    #[track_caller]
    pub fn await_judged(&self, namespace: &Namespace) {
        let deadline = Instant::now() + ACTIVE_LIMIT;
        let canary = pod_canary().to_string();
        loop {
            let output =
                namespace.kubectl_with_input(&["create", "--dry-run=server", "-f", "-"], &canary);
            // The gate may be down, or have its own opinion of the canary: the API server records that it was asked.
            let asked = namespace.audit_events().iter().any(|event| {
                event["annotations"]
                    .to_string()
                    .contains(self.name("MutatingWebhookConfiguration"))
            });
            if asked || output.stderr.contains("failed calling webhook") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the webhooks are not called after {ACTIVE_LIMIT:?}\n{output}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The name of a configuration of this kind.
    fn name(&self, kind: &str) -> &str {
        let of_kind = |it: &'_ String| it.split_once('/').is_some_and(|(this, _)| this == kind);
        let found = self
            .configurations
            .iter()
            .find(|it| of_kind(it))
            .expect("one configuration a kind");
        &found[kind.len() + 1..]
    }

    fn dry_run(&self, scope: &Scope, object: &Value) -> Output {
        let arguments = [
            "create",
            "--dry-run=server",
            "--validate=false",
            "--namespace",
            scope.judged_namespace(),
            "-f",
            "-",
        ];
        self.kubectl.run_with_input(&arguments, &object.to_string())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let arguments = ["delete", "--wait=false"]
            .into_iter()
            .chain(self.configurations.iter().map(String::as_str));
        // A test that failed has said so already.
        let _ = self.kubectl.run(&arguments.collect::<Vec<_>>());
    }
}

/// The configurations of `manifests/base/webhooks` for this gate.
fn configurations(scope: &Scope, bundle: &str, port: u16) -> Vec<Value> {
    let source = fs::read_to_string(WEBHOOKS).expect("the webhooks can be read");
    let mut configurations: Vec<Value> =
        serde_saphyr::from_multiple(&source).expect("the webhooks are YAML");
    for configuration in &mut configurations {
        if let Scope::Labelled(gate) = scope {
            let name = format!("{}-{gate}", text(&configuration["metadata"]["name"]));
            configuration["metadata"]["name"] = json!(name);
        }
        for webhook in configuration["webhooks"]
            .as_array_mut()
            .expect("a list of webhooks")
        {
            let client = &mut webhook["clientConfig"];
            client["caBundle"] = json!(bundle);
            client["service"]["namespace"] = json!(scope.service_namespace());
            client["service"]["port"] = json!(port);
            if let Scope::Labelled(gate) = scope {
                webhook["namespaceSelector"]["matchLabels"][LABEL] = json!(gate);
            }
        }
    }
    configurations
}

fn service(scope: &Scope, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": scope.service_namespace()},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    })
}

fn pod_canary() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "canary"},
        "spec": {"containers": [{"name": "canary", "image": "canary"}]},
    })
}

fn deployment_canary() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "canary"},
        "spec": {"selector": {"matchLabels": {"app": "canary"}}, "template": {
            "metadata": {"labels": {"app": "canary"}},
            "spec": pod_canary()["spec"],
        }},
    })
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
