//! YAML or JSON text as documents in which every key and every value knows its place.
//!
//! Policy files are read from these documents with [`Fields`], which collects all errors of a file at once, and
//! `podgate check` shows the excerpt of a manifest that a finding is about. Scalars mean what they mean to Kubernetes
//! (`sigs.k8s.io/yaml`, YAML 1.1): `0644` is 420 and `yes` is true. Apart from that, nothing here knows of Kubernetes.
//!
//! Every span is a range of bytes in the text that was parsed, always on character boundaries.

mod fields;
mod from_node;
mod json;
mod nearest;
mod node;
mod problem;
mod render;
mod rules;
mod scalar;
mod source;
mod yaml;

pub use fields::{Fields, one_of};
pub use from_node::FromNode;
pub use nearest::nearest;
pub use node::{Entry, Key, Node, Segment, Value};
pub use problem::{Problem, Problems, Span};
pub use render::{Excerpt, Level, render, render_excerpt};
pub use source::Source;

/// Reads all documents of a YAML or JSON stream; documents with nothing but comments are left out.
///
/// Text that starts with `{` or `[` is read as JSON (also several values one after the other), and as YAML in flow
/// style where it is no JSON. Aliases and merge keys are expanded: the copy stands at the alias, what is inside it
/// keeps the place of its definition.
///
/// # Errors
///
/// The first place where the text is not well-formed: a syntax error, a key given twice, an unknown alias, more than
/// 128 levels of nesting, or aliases that expand to more than a file can reasonably hold.
pub fn parse(text: &str) -> Result<Vec<Node>, Problem> {
    read(text).map_err(|problem| {
        let (before, after) = text.split_at(problem.span.start);
        let line_start = before.rsplit('\n').next().unwrap_or_default();
        let line_end = after.split('\n').next().unwrap_or_default();
        // Nothing that is well-formed has two opening braces in a row outside of quotes.
        let is_template = format!("{line_start}{line_end}").contains("{{");
        if is_template && problem.hint.is_none() {
            problem.hint("this looks like a template; render it first")
        } else {
            problem
        }
    })
}

fn read(text: &str) -> Result<Vec<Node>, Problem> {
    if !json::starts_like_json(text) {
        return yaml::read(text);
    }
    json::read(text).or_else(|json| {
        yaml::read(text).map_err(|yaml| {
            if json.is_meant_as_yaml {
                yaml
            } else {
                json.problem
            }
        })
    })
}
