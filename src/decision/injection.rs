//! Runs the injections of the selected policies over a Pod.
//! Fields in the order of the registry, policies by name: the order of files changes nothing.

use crate::control::{AnyInjection, Target};
use crate::pod::PodView;
use crate::policy::Policy;

use super::{Injected, Operation, Request};

/// What the policies inject into the request's Pod, and the Pod after it; `None` if it stays as it is.
pub(super) fn run<'a, 's>(
    policies: &[&'s Policy],
    request: &Request<'a>,
) -> (Option<PodView<'a>>, Vec<Injected<'s>>) {
    let added;
    let target = match request.operation {
        // Only a new Pod, or a template that stands for one, is open; on a running one only what is being added.
        Operation::Update if !request.kind.is_workload() => {
            added = request.added_ephemeral();
            if added.is_empty() {
                return (None, Vec::new());
            }
            Target::Ephemeral(&added)
        }
        _ => Target::Pod,
    };
    run_for(policies, request.pod, target)
}

/// The same for a Pod as if it were new.
pub(super) fn run_on<'a, 's>(
    policies: &[&'s Policy],
    pod: &PodView<'a>,
) -> (Option<PodView<'a>>, Vec<Injected<'s>>) {
    run_for(policies, pod, Target::Pod)
}

fn run_for<'a, 's>(
    policies: &[&'s Policy],
    pod: &PodView<'a>,
    target: Target<'_>,
) -> (Option<PodView<'a>>, Vec<Injected<'s>>) {
    let count = policies.iter().map(|policy| policy.injections.len()).sum();
    if count == 0 {
        return (None, Vec::new());
    }
    let mut injections: Vec<(usize, &AnyInjection, &'s str)> = Vec::with_capacity(count);
    for policy in policies {
        let named = |(rank, it): &'s (usize, AnyInjection)| (*rank, it, policy.name.as_str());
        injections.extend(policy.injections.iter().map(named));
    }
    injections.sort_by_key(|(rank, _, _)| *rank);
    let mut after: Option<PodView<'a>> = None;
    let mut injected = Vec::with_capacity(4 * injections.len());
    let mut edits = Vec::with_capacity(8);
    for (_, injection, policy) in injections {
        injection.inject(after.as_ref().unwrap_or(pod), target, &mut edits);
        for edit in edits.drain(..) {
            edit.apply(after.get_or_insert_with(|| pod.clone()));
            injected.push(Injected { edit, policy });
        }
    }
    (after, injected)
}
