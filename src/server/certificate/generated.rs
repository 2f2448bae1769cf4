//! A certificate out of nothing: a CA for this process, and a server certificate signed by it.
//! The key of the CA is dropped as soon as it has signed, so nobody can sign another with it.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{Certificate, CertificateError};

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
    /// Makes a CA and a certificate for these DNS names and IP addresses; ECDSA P-256, as fast to sign with as any.
    ///
    /// # Errors
    /// When a name is neither, or the system gives no randomness.
    pub fn new(names: &[String]) -> Result<Self, CertificateError> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name
            .push(DnType::CommonName, "podgate generated CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_certificate = ca.self_signed(&ca_key)?;

        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, "podgate");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let certificate = server.signed_by(&key, &Issuer::new(ca, ca_key))?;

        Ok(Self {
            ca: ca_certificate.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    pub(super) fn load(&self) -> Result<Certificate, CertificateError> {
        Certificate::from_pem(self.certificate.as_bytes(), self.key.as_bytes())
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
            .load()
            .expect("it loads")
            .check_valid()
            .expect("it is valid");
    }

    #[test]
    fn a_chain_is_accepted() {
        let Generated {
            ca,
            certificate,
            key,
        } = generate();
        Certificate::from_pem(format!("{certificate}{ca}").as_bytes(), key.as_bytes())
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
            let error = Certificate::from_pem(certificate.as_bytes(), key.as_bytes())
                .expect_err("it is refused");
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
