//! The overlay that takes certificates from cert-manager, with cert-manager's own controllers.

use super::harness::{await_until, cert_manager, empty_cluster};
use super::install::{Nodes, await_refused, bundles};

#[test]
fn cert_manager_makes_the_certificate_and_tells_the_api_server_whom_to_trust() {
    let Some((cluster, _turn)) = empty_cluster() else {
        return;
    };
    let Some(_cert_manager) = cert_manager(cluster) else {
        return;
    };
    let kubectl = cluster.kubectl();
    let mut nodes = Nodes::of(cluster);
    let shop = cluster.namespace("shop");

    let applied = kubectl.run(&["apply", "-k", "manifests/overlays/cert-manager"]);
    applied.expect_success();
    assert_eq!(applied.warnings(), Vec::<&str>::new(), "{applied}");

    kubectl
        .run(&[
            "wait",
            "--for=condition=Ready",
            "certificate/podgate-tls",
            "--namespace=podgate-system",
        ])
        .expect_success();
    let authority = || {
        let arguments = [
            "get",
            "secret",
            "podgate-tls",
            "--namespace=podgate-system",
            "--output=jsonpath={.data.ca\\.crt}",
        ];
        kubectl.run(&arguments).stdout
    };
    await_until("every webhook trusts the authority", || {
        let bundles = bundles(cluster);
        bundles.len() == 3 && bundles.iter().all(|it| *it == authority())
    });

    // The Pod serves what is in the Secret, and the API server believes it.
    nodes.follow();
    if !nodes.powerless {
        await_refused(&shop);
    }

    // Applying again leaves what cainjector wrote.
    let trusted = bundles(cluster);
    kubectl
        .run(&["apply", "-k", "manifests/overlays/cert-manager"])
        .expect_success();
    assert_eq!(bundles(cluster), trusted);

    drop(nodes);
    for directory in ["manifests/base/webhooks", "manifests/overlays/cert-manager"] {
        kubectl
            .run(&[
                "delete",
                "-k",
                directory,
                "--ignore-not-found",
                "--wait=false",
            ])
            .expect_success();
    }
    super::install::await_namespace_gone(cluster);
}
