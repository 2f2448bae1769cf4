//! Very many objects at once, as no `kubectl` could make them in time.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use serde_json::Value;

use super::Cluster;

/// Requests at a time.
const AT_ONCE: usize = 32;

impl Cluster {
    /// Creates each object at its path, such as `/api/v1/namespaces/shop/pods`. All of them, or the test fails.
    pub fn create_all(&self, objects: impl IntoIterator<Item = (String, Value)>) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
        let created = runtime.block_on(async {
            let client = self.client().await;
            stream::iter(objects)
                .map(|(path, object)| {
                    let client = client.clone();
                    async move {
                        let body = object.to_string().into_bytes();
                        let request = http::Request::post(path)
                            .header("content-type", "application/json")
                            .body(body)
                            .expect("it is a request");
                        client.request::<Value>(request).await
                    }
                })
                .buffer_unordered(AT_ONCE)
                .try_for_each(async |_| Ok(()))
                .await
        });
        created.expect("every object is created");
    }

    /// A client with the rights of the tests.
    pub async fn client(&self) -> Client {
        podgate::server::install_crypto_provider();
        podgate::cluster::client::connect(Some(&self.kubectl().kubeconfig))
            .await
            .expect("the kubeconfig is sound")
            .expect("it names a cluster")
    }
}
