//! Very many objects at once, as no `kubectl` could make them in time.

use std::{fs, path::PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use serde_json::Value;

use super::Cluster;

/// Requests at a time.
const AT_ONCE: usize = 32;

impl Cluster {
    /// Creates each object at its path, such as `/api/v1/namespaces/shop/pods`, and returns them as they are stored, in
    /// that order. All of them, or the test fails.
    pub fn create_all(&self, objects: impl IntoIterator<Item = (String, Value)>) -> Vec<Value> {
        self.send_all(&http::Method::POST, "application/json", objects)
    }

    /// Changes each object in the same way, by a merge patch.
    pub fn patch_all(&self, patches: impl IntoIterator<Item = (String, Value)>) -> Vec<Value> {
        self.send_all(
            &http::Method::PATCH,
            "application/merge-patch+json",
            patches,
        )
    }

    fn send_all(
        &self,
        method: &http::Method,
        media_type: &str,
        objects: impl IntoIterator<Item = (String, Value)>,
    ) -> Vec<Value> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
        let answers = runtime.block_on(async {
            let client = self.client().await;
            stream::iter(objects)
                .map(|(path, object)| {
                    let client = client.clone();
                    async move {
                        let body = object.to_string().into_bytes();
                        let request = http::Request::builder()
                            .method(method)
                            .uri(path)
                            .header("content-type", media_type)
                            .body(body)
                            .expect("it is a request");
                        client.request::<Value>(request).await
                    }
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await
        });
        answers.expect("every request succeeds")
    }

    /// A kubeconfig of a user who has no rights but those that somebody gave him.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        let plane = &self.control_plane;
        let identity = plane.authority.client(user, None).expect("a certificate");
        let path = self.directory.join(format!("kubeconfig-{user}"));
        fs::write(&path, plane.authority.kubeconfig(&plane.url, &identity))
            .expect("the kubeconfig can be written");
        path
    }

    /// A client with the rights of the tests.
    pub async fn client(&self) -> Client {
        podgate::server::install_crypto_provider();
        podgate::cluster::client::connect(Some(&self.kubectl().kubeconfig))
            .await
            .expect("the kubeconfig is sound")
            .expect("it names a cluster")
            .0
    }
}
