//! What the Secret holds: the authority that signs, the one that is to follow, those that are still trusted, and the
//! pair that is served. One object, replaced as a whole by its resource version, so that it is never half changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::authority::{Pair, PairError, text, validity};

/// A person's wish, written on the Secret: `kubectl annotate secret podgate-certificates podgate.dev/rotate=ca`.
pub const ROTATE: &str = "podgate.dev/rotate";

/// When the following authority was found in every webhook configuration.
const ANNOUNCED: &str = "podgate.dev/next-ca-announced";
/// When the authority took over from the previous one.
const PROMOTED: &str = "podgate.dev/ca-in-force-since";

/// What the Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The authority that signed what is served.
    pub(super) authority: Pair,
    /// The authority that is to follow: trusted already, so that nobody is surprised by it.
    pub(super) next: Option<Pair>,
    /// Authorities that still count, newest first, in PEM. Their keys are gone.
    pub(super) previous: Vec<String>,
    /// What is served.
    pub(super) serving: Pair,
    /// When all clients were told of `next`.
    pub(super) announced: Option<Timestamp>,
    /// When `authority` took over.
    pub(super) promoted: Option<Timestamp>,
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A new serving certificate.
    Serving,
    /// A new authority, and a serving certificate of it.
    Authority,
}

/// Why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredError {
    #[error("it has no {0:?}")]
    Missing(&'static str),
    #[error("{0} and its key: {1}")]
    Pair(&'static str, #[source] PairError),
}

// === impl Stored ===

impl Stored {
    /// Reads a Secret. What is not necessary and cannot be read is left out, and so made again when it is needed.
    pub(super) fn read(secret: &Secret) -> Result<Self, StoredError> {
        let data = |name: &'static str| {
            let found = secret.data.as_ref().and_then(|data| data.get(name));
            found.map(|it| text(&it.0))
        };
        let pair = |certificate, key| {
            let pair = Pair {
                certificate: data(certificate).ok_or(StoredError::Missing(certificate))?,
                key: data(key).ok_or(StoredError::Missing(key))?,
            };
            pair.check()
                .map_err(|error| StoredError::Pair(certificate, error))?;
            Ok(pair)
        };
        let stamp = |name: &str| annotation(secret, name)?.parse().ok();
        Ok(Self {
            authority: pair("ca.crt", "ca.key")?,
            next: pair("next-ca.crt", "next-ca.key").ok(),
            previous: certificates(&data("previous-ca.crt").unwrap_or_default()),
            serving: pair("tls.crt", "tls.key")?,
            announced: stamp(ANNOUNCED),
            promoted: stamp(PROMOTED),
        })
    }

    /// Writes into a Secret what it is to hold. Everything else in it stays, but for the wish that was fulfilled.
    pub(super) fn write(&self, secret: &mut Secret, fulfilled: bool) {
        let Self {
            authority,
            next,
            previous,
            serving,
            announced,
            promoted,
        } = self;
        let previous = previous.concat();
        let next = next.as_ref();
        let entries = [
            ("ca.crt", Some(&authority.certificate)),
            ("ca.key", Some(&authority.key)),
            ("next-ca.crt", next.map(|it| &it.certificate)),
            ("next-ca.key", next.map(|it| &it.key)),
            (
                "previous-ca.crt",
                Some(&previous).filter(|it| !it.is_empty()),
            ),
            ("tls.crt", Some(&serving.certificate)),
            ("tls.key", Some(&serving.key)),
        ];
        let bytes = |it: &String| ByteString(it.clone().into_bytes());
        set(
            secret.data.get_or_insert_default(),
            entries.map(|(name, text)| (name, text.map(bytes))),
        );
        let annotations = secret.metadata.annotations.get_or_insert_default();
        set(
            annotations,
            [(ANNOUNCED, announced), (PROMOTED, promoted)]
                .map(|(name, time)| (name, time.map(|time| time.to_string()))),
        );
        if fulfilled {
            annotations.remove(ROTATE);
        }
    }

    /// Everything that is to be trusted, in PEM: what `caBundle` has to hold, and nothing else.
    pub(super) fn trusted(&self) -> String {
        let next = self.next.iter().map(|it| it.certificate.as_str());
        let previous = self.previous.iter().map(String::as_str);
        std::iter::once(self.authority.certificate.as_str())
            .chain(next)
            .chain(previous)
            .collect()
    }
}

/// What a person asked for on this Secret.
pub(super) fn asked(secret: &Secret) -> Option<Asked> {
    match annotation(secret, ROTATE)? {
        "serving" => Some(Asked::Serving),
        "ca" => Some(Asked::Authority),
        _ => None,
    }
}

/// Those of our own authorities in a bundle that are good at this time, in PEM.
pub(super) fn ours(bundle: &str, now: Timestamp) -> Vec<String> {
    let is_ours = |pem: &String| {
        let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
            return false;
        };
        let subject = x509_parser::parse_x509_certificate(&der).is_ok_and(|(_, it)| {
            it.subject()
                .to_string()
                .starts_with(&format!("CN={}", super::authority::SUBJECT))
        });
        subject && validity(&der).is_ok_and(|it| it.contains(now))
    };
    certificates(bundle).into_iter().filter(is_ours).collect()
}

/// The certificates of a PEM text, each by itself.
fn certificates(text: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    text.split_inclusive(END)
        .filter_map(|part| {
            let begin = part.find("-----BEGIN CERTIFICATE-----")?;
            part.ends_with(END).then(|| format!("{}\n", &part[begin..]))
        })
        .collect()
}

fn annotation<'a>(secret: &'a Secret, name: &str) -> Option<&'a str> {
    let annotations = secret.metadata.annotations.as_ref()?;
    annotations.get(name).map(String::as_str)
}

/// Sets what is there and removes what is not.
fn set<T, const N: usize>(map: &mut BTreeMap<String, T>, entries: [(&str, Option<T>); N]) {
    for (name, value) in entries {
        match value {
            Some(value) => drop(map.insert(name.to_owned(), value)),
            None => drop(map.remove(name)),
        }
    }
}
