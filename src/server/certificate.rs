//! The certificate that the webhook presents: read from PEM and checked, so that one that is held can be served.
//!
//! [`Current`] is the one in force; [`Source::follow`] replaces it when its source changes. kubelet swaps whole directories
//! (`..data`), cert-manager writes pairs, people write one file after the other: content is compared, not times, and
//! a pair that does not fit together is not served. The old one stays.

mod current;
mod generated;

use std::{io, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use tokio_rustls::rustls::{
    self, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};
use x509_parser::{parse_x509_certificate, time::ASN1Time};

pub use self::current::Current;
pub use self::generated::Generated;

use super::clients::Clients;
use crate::cluster::certificates::PairError;

/// HTTP/1.1 is all that an API server speaks to a Service.
const ALPN: &[u8] = b"http/1.1";

/// A certificate with its chain and key, ready to be served. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    tls: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
    not_before: ASN1Time,
    not_after: ASN1Time,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate file is not PEM.
    #[error("the certificate is not PEM: {0}")]
    CertificatePem(#[source] pem::Error),
    /// The certificate file has no certificate in it.
    #[error("there is no certificate in the certificate file")]
    NoCertificate,
    /// The key file has no usable private key in it.
    #[error("there is no private key in the key file")]
    KeyPem(#[source] pem::Error),
    /// The two files belong to different pairs.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// The pair cannot be used for TLS.
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
    /// The certificate is not valid X.509.
    #[error("the certificate cannot be parsed: {0}")]
    Malformed(String),
    /// The certificate is out of date, or not in force yet.
    #[error("{0}")]
    NotValid(String),
    /// A certificate could not be made.
    #[error("cannot generate a certificate: {0}")]
    Generate(#[from] PairError),
}

/// Makes aws-lc-rs the TLS provider of the process. The first call decides, further ones change nothing.
pub fn install_crypto_provider() {
    // An error only says that one is installed already: this one, since the tree holds no other.
    let _ = aws_lc_rs::default_provider().install_default();
}

// === impl Certificate ===

impl Certificate {
    /// Reads a chain, leaf first, and the key of the leaf. Not being valid now is no error here: see
    /// [`Certificate::check_valid`].
    /// With `clients`, only they are let in.
    pub(crate) fn from_pem(
        chain: &[u8],
        key: &[u8],
        clients: Option<&Arc<Clients>>,
    ) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(CertificateError::CertificatePem)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::KeyPem)?;
        Self::new(chain, key, clients)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        clients: Option<&Arc<Clients>>,
    ) -> Result<Self, CertificateError> {
        let leaf = chain
            .first()
            .cloned()
            .ok_or(CertificateError::NoCertificate)?;
        let (not_before, not_after) = match parse_x509_certificate(&leaf) {
            Ok((_, parsed)) => (parsed.validity.not_before, parsed.validity.not_after),
            Err(error) => return Err(CertificateError::Malformed(error.to_string())),
        };
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(CertificateError::Unusable)?;
        let tls = match clients {
            None => tls.with_no_client_auth(),
            Some(clients) => tls.with_client_cert_verifier(clients.clone()),
        };
        let mut tls = tls
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
                error => CertificateError::Unusable(error),
            })?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // API servers do not resume sessions; tickets would be made and sent for nothing.
        tls.send_tls13_tickets = 0;
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            tls: Arc::new(tls),
            leaf,
            not_before,
            not_after,
        })
    }

    pub(crate) fn tls(&self) -> Arc<ServerConfig> {
        self.tls.clone()
    }

    pub(crate) fn leaf(&self) -> &CertificateDer<'static> {
        &self.leaf
    }

    /// The end of its validity, in Unix time.
    pub(crate) fn not_after(&self) -> i64 {
        self.not_after.timestamp()
    }

    /// Whether it is valid at this time, and until when.
    pub(crate) fn check_valid(&self, now: Timestamp) -> Result<String, CertificateError> {
        let now = ASN1Time::from_timestamp(now.as_second())
            .map_err(|error| CertificateError::NotValid(error.to_string()))?;
        if now > self.not_after {
            Err(CertificateError::NotValid(format!(
                "the certificate expired on {}",
                self.not_after
            )))
        } else if now < self.not_before {
            Err(CertificateError::NotValid(format!(
                "the certificate is not valid before {}",
                self.not_before
            )))
        } else {
            Ok(format!("valid until {}", self.not_after))
        }
    }
}
