//! Lists as a person reads them: `a, b or c`, and never more than eight of them.

use std::fmt::Display;

const MOST: usize = 8;

/// `a`, `a or b`, `a, b or c`; from the ninth on only `and n more`.
pub(super) fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|it| it.to_string()).collect();
    match items.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] if items.len() <= MOST => format!("{} or {last}", first.join(", ")),
        all => format!("{} and {} more", all[..MOST].join(", "), all.len() - MOST),
    }
}

/// The same with every item in quotes, as a person writes a string.
pub(super) fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    listed(items.into_iter().map(|it| format!("{:?}", it.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::{listed, quoted};

    #[test]
    fn says_no_more_than_eight() {
        assert_eq!(quoted::<&str>([]), "nothing");
        assert_eq!(quoted(["a"]), r#""a""#);
        assert_eq!(listed(["a", "b", "c"]), "a, b or c");
        assert_eq!(listed(1..=8), "1, 2, 3, 4, 5, 6, 7 or 8");
        assert_eq!(listed(1..=10), "1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
    }
}
