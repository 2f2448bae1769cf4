//! podgate's own certificates on a real API server: made, trusted, renewed, lost and found again, while requests go on.

mod balancer;
mod replicas;
mod stream;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use podgate::cluster::{
    certificates::{Keeper, Trust},
    clock::ApiClock,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::harness::{await_until, cluster};
use replicas::Own;
use stream::Stream;

/// Times for tests: two authorities overlap for two seconds.
const QUICK: &[&str] = &["--ca-overlap", "2s", "--poll", "250ms"];

#[test]
fn the_first_start_makes_everything_and_patches_nothing_but_the_bundle() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-first");
    let before = own.configurations();
    // Both start at once, and one of them does it.
    let replicas = [own.start(QUICK), own.start(QUICK)];
    own.await_admitted();
    let (secret, after) = (own.secret(), own.configurations());
    for key in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
        assert!(
            secret["data"][key].is_string(),
            "{key} is missing: {secret}"
        );
    }
    for (mut before, after) in before.into_iter().zip(after) {
        for (at, webhook) in after["webhooks"]
            .as_array()
            .expect("webhooks")
            .iter()
            .enumerate()
        {
            assert_eq!(
                webhook["clientConfig"]["caBundle"],
                secret["data"]["ca.crt"]
            );
            before["webhooks"][at]["clientConfig"]["caBundle"] = secret["data"]["ca.crt"].clone();
        }
        for field in ["webhooks", "apiVersion", "kind"] {
            assert_eq!(before[field], after[field]);
        }
    }
    let holders = replicas
        .iter()
        .filter(|it| it.metric("podgate_lease_held") == 1);
    assert_eq!(holders.count(), 1);
    for replica in &replicas {
        let (status, text) = replica.admin("/readyz?verbose");
        assert_eq!(status, 200, "{text}");
        assert!(
            text.contains("[+]caBundle ok: trusted by the webhook configurations"),
            "{text}"
        );
    }
}

#[test]
fn a_gate_that_is_not_registered_yet_is_ready_and_is_trusted_as_soon_as_it_is() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-careful");
    own.unregister();
    let replica = own.start(QUICK);
    let (_, text) = replica.admin("/readyz?verbose");
    assert!(
        text.contains("[+]caBundle ok: there are no webhook configurations yet"),
        "{text}"
    );
    own.register();
    own.await_admitted();
}

#[test]
fn nothing_is_refused_while_certificates_and_authorities_are_replaced() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-rotate");
    let _replicas = [own.start(QUICK), own.start(QUICK)];
    own.await_admitted();
    let stream = Stream::begin(&own);
    for what in ["serving", "serving", "ca", "serving", "ca"] {
        let before = own.secret();
        own.rotate(what);
        await_until("another certificate is stored", || {
            own.secret()["data"]["tls.crt"] != before["data"]["tls.crt"]
        });
        let authority = own.secret()["data"]["ca.crt"] != before["data"]["ca.crt"];
        assert_eq!(authority, what == "ca");
        assert!(own.secret()["metadata"]["annotations"]["podgate.dev/rotate"].is_null());
        // Every bundle is brought down to what counts, in the end.
        await_until("the authority before is forgotten", || {
            own.secret()["data"]["previous-ca.crt"].is_null() && own.trusts_only_the_authority()
        });
    }
    stream.end().expect_nothing_refused();
}

#[test]
fn a_lost_secret_is_written_again_and_an_edited_bundle_is_mended() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-lost");
    let _replicas = [own.start(QUICK), own.start(QUICK)];
    own.await_admitted();
    let before = own.secret();
    let stream = Stream::begin(&own);
    own.delete_secret();
    await_until("the Secret is back", || own.find_secret().is_some());
    assert_eq!(own.secret()["data"], before["data"]);
    own.write_secret(&json!({"tls.crt": null, "ca.key": "bm8ga2V5"}));
    await_until("the Secret is whole", || {
        own.secret()["data"] == before["data"]
    });
    stream.end().expect_nothing_refused();

    own.set_bundle("bm9ib2R5");
    await_until("the bundle is mended", || own.trusts_only_the_authority());
    own.await_admitted();
}

#[test]
fn replicas_that_come_up_without_the_secret_do_not_betray_one_that_still_serves_the_old_certificate()
 {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-begin");
    let mut old = own.start(QUICK);
    own.await_admitted();
    let before = own.secret();
    // It goes on serving what it knows, and hears of nothing.
    old.freeze();
    own.delete_secret();
    let new = own.start_elsewhere_unready(&["--ca-overlap", "1m", "--poll", "250ms"]);
    // The frozen one's Lease is for 15 s; then clients learn of the new authority for a while.
    await_until("the new one holds the Lease", || {
        new.metric("podgate_lease_held") == 1
    });
    await_until("another Secret is there", || own.find_secret().is_some());
    let secret = own.secret();
    assert_ne!(secret["data"]["ca.crt"], before["data"]["ca.crt"]);
    assert!(own.is_trusted(&before["data"]["ca.crt"]), "it still counts");
    assert!(
        own.is_trusted(&secret["data"]["ca.crt"]),
        "it counts already"
    );
    old.thaw();
    own.await_admitted();
}

#[test]
fn a_holder_that_is_frozen_is_replaced_and_changes_nothing_when_it_wakes() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-frozen");
    let mut first = own.start(QUICK);
    own.await_admitted();
    assert_eq!(first.metric("podgate_lease_held"), 1);
    let second = own.start_elsewhere(QUICK);
    first.freeze();
    // The Lease is for 15 s.
    await_until("the other one holds the Lease", || {
        second.metric("podgate_lease_held") == 1
    });
    own.rotate("serving");
    await_until("the wish is fulfilled", || {
        own.secret()["metadata"]["annotations"]["podgate.dev/rotate"].is_null()
    });
    let stored = own.secret();
    first.thaw();
    await_until("the first one knows", || {
        first.metric("podgate_lease_held") == 0
    });
    own.await_admitted();
    assert_eq!(own.secret()["data"], stored["data"]);
    assert_eq!(
        own.secret()["metadata"]["resourceVersion"],
        stored["metadata"]["resourceVersion"]
    );
}

#[test]
fn whoever_ends_gives_the_lease_back_at_once() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-release");
    let mut first = own.start(QUICK);
    own.await_admitted();
    let second = own.start_elsewhere(QUICK);
    first.stop();
    let since = std::time::Instant::now();
    await_until("the other one holds the Lease", || {
        second.metric("podgate_lease_held") == 1
    });
    // A Lease that is not given back lasts for 15 s.
    assert!(since.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_clock_that_is_wrong_changes_nothing_and_is_told() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-clock");
    let mut first = own.start(QUICK);
    own.await_admitted();
    let stored = own.secret();
    first.stop();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        let client = cluster.client().await;
        // By these clocks the certificate is in its last third, long expired, and not valid yet.
        for days in [70, 4000, -30] {
            let clock = ApiClock::default();
            clock.set(Timestamp::now() + SignedDuration::from_hours(24 * days));
            let (keeper, mut state) = Keeper::new(&client, clock, own.settings("wrong"));
            let stop = CancellationToken::new();
            let running = tokio::spawn(keeper.run(stop.clone()));
            let told = state.wait_for(|it| it.error.is_some());
            let told = told.await.expect("it runs").clone();
            assert!(
                told.error
                    .as_ref()
                    .is_some_and(|it| it.contains("clocks of this node")),
                "{told:?}"
            );
            // What is there is served all the same.
            assert!(
                told.serving.is_some() && told.trust == Trust::Full,
                "{told:?}"
            );
            stop.cancel();
            running.await.expect("no panic");
        }
    });
    assert_eq!(own.secret()["data"], stored["data"]);
    assert!(own.trusts_only_the_authority());
    // A replica whose clocks agree finds nothing to do.
    let _right = own.start(QUICK);
    own.await_admitted();
    assert_eq!(own.secret()["data"], stored["data"]);
}

#[test]
fn rights_that_are_missing_are_named_and_keep_a_new_replica_unready() {
    let Some(cluster) = cluster() else { return };
    let own = Own::install(cluster, "own-rights");
    own.take_rights();
    let replica = own.start_unready(QUICK);
    await_until("it says why", || {
        let (status, text) = replica.admin("/readyz?verbose");
        status == 503
            && text.contains("[-]certificate failed: not known yet")
            && text.contains("[-]caBundle failed: not looked at yet; cannot get the Secret")
            && text.contains("forbidden")
    });
    assert_eq!(replica.metric("podgate_certificates_stale"), 1);
    own.give_rights();
    own.await_admitted();
    await_until("it is ready", || replica.admin("/readyz").0 == 200);
}
