#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod differential;
mod errors;
mod property;
mod skipping;
mod values;
mod writing;

use std::path::Path;

use crate::pod::json;

/// The reviews that a real API server sent.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reviews");
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}
