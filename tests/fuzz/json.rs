//! The JSON decoder against `serde_json`, by the same check as the property tests.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podgate::pod::json;

#[path = "../../src/pod/json/tests/differential.rs"]
mod differential;

fuzz_target!(|body: &[u8]| differential::check(body));
