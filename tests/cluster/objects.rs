//! The objects that kustomize or Helm render.

use std::collections::BTreeSet;

use serde_json::Value;

use super::harness::Cluster;

/// Rendered objects, in their order.
pub struct Objects(pub Vec<Value>);

// === impl Objects ===

impl Objects {
    /// What `kubectl kustomize` makes of a directory.
    #[track_caller]
    pub fn of(cluster: &Cluster, directory: &str) -> Self {
        let output = cluster.kubectl().run(&["kustomize", directory]);
        output.expect_success();
        Self::parse(&output.stdout)
    }

    /// The documents of a YAML text; empty ones are none.
    #[track_caller]
    pub fn parse(yaml: &str) -> Self {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        Self(documents.into_iter().filter(|it| !it.is_null()).collect())
    }

    /// The one object of that kind and name.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        let is_it = |it: &&Value| it["kind"] == kind && it["metadata"]["name"] == name;
        let mut found = self.0.iter().filter(is_it);
        let object = found
            .next()
            .unwrap_or_else(|| panic!("there is no {kind} {name}"));
        assert!(found.next().is_none(), "there are two {kind} {name}");
        object
    }

    /// All objects of these kinds.
    pub fn all(&self, kinds: &[&str]) -> Vec<&Value> {
        let is_one = |it: &&Value| it["kind"].as_str().is_some_and(|it| kinds.contains(&it));
        self.0.iter().filter(is_one).collect()
    }

    /// The names of all objects.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0
            .iter()
            .filter_map(|it| it["metadata"]["name"].as_str())
            .collect()
    }

    /// The value of a variable of podgate's container.
    #[track_caller]
    pub fn variable(&self, name: &str) -> &str {
        let deployment = self.get("Deployment", "podgate");
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let mut variables = container["env"].as_array().unwrap().iter();
        let found = variables.find(|it| it["name"] == name);
        let value = found.and_then(|it| it["value"].as_str());
        value.unwrap_or_else(|| panic!("{name} has no value"))
    }

    /// That field of each of podgate's webhooks.
    pub fn of_each_webhook(&self, field: &str) -> Vec<&Value> {
        let kinds = [
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ];
        let configurations = self.all(&kinds).into_iter();
        let webhooks = configurations.flat_map(|it| it["webhooks"].as_array().unwrap());
        webhooks.map(|it| &it[field]).collect()
    }
}
