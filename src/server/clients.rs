//! Who may connect to the webhook, where that is restricted: clients with a certificate of one authority, and of these
//! perhaps only some names. The API server shows one if it is configured to; nobody else in the cluster has one.
//!
//! The authority is read again when its file changes, as certificates are; a bad file keeps the old one.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_rustls::rustls::{
    self, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem, pem::PemObject as _},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use tracing::{info, warn};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use crate::cluster::certificates::{Pair, PairError, Use, new_authority};

/// Longer than any process lives.
const PROBE_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// Which clients are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthority {
    /// PEM file with the certificates of those who sign clients' certificates.
    pub file: PathBuf,
    /// Common names or DNS names; empty means every certificate that they signed.
    pub names: Vec<String>,
}

/// Why clients cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// The file could not be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not PEM.
    #[error("{path:?} is not PEM: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The file has no certificate in it, or one that can sign nothing.
    #[error("{path:?} names no authority for clients: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The identity with which podgate tries its own listener could not be made.
    #[error("cannot make a certificate for podgate's own requests: {0}")]
    Probe(#[from] PairError),
}

/// Decides about each client's certificate.
pub(crate) struct Clients {
    authority: ArcSwap<Verifier>,
    names: Vec<String>,
    /// podgate tries its own listener with this.
    probe: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

/// Decides by the authority alone.
type Verifier = Arc<dyn ClientCertVerifier>;

/// The file and what was last read from it.
pub(crate) struct Followed {
    path: PathBuf,
    seen: io::Result<Vec<u8>>,
}

// === impl Clients ===

impl Clients {
    /// Reads the authority; the second is for [`Clients::follow`].
    pub(crate) fn load(
        ClientAuthority { file, names }: ClientAuthority,
    ) -> Result<(Arc<Self>, Followed), ClientsError> {
        let read = fs::read(&file).map_err(|source| ClientsError::Read {
            path: file.clone(),
            source,
        })?;
        let clients = Self {
            authority: ArcSwap::from_pointee(verifier(&file, &read)?),
            names,
            probe: probe_identity()?,
        };
        let followed = Followed {
            path: file,
            seen: Ok(read),
        };
        Ok((Arc::new(clients), followed))
    }

    /// The certificate and the key with which podgate's own requests are let in.
    pub(crate) fn probe(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        (self.probe.0.clone(), self.probe.1.clone_key())
    }

    /// Looks at the file for ever, and takes what changed if it is good.
    pub(crate) async fn follow(self: Arc<Self>, mut followed: Followed, every: Duration) {
        loop {
            sleep(every).await;
            // A blocking task that panics or is cancelled only happens while the runtime ends.
            let Ok((looked, changed)) = spawn_blocking(move || followed.look()).await else {
                return;
            };
            followed = looked;
            match changed {
                None => {}
                Some(Ok(verifier)) => {
                    info!(file = ?followed.path, "authority for clients reloaded");
                    self.authority.store(Arc::new(verifier));
                }
                Some(Err(error)) => {
                    warn!(%error, "changed authority for clients refused, the old one stays");
                }
            }
        }
    }

    /// Whether one of the names that are let in is this client's.
    fn is_named(&self, client: &CertificateDer<'_>) -> bool {
        if self.names.is_empty() {
            return true;
        }
        let Ok((_, client)) = parse_x509_certificate(client) else {
            return false;
        };
        let is_one = |name: &str| self.names.iter().any(|it| it == name);
        let common = client
            .subject()
            .iter_common_name()
            .filter_map(|it| it.as_str().ok())
            .any(is_one);
        let alternative = client.subject_alternative_name().ok().flatten();
        common
            || alternative.is_some_and(|it| {
                let mut names = it.value.general_names.iter();
                names.any(|it| matches!(it, GeneralName::DNSName(name) if is_one(name)))
            })
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Hints would have to outlive a reload, and who has one certificate needs none.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if *end_entity == self.probe.0 {
            return Ok(ClientCertVerified::assertion());
        }
        let verified = self
            .authority
            .load()
            .verify_client_cert(end_entity, intermediates, now)?;
        if self.is_named(end_entity) {
            Ok(verified)
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let authority = self.authority.load();
        authority.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let authority = self.authority.load();
        authority.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authority.load().supported_verify_schemes()
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

// === impl Followed ===

impl Followed {
    /// What the file says now, if it is not what it said at the last look.
    fn look(mut self) -> (Self, Option<Result<Verifier, ClientsError>>) {
        let read = fs::read(&self.path);
        let unchanged = match (&read, &self.seen) {
            (Ok(now), Ok(before)) => now == before,
            (Err(now), Err(before)) => now.kind() == before.kind(),
            _ => false,
        };
        if unchanged {
            return (self, None);
        }
        let changed = match &read {
            Ok(text) => verifier(&self.path, text),
            Err(error) => Err(ClientsError::Read {
                path: self.path.clone(),
                source: error.kind().into(),
            }),
        };
        self.seen = read;
        (self, Some(changed))
    }
}

fn verifier(path: &Path, pem: &[u8]) -> Result<Verifier, ClientsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|source| ClientsError::Pem {
            path: path.to_owned(),
            source,
        })?;
        // One that is no authority is left out; with none left the builder complains.
        let _ = roots.add(certificate);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    built.map_err(|source| ClientsError::Unusable {
        path: path.to_owned(),
        source,
    })
}

fn probe_identity() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), ClientsError> {
    let now = Timestamp::now();
    let Pair { certificate, key } = new_authority(now, PROBE_LIFETIME)?.sign(
        Use::Client("podgate itself"),
        now,
        PROBE_LIFETIME,
    )?;
    let unreadable = |error: pem::Error| PairError::Certificate(error.to_string());
    Ok((
        CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(unreadable)?,
        PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(unreadable)?,
    ))
}
