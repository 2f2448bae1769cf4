//! Bodies that nobody thought of.

use proptest::prelude::*;
use proptest::sample::Index;

use super::differential::check;
use super::seeds;

/// What mutations write: the bytes that mean something, and numbers and escapes with an edge.
/// Separated by white space, which comes as well.
const PIECES: &str = r#"
    " \ { } [ ] , : é 😀 {} [] {] [[ }} "" \\ \" null true false "kind": "request": "object": "\n"
    \u0041 \ud83d\ude00 \ud800 \udc00 \u12 \x 0 -0 - 01 1.5 1e 1e999 -1e-999
    9223372036854775808 -9223372036854775808 -9223372036854775809
    18446744073709551615 18446744073709551616
"#;

const BYTES: [&str; 6] = [" ", "\n", "\0", "\t", "\u{1}", "\u{7f}"];

#[derive(Debug, Clone)]
enum Mutation {
    Insert(Index, &'static str),
    Replace(Index, &'static str),
    Delete(Index, usize),
    Repeat(Index, usize),
}

// === impl Mutation ===

impl Mutation {
    fn apply(&self, body: &mut Vec<u8>) {
        let len = body.len();
        match self {
            Self::Insert(at, piece) => {
                let at = at.index(len + 1);
                body.splice(at..at, piece.bytes());
            }
            Self::Replace(at, piece) => {
                let at = at.index(len + 1);
                body.splice(at..len.min(at + piece.len()), piece.bytes());
            }
            Self::Delete(at, count) => {
                let at = at.index(len + 1);
                body.drain(at..len.min(at + count));
            }
            Self::Repeat(at, count) => {
                let at = at.index(len + 1);
                let range: Vec<u8> = body[at..len.min(at + count)].to_vec();
                body.splice(at..at, range);
            }
        }
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PIECES.split_whitespace().chain(BYTES).collect::<Vec<_>>())
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), piece()).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (any::<Index>(), piece()).prop_map(|(at, piece)| Mutation::Replace(at, piece)),
        (any::<Index>(), 1_usize..100).prop_map(|(at, count)| Mutation::Delete(at, count)),
        (any::<Index>(), 1_usize..100).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn agrees_on_mutated_reviews(
        seed in prop::sample::select(seeds()),
        shift in 0_usize..64,
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut body = [" ".repeat(shift).as_bytes(), &seed].concat();
        for mutation in mutations {
            mutation.apply(&mut body);
        }
        check(&body);
    }

    #[test]
    fn agrees_on_sequences_of_pieces(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        check(text.as_bytes());
        check(format!("{{\"skip\":[{text}],\"kind\":{text}}}").as_bytes());
        check(format!("{{\"skip\":[\"{text}\"],\"kind\":\"{text}\"}}").as_bytes());
    }
}
