//! Only clients with a certificate of one authority are let in.

use std::{fs, sync::Arc, time::Duration};

use jiff::Timestamp;
use podgate::cluster::certificates::{Pair, Use, new_authority};
use podgate::server::{ClientAuthority, install_crypto_provider};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};

use super::support::{Client, Server, config, eventually};

const DAY: Duration = Duration::from_hours(24);

/// An authority and the file that names it.
struct Authority {
    pair: Pair,
    directory: TempDir,
}

// === impl Authority ===

impl Authority {
    fn new() -> Self {
        let pair = new_authority(Timestamp::now(), DAY).expect("it is made");
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("ca.crt"), &pair.certificate).expect("a file");
        Self { pair, directory }
    }

    fn client(&self, name: &str) -> Pair {
        let signed = self.pair.sign(Use::Client(name), Timestamp::now(), DAY);
        signed.expect("it is signed")
    }

    /// A server that lets in only its clients, and of these only some names.
    async fn server(&self, names: &[&str]) -> Server {
        let mut config = config();
        config.clients = Some(ClientAuthority {
            file: self.directory.path().join("ca.crt"),
            names: names.iter().map(ToString::to_string).collect(),
        });
        Server::with(config).await
    }
}

/// Whether a client with this certificate gets an answer. In TLS 1.3 it learns that it was refused when it reads.
async fn is_let_in(server: &Server, client: Option<&Pair>) -> bool {
    install_crypto_provider();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(server.ca.as_bytes()).flatten());
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(Pair { certificate, key }) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
            )
            .expect("it is a pair"),
    };
    let stream = TcpStream::connect(server.address)
        .await
        .expect("it listens");
    let name = ServerName::try_from("podgate.podgate-system.svc").expect("it is a name");
    let Ok(stream) = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
    else {
        return false;
    };
    let mut client = Client::over(stream).await;
    client.review("{}").await.is_ok_and(|it| it.status == 200)
}

#[tokio::test]
async fn only_clients_of_the_authority_are_let_in_and_podgate_itself() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = ours.server(&[]).await;
    for (client, expected) in [
        (None, false),
        (Some(other.client("kube-apiserver")), false),
        (Some(ours.client("anybody")), true),
    ] {
        assert_eq!(
            is_let_in(&server, client.as_ref()).await,
            expected,
            "{client:?}"
        );
    }
    assert!(server.metric("podgate_handshake_errors_total").await >= 2);
    eventually("the listener is proven", async || {
        let told = server.get("/readyz").await.text;
        told.contains("[+]listener ok: answers on")
    })
    .await;
}

#[tokio::test]
async fn of_these_only_the_names_that_were_given() {
    let ours = Authority::new();
    let server = ours.server(&["kube-apiserver", "other-apiserver"]).await;
    for (name, expected) in [
        ("kube-apiserver", true),
        ("kubelet", false),
        ("other-apiserver", true),
    ] {
        let client = ours.client(name);
        assert_eq!(is_let_in(&server, Some(&client)).await, expected, "{name}");
    }
    // A server's certificate is nobody's pass, whatever its name.
    let names = ["kube-apiserver".to_owned()];
    let signed = ours.pair.sign(Use::Server(&names), Timestamp::now(), DAY);
    assert!(!is_let_in(&server, Some(&signed.expect("it is signed"))).await);
}

#[tokio::test]
async fn another_authority_is_taken_over_while_it_runs_and_a_bad_one_is_not() {
    let (ours, next) = (Authority::new(), Authority::new());
    let (old, new) = (ours.client("old"), next.client("new"));
    let server = ours.server(&[]).await;
    let file = ours.directory.path().join("ca.crt");
    fs::write(&file, "no PEM").expect("a file");
    assert!(is_let_in(&server, Some(&old)).await);
    let both = format!("{}{}", ours.pair.certificate, next.pair.certificate);
    fs::write(&file, both).expect("a file");
    eventually("both are let in", async || {
        is_let_in(&server, Some(&new)).await
    })
    .await;
    assert!(is_let_in(&server, Some(&old)).await);
    fs::write(&file, &next.pair.certificate).expect("a file");
    eventually("the old one is not", async || {
        !is_let_in(&server, Some(&old)).await
    })
    .await;
    assert!(is_let_in(&server, Some(&new)).await);
}
