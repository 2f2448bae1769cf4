//! File names as URI references, as RFC 3986 has them.

/// Standard input and the like have names that no file has; brackets are nothing that a path should be resolved with.
const NO_FILE: [char; 2] = ['<', '>'];

/// A relative reference for a relative name, a `file:` URI for an absolute one.
pub(super) fn of_file(name: &str) -> String {
    if let Some(inside) = name
        .strip_prefix(NO_FILE[0])
        .and_then(|it| it.strip_suffix(NO_FILE[1]))
    {
        return encoded(inside);
    }
    let mut relative = name;
    while let Some(rest) = relative.strip_prefix("./") {
        relative = rest.trim_start_matches('/');
    }
    match relative.strip_prefix('/') {
        Some(rest) => format!("file:///{}", encoded(rest.trim_start_matches('/'))),
        None => encoded(relative),
    }
}

fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        // A colon in the first segment would be read as the end of a scheme.
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_reference_that_leads_back_to_it() {
        for (name, expected) in [
            ("deploy/a b.yaml", "deploy/a%20b.yaml"),
            ("./deploy//a.yaml", "deploy//a.yaml"),
            ("././/a.yaml", "a.yaml"),
            ("../a.yaml", "../a.yaml"),
            ("/tmp/é.yaml", "file:///tmp/%C3%A9.yaml"),
            ("//tmp/a", "file:///tmp/a"),
            ("http://x/y?z#1", "http%3A//x/y%3Fz%231"),
            ("100%.yaml", "100%25.yaml"),
            ("a\\b\n.yaml", "a%5Cb%0A.yaml"),
            ("<stdin>", "stdin"),
            ("<a>.yaml", "%3Ca%3E.yaml"),
        ] {
            assert_eq!(of_file(name), expected, "{name:?}");
        }
    }
}
