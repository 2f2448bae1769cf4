//! Wanted values mean what they mean to `serde_json`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use super::differential::{Review, check};
use super::json::{self, Code, MAX_DEPTH};

const NUMBERS: &str = "
    0 -0 1 -1 00 01 -01 -00 +1 - .5 1. 1.5 -1.5 1e 1e5 1E+5 1e-5 1e+ 0e0 0.0 -0.0 1e308 1e309 -1e309
    1e-999 0e999 127 128 -128 -129 255 256 4294967295 4294967296 9223372036854775807
    9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615
    18446744073709551616 123456789012345678901234567890 1x 0x10 NaN Infinity 1_000 --1 1..2 1e5.5
";

const STRINGS: &str = r#"
    a é😀 \n\t\r\b\f\/\\ \" \u0041 \u00e9 \u00E9 \ud83d\ude00 \ud800 \udc00 \ud800\ud800 \ud800x
    \ud800\n \ud800\u \ud83d\ude0 \u \u12 \u123 \u123g \u+123 \uÿÿ \u0000 \u004 \x \é \ \\ \\\ \\\\
    a\\u00 { ]}
"#;

const RAW_STRINGS: [&str; 7] = ["", " ", "\0", "\u{1f}", "\u{7f}", "\n", "\\\n"];

/// Nothing is skipped: both ways of ours must come to the same as `serde_json`.
fn agrees<T: DeserializeOwned + PartialEq + Debug>(body: &str) {
    let reference = serde_json::from_str::<T>(body).ok();
    assert_eq!(json::from_str::<T>(body).ok(), reference, "{body}");
    assert_eq!(
        json::from_slice_strict::<T>(body.as_bytes()).ok(),
        reference,
        "{body}"
    );
}

#[test]
fn numbers() {
    for number in NUMBERS.split_whitespace() {
        agrees::<Value>(number);
        agrees::<u8>(number);
        agrees::<i8>(number);
        agrees::<u64>(number);
        agrees::<i64>(number);
        agrees::<f64>(number);
        agrees::<Option<u32>>(number);
        agrees::<Vec<Value>>(&format!("[{number}]"));
        check(format!("{{\"skipped\":{number}}}").as_bytes());
        check(format!("{{\"skipped\":[{number},1]}}").as_bytes());
    }
    let zero = json::from_str::<f64>("-0").unwrap();
    assert!(zero == 0.0 && zero.is_sign_negative());
}

#[test]
fn strings() {
    for inside in STRINGS.split_whitespace().chain(RAW_STRINGS) {
        let string = format!("\"{inside}\"");
        agrees::<Value>(&string);
        agrees::<String>(&string);
        agrees::<char>(&string);
        agrees::<BTreeMap<String, Value>>(&format!("{{{string}:{string}}}"));
        check(string.as_bytes());
        check(format!("{{{string}:[{string}]}}").as_bytes());
        check(format!("{{\"kind\":{string},\"skipped\":{{\"x\":[{string}]}}}}").as_bytes());
    }
}

#[test]
fn types() {
    let values = r#"
        null true 0 "A" [] [1,"x"] [1,2,3] {} {"A":null} {"A":1} {"1":2} "Unbounded" {"Included":1}
        {"Ok":1} {"Ok":1,"Err":true} {"Err":true {"Err"} {1:2} "127.0.0.1" [1,] [,1] {"A":1,}
    "#;
    for value in values.split_whitespace() {
        agrees::<bool>(value);
        agrees::<()>(value);
        agrees::<String>(value);
        agrees::<Option<String>>(value);
        agrees::<Option<Option<bool>>>(value);
        agrees::<(u8, String)>(value);
        agrees::<Vec<Value>>(value);
        agrees::<BTreeMap<String, Option<u8>>>(value);
        agrees::<Result<u8, bool>>(value);
        agrees::<Bound<u8>>(value);
        agrees::<std::net::IpAddr>(value);
        check(value.as_bytes());
    }
}

#[test]
fn nesting_is_limited_exactly_and_everywhere() {
    fn accepts<T: DeserializeOwned>(body: &str) -> bool {
        let ours = [
            json::from_str::<T>(body),
            json::from_slice_strict::<T>(body.as_bytes()),
        ];
        let [local, strict] = ours.map(|result| match result {
            Ok(_) => true,
            Err(error) => {
                assert_eq!((error.code(), error.offset()), (Code::Depth, MAX_DEPTH));
                assert_eq!(error.to_string(), "nesting deeper than 127");
                false
            }
        });
        assert_eq!(local, strict);
        local
    }
    for depth in [1, 63, 64, 65, 126, 127, 128, 129, 192, 5000] {
        let list = ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(accepts::<Value>(&list), depth <= MAX_DEPTH);
        assert_eq!(accepts::<IgnoredAny>(&list), depth <= MAX_DEPTH);
        assert_eq!(accepts::<Box<RawValue>>(&list), depth <= MAX_DEPTH);
        check(list.as_bytes());
        check(
            ["{\"a\":".repeat(depth), "1".into(), "}".repeat(depth)]
                .concat()
                .as_bytes(),
        );

        let skipped = format!("{{\"skip\":{list},\"kind\":null}}");
        assert_eq!(
            json::from_str::<Review<'_>>(&skipped).is_ok(),
            depth < MAX_DEPTH
        );
        let siblings = format!("[{list},{list}]");
        assert_eq!(
            json::from_str::<IgnoredAny>(&siblings).is_ok(),
            depth < MAX_DEPTH
        );
    }
    assert!(accepts::<IgnoredAny>(&format!(
        "[{}]",
        vec!["[[]]"; 500].join(",")
    )));
}

#[test]
fn bad_utf8_is_refused_wherever_it_stands() {
    let bad = b"\xff \xc3 \xe2\x82 \xf0\x9f\x98 \x80 \xc0\xaf \xed\xa0\x80 \xf5\x80\x80\x80";
    for bytes in bad.split(|byte| *byte == b' ') {
        for shift in 0..70 {
            let before = format!("{{\"skip\":\"{}", "x".repeat(shift));
            let body = [before.as_bytes(), bytes, b"\"}"].concat();
            let error = json::from_slice::<Review<'_>>(&body).unwrap_err();
            assert_eq!((error.code(), error.offset()), (Code::Utf8, before.len()));
            assert_eq!(error.to_string(), "invalid UTF-8");
            check(&body);
        }
    }
}
