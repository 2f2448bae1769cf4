//! File descriptors: each connection takes one, and a process has only so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// For everything that is no connection to the webhook: the second port, policies, certificates, the API server.
const OTHERS: usize = 128;

/// Asks for as many as this process may have, as Go's programs do: what most shells and service managers give at first
/// is 1,024, for the sake of programs that use `select`.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If it may not, it works with what there is.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
}

/// As many connections as are wanted, or as there are file descriptors for.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let most = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let most = most.saturating_sub(OTHERS).max(1);
    if wanted > most {
        warn!(
            wanted,
            most, "fewer connections than wanted, for want of file descriptors"
        );
    }
    wanted.min(most)
}
