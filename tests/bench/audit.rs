//! What an audit of 3,000 Pods costs without a network: lists come from memory, through the same client.

use std::convert::Infallible;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use podgate::policy::level::Version;
use podgate::policy::shipped;
use podgate::report::{Judge, Scan, Selection};
use tokio_util::sync::CancellationToken;

use super::workload::{GOOD, GOOD_POD, Shape, pod};

const PODS: usize = 3000;
const PAGE: usize = 250;

/// One page of Pods again and again, each of 18.7 kB.
fn page() -> String {
    let shape = Shape {
        init: 0,
        regular: 4,
        env: 24,
        managed: 24,
        context: GOOD,
        pod_context: GOOD_POD,
    };
    let pods = vec![pod(&shape); PAGE].join(",");
    format!(r#"{{"metadata":{{"continue":"more"}},"items":[{pods}]}}"#)
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn audit_of_3000_pods(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let page = Arc::new(page());
    let judge = Judge::new(shipped().expect("they are sound"), Version::LATEST, false);
    bencher.counter(ItemsCount::new(PODS)).bench(|| {
        let page = page.clone();
        let mut left = PODS / PAGE;
        let service = tower::service_fn(move |request: Request<Body>| {
            let is_pods = request.uri().path() == "/api/v1/pods";
            left -= usize::from(is_pods);
            let body = match (is_pods, left) {
                (true, 0) => page.replacen("more", "", 1),
                (true, _) => page.to_string(),
                _ => r#"{"metadata":{},"items":[]}"#.to_owned(),
            };
            async move { Ok::<_, Infallible>(Response::new(Body::from(body.into_bytes()))) }
        });
        let results = runtime.block_on(async {
            let client = Client::new(service, "default");
            let (selection, stop) = (Selection::default(), CancellationToken::new());
            Scan::new(client, &judge, selection, stop, |_| {})
                .run()
                .await
        });
        assert_eq!(results.summary.scanned["pods"], PODS as u64);
    });
}
