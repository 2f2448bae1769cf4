//! The levels of the Pod Security Standards, as presets over the controls.

use crate::control::AnyControl;
use crate::control::privileged::Privileged;
use crate::control::run_as_non_root::RunAsNonRoot;

/// What `version:` may say: the levels are those of Kubernetes 1.37.
pub const VERSIONS: [&str; 2] = ["latest", "v1.37"];

/// A level that asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Prevents known privilege escalations.
    Baseline,
    /// Current hardening best practice.
    Restricted,
}

/// The controls of a level.
#[must_use]
pub fn controls(level: Level) -> Vec<AnyControl> {
    let mut controls = vec![AnyControl::Privileged(Privileged)];
    if level == Level::Restricted {
        controls.push(AnyControl::RunAsNonRoot(RunAsNonRoot {
            accept_run_as_user: false,
            relax_in_user_namespace: true,
        }));
    }
    controls
}
