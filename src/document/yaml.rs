//! YAML text → nodes, from the events of the parser.
//!
//! The tree is built without recursion. Its depth and what aliases add to it are bounded here, so whoever walks it
//! later need not care.

mod build;
mod syntax;

use granit_parser::{Event, Parser, ScalarStyle};

use self::build::Builder;
use super::node::{Node, Value};
use super::problem::{Problem, Span};
use super::rules::MAX_DEPTH;
use super::scalar::{self, Tag};

/// All documents of a stream.
pub(super) fn read(text: &str) -> Result<Vec<Node>, Problem> {
    let options = granit_parser::options! {
        emit_comments: false,
        // As Kubernetes' YAML does.
        block_scalar_eof_without_line_feed: true,
        // The builder counts both kinds together and says so more clearly.
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    let mut builder = Builder::new(text);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax::problem(text, &error))?;
        let span = span
            .byte_range()
            .map_or(Span::new(text.len(), text.len()), |range| {
                Span::new(range.start, range.end)
            });
        match event {
            Event::Scalar(content, style, anchor, tag) => {
                let tag = tag_of(tag.as_deref());
                let (node, is_merge) = scalar_node(text, &content, style, span, tag)?;
                builder.leaf(node, anchor, is_merge)?;
            }
            Event::Alias(anchor) => builder.alias(anchor, span)?,
            Event::SequenceStart(_, anchor, _) => {
                builder.open(Value::Sequence(Vec::new()), anchor, span)?;
            }
            Event::MappingStart(_, anchor, _) => {
                builder.open(Value::Mapping(Vec::new()), anchor, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close(span)?,
            Event::DocumentEnd => builder.end_document(),
            _ => {}
        }
    }
    Ok(builder.into_documents())
}

/// The node of a scalar, and whether it is the merge key `<<`.
fn scalar_node(
    text: &str,
    content: &str,
    style: ScalarStyle,
    span: Span,
    tag: Tag<'_>,
) -> Result<(Node, bool), Problem> {
    let is_plain = style == ScalarStyle::Plain;
    // The parser makes up a `~` where nothing is written.
    let content = if is_plain && span.start == span.end {
        ""
    } else {
        content
    };
    let is_merge = content == "<<" && (tag == Tag::Core("merge") || (tag == Tag::None && is_plain));
    let tag = if is_merge { Tag::Core("str") } else { tag };
    let span = match style {
        ScalarStyle::Literal | ScalarStyle::Folded => without_trailing_space(text, span),
        _ => span,
    };
    let value =
        scalar::resolve(content, is_plain, tag).map_err(|message| Problem::new(span, message))?;
    Ok((Node { span, value }, is_merge))
}

fn tag_of(tag: Option<&granit_parser::Tag>) -> Tag<'_> {
    match tag {
        None => Tag::None,
        Some(tag) if tag.handle() == "tag:yaml.org,2002:" => Tag::Core(tag.suffix()),
        Some(tag) => tag.core_suffix().map_or(Tag::Other, Tag::Core),
    }
}

fn without_trailing_space(text: &str, span: Span) -> Span {
    let slice = text.get(span.start..span.end).unwrap_or_default();
    Span::new(span.start, span.start + slice.trim_end().len())
}

#[cfg(test)]
mod tests;
