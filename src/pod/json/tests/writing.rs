//! What is written is what `serde_json` writes.

use proptest::prelude::*;

use crate::pod::json::write_string;

#[track_caller]
fn check(text: &str) {
    let mut out = Vec::new();
    write_string(&mut out, text);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        serde_json::to_string(text).unwrap()
    );
}

#[test]
fn every_byte_that_needs_an_escape_gets_the_one_that_serde_json_writes() {
    for byte in 0..=0x7f_u8 {
        let special = char::from(byte);
        check(&special.to_string());
        for before in [0, 1, 15, 16, 17, 31] {
            check(&format!(
                "{}{special}{special}é{}",
                "x".repeat(before),
                "y".repeat(before)
            ));
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_written_as_serde_json_writes_it(text in r#"([\PC\x00-\x1f"\\]|[a-z]{1,20}){0,40}"#) {
        check(&text);
    }
}
