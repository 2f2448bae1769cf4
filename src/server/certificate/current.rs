//! The certificate in force, and its replacement when the files change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use tokio::{task::spawn_blocking, time::sleep};
use tracing::{info, warn};

use super::{Certificate, CertificateError, Generated};
use crate::server::{config::CertificateSource, metrics::Metrics};

/// The certificate in force: one load for each accepted connection, replaced as a whole.
pub(crate) struct Current {
    certificate: ArcSwap<Certificate>,
    /// The CA of a generated certificate, in PEM.
    ca: Option<String>,
}

/// A pair of files and what was last read from them.
pub(crate) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    seen: Content,
}

/// What the pair of files contained, or which of them could not be read.
type Content = Result<(Vec<u8>, Vec<u8>), PathBuf>;

// === impl Current ===

impl Current {
    /// Loads the first certificate; the files, if it came from files, are for [`watch`].
    pub(crate) fn load_from(
        source: &CertificateSource,
    ) -> Result<(Self, Option<Files>), CertificateError> {
        let (certificate, ca, files) = match source {
            CertificateSource::Generated { names } => {
                let generated = Generated::new(names)?;
                (generated.load()?, Some(generated.ca), None)
            }
            CertificateSource::Files { certificate, key } => {
                let pair = (read(certificate)?, read(key)?);
                let loaded = Certificate::from_pem(&pair.0, &pair.1)?;
                let files = Files {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    seen: Ok(pair),
                };
                (loaded, None, Some(files))
            }
        };
        Ok((
            Self {
                certificate: ArcSwap::from_pointee(certificate),
                ca,
            },
            files,
        ))
    }

    pub(crate) fn load(&self) -> Guard<Arc<Certificate>> {
        self.certificate.load()
    }

    pub(crate) fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }
}

/// Looks at the files for ever, and puts a changed pair in force if it is good.
pub(crate) async fn watch(
    current: Arc<Current>,
    mut files: Files,
    every: Duration,
    metrics: Arc<Metrics>,
) {
    loop {
        sleep(every).await;
        // A blocking task that panics or is cancelled only happens while the runtime ends.
        let Ok((looked, changed)) = spawn_blocking(move || files.look()).await else {
            return;
        };
        files = looked;
        let Some(changed) = changed else { continue };
        metrics.certificate_reloaded(changed.is_ok());
        match changed {
            Ok(certificate) => {
                info!(not_after = %certificate.not_after, "certificate reloaded");
                metrics.certificate_served(certificate.not_after());
                current.certificate.store(Arc::new(certificate));
            }
            Err(error) => {
                warn!(%error, certificate = ?files.certificate, "changed certificate refused, the old one stays");
            }
        }
    }
}

// === impl Files ===

impl Files {
    /// What is in the files now, if it is not what was there at the last look.
    fn look(mut self) -> (Self, Option<Result<Certificate, CertificateError>>) {
        let pair =
            read(&self.certificate).and_then(|certificate| Ok((certificate, read(&self.key)?)));
        let content = match &pair {
            Ok(pair) => Ok(pair.clone()),
            Err(CertificateError::Read { path, .. }) => Err(path.clone()),
            Err(_) => Err(PathBuf::new()),
        };
        if content == self.seen {
            return (self, None);
        }
        self.seen = content;
        let certificate = pair.and_then(|(certificate, key)| {
            let certificate = Certificate::from_pem(&certificate, &key)?;
            certificate.check_valid()?;
            Ok(certificate)
        });
        (self, Some(certificate))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read {
        path: path.to_owned(),
        source,
    })
}
