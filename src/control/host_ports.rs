//! `hostPorts`: no container takes a port of the node.
//!
//! Pod Security Standards, baseline. Looks at `ports[*].hostPort` of every container. Allowed: 0 and unset.
//! Parameters: `allowed` (ranges of ports that may be taken all the same; default none).

use super::finding::{Finding, Findings, Subject};
use super::range::Ranges;
use super::{Control, Fields, Problems};
use crate::pod::PodView;

/// No ports of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPorts {
    /// The ports that may be taken.
    pub allowed: Ranges,
}

impl Control for HostPorts {
    const NAME: &'static str = "hostPorts";

    fn read(base: Self, fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            allowed: fields.optional("allowed", problems).unwrap_or(base.allowed),
        }
    }

    fn check(&self, pod: &PodView<'_>, findings: &mut Findings) {
        for (at, container) in pod.containers() {
            for (index, port) in container.ports.iter().enumerate() {
                let Some(number) = port
                    .host_port
                    .filter(|&it| it != 0 && !self.allowed.contains(it))
                else {
                    continue;
                };
                let required = if self.allowed.0.is_empty() {
                    "unset".to_owned()
                } else {
                    format!("unset or in {}", self.allowed)
                };
                let subject = Subject::container(at, container);
                let field = format!("ports[{index}].hostPort");
                let current = number.to_string();
                let finding = Finding::new(Self::NAME, subject, field, &*current, required);
                findings.push(finding.values([current]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::range::Range;
    use crate::control::testing::{check, read_over};

    const POD: &str = r#"{"spec": {
        "initContainers": [{"name": "i", "ports": [{"containerPort": 1, "hostPort": 80}]}],
        "containers": [{"name": "a"}, {"name": "b", "ports": [{"hostPort": 0}, {"containerPort": 2}, {"hostPort": 8080}]}],
        "ephemeralContainers": [{"name": "e", "ports": [{"hostPort": 9000}]}]}}"#;

    #[test]
    fn denies_any_in_every_container_list() {
        check(
            HostPorts::default(),
            POD,
            &[
                "spec.initContainers[0].ports[0].hostPort is 80; must be unset",
                "spec.containers[1].ports[2].hostPort is 8080; must be unset",
                "spec.ephemeralContainers[0].ports[0].hostPort is 9000; must be unset",
            ],
        );
    }

    #[test]
    fn allows_the_ranges() {
        let it = HostPorts {
            allowed: Ranges(vec![
                Range {
                    min: 8000,
                    max: 8080,
                },
                Range {
                    min: 9000,
                    max: 9000,
                },
            ]),
        };
        let yaml = "allowed: [{min: 8000, max: 8080}, {min: 9000, max: 9000}]";
        assert_eq!(read_over(HostPorts::default(), yaml), Ok(it.clone()));
        check(
            it,
            POD,
            &[
                "spec.initContainers[0].ports[0].hostPort is 80; must be unset or in 8000-8080, 9000",
            ],
        );
    }
}
