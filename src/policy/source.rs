//! The formats that policies come in, one file each; all compile to the same [`PolicySet`](super::PolicySet).

pub mod pod_policy;
pub mod pod_security;

use super::Draft;
use crate::document::{Node, Problems, Span, parse};
use pod_security::{Exemptions, Modes};

/// What one document says.
#[derive(Debug)]
pub enum Document {
    /// A policy.
    Policy(Draft),
    /// That the Pod Security labels of namespaces count, with these defaults and exemptions.
    PodSecurity(Modes, Exemptions),
}

/// What one file says, each with its place, and everything that is wrong with it.
#[must_use]
pub fn read(text: &str) -> (Vec<(Document, Span)>, Problems) {
    let mut problems = Problems::default();
    let mut found = Vec::new();
    match parse(text) {
        Err(problem) => problems.push(problem),
        Ok(documents) => {
            let read = documents
                .iter()
                .filter_map(|it| read_document(it, &mut problems));
            found.extend(read);
        }
    }
    (found, problems)
}

fn read_document(node: &Node, problems: &mut Problems) -> Option<(Document, Span)> {
    let version = node
        .get("apiVersion")
        .and_then(Node::as_str)
        .unwrap_or_default();
    if version.starts_with(pod_security::GROUP) {
        let (modes, exemptions) = pod_security::read(node, problems)?;
        return Some((Document::PodSecurity(modes, exemptions), node.span));
    }
    let (draft, span) = pod_policy::read(node, problems)?;
    Some((Document::Policy(draft), span))
}
