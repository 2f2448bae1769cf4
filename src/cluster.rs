//! Everything that talks to the API server. Knows nothing of policies or of serving.

pub mod certificates;
pub mod client;
pub mod clock;
pub mod events;
pub mod inspect;
pub mod lease;
pub mod list;
pub mod namespaces;
pub mod rejections;
pub mod snapshot;

use kube::{Client, api::ListParams};

use self::clock::ApiClock;
use self::list::Pages;
use self::namespaces::Namespaces;

/// Objects of one page: some megabytes, if they are large.
const PAGE: u32 = 250;

/// What a running gate asks the cluster. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    clock: ApiClock,
    /// The labels of namespaces.
    pub namespaces: Namespaces,
}

// === impl Cluster ===

impl Cluster {
    /// The cluster that this client talks to, and what its answers tell beside their content.
    #[must_use]
    pub fn new(client: Client, clock: ApiClock) -> Self {
        Self {
            namespaces: Namespaces::new(client.clone(), clock.clone()),
            client,
            clock,
        }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What time it is for the API server.
    #[must_use]
    pub fn clock(&self) -> &ApiClock {
        &self.clock
    }

    /// The Pods of a namespace. Needs `list` on Pods.
    #[must_use]
    pub fn pods(&self, namespace: &str) -> Pages {
        let path = format!("/api/v1/namespaces/{}/pods", segment(namespace));
        let params = ListParams::default().limit(PAGE);
        Pages::new(self.client.clone(), &path, params)
    }
}

/// An error and what caused it, in one line: what a client says alone is seldom why.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    for cause in std::iter::successors(error.source(), |it| it.source()) {
        let cause = cause.to_string();
        if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

/// A name as one segment of a path, whatever a stranger wrote into a review.
pub(crate) fn segment(name: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let encoded = name.bytes().map(|byte| {
        if is_plain(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        for (name, expected) in [
            ("shop-1", "shop-1"),
            ("../a?b", "%2E%2E%2Fa%3Fb"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(segment(name), expected);
        }
    }
}
