//! The Service that the webhooks name: it is there, has the port, and somebody ready is behind it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{Case, place, unread};
use crate::cluster::snapshot::Callee;
use crate::output::diagnosis::Observation;

pub(super) const SERVICE: &str = "service";
pub(super) const ENDPOINTS: &str = "endpoints";

/// What a webhook calls that names no port.
const DEFAULT_PORT: i32 = 443;

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    let called: BTreeSet<(String, String, i32)> = case
        .snapshot
        .own_webhooks()
        .filter_map(|(_, webhook)| {
            let service = webhook.client_config.service.as_ref()?;
            let port = service.port.unwrap_or(DEFAULT_PORT);
            Some((service.namespace.clone(), service.name.clone(), port))
        })
        .collect();
    for (namespace, name, port) in called {
        let at = place("Service", &namespace, &name);
        let Some(Callee { service, slices }) = case
            .snapshot
            .services
            .get(&(namespace.clone(), name.clone()))
        else {
            continue;
        };
        let service = match service {
            Err(why) => {
                seen.push(unread(SERVICE, at, why));
                continue;
            }
            Ok(None) => {
                seen.push(
                    Observation::error(SERVICE, at, "it is not there")
                        .why("the webhooks name it: nothing that podgate judges can be created")
                        .fix("apply manifests/base/gate, or correct clientConfig.service of the webhooks")
                        .command(format!("kubectl get services -n {namespace}")),
                );
                continue;
            }
            Ok(Some(service)) => service,
        };
        let ports = service.spec.iter().flat_map(|it| it.ports.iter().flatten());
        let ports: Vec<&ServicePort> = ports.collect();
        let Some(own) = ports.iter().find(|it| it.port == port) else {
            let has: Vec<String> = ports.iter().map(|it| it.port.to_string()).collect();
            let what = format!("the webhooks call port {port}, and it has {}", list(&has));
            seen.push(
                Observation::error(SERVICE, at, what)
                    .why("nothing that podgate judges can be created")
                    .fix("set clientConfig.service.port of the webhooks to a port of the Service"),
            );
            continue;
        };
        if is_external(service) {
            let host = service
                .spec
                .as_ref()
                .and_then(|it| it.external_name.clone());
            let what = format!(
                "it stands for the host {} outside of the cluster",
                host.unwrap_or_default()
            );
            seen.push(
                Observation::note(SERVICE, &*at, what)
                    .why("who answers there cannot be seen in the cluster"),
            );
            seen.push(Observation::note(
                ENDPOINTS,
                at,
                "it has none, as it stands for a host",
            ));
            continue;
        }
        seen.push(Observation::ok(
            SERVICE,
            &*at,
            format!("it has port {port}"),
        ));
        match slices {
            Err(why) => seen.push(unread(ENDPOINTS, at, why)),
            Ok(slices) => seen.push(endpoints(at, &namespace, service, own, slices)),
        }
    }
}

fn is_external(service: &Service) -> bool {
    let sort = service.spec.as_ref().and_then(|it| it.type_.as_deref());
    sort == Some("ExternalName")
}

fn endpoints(
    at: String,
    namespace: &str,
    service: &Service,
    port: &ServicePort,
    slices: &[EndpointSlice],
) -> Observation {
    let selector = service.spec.as_ref().and_then(|it| it.selector.as_ref());
    let selector: Vec<String> = selector
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let command = format!("kubectl get pods -n {namespace} -l {}", selector.join(","));
    let (mut ready, mut unready) = (BTreeSet::new(), BTreeSet::new());
    let mut is_resolved = false;
    for slice in slices {
        is_resolved |= slice.ports.iter().flatten().any(|it| {
            it.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
                && it.port.is_some()
        });
        for endpoint in slice.endpoints.iter().flatten() {
            // Unset means ready.
            let is_ready = endpoint
                .conditions
                .as_ref()
                .and_then(|it| it.ready)
                .unwrap_or(true);
            let to = if is_ready { &mut ready } else { &mut unready };
            to.extend(endpoint.addresses.iter().cloned());
        }
    }
    let lost = "nobody answers: nothing that podgate judges can be created";
    if ready.is_empty() && unready.is_empty() {
        let what = format!("no Pod is behind it (selector {})", list(&selector));
        return Observation::error(ENDPOINTS, at, what)
            .why(lost)
            .fix("start podgate, or make the selector fit the labels of its Pods")
            .command(command);
    }
    if ready.is_empty() {
        let what = format!("none of its {} endpoints is ready", unready.len());
        return Observation::error(ENDPOINTS, at, what)
            .why(lost)
            .fix("see below what the replicas say of themselves")
            .command(command);
    }
    if !is_resolved {
        let what = "its targetPort is no port of the Pods behind it";
        return Observation::error(ENDPOINTS, at, what)
            .why(lost)
            .fix("name the container's port as targetPort: webhook in the shipped Deployment");
    }
    if ready.len() == 1 {
        return Observation::warning(ENDPOINTS, at, "only one endpoint is ready")
            .why("while it is restarted or its node is drained, nothing that podgate judges can be created")
            .fix("run two replicas or more")
            .command(command);
    }
    Observation::ok(ENDPOINTS, at, format!("{} are ready", ready.len()))
}

fn list(of: &[String]) -> String {
    if of.is_empty() {
        "none".to_owned()
    } else {
        of.join(", ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::super::testing::{Case, cases, from};
    use crate::cluster::snapshot::{Callee, Snapshot, Unread};

    fn callee(snapshot: &mut Snapshot) -> &mut Callee {
        snapshot.services.values_mut().next().unwrap()
    }

    fn ready(snapshot: &mut Snapshot, ready: &[bool]) {
        let endpoints: Vec<_> = ready
            .iter()
            .enumerate()
            .map(|(at, ready)| json!({"addresses": [format!("10.0.0.{at}")], "conditions": {"ready": ready}}))
            .collect();
        callee(snapshot).slices = Ok(vec![from(
            &json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints, "ports": [{"name": "webhook", "port": 8443}]}),
        )]);
    }

    #[test]
    fn a_call_that_ends_nowhere_is_named() {
        let at = "Service podgate-system/podgate";
        cases(&[
            Case::new(
                |it| callee(it).service = Ok(None),
                &format!("error service: {at}: it is not there"),
            ),
            Case::new(
                |it| callee(it).service = Err(Unread::Forbidden("get services".to_owned())),
                &format!("unknown service: {at}: cannot be looked at: you may not get services"),
            ),
            Case::webhook(
                |it| it.client_config.service.as_mut().unwrap().port = Some(8443),
                &format!("error service: {at}: the webhooks call port 8443, and it has 443"),
            ),
            Case::new(
                |it| {
                    callee(it).service = Ok(Some(from(
                        &json!({"metadata": {}, "spec": {"type": "ExternalName", "externalName": "gate.example", "ports": [{"port": 443}]}}),
                    )));
                },
                &format!("note service: {at}: it stands for the host gate.example"),
            ),
            Case::new(
                |it| callee(it).slices = Ok(Vec::new()),
                &format!(
                    "error endpoints: {at}: no Pod is behind it (selector app.kubernetes.io/name=podgate)"
                ),
            ),
            Case::new(
                |it| ready(it, &[false, false]),
                &format!("error endpoints: {at}: none of its 2 endpoints is ready"),
            ),
            Case::new(
                |it| ready(it, &[true, false]),
                &format!("warning endpoints: {at}: only one endpoint is ready"),
            ),
            Case::new(
                |it| callee(it).slices.as_mut().unwrap()[0].ports = None,
                &format!("error endpoints: {at}: its targetPort is no port"),
            ),
        ]);
    }
}
