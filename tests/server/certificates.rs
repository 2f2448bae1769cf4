//! Certificates from files, replaced while the server runs.

use std::{fs, path::Path, time::Duration};

use podgate::server::{CertificateSource, Generated, ServeError};
use tempfile::TempDir;

use super::support::{Server, config, eventually, kubelet_swap, tls};

fn generate() -> Generated {
    Generated::new(&["podgate.podgate-system.svc".into()]).expect("a certificate can be generated")
}

fn mounted(generation: &str, pair: &Generated, mount: &Path) {
    kubelet_swap(
        mount,
        generation,
        &[("tls.crt", &pair.certificate), ("tls.key", &pair.key)],
    );
}

async fn serving_from(mount: &Path) -> Server {
    let mut config = config();
    config.certificate = CertificateSource::Files {
        certificate: mount.join("tls.crt"),
        key: mount.join("tls.key"),
    };
    Server::with(config).await
}

async fn is_served(server: &Server, pair: &Generated) -> bool {
    tls(server.address, &pair.ca).await.is_ok()
}

async fn reloads(server: &Server, result: &str) -> i64 {
    server
        .metric(&format!(
            "podgate_certificate_reload_total{{result=\"{result}\"}}"
        ))
        .await
}

#[tokio::test]
async fn three_swaps_by_kubelet_are_all_picked_up() {
    let mount = TempDir::new().expect("a directory");
    let mut pair = generate();
    mounted("0", &pair, mount.path());
    let server = serving_from(mount.path()).await;
    assert!(is_served(&server, &pair).await);
    for generation in ["1", "2", "3"] {
        let next = generate();
        mounted(generation, &next, mount.path());
        eventually("the new certificate is served", async || {
            is_served(&server, &next).await
        })
        .await;
        assert!(!is_served(&server, &pair).await, "the old one is not");
        pair = next;
    }
    assert!(reloads(&server, "ok").await >= 3);
}

#[tokio::test]
async fn a_bad_pair_keeps_the_old_one_and_is_counted() {
    let mount = TempDir::new().expect("a directory");
    let (good, next) = (generate(), generate());
    let (certificate, key) = (mount.path().join("tls.crt"), mount.path().join("tls.key"));
    fs::write(&certificate, &good.certificate).expect("a file");
    fs::write(&key, &good.key).expect("a file");
    let server = serving_from(mount.path()).await;

    let half = &next.certificate[..next.certificate.len() / 2];
    for (at_least, bad) in [(1, half), (2, ""), (3, &next.certificate)] {
        fs::write(&certificate, bad).expect("a file");
        eventually("it is refused", async || {
            reloads(&server, "error").await >= at_least
        })
        .await;
        assert!(is_served(&server, &good).await);
    }
    fs::remove_file(&key).expect("it goes");
    eventually("the missing key is noticed", async || {
        reloads(&server, "error").await >= 4
    })
    .await;
    assert!(is_served(&server, &good).await);

    fs::write(&key, &next.key).expect("a file");
    eventually("the pair is complete and served", async || {
        is_served(&server, &next).await
    })
    .await;
}

#[tokio::test]
async fn a_chain_is_served_as_a_whole() {
    let mount = TempDir::new().expect("a directory");
    let pair = generate();
    let chain = format!("{}{}", pair.certificate, pair.ca);
    kubelet_swap(
        mount.path(),
        "0",
        &[("tls.crt", &chain), ("tls.key", &pair.key)],
    );
    let server = serving_from(mount.path()).await;
    let stream = tls(server.address, &pair.ca)
        .await
        .expect("the handshake succeeds");
    assert_eq!(
        stream.get_ref().1.peer_certificates().map(<[_]>::len),
        Some(2)
    );
}

#[tokio::test]
async fn an_open_connection_outlives_the_certificate_it_began_with() {
    let mount = TempDir::new().expect("a directory");
    let (old, new) = (generate(), generate());
    mounted("0", &old, mount.path());
    let mut server = serving_from(mount.path()).await;
    server.ca.clone_from(&old.ca);
    let mut client = server.connect().await;
    mounted("1", &new, mount.path());
    eventually("the new certificate is served", async || {
        is_served(&server, &new).await
    })
    .await;
    assert_eq!(client.review("{}").await.expect("it answers").status, 200);
}

#[tokio::test]
async fn an_expired_certificate_is_never_ready() {
    let mount = TempDir::new().expect("a directory");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params =
        rcgen::CertificateParams::new(["podgate.podgate-system.svc".into()]).expect("parameters");
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    kubelet_swap(
        mount.path(),
        "0",
        &[("tls.crt", &certificate), ("tls.key", &key.serialize_pem())],
    );
    let server = serving_from(mount.path()).await;
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready
            .text
            .contains("[-]certificate failed: the certificate expired on Jan  1 00:00:00 2020"),
        "{}",
        ready.text
    );
    assert_eq!(
        server.metric("podgate_certificate_not_after_seconds").await,
        1_577_836_800
    );

    let good = generate();
    mounted("1", &good, mount.path());
    eventually("the renewed one is served", async || {
        is_served(&server, &good).await
    })
    .await;
    assert!(
        server
            .get("/readyz")
            .await
            .text
            .contains("[+]certificate ok: valid until ")
    );
}

#[tokio::test]
async fn a_pair_that_cannot_be_used_is_told_at_the_start() {
    let mount = TempDir::new().expect("a directory");
    let (one, other) = (generate(), generate());
    for (key, expected) in [
        (
            Some(&other.key),
            "cannot serve with this certificate: the key does not belong to the certificate",
        ),
        (None, "cannot serve with this certificate: cannot read \""),
    ] {
        let (certificate_file, key_file) = (mount.path().join("a.crt"), mount.path().join("a.key"));
        fs::write(&certificate_file, &one.certificate).expect("a file");
        match key {
            Some(key) => fs::write(&key_file, key).expect("a file"),
            None => fs::remove_file(&key_file).expect("it goes"),
        }
        let mut config = config();
        config.certificate = CertificateSource::Files {
            certificate: certificate_file,
            key: key_file,
        };
        config.timeouts.certificate_poll = Duration::from_mins(1);
        let error = start_fails(config).await;
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

async fn start_fails(config: podgate::server::Config) -> ServeError {
    use podgate::server::{Health, Shutdown, serve};
    let stub = std::sync::Arc::new(super::stub::Stub::default());
    serve(config, stub, Health::default(), Shutdown::default())
        .await
        .expect_err("it cannot start")
}
