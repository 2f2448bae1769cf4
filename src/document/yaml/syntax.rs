//! The parser's syntax errors in words that help.

use granit_parser::{ErrorKind, ScanError};

use crate::document::problem::{Problem, Span};
use crate::document::rules::too_deep;

/// The problem behind a syntax error of the parser.
pub(super) fn problem(text: &str, error: &ScanError) -> Problem {
    let marker = text.floor_char_boundary(error.marker().byte_offset().unwrap_or(text.len()));
    // Some of the errors about tabs stand behind the tab.
    let start = if is_about_tabs(error.kind()) && text[..marker].ends_with('\t') {
        marker - 1
    } else {
        marker
    };
    let span = Span::new(start, start + length(&text[start..], error.kind()));
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(span);
    }
    match explain(error.kind()) {
        Some((message, "")) => Problem::new(span, format!("invalid YAML: {message}")),
        Some((message, hint)) => Problem::new(span, format!("invalid YAML: {message}")).hint(hint),
        None => Problem::new(span, format!("invalid YAML: {}", error.info())),
    }
}

/// How much to point at: a whole alias, else one character, nothing at the end of a line.
fn length(rest: &str, kind: &ErrorKind) -> usize {
    let is_alias = *kind == ErrorKind::UnknownAnchor;
    match rest.chars().next() {
        None | Some('\n' | '\r') => 0,
        Some(_) if is_alias => rest
            .find([' ', '\t', '\n', '\r', ',', ']', '}'])
            .unwrap_or(rest.len()),
        Some(first) => first.len_utf8(),
    }
}

/// Message and hint of the errors that people make.
fn explain(kind: &ErrorKind) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        ErrorKind::MappingValueNotAllowed => (
            "\":\" is not allowed here",
            "check the indentation; a value that contains \": \" needs quotes",
        ),
        kind if is_about_tabs(kind) => ("a tab cannot indent", "use spaces"),
        ErrorKind::InvalidColonPlacement => (
            "\":\" is not allowed here",
            "is a bracket or a comma missing before it?",
        ),
        ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => ("expected a value", ""),
        ErrorKind::ExpectedFlowMappingSeparator => ("expected \",\" or \"}\"", ""),
        ErrorKind::ExpectedFlowSequenceSeparator => ("expected \",\" or \"]\"", ""),
        ErrorKind::UnclosedFlowCollection { .. } => ("this bracket is never closed", ""),
        ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            ("this bracket is closed by one of the other kind", "")
        }
        ErrorKind::MisplacedFlowCollectionEnd => ("this bracket was never opened", ""),
        ErrorKind::UnexpectedCharacter {
            character: '@' | '`' | '%',
        } => (
            "a value cannot start with this character",
            "put the value in quotes",
        ),
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            ("control characters are not allowed", "")
        }
        ErrorKind::UnknownAnchor => (
            "unknown alias",
            "a value that starts with \"*\" needs quotes; an alias needs an anchor before it",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            "expected a key with a \":\" after it",
            "check the indentation",
        ),
        ErrorKind::ExpectedBlockMappingKey => (
            "expected a further key of the mapping",
            "check the indentation",
        ),
        ErrorKind::ExpectedBlockSequenceEntry => (
            "expected a further \"- \" of the list",
            "check the indentation",
        ),
        ErrorKind::BlockSequenceEntryNotAllowed => {
            ("a list cannot start here", "start it on the next line")
        }
        ErrorKind::UnclosedQuotedScalar => ("this quote is never closed", ""),
        ErrorKind::UnknownQuotedScalarEscape => (
            "unknown escape in a string",
            "in single quotes a backslash is a backslash; in double quotes write it twice",
        ),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "unexpected text after the closing quote",
            "put the whole value in quotes",
        ),
        _ => return None,
    })
}

fn is_about_tabs(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabAtBlockScalarStart
    )
}

#[cfg(test)]
mod tests {
    use crate::document::{Source, parse};

    #[test]
    fn syntax_errors_have_a_place_and_a_way_out() {
        for (text, expected) in [
            (
                "a: 1\n b: 2\n",
                "2:3 \":\" is not allowed here (check the indentation; a value that contains \": \" needs quotes)",
            ),
            (
                "é: b: c\n",
                "1:5 \":\" is not allowed here (check the indentation; a value that contains \": \" needs quotes)",
            ),
            ("a:\n\tb: 1\n", "2:1 a tab cannot indent (use spaces)"),
            (
                "a: [1, 2\nb: 3\n",
                "2:2 \":\" is not allowed here (is a bracket or a comma missing before it?)",
            ),
            ("a: {b: 1\n", "1:4 this bracket is never closed"),
            (
                "a: {b: ]}\n",
                "1:4 this bracket is closed by one of the other kind",
            ),
            ("a: }\n", "1:4 this bracket was never opened"),
            ("a: [ , b]\n", "1:6 expected a value"),
            (
                "a: @x\n",
                "1:4 a value cannot start with this character (put the value in quotes)",
            ),
            ("a: x\u{0}y\n", "1:5 control characters are not allowed"),
            ("a: \"x\nb: 1\n", "1:4 this quote is never closed"),
            (
                "é: \"\\q\"\r\n",
                "1:4 unknown escape in a string (in single quotes a backslash is a backslash; in double quotes write it twice)",
            ),
            (
                "a: 'x' y\n",
                "1:8 unexpected text after the closing quote (put the whole value in quotes)",
            ),
            (
                "a: 1\r\nb\r\n",
                "2:1 expected a key with a \":\" after it (check the indentation)",
            ),
            (
                "a:\n  b: 1\n c: 2\n",
                "3:2 expected a further key of the mapping (check the indentation)",
            ),
            (
                "- a\nb: 1\n",
                "2:1 expected a further \"- \" of the list (check the indentation)",
            ),
            (
                "a: - b\n",
                "1:4 a list cannot start here (start it on the next line)",
            ),
            (
                "- a\n- *.example.com\n",
                "2:3 unknown alias (a value that starts with \"*\" needs quotes; an alias needs an anchor before it)",
            ),
            (
                "a: 1\n\u{feff}---\nb: 2\n",
                "2:1 a BOM must not appear inside a document",
            ),
            (
                "a:\n  {{- .Values.b }}\n",
                "2:5 \"-\" is only valid inside a block (this looks like a template; render it first)",
            ),
        ] {
            let Err(problem) = parse(text) else {
                unreachable!("{text:?} is accepted")
            };
            let (line, column) = Source::new("", text).line_col(problem.span.start);
            let hint = problem
                .hint
                .map_or_else(String::new, |hint| format!(" ({hint})"));
            let message = problem.message.strip_prefix("invalid YAML: ");
            assert_eq!(
                format!("{line}:{column} {}{hint}", message.unwrap_or_default()),
                expected,
                "{text:?}"
            );
        }
    }
}
