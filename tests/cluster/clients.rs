//! Only the API server gets in: with what `podgate api-server-config` writes, and nobody without it.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::Arc,
};

use podgate::server::install_crypto_provider;
use serde_json::{Value, json};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

use super::harness::{Cluster, Gate, GateBuilder, Namespace, await_until, cluster};

const NAME: &str = "kube-apiserver";

const POLICY: &str = "
apiVersion: podgate.dev/v1alpha1
kind: PodPolicy
metadata: {name: strict}
spec: {mode: enforce, controls: {privileged: {}}, inject: {allowPrivilegeEscalation: false}}
";

/// Runs `podgate api-server-config` and returns what it said.
#[track_caller]
fn write_config(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_podgate"))
        .arg("api-server-config")
        .arg(directory)
        .args(arguments)
        .output()
        .expect("podgate starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

/// A gate that lets in [`NAME`] alone, of the authority in this directory.
fn guarded<'c>(cluster: &'c Cluster, directory: &Path) -> GateBuilder<'c> {
    let authority = directory.join("client-ca.crt");
    let authority = authority.to_str().expect("it is text");
    cluster
        .gate("clients")
        .policy("strict.yaml", POLICY)
        .arguments(&["--client-ca", authority, "--client-name", NAME])
}

fn pod(name: &str, is_privileged: bool) -> String {
    let container = json!({
        "name": "app", "image": "registry.example/app:1", "securityContext": {"privileged": is_privileged},
    });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]},
    })
    .to_string()
}

/// The gate injects into a good Pod, and rejects a bad one.
#[track_caller]
fn expect_judged(namespace: &Namespace, name: &str) {
    namespace.create_from(&pod(name, false)).expect_success();
    let stored: Value = namespace.get_json("pod", name);
    let context = &stored["spec"]["containers"][0]["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    namespace
        .create_from(&pod("privileged", true))
        .expect_failure()
        .expect_stderr("breaks policy \"strict\"");
}

/// Sends the gate a request past the API server; what it answers.
fn call(cluster: &Cluster, gate: &Gate<'_>, identity: Option<&Path>) -> io::Result<String> {
    install_crypto_provider();
    let mut roots = RootCertStore::empty();
    let trusted = cluster.authority();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(trusted.as_bytes()).flatten());
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(file) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(file).expect("a certificate")],
                PrivateKeyDer::from_pem_file(file).expect("a key"),
            )
            .expect("they belong together"),
    };
    let name = ServerName::try_from("localhost").expect("it is a name");
    let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, gate.port()))?;
    let mut stream = StreamOwned::new(client, server);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn an_api_server_with_the_configuration_gets_in_and_takes_a_renewed_certificate_while_it_runs() {
    // Where there is no control plane, this says so.
    if cluster().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // Held until the gate takes it: the API server has to know it when it starts.
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    let number = port.to_string();
    let configure = |name: &str| {
        let arguments = [
            "--namespace",
            "podgate-system",
            "--port",
            &number,
            "--name",
            name,
        ];
        write_config(directory, &arguments)
    };
    let told = configure(NAME);
    let file = directory.join("admission.yaml");
    let flag = format!("--admission-control-config-file={}", file.display());
    assert!(told.contains(&flag), "{told}");
    let authority = fs::read(directory.join("client-ca.crt")).unwrap();
    let cluster = Cluster::start_with(&[&flag]).unwrap();
    drop(held);

    let gate = guarded(&cluster, directory).judging_everything().port(port);
    let mut gate = gate.start();
    let namespace = gate.namespace("clients");
    expect_judged(&namespace, "first");

    let refused = call(&cluster, &gate, None).unwrap_err();
    assert!(
        refused.to_string().contains("CertificateRequired"),
        "{refused}"
    );
    // Not because nobody is let in.
    let identity = directory.join("client.pem");
    let answer = call(&cluster, &gate, Some(&identity)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");

    // Under a name that is not let in, the other certificate is seen at the first new connection.
    configure("another");
    expect_judged(&namespace, "on-the-old-connection");
    gate.stop();
    gate.start();
    namespace
        .create_from(&pod("renewed", false))
        .expect_failure()
        .expect_stderr("failed calling webhook");
    configure(NAME);
    await_until("the API server is let in again", || {
        namespace.create_from(&pod("renewed", false)).succeeded()
    });
    expect_judged(&namespace, "renewed-again");
    assert_eq!(
        fs::read(directory.join("client-ca.crt")).unwrap(),
        authority
    );
}

#[test]
fn an_api_server_without_the_configuration_is_refused_and_hears_why() {
    let Some(cluster) = cluster() else { return };
    let directory = tempfile::tempdir().unwrap();
    write_config(directory.path(), &[]);
    let gate = guarded(cluster, directory.path()).start();
    let namespace = gate.namespace("clients");

    namespace
        .create_from(&pod("refused", false))
        .expect_failure()
        .expect_stderr("failed calling webhook")
        .expect_stderr("remote error: tls: certificate required");
}
