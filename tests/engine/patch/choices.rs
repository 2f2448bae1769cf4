//! Choices made by bytes: random ones of a property test, or those of a fuzzer. Where they end, every choice is the
//! plainest one, so that fewer and smaller bytes give simpler cases.

use serde_json::{Map, Value};

pub(crate) struct Choices<'b> {
    bytes: &'b [u8],
}

// === impl Choices ===

impl<'b> Choices<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `end`, 0 by default.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(first) % end
    }

    /// True once in so many times, never by default.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of these, the first by default.
    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Leaves the field out, or writes null, or one of these values.
    pub(crate) fn field(&mut self, into: &mut Map<String, Value>, name: &str, values: &[Value]) {
        match self.below(values.len() + 3) {
            0 | 1 => {}
            2 => {
                into.insert(name.to_owned(), Value::Null);
            }
            index => {
                into.insert(name.to_owned(), values[index - 3].clone());
            }
        }
    }

    /// In another order, or in the same by default.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in 0..items.len() {
            let other = at + self.below(items.len() - at);
            items.swap(at, other);
        }
    }
}
