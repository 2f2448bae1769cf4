//! A certificate authority and what it signs: ECDSA P-256, as fast to sign with as any and known to every client.

use std::{fmt, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use x509_parser::parse_x509_certificate;

/// Certificates are good from this long before they are made: clocks differ, those of several API servers too.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);

/// How the subject of every authority of podgate begins; nobody else's certificates in a bundle are kept.
pub(super) const SUBJECT: &str = "podgate CA";

/// A certificate with its key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: Timestamp,
    /// Until.
    pub not_after: Timestamp,
}

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The key cannot be read, or cannot sign.
    #[error("the key cannot be used: {0}")]
    Key(#[from] rcgen::Error),
    /// The key is another certificate's.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// Clients that trust the authority would not accept the certificate.
    #[error("clients would not accept the certificate: {0}")]
    Untrusted(String),
}

/// Makes an authority that is good from now on.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_authority(now: Timestamp, lifetime: Duration) -> Result<Pair, PairError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // Two authorities in one bundle are told apart by their names, too.
    params.distinguished_name.push(
        DnType::CommonName,
        format!("{SUBJECT} {}", now.strftime("%Y-%m-%dT%H:%M:%SZ")),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, plus(now, lifetime));
    Ok(Pair {
        certificate: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
    })
}

/// What a certificate is signed for.
#[derive(Clone, Copy, Debug)]
pub enum Use<'a> {
    /// A server of these DNS names and IP addresses.
    Server(&'a [String]),
    /// A client of this name.
    Client(&'a str),
}

/// Bytes as the API server keeps them; what would not be text is replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// === impl Pair ===

impl Pair {
    /// A new key, and a certificate for it that this authority signs. It is never good for longer than its authority.
    ///
    /// # Errors
    /// When this is no authority whose key can sign, or a name is none.
    pub fn sign(
        &self,
        use_: Use<'_>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Self, PairError> {
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(&self.key)?)?;
        let (mut params, name, purpose) = match use_ {
            Use::Server(names) => (
                CertificateParams::new(names)?,
                "podgate",
                ExtendedKeyUsagePurpose::ServerAuth,
            ),
            Use::Client(name) => (
                CertificateParams::default(),
                name,
                ExtendedKeyUsagePurpose::ClientAuth,
            ),
        };
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let until = plus(now, lifetime).min(self.validity()?.not_after);
        set_validity(&mut params, now, until);
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: params.signed_by(&key, &issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// From when to when the certificate is good.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn validity(&self) -> Result<Validity, PairError> {
        validity(&der(&self.certificate)?)
    }

    /// Checks that certificate and key can be read and belong together.
    ///
    /// # Errors
    /// When they do not.
    pub fn check(&self) -> Result<(), PairError> {
        let key = KeyPair::from_pem(&self.key)?;
        let der = der(&self.certificate)?;
        let (_, parsed) = parse_x509_certificate(&der)
            .map_err(|error| PairError::Certificate(error.to_string()))?;
        if parsed.public_key().raw == key.subject_public_key_info() {
            Ok(())
        } else {
            Err(PairError::Mismatch)
        }
    }

    /// Checks that a client which trusts only this authority accepts the pair as this server, at this time.
    ///
    /// # Errors
    /// When it would not, and why.
    pub fn check_server(
        &self,
        authority: &str,
        names: &[String],
        now: Timestamp,
    ) -> Result<(), PairError> {
        self.check()?;
        let untrusted = |error: &dyn std::error::Error| PairError::Untrusted(error.to_string());
        let mut roots = RootCertStore::empty();
        roots
            .add(der(authority)?)
            .map_err(|error| untrusted(&error))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(aws_lc_rs::default_provider()),
        )
        .build()
        .map_err(|error| untrusted(&error))?;
        let leaf = der(&self.certificate)?;
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for name in names {
            let name = ServerName::try_from(name.as_str()).map_err(|error| untrusted(&error))?;
            verifier
                .verify_server_cert(&leaf, &[], &name, &[], now)
                .map_err(|error| untrusted(&error))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

// === impl Validity ===

impl Validity {
    /// True if it is good at this time.
    #[must_use]
    pub fn contains(self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// The validity of a certificate.
pub(super) fn validity(der: &CertificateDer<'_>) -> Result<Validity, PairError> {
    let unreadable = |error: &dyn fmt::Display| PairError::Certificate(error.to_string());
    let (_, parsed) = parse_x509_certificate(der).map_err(|error| unreadable(&error))?;
    let at = |time: i64| Timestamp::from_second(time).map_err(|error| unreadable(&error));
    Ok(Validity {
        not_before: at(parsed.validity.not_before.timestamp())?,
        not_after: at(parsed.validity.not_after.timestamp())?,
    })
}

/// The first certificate of a PEM text.
fn der(pem: &str) -> Result<CertificateDer<'static>, PairError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| PairError::Certificate(error.to_string()))
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, until: Timestamp) {
    let date = |time: Timestamp| OffsetDateTime::from_unix_timestamp(time.as_second()).ok();
    let from = now.checked_sub(BACKDATED).ok().and_then(date);
    if let (Some(from), Some(until)) = (from, date(until)) {
        params.not_before = from;
        params.not_after = until;
    }
}

/// A time so long after another; the end of time, if that is later.
pub(super) fn plus(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| time.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn now() -> Timestamp {
        "2027-03-01T12:00:00Z".parse().expect("it is a time")
    }

    fn names() -> Vec<String> {
        vec!["podgate.podgate-system.svc".into()]
    }

    #[test]
    fn a_signed_pair_is_accepted_from_a_day_before_until_its_end() {
        let authority = new_authority(now(), 10 * HOUR).expect("it is made");
        let pair = authority
            .sign(Use::Server(&names()), now(), 2 * HOUR)
            .expect("it is signed");
        for (hours, accepted) in [(-25, false), (-23, true), (0, true), (1, true), (3, false)] {
            let then = now() + SignedDuration::from_hours(hours);
            let checked = pair.check_server(&authority.certificate, &names(), then);
            assert_eq!(checked.is_ok(), accepted, "{hours}: {checked:?}");
        }
    }

    #[test]
    fn nothing_outlives_its_authority() {
        let authority = new_authority(now(), HOUR).expect("it is made");
        let pair = authority
            .sign(Use::Server(&names()), now(), 5 * HOUR)
            .expect("it is signed");
        let (mine, its) = (pair.validity(), authority.validity());
        assert_eq!(
            mine.expect("it has one").not_after,
            its.expect("it has one").not_after
        );
    }

    #[test]
    fn what_clients_would_not_accept_is_named() {
        let [one, other] = [0, 1].map(|second| {
            let then = now() + SignedDuration::from_secs(second);
            new_authority(then, HOUR).expect("it is made")
        });
        let pair = one
            .sign(Use::Server(&names()), now(), HOUR)
            .expect("it is signed");
        let mixed = Pair {
            key: other.key.clone(),
            ..pair.clone()
        };
        let client = one
            .sign(Use::Client("api"), now(), HOUR)
            .expect("it is signed");
        let elsewhere = vec!["podgate.elsewhere.svc".to_owned()];
        for (pair, authority, names, expected) in [
            (&pair, &other.certificate, names(), "UnknownIssuer"),
            (&pair, &one.certificate, elsewhere, "not valid for name"),
            (&mixed, &one.certificate, names(), "does not belong"),
            (
                &client,
                &one.certificate,
                names(),
                "clients would not accept",
            ),
            (&pair, &String::from("no PEM"), names(), "cannot be read"),
        ] {
            let error = pair
                .check_server(authority, &names, now())
                .expect_err("it is refused")
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let authority = new_authority(now(), HOUR).expect("it is made");
        assert!(!format!("{authority:?}").contains("PRIVATE KEY"));
    }
}
