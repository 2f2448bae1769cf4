//! The certificate in force, and its replacement when its source brings another.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tracing::{info, warn};

use super::{Certificate, CertificateError, Clients, Generated};
use crate::cluster::{
    certificates::{Pair, State},
    clock::ApiClock,
};
use crate::server::{config::CertificateSource, metrics::Metrics, readiness::Condition};

/// In seconds.
const MONTH: i64 = 30 * 24 * 3600;

/// The certificate in force: one load for each accepted connection, replaced as a whole.
pub struct Current {
    /// None: not known yet.
    certificate: ArcSwapOption<Certificate>,
    /// The CA of a generated certificate, in PEM.
    ca: Option<String>,
    /// What time it is for those who are served.
    clock: ApiClock,
    /// Who is let in; none means everybody.
    clients: Option<Arc<Clients>>,
}

/// What may bring another certificate.
pub(crate) enum Source {
    /// A pair of files.
    Files(Files),
    /// The keeper of the cluster's.
    Kept(watch::Receiver<State>),
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
    /// Loads the first certificate, if it can be known yet; the source, if there is one that may bring another.
    pub(crate) fn load_from(
        source: CertificateSource,
        clients: Option<Arc<Clients>>,
    ) -> Result<(Self, Option<Source>), CertificateError> {
        let mut clock = ApiClock::default();
        let (certificate, ca, source) = match source {
            CertificateSource::Generated { names } => {
                let generated = Generated::new(&names)?;
                let loaded = generated.load(clients.as_ref())?;
                (Some(loaded), Some(generated.ca), None)
            }
            CertificateSource::Files { certificate, key } => {
                let pair = (read(&certificate)?, read(&key)?);
                let loaded = Certificate::from_pem(&pair.0, &pair.1, clients.as_ref())?;
                let files = Files {
                    certificate,
                    key,
                    seen: Ok(pair),
                };
                (Some(loaded), None, Some(Source::Files(files)))
            }
            CertificateSource::Kept { state, clock: its } => {
                clock = its;
                (None, None, Some(Source::Kept(state)))
            }
        };
        let current = Self {
            certificate: ArcSwapOption::from_pointee(certificate),
            ca,
            clock,
            clients,
        };
        Ok((current, source))
    }

    pub(crate) fn load(&self) -> Option<Arc<Certificate>> {
        self.certificate.load_full()
    }

    /// Who is let in; none means everybody.
    pub(crate) fn clients(&self) -> Option<&Arc<Clients>> {
        self.clients.as_ref()
    }

    pub(crate) fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Whether there is one and it is valid now, and until when.
    pub(crate) fn condition(&self) -> Condition {
        let Some(certificate) = self.load() else {
            return Condition::Failed("not known yet".into());
        };
        match certificate.check_valid(self.clock.now()) {
            Ok(note) => Condition::Ok(note),
            Err(error) => Condition::Failed(error.to_string()),
        }
    }

    /// Says so if little of its time is left: less than a fifth of it, and less than a month. Whoever renews it would
    /// have done so by then.
    #[must_use]
    pub fn ends_soon(&self) -> Option<String> {
        let certificate = self.load()?;
        let (from, until) = (
            certificate.not_before.timestamp(),
            certificate.not_after.timestamp(),
        );
        let left = until - self.clock.now().as_second();
        (left < ((until - from) / 5).min(MONTH)).then(|| {
            format!(
                "the certificate that is served is good until {} and has not been renewed",
                certificate.not_after
            )
        })
    }

    /// Puts a changed certificate in force if it is good.
    fn replace(&self, changed: Result<Certificate, CertificateError>, metrics: &Metrics) {
        metrics.certificate_reloaded(changed.is_ok());
        match changed {
            Ok(certificate) => {
                info!(not_after = %certificate.not_after, "certificate reloaded");
                metrics.certificate_served(certificate.not_after());
                self.certificate.store(Some(Arc::new(certificate)));
            }
            Err(error) => warn!(%error, "changed certificate refused, the old one stays"),
        }
    }
}

// === impl Source ===

impl Source {
    /// Looks for another certificate for ever, and puts it in force if it is good.
    pub(crate) async fn follow(
        self,
        current: Arc<Current>,
        every: Duration,
        metrics: Arc<Metrics>,
    ) {
        match self {
            Self::Files(mut files) => loop {
                sleep(every).await;
                // A blocking task that panics or is cancelled only happens while the runtime ends.
                let clients = current.clients.clone();
                let looked = spawn_blocking(move || files.look(clients.as_ref())).await;
                let Ok((looked, changed)) = looked else {
                    return;
                };
                files = looked;
                if let Some(changed) = changed {
                    current.replace(changed, &metrics);
                }
            },
            Self::Kept(mut state) => {
                let mut served = None;
                loop {
                    let pair = state.borrow_and_update().serving.clone();
                    if pair != served {
                        if let Some(Pair { certificate, key }) = &pair {
                            let loaded = Certificate::from_pem(
                                certificate.as_bytes(),
                                key.as_bytes(),
                                current.clients.as_ref(),
                            );
                            current.replace(loaded, &metrics);
                        }
                        served = pair;
                    }
                    // The keeper ends with the process.
                    if state.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

// === impl Files ===

impl Files {
    /// What is in the files now, if it is not what was there at the last look.
    fn look(
        mut self,
        clients: Option<&Arc<Clients>>,
    ) -> (Self, Option<Result<Certificate, CertificateError>>) {
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
            let certificate = Certificate::from_pem(&certificate, &key, clients)?;
            certificate.check_valid(Timestamp::now())?;
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
