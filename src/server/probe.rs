//! Proof that the webhook port works: a real TLS request to ourselves, as the last condition of readiness.
//! A bound socket alone proves little; this one goes through accept, handshake and router.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{
            WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
        },
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

use super::{
    certificate::Current,
    readiness::{Condition, Switch},
};

/// For one try; and between tries until one succeeds.
const TRY: Duration = Duration::from_secs(2);

/// Between two proofs.
const AGAIN: Duration = Duration::from_secs(10);

/// Proofs that fail in a row before the listener counts as broken: one may meet a moment of overload.
const FAILURES: u32 = 3;

/// A path that nothing is served at: the answer is known and no review is counted.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const EXPECTED: &[u8] = b"HTTP/1.1 404 ";

/// Accepts exactly one certificate: ours. Which CA signed it does not matter to us, and may not be known here.
#[derive(Debug)]
struct Ours {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Proves it again and again: what worked at the start may have stopped working since.
pub(crate) async fn prove(address: SocketAddr, current: Arc<Current>, proven: Switch) {
    // Nothing is proven yet, so the first failure counts.
    let mut failures = FAILURES;
    loop {
        match timeout(TRY, request(address, &current))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        {
            Ok(()) => {
                failures = 0;
                proven.set(Condition::Ok(format!("answers on {address}")));
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures >= FAILURES {
                    proven.set(Condition::Failed(format!(
                        "a request to {address} failed: {error}"
                    )));
                }
            }
        }
        sleep(if failures == 0 { AGAIN } else { TRY }).await;
    }
}

async fn request(address: SocketAddr, current: &Current) -> io::Result<()> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certificate = current
        .load()
        .ok_or_else(|| io::Error::other("there is no certificate yet"))?;
    let ours = Ours {
        certificate: certificate.leaf().clone(),
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ours));
    let config = match current.clients() {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let (certificate, key) = clients.probe();
            config
                .with_client_auth_cert(vec![certificate], key)
                .map_err(io::Error::other)?
        }
    };
    let stream = TcpStream::connect(reachable(address)).await?;
    let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    stream.write_all(REQUEST).await?;
    stream.flush().await?;
    let mut answer = [0; EXPECTED.len()];
    stream.read_exact(&mut answer).await?;
    if answer == EXPECTED {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// An address to connect to: one that listens everywhere is met on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

// === impl Ours ===

impl ServerCertVerifier for Ours {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General(
                "somebody else answers there, with another certificate".into(),
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
