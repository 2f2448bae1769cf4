//! One TLS implementation with one provider in the whole tree: rustls with aws-lc-rs.

/// Every package that was ever resolved, for any platform, with what it depends on.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The name of each package and those of its dependencies.
fn packages() -> Vec<(&'static str, Vec<&'static str>)> {
    let name = |line: &'static str| line.split('"').nth(1).and_then(|it| it.split(' ').next());
    let package = |text: &'static str| {
        let own = text.lines().find(|line| line.starts_with("name = "))?;
        let dependencies = text.lines().filter(|line| line.starts_with(" \""));
        Some((name(own)?, dependencies.filter_map(name).collect()))
    };
    LOCK.split("[[package]]").filter_map(package).collect()
}

/// Those that depend on `name`, if it is there at all.
fn dependents(name: &str) -> Vec<&'static str> {
    let packages = packages();
    let dependents = packages.iter().filter(|(_, needs)| needs.contains(&name));
    dependents.map(|(dependent, _)| *dependent).collect()
}

#[test]
fn nothing_of_openssl_is_in_the_tree() {
    let names: Vec<_> = packages().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 200 && names.contains(&"rustls"), "{names:?}");
    let of_openssl =
        |name: &str| name.contains("openssl") || name.contains("boring") || name == "native-tls";
    let found: Vec<_> = names.into_iter().filter(|it| of_openssl(it)).collect();
    // It knows where systems keep their certificates, in Rust, and links nothing.
    assert_eq!(found, ["openssl-probe"]);
}

#[test]
fn aws_lc_rs_is_the_only_provider() {
    assert!(dependents("aws-lc-rs").contains(&"rustls"));
    // The lock file names ring for `ring?/alloc`, a feature that says: if somebody else asks for ring. Who did would
    // stand here.
    assert_eq!(dependents("ring"), ["rustls-webpki"]);
    for other in [
        "graviola",
        "rustls-graviola",
        "rustls-rustcrypto",
        "mbedtls",
    ] {
        assert_eq!(dependents(other), [""; 0], "{other}");
    }
}
