//! A certificate out of nothing: a CA for this process, and a server certificate signed by it.
//! The key of the CA is dropped as soon as it has signed, so nobody can sign another with it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Certificate, CertificateError, Clients};
use crate::cluster::certificates::{Pair, Use, new_authority};

/// Longer than any process lives.
const LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// A generated pair in PEM, and the CA that clients must trust to reach it.
#[derive(Clone)]
pub struct Generated {
    /// The certificate of the CA: what `caBundle` and `curl --cacert` want.
    pub ca: String,
    /// The server certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

// === impl Generated ===

impl Generated {
    /// Makes a CA and a certificate for these DNS names and IP addresses.
    ///
    /// # Errors
    /// When a name is neither, or the system gives no randomness.
    pub fn new(names: &[String]) -> Result<Self, CertificateError> {
        let now = Timestamp::now();
        let authority = new_authority(now, LIFETIME)?;
        let Pair { certificate, key } = authority.sign(Use::Server(names), now, LIFETIME)?;
        Ok(Self {
            ca: authority.certificate,
            certificate,
            key,
        })
    }

    pub(super) fn load(
        &self,
        clients: Option<&Arc<Clients>>,
    ) -> Result<Certificate, CertificateError> {
        Certificate::from_pem(self.certificate.as_bytes(), self.key.as_bytes(), clients)
    }
}

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generated")
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate() -> Generated {
        Generated::new(&["localhost".into(), "127.0.0.1".into()])
            .expect("a certificate can be generated")
    }

    #[test]
    fn a_generated_pair_is_valid_now() {
        generate()
            .load(None)
            .expect("it loads")
            .check_valid(Timestamp::now())
            .expect("it is valid");
    }

    #[test]
    fn a_chain_is_accepted() {
        let Generated {
            ca,
            certificate,
            key,
        } = generate();
        Certificate::from_pem(
            format!("{certificate}{ca}").as_bytes(),
            key.as_bytes(),
            None,
        )
        .expect("it loads");
    }

    #[test]
    fn says_what_is_wrong_with_a_pair() {
        let (one, other) = (generate(), generate());
        let half = &one.certificate[..one.certificate.len() / 2];
        for (certificate, key, expected) in [
            (
                one.certificate.as_str(),
                other.key.as_str(),
                "the key does not belong to the certificate",
            ),
            (
                &one.key,
                &one.key,
                "there is no certificate in the certificate file",
            ),
            (
                "",
                &one.key,
                "there is no certificate in the certificate file",
            ),
            (half, &one.key, "the certificate is not PEM"),
            (
                &one.certificate,
                &one.certificate,
                "there is no private key in the key file",
            ),
        ] {
            let error = Certificate::from_pem(certificate.as_bytes(), key.as_bytes(), None)
                .expect_err("it is refused");
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
