//! podgate's own certificates: made here, kept in a Secret, trusted through `caBundle`, and renewed without a restart.
//!
//! Every replica looks at the Secret and serves what is in it. The one that holds the Lease also does what is due
//! ([`plan`]), one guarded write at a time: the Secret by its resource version, the configurations by theirs. So a
//! holder that was frozen, or a second one, changes nothing that somebody else has changed meanwhile.
//!
//! The clock is the API server's, because that is who refuses a certificate. While it and our own disagree by more than
//! [`MAX_SKEW`] nothing is made: one of the two is wrong, and what is there already is good for weeks.

mod authority;
mod bundle;
mod plan;
mod stored;

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use self::{
    authority::{Pair, PairError, Use, Validity, new_authority},
    plan::Lifetimes,
    stored::{ROTATE, Stored},
};
use self::{
    bundle::{Configurations, Found},
    plan::{Action, Circumstances},
    stored::{asked, ours},
};
use super::{clock::ApiClock, lease::Lease, with_causes};

/// For one look at the cluster, with all that is done then.
const LOOK: Duration = Duration::from_secs(20);

/// A Lease of 15 s has to be renewed more often than that.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Between two looks while podgate is not registered: from the moment that it is, everything is refused until its
/// authority is in the caBundle.
const UNREGISTERED: Duration = Duration::from_millis(500);

/// Things that are due one after the other are done in one go: this many at most.
const MAX_STEPS: usize = 8;

/// Clocks of a cluster that differ by more than this: nobody can tell whose is right.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// From writing a bundle to the moment when every API server uses it; measured is one to two seconds.
const SPREAD: Duration = Duration::from_secs(5);

/// Where everything is, and for how long it is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// podgate's own namespace.
    pub namespace: String,
    /// The Service that the webhook configurations name.
    pub service: String,
    /// The Secret.
    pub secret: String,
    /// The name of both webhook configurations.
    pub configuration: String,
    /// The Lease.
    pub lease: String,
    /// This replica.
    pub identity: String,
    /// How long what is made is good.
    pub lifetimes: Lifetimes,
    /// Between two looks.
    pub pause: Duration,
}

/// What is known of the certificates at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What is to be served.
    pub serving: Option<Pair>,
    /// When the authority that signed it ends, in Unix time.
    pub authority_ends: Option<i64>,
    /// Whether the API servers trust it.
    pub trust: Trust,
    /// This replica does what has to be done once.
    pub is_holder: bool,
    /// Why the last look failed.
    pub error: Option<String>,
}

/// Whether the API servers trust what is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// There are no webhook configurations yet, so nobody asks.
    Unregistered,
    /// Every webhook trusts it.
    Full,
    /// Configurations of these kinds have a webhook that does not.
    Missing(Vec<&'static str>),
}

/// Keeps the certificates; see [`Keeper::run`].
pub struct Keeper {
    settings: Settings,
    secrets: Api<Secret>,
    configurations: Configurations,
    lease: Lease,
    clock: ApiClock,
    names: Vec<String>,
    /// What was last in the Secret: it is written again if somebody deletes it.
    known: Option<Stored>,
    state: watch::Sender<State>,
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("{what}: {}", with_causes(source))]
    Api {
        what: String,
        source: Box<kube::Error>,
    },
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] PairError),
    #[error(
        "the clocks of this node and of the API server differ by {0:#}: no certificate is made before they agree"
    )]
    Skewed(SignedDuration),
    #[error("the API server did not answer within {LOOK:?}")]
    Late,
}

// === impl Keeper ===

impl Keeper {
    /// A keeper that has not looked yet, and what it finds out.
    #[must_use]
    pub fn new(
        client: &Client,
        clock: ApiClock,
        settings: Settings,
    ) -> (Self, watch::Receiver<State>) {
        let (state, receiver) = watch::channel(State::default());
        let keeper = Self {
            secrets: Api::namespaced(client.clone(), &settings.namespace),
            configurations: Configurations::new(client, settings.configuration.clone()),
            lease: Lease::new(
                client.clone(),
                clock.clone(),
                &settings.namespace,
                settings.lease.clone(),
                settings.identity.clone(),
            ),
            names: vec![format!("{}.{}.svc", settings.service, settings.namespace)],
            clock,
            settings,
            known: None,
            state,
        };
        (keeper, receiver)
    }

    /// Looks and does what is due until it is told to stop; then gives the Lease back.
    pub async fn run(mut self, stop: CancellationToken) {
        let pause = self.settings.pause.min(MAX_PAUSE);
        loop {
            let looked = timeout(LOOK, self.look());
            let Some(looked) = stop.run_until_cancelled(looked).await else {
                break;
            };
            let error = match looked.unwrap_or(Err(KeepError::Late)) {
                Ok(()) => None,
                Err(error) => Some(error.to_string()),
            };
            self.failed(error);
            let pause = match self.state.borrow().trust {
                Trust::Unregistered => pause.min(UNREGISTERED),
                Trust::Unknown | Trust::Full | Trust::Missing(_) => pause,
            };
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
        }
        // The process ends whether or not anybody answers.
        let _ = timeout(Duration::from_secs(2), self.lease.release()).await;
    }

    async fn look(&mut self) -> Result<(), KeepError> {
        for _ in 0..MAX_STEPS {
            let secret = self.secret().await?;
            let found = self.configurations.find().await.map_err(|source| {
                failed(
                    format!(
                        "cannot get the webhook configurations {:?}",
                        self.settings.configuration
                    ),
                    source,
                )
            })?;
            let stored = self.read(secret.as_ref());
            if let Some(stored) = &stored {
                self.known = Some(stored.clone());
            }
            let lease = self.lease.claim().await.map_err(|source| {
                failed(
                    format!("cannot claim the Lease {:?}", self.settings.lease),
                    source,
                )
            });
            // What is served does not depend on who holds the Lease.
            self.tell(&found, matches!(lease, Ok(true)));
            if !lease? || !self.act(secret, stored, &found).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Does the next thing that is due; true if there was one.
    async fn act(
        &mut self,
        secret: Option<Secret>,
        stored: Option<Stored>,
        found: &Found,
    ) -> Result<bool, KeepError> {
        let Some(stored) = stored else {
            let stored = match self.known.clone() {
                Some(known) => known,
                None => self.begin(found).await?,
            };
            self.write(secret, &stored, false).await?;
            info!(secret = %self.settings.secret, "certificates written");
            return Ok(true);
        };
        let bundle = stored.trusted();
        if !found.trusts(&bundle) {
            self.announce(found, &bundle).await?;
            return Ok(true);
        }
        let circumstances = Circumstances {
            told: found.trusts(&bundle),
            asked: secret.as_ref().and_then(asked),
            ..self.circumstances()
        };
        let Some(action) = stored.due(circumstances) else {
            return Ok(false);
        };
        self.check_clock()?;
        let after = stored.after(action, circumstances)?;
        self.write(secret, &after, action.fulfils(circumstances.asked))
            .await?;
        info!(?action, "certificates changed");
        // Nothing of the old authority counts any more; who still serves it must not be trusted before he knows.
        if action == Action::Replace {
            self.announce(found, &after.trusted()).await?;
        }
        Ok(true)
    }

    /// The first certificates. Where clients trust certificates of ours already, a replica may still serve one of
    /// those: they learn of the new authority before anybody serves what it signed.
    async fn begin(&self, found: &Found) -> Result<Stored, KeepError> {
        self.check_clock()?;
        let circumstances = self.circumstances();
        let mut previous: Vec<String> = found
            .bundles()
            .flat_map(|bundle| ours(bundle, circumstances.now))
            .collect();
        previous.sort();
        previous.dedup();
        let is_first = previous.is_empty();
        let mut stored = Stored::begin(previous, circumstances)?;
        if !is_first {
            self.announce(found, &stored.trusted()).await?;
            sleep(SPREAD.min(self.settings.lifetimes.overlap)).await;
            stored.promoted = Some(self.clock.now());
        }
        Ok(stored)
    }

    async fn announce(&self, found: &Found, bundle: &str) -> Result<(), KeepError> {
        self.configurations
            .write(found, bundle)
            .await
            .map_err(|source| failed("cannot write caBundle".into(), source))
    }

    async fn secret(&self) -> Result<Option<Secret>, KeepError> {
        let name = &self.settings.secret;
        let found = self.secrets.get_opt(name).await;
        found.map_err(|source| failed(format!("cannot get the Secret {name:?}"), source))
    }

    fn read(&self, secret: Option<&Secret>) -> Option<Stored> {
        match Stored::read(secret?) {
            Ok(stored) => Some(stored),
            Err(error) => {
                warn!(secret = %self.settings.secret, %error, "the Secret cannot be used and is written anew");
                None
            }
        }
    }

    async fn write(
        &self,
        secret: Option<Secret>,
        stored: &Stored,
        fulfilled: bool,
    ) -> Result<(), KeepError> {
        let name = &self.settings.secret;
        let exists = secret.is_some();
        let mut secret = secret.unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some([("app.kubernetes.io/name".into(), "podgate".into())].into()),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        });
        stored.write(&mut secret, fulfilled);
        let params = PostParams::default();
        let written = if exists {
            self.secrets.replace(name, &params, &secret).await
        } else {
            self.secrets.create(&params, &secret).await
        };
        written
            .map(drop)
            .map_err(|source| failed(format!("cannot write the Secret {name:?}"), source))
    }

    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            now: self.clock.now(),
            told: false,
            asked: None,
            lifetimes: self.settings.lifetimes,
            names: &self.names,
        }
    }

    fn check_clock(&self) -> Result<(), KeepError> {
        match self.clock.ahead() {
            Some(ahead) if ahead.abs() > MAX_SKEW => Err(KeepError::Skewed(ahead.abs())),
            _ => Ok(()),
        }
    }

    fn tell(&self, found: &Found, is_holder: bool) {
        let known = self.known.as_ref();
        let trust = match known {
            None => Trust::Unknown,
            Some(_) if !found.is_registered() => Trust::Unregistered,
            Some(stored) => match found.without(&stored.authority.certificate) {
                missing if missing.is_empty() => Trust::Full,
                missing => Trust::Missing(missing),
            },
        };
        let ends = known.and_then(|it| it.authority.validity().ok());
        self.state.send_if_modified(|state| {
            let new = State {
                serving: known.map(|it| it.serving.clone()),
                authority_ends: ends.map(|it| it.not_after.as_second()),
                trust,
                is_holder,
                error: state.error.clone(),
            };
            let changed = *state != new;
            *state = new;
            changed
        });
    }

    fn failed(&self, error: Option<String>) {
        let told = self.state.send_if_modified(|state| {
            let changed = state.error != error;
            state.error.clone_from(&error);
            changed
        });
        match error {
            Some(error) if told => warn!(error, "certificates cannot be kept, trying again"),
            Some(error) => debug!(error, "certificates cannot be kept"),
            None => {}
        }
    }
}

fn failed(what: String, source: kube::Error) -> KeepError {
    KeepError::Api {
        what,
        source: Box::new(source),
    }
}
