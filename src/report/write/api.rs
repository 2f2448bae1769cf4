//! The two APIs that reports are written in, and which of them a cluster serves.
//!
//! podgate installs neither: whose definition of them a cluster has is for its owner to say, and the two projects'
//! definitions of the older one contradict each other.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::Client;

use crate::cluster::segment;

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportApi {
    /// `openreports.io/v1alpha1` `Report`
    OpenReports,
    /// `wgpolicyk8s.io/v1alpha2` `PolicyReport`
    PolicyReport,
}

/// Why no report can be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportApiError {
    /// Neither of the two.
    #[error(
        "cannot write reports: this cluster serves neither {} nor {}. podgate does not install them: \
         install the CRDs of one of these projects first",
        ReportApi::OpenReports,
        ReportApi::PolicyReport
    )]
    Neither,
    /// The one that was asked for.
    #[error(
        "cannot write reports: this cluster does not serve {0}. podgate does not install them: install their CRD first, \
         or leave the choice to podgate with --report-api auto"
    )]
    NotServed(ReportApi),
    /// The API server does not say what it serves.
    #[error("cannot write reports: cannot ask whether this cluster serves {api}: {source}")]
    Unknown {
        /// What was asked for.
        api: ReportApi,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

// === impl ReportApi ===

impl ReportApi {
    /// Both; the first that is served is taken.
    pub const ALL: [Self; 2] = [Self::OpenReports, Self::PolicyReport];

    /// The one that was asked for, or the first that the cluster serves.
    ///
    /// # Errors
    /// If it is not served, or the API server does not say.
    pub async fn discover(client: &Client, asked: Option<Self>) -> Result<Self, ReportApiError> {
        let candidates = asked.as_slice();
        let candidates = if candidates.is_empty() {
            &Self::ALL[..]
        } else {
            candidates
        };
        for api in candidates {
            let is_served = api.is_served(client).await;
            let failed = |source| ReportApiError::Unknown {
                api: *api,
                source: Box::new(source),
            };
            if is_served.map_err(failed)? {
                return Ok(*api);
            }
        }
        Err(asked.map_or(ReportApiError::Neither, ReportApiError::NotServed))
    }

    /// True if reports can be written in it. A CRD that is being removed is still listed, and takes no more writes.
    pub(super) async fn is_served(self, client: &Client) -> Result<bool, kube::Error> {
        match client.list_api_group_resources(self.api_version()).await {
            Ok(list) => Ok(self.is_in(&list)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_in(self, list: &APIResourceList) -> bool {
        list.resources.iter().any(|it| {
            it.name == self.resource() && it.namespaced && it.verbs.iter().any(|it| it == "patch")
        })
    }

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::OpenReports => "openreports.io/v1alpha1",
            Self::PolicyReport => "wgpolicyk8s.io/v1alpha2",
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::OpenReports => "Report",
            Self::PolicyReport => "PolicyReport",
        }
    }

    fn resource(self) -> &'static str {
        match self {
            Self::OpenReports => "reports",
            Self::PolicyReport => "policyreports",
        }
    }

    /// Where they are: in one namespace, or all of them.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        let (group, resource) = (self.api_version(), self.resource());
        match namespace {
            None => format!("/apis/{group}/{resource}"),
            Some(it) => format!("/apis/{group}/namespaces/{}/{resource}", segment(it)),
        }
    }
}

impl fmt::Display for ReportApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.resource(), self.api_version())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Stub};
    use super::*;

    async fn discovered(
        served: &[ReportApi],
        asked: Option<ReportApi>,
    ) -> Result<ReportApi, String> {
        let stub = Stub::serving(served);
        let found = ReportApi::discover(&stub.client(), asked).await;
        found.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn the_newer_of_the_two_is_taken_unless_one_is_asked_for() {
        use ReportApi::{OpenReports, PolicyReport};
        for (served, asked, expected) in [
            (&[OpenReports, PolicyReport][..], None, OpenReports),
            (&[OpenReports], None, OpenReports),
            (&[PolicyReport], None, PolicyReport),
            (
                &[OpenReports, PolicyReport],
                Some(PolicyReport),
                PolicyReport,
            ),
        ] {
            assert_eq!(discovered(served, asked).await, Ok(expected));
        }
    }

    #[tokio::test]
    async fn what_is_not_served_is_named_and_who_has_to_install_it() {
        let neither = discovered(&[], None).await.expect_err("there is none");
        for text in [
            "openreports.io/v1alpha1",
            "wgpolicyk8s.io/v1alpha2",
            "podgate does not install them",
        ] {
            assert!(neither.contains(text), "{neither}");
        }
        let other = discovered(&[ReportApi::PolicyReport], Some(ReportApi::OpenReports))
            .await
            .expect_err("the other one is served");
        assert!(
            other.starts_with(
                "cannot write reports: this cluster does not serve reports of openreports.io/v1alpha1"
            ),
            "{other}"
        );
    }

    #[test]
    fn a_crd_that_is_being_removed_is_not_served() {
        let mut list = testing::resources(ReportApi::OpenReports);
        assert!(ReportApi::OpenReports.is_in(&list));
        assert!(!ReportApi::PolicyReport.is_in(&list));
        list.resources[0].verbs.retain(|it| it != "patch");
        assert!(!ReportApi::OpenReports.is_in(&list));
    }
}
