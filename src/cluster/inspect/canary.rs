//! Pods that the API server is asked about in a dry run: it really calls the webhooks, and creates nothing.

use std::time::Duration;

use kube::Client;
use tokio::time::timeout;

use super::{Inspector, request};
use crate::cluster::segment;
use crate::cluster::snapshot::{Answer, Canary, CanarySort, Fact, Snapshot, Unread};
use crate::cluster::with_causes;

/// The longest that a webhook may take, beside what any request may.
const LONGEST_CALL: Duration = Duration::from_secs(30);

// === impl Inspector ===

impl Inspector {
    pub(super) async fn canaries(&self, snapshot: &Snapshot) -> Vec<Canary> {
        let namespace = &snapshot.names.canary;
        // Whether an answer is RBAC's or a webhook's could otherwise be told only by its words.
        let is_forbidden = snapshot.own_rights.iter().find_map(|(right, may)| {
            let is_it = (right.verb, right.resource) == ("create", "pods");
            (is_it && matches!(may, Ok(false))).then(|| right.to_string())
        });
        let mut canaries = Vec::new();
        for sort in CanarySort::ALL {
            let answer = match &is_forbidden {
                Some(right) => Err(Unread::Forbidden(right.clone())),
                None => self.try_canary(namespace, sort).await,
            };
            canaries.push(Canary { sort, answer });
        }
        canaries
    }

    async fn try_canary(&self, namespace: &str, sort: CanarySort) -> Fact<Answer> {
        let path = format!(
            "/api/v1/namespaces/{}/pods?dryRun=All&fieldManager=podgate-doctor",
            segment(namespace)
        );
        let body = sort.pod().to_string().into_bytes();
        let request = request(http::Method::POST, &path, body)?;
        let limit = self.limit + LONGEST_CALL;
        match timeout(limit, ask(&self.client, request)).await {
            Err(_) => Err(Unread::TimedOut(limit)),
            Ok(answer) => answer,
        }
    }
}

async fn ask(client: &Client, request: http::Request<Vec<u8>>) -> Fact<Answer> {
    match client.request::<serde_json::Value>(request).await {
        Ok(_) => Ok(Answer::Admitted),
        Err(kube::Error::Api(status)) => Ok(Answer::Refused(status.code, status.message.clone())),
        Err(error) => Err(Unread::Failed(with_causes(&error))),
    }
}
