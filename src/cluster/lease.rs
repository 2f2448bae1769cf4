//! A Lease: of all replicas, the one that holds it does what must happen once.
//!
//! Nobody compares clocks. A Lease is free when its content has not changed for its whole duration as measured here,
//! monotonically (the rule of client-go): a replica with a wrong clock neither loses it nor steals it. Whoever was
//! frozen meets the resource version of his successor; what he writes elsewhere has to be guarded in the same way.
//! Needs `create` on Leases, `get` and `update` on this one.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tracing::info;

use super::clock::ApiClock;

/// How long a holder that is gone keeps the others waiting.
const DURATION: Duration = Duration::from_secs(15);

/// One Lease, as one replica sees it.
pub struct Lease {
    api: Api<Object>,
    clock: ApiClock,
    name: String,
    /// Who we are: no two replicas may call themselves the same.
    identity: String,
    /// What was last read, and when it was first read like that.
    seen: Option<(LeaseSpec, Instant)>,
    /// Until when it is ours, if it is.
    held_until: Option<Instant>,
}

// === impl Lease ===

impl Lease {
    /// A Lease that nothing was asked of yet.
    #[must_use]
    pub fn new(
        client: Client,
        clock: ApiClock,
        namespace: &str,
        name: String,
        identity: String,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            clock,
            name,
            identity,
            seen: None,
            held_until: None,
        }
    }

    /// True while it is certainly ours: before anybody else may take it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held_until.is_some_and(|until| Instant::now() < until)
    }

    /// Takes it if it is free, renews it if it is ours. Call this several times in 15 s.
    ///
    /// # Errors
    /// When the API server cannot be asked; it stays ours for as long as nobody else may take it.
    pub async fn claim(&mut self) -> kube::Result<bool> {
        // Before the request: whoever reads the renewal reads it later than this.
        let now = Instant::now();
        let Some(found) = self.api.get_opt(&self.name).await? else {
            let created = self.object(None, None);
            return self.written(now, self.api.create(&PostParams::default(), &created).await);
        };
        let spec = found.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == spec => *since,
            _ => now,
        };
        self.seen = Some((spec.clone(), since));
        let ours = holder == self.identity;
        let duration = u64::try_from(spec.lease_duration_seconds.unwrap_or_default())
            .map_or(DURATION, Duration::from_secs);
        if !ours && !holder.is_empty() && since.elapsed() < duration {
            self.held_until = None;
            return Ok(false);
        }
        if !ours {
            info!(lease = %self.name, from = holder, "taking the lease");
        }
        let updated = self.object(Some(found.metadata), ours.then_some(spec));
        let result = self
            .api
            .replace(&self.name, &PostParams::default(), &updated)
            .await;
        self.written(now, result)
    }

    /// Gives it back, so that nobody waits for its end. Where that fails it ends by itself.
    pub async fn release(&mut self) {
        if self.held_until.take().is_none() {
            return;
        }
        let Ok(Some(mut found)) = self.api.get_opt(&self.name).await else {
            return;
        };
        let Some(spec) = &mut found.spec else { return };
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = Some(String::new());
            // Whoever changed it meanwhile has it: nothing is left to give back.
            let _ = self
                .api
                .replace(&self.name, &PostParams::default(), &found)
                .await;
        }
    }

    /// What it is to become: ours, in this very version of it.
    fn object(&self, metadata: Option<ObjectMeta>, ours: Option<LeaseSpec>) -> Object {
        let renewed = MicroTime(self.clock.now());
        let before = ours.unwrap_or_default();
        Object {
            metadata: metadata.unwrap_or_else(|| ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            }),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: before.acquire_time.or(Some(renewed.clone())),
                renew_time: Some(renewed),
                lease_transitions: Some(before.lease_transitions.unwrap_or_default()),
                ..LeaseSpec::default()
            }),
        }
    }

    fn written(&mut self, since: Instant, result: kube::Result<Object>) -> kube::Result<bool> {
        match result {
            Ok(_) => {
                self.held_until = Some(since + DURATION);
                Ok(true)
            }
            // Somebody else was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.held_until = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
