//! One Pod of podgate: what it says of itself, through the API server's proxy, and which certificate it presents,
//! through a forwarded port.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::{ContainerState, Pod, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Api, ResourceExt as _, client::Body};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{Inspector, Reach};
use crate::cluster::snapshot::{Fact, Replica, Snapshot, Unread};
use crate::cluster::{segment, with_causes};

/// Where the shipped Deployment has them, for a Pod that does not say.
const WEBHOOK_PORT: u16 = 8443;
const ADMIN_PORT: u16 = 8444;

/// Takes every certificate: what it is worth is judged elsewhere. Nothing is sent over such a connection.
#[derive(Debug)]
struct TakeEveryCertificate(Arc<CryptoProvider>);

// === impl Inspector ===

impl Inspector {
    pub(super) async fn replica(
        &self,
        api: &Api<Pod>,
        pod: Pod,
        service: Option<&ServiceSpec>,
        snapshot: &Snapshot,
        reach: Reach,
    ) -> Replica {
        let why_not = if is_running(&pod) {
            None
        } else {
            Some("it does not run")
        };
        let left_out = |asked: bool| match why_not {
            _ if !asked => Some(Unread::Impossible("it was not to be looked at".to_owned())),
            Some(why) => Some(Unread::Impossible(why.to_owned())),
            None => None,
        };
        let (readiness, metrics) = if let Some(why) = left_out(reach.health) {
            (Err(why.clone()), Err(why))
        } else {
            tokio::join!(
                self.admin(&pod, "readyz?verbose"),
                self.admin(&pod, "metrics")
            )
        };
        let certificates = match left_out(reach.certificates) {
            Some(why) => Err(why),
            None => self.certificates(api, &pod, service, snapshot).await,
        };
        Replica {
            pod,
            readiness,
            metrics,
            certificates,
        }
    }

    /// What the Pod answers on its second port. Not being ready is an answer too.
    async fn admin(&self, pod: &Pod, path: &str) -> Fact<String> {
        let namespace = pod.namespace().unwrap_or_default();
        let port = named_port(pod, "admin").unwrap_or(ADMIN_PORT);
        let uri = format!(
            "/api/v1/namespaces/{}/pods/http:{}:{port}/proxy/{path}",
            segment(&namespace),
            segment(&pod.name_any())
        );
        let request = http::Request::get(uri)
            .body(Body::empty())
            .map_err(|error| Unread::Failed(error.to_string()))?;
        let asked = async {
            let answer = self
                .client
                .send(request)
                .await
                .map_err(|it| with_causes(&it))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|it| with_causes(&it))?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok::<_, String>((head.status, text))
        };
        let (status, text) = timeout(self.limit, asked)
            .await
            .map_err(|_| Unread::TimedOut(self.limit))?
            .map_err(Unread::Failed)?;
        // What is not podgate's answer is a Status of the API server's.
        let from_api_server = serde_json::from_str::<kube::core::Status>(&text);
        match (status.as_u16(), from_api_server) {
            (403, _) => Err(Unread::Forbidden(format!("get pods/proxy in {namespace}"))),
            (_, Ok(it)) if !status.is_success() => Err(Unread::Failed(it.message)),
            _ => Ok(text),
        }
    }

    async fn certificates(
        &self,
        api: &Api<Pod>,
        pod: &Pod,
        service: Option<&ServiceSpec>,
        snapshot: &Snapshot,
    ) -> Fact<Vec<CertificateDer<'static>>> {
        // A refused upgrade of a connection does not say why.
        let forbidden = snapshot
            .own_rights
            .iter()
            .find(|(right, may)| right.resource == "pods/portforward" && matches!(may, Ok(false)));
        if let Some((right, _)) = forbidden {
            return Err(Unread::Forbidden(right.to_string()));
        }
        let port = webhook_port(pod, service);
        let names = &snapshot.names;
        let name = format!("{}.{}.svc", names.service, names.namespace);
        let seen = async {
            let mut forwarder =
                api.portforward(&pod.name_any(), &[port])
                    .await
                    .map_err(|error| {
                        format!("its port cannot be forwarded: {}", with_causes(&error))
                    })?;
            let failed = forwarder.take_error(port);
            let Some(stream) = forwarder.take_stream(port) else {
                return Err("its port cannot be forwarded".to_owned());
            };
            match presented(stream, &name).await {
                Ok(certificates) => Ok(certificates),
                Err(error) => {
                    forwarder.abort();
                    let why = match failed {
                        Some(failed) => failed.await,
                        None => None,
                    };
                    Err(why.unwrap_or(error))
                }
            }
        };
        timeout(self.limit, seen)
            .await
            .map_err(|_| Unread::TimedOut(self.limit))?
            .map_err(Unread::Failed)
    }
}

/// A Pod whose container crashes again and again is `Running` too, and nobody listens there.
fn is_running(pod: &Pod) -> bool {
    let Some(status) = &pod.status else {
        return false;
    };
    let mut containers = status.container_statuses.iter().flatten();
    let is_down = |it: &ContainerState| it.waiting.is_some() || it.terminated.is_some();
    status.phase.as_deref() == Some("Running")
        && !containers.any(|it| it.state.as_ref().is_some_and(is_down))
}

/// The certificates that a server presents to whoever asks for that name.
async fn presented<S>(stream: S, name: &str) -> Result<Vec<CertificateDer<'static>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakeEveryCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| format!("no TLS handshake: {}", with_causes(&error)))?;
    let certificates = stream.get_ref().1.peer_certificates();
    Ok(certificates.unwrap_or_default().to_vec())
}

/// The port of a container of that name.
fn named_port(pod: &Pod, name: &str) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|it| &it.containers);
    let mut ports = containers.flat_map(|it| it.ports.iter().flatten());
    let port = ports.find(|it| it.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

/// Where a call to the Service ends up.
fn webhook_port(pod: &Pod, service: Option<&ServiceSpec>) -> u16 {
    let port = service.and_then(|it| it.ports.as_ref()?.first());
    let target = port.and_then(|it| it.target_port.clone());
    let found = match target {
        Some(IntOrString::Int(number)) => u16::try_from(number).ok(),
        Some(IntOrString::String(name)) => named_port(pod, &name),
        None => None,
    };
    found
        .or_else(|| named_port(pod, "webhook"))
        .unwrap_or(WEBHOOK_PORT)
}

// === impl TakeEveryCertificate ===

impl ServerCertVerifier for TakeEveryCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http::{Request, Response};
    use kube::Client;
    use serde_json::json;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "podgate-1", "namespace": "podgate-system"},
            "spec": {"containers": [{"name": "podgate", "ports": [
                {"name": "webhook", "containerPort": 9443}, {"name": "admin", "containerPort": 9444},
            ]}]},
        }))
        .unwrap()
    }

    /// What is read of a Pod's second port when the API server answers like this.
    async fn read(status: u16, body: &'static str) -> Fact<String> {
        let service = tower::service_fn(move |request: Request<Body>| async move {
            let path = request.uri().path();
            let proxy =
                "/api/v1/namespaces/podgate%2Dsystem/pods/http:podgate%2D1:9444/proxy/readyz";
            assert_eq!(path.replace('-', "%2D"), proxy.replace('-', "%2D"));
            let body = Body::from(body.as_bytes().to_vec());
            Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
        });
        let inspector = Inspector {
            client: Client::new(service, "default"),
            limit: Duration::from_secs(5),
        };
        inspector.admin(&pod(), "readyz?verbose").await
    }

    #[tokio::test]
    async fn an_unready_replica_answers_and_an_api_server_that_does_not_reach_it_is_told_apart() {
        let unready = "[-]policies failed: none\nreadyz check failed\n";
        assert_eq!(read(503, unready).await, Ok(unready.to_owned()));
        let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"address not allowed","reason":"BadRequest","code":400}"#;
        let failed = Unread::Failed("address not allowed".to_owned());
        assert_eq!(read(400, status).await, Err(failed));
        let forbidden = Unread::Forbidden("get pods/proxy in podgate-system".to_owned());
        assert_eq!(read(403, status).await, Err(forbidden));
    }

    #[tokio::test]
    async fn any_certificate_is_taken_and_a_peer_without_tls_is_an_error() {
        let pair =
            rcgen::generate_simple_self_signed(vec!["elsewhere.example".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (seen, _) = tokio::join!(
            presented(ours, "podgate.podgate-system.svc"),
            acceptor.accept(theirs)
        );
        assert_eq!(seen, Ok(vec![pair.cert.der().clone()]));

        let (ours, theirs) = tokio::io::duplex(1024);
        drop(theirs);
        let error = presented(ours, "podgate.podgate-system.svc")
            .await
            .unwrap_err();
        assert!(error.starts_with("no TLS handshake: "), "{error}");
    }

    #[tokio::test]
    async fn a_certificate_is_seen_where_only_clients_with_one_of_their_own_are_let_in() {
        let pair = rcgen::generate_simple_self_signed(vec!["podgate".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(pair.cert.der().clone()).unwrap();
        let strict = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider.clone(),
        );
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(strict.build().unwrap())
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (seen, let_in) = tokio::join!(
            presented(ours, "podgate.podgate-system.svc"),
            acceptor.accept(theirs)
        );
        assert_eq!(seen, Ok(vec![pair.cert.der().clone()]));
        assert!(let_in.is_err());
    }

    #[test]
    fn a_pod_runs_only_while_all_its_containers_do() {
        let is_running = |phase: &str, states: &[serde_json::Value]| {
            let mut of = pod();
            let statuses = states.iter().map(|state| {
                json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 1, "state": state})
            });
            let statuses: Vec<_> = statuses.collect();
            let status = json!({"phase": phase, "containerStatuses": statuses});
            of.status = Some(serde_json::from_value(status).unwrap());
            is_running(&of)
        };
        let running = json!({"running": {}});
        assert!(is_running("Running", &[]));
        assert!(is_running("Running", std::slice::from_ref(&running)));
        assert!(!is_running("Pending", std::slice::from_ref(&running)));
        for down in [
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            json!({"terminated": {"exitCode": 1}}),
        ] {
            assert!(!is_running("Running", &[running.clone(), down]));
        }
    }

    #[test]
    fn the_port_is_the_one_that_the_service_leads_to() {
        let spec = |port: serde_json::Value| -> ServiceSpec {
            serde_json::from_value(json!({"ports": [{"port": 443, "targetPort": port}]})).unwrap()
        };
        assert_eq!(webhook_port(&pod(), Some(&spec(json!("webhook")))), 9443);
        assert_eq!(webhook_port(&pod(), Some(&spec(json!(7000)))), 7000);
        assert_eq!(webhook_port(&pod(), None), 9443);
        assert_eq!(webhook_port(&Pod::default(), None), WEBHOOK_PORT);
    }
}
