//! `probeHosts`: probes and lifecycle handlers call the Pod itself and nobody else.
//!
//! Pod Security Standards, baseline since v1.34 (there `hostProbesAndHostLifecycle`). Looks at `httpGet.host` and
//! `tcpSocket.host` of the liveness, readiness and startup probe and of the lifecycle handlers `postStart` and
//! `preStop` of every container, since it is the node that makes these calls. Allowed: empty and unset; a loopback
//! address is the node's and is not. Parameters: `allowed` (hosts that may be called all the same; default none).

use super::finding::{Finding, Findings, Subject};
use super::listing::quoted;
use super::{Control, Fields, Problems};
use crate::pod::PodView;

/// No hosts in probes and lifecycle handlers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeHosts {
    /// Hosts that may be called, letter by letter.
    pub allowed: Vec<String>,
}

impl Control for ProbeHosts {
    const NAME: &'static str = "probeHosts";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            allowed: fields.optional("allowed", problems).unwrap_or(base.allowed),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        for (at, container) in pod.containers() {
            let lifecycle = container.lifecycle.as_ref();
            for (name, handler) in [
                ("livenessProbe", container.liveness_probe.as_ref()),
                ("readinessProbe", container.readiness_probe.as_ref()),
                ("startupProbe", container.startup_probe.as_ref()),
                (
                    "lifecycle.postStart",
                    lifecycle.and_then(|it| it.post_start.as_ref()),
                ),
                (
                    "lifecycle.preStop",
                    lifecycle.and_then(|it| it.pre_stop.as_ref()),
                ),
            ] {
                let Some(handler) = handler else { continue };
                for (kind, call) in [
                    ("httpGet", &handler.http_get),
                    ("tcpSocket", &handler.tcp_socket),
                ] {
                    let host = call
                        .as_ref()
                        .and_then(|it| it.host.as_deref())
                        .unwrap_or_default();
                    if host.is_empty() || self.allowed.iter().any(|it| it == host) {
                        continue;
                    }
                    let subject = Subject::container(at, container);
                    let field = format!("{name}.{kind}.host");
                    let current = format!("{host:?}");
                    let finding =
                        Finding::new(Self::NAME, subject, field, current, self.required());
                    findings.push(finding.values([host]));
                }
            }
        }
    }
}

// === impl ProbeHosts ===

impl ProbeHosts {
    fn required(&self) -> String {
        if self.allowed.is_empty() {
            "unset".to_owned()
        } else {
            format!("unset or one of {}", quoted(&self.allowed))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{check, read_over};

    #[test]
    fn denies_a_host_in_every_handler() {
        check(
            ProbeHosts::default(),
            r#"{"spec": {"containers": [{"name": "a",
                "livenessProbe": {"httpGet": {"host": "127.0.0.1", "port": 1}},
                "readinessProbe": {"tcpSocket": {"host": "::1", "port": 1}},
                "startupProbe": {"httpGet": {"host": "a.example"}, "tcpSocket": {"host": "b.example"}},
                "lifecycle": {"postStart": {"httpGet": {"host": "c"}}, "preStop": {"tcpSocket": {"host": "d"}}}}]}}"#,
            &[
                r#"spec.containers[0].livenessProbe.httpGet.host is "127.0.0.1"; must be unset"#,
                r#"spec.containers[0].readinessProbe.tcpSocket.host is "::1"; must be unset"#,
                r#"spec.containers[0].startupProbe.httpGet.host is "a.example"; must be unset"#,
                r#"spec.containers[0].startupProbe.tcpSocket.host is "b.example"; must be unset"#,
                r#"spec.containers[0].lifecycle.postStart.httpGet.host is "c"; must be unset"#,
                r#"spec.containers[0].lifecycle.preStop.tcpSocket.host is "d"; must be unset"#,
            ],
        );
    }

    #[test]
    fn denies_it_in_every_container_list_but_not_the_hosts_that_are_named() {
        let pod = r#"{"spec": {
            "initContainers": [{"name": "i", "livenessProbe": {"httpGet": {"host": "bad"}}}],
            "containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "good"}}}],
            "ephemeralContainers": [{"name": "e", "lifecycle": {"preStop": {"httpGet": {"host": "bad"}}}}]}}"#;
        let it = ProbeHosts {
            allowed: vec!["good".to_owned()],
        };
        assert_eq!(
            read_over(ProbeHosts::default(), "allowed: [good]"),
            Ok(it.clone())
        );
        check(
            it,
            pod,
            &[
                r#"spec.initContainers[0].livenessProbe.httpGet.host is "bad"; must be unset or one of "good""#,
                r#"spec.ephemeralContainers[0].lifecycle.preStop.httpGet.host is "bad"; must be unset or one of "good""#,
            ],
        );
    }

    #[test]
    fn allows_calls_of_the_pod_itself() {
        check(
            ProbeHosts::default(),
            r#"{"spec": {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "", "port": 1}},
                "readinessProbe": {"tcpSocket": {"port": 1}}, "startupProbe": {"exec": {}}, "lifecycle": {}}]}}"#,
            &[],
        );
    }
}
