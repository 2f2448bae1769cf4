//! The CA bundles of the webhooks, and whether they vouch for the certificates that replicas really present.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio_rustls::rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use x509_parser::parse_x509_certificate;

use super::{Case, no_replica, place, unread, webhook_place};
use crate::cluster::snapshot::Unread;
use crate::output::diagnosis::Observation;

pub(super) const CA_BUNDLE: &str = "ca-bundle";
pub(super) const SERVED: &str = "served-certificate";

const DAY: i64 = 24 * 60 * 60;
/// Time enough for people to exchange a CA.
const CA_SOON: i64 = 30 * DAY;
/// Whatever renews certificates has done so long before, or does not work.
const CERTIFICATE_SOON: i64 = 7 * DAY;

/// How it is mended, wherever the bundle comes from.
const FIX: &str = "write the CA that signed the served certificate into caBundle: podgate does so with --certificates \
cluster, cert-manager with its inject annotation, else it is yours to do";

pub(super) fn check(case: &Case<'_>, seen: &mut Vec<Observation>) {
    for (sort, webhook) in case.snapshot.own_webhooks() {
        let place = webhook_place(case, sort, webhook);
        let bundle = webhook.client_config.ca_bundle.as_ref();
        seen.push(bundle_of(
            &place,
            bundle.map(|it| it.0.as_slice()),
            case.snapshot.now,
        ));
    }
    let bundles = case.snapshot.bundles();
    let replicas = match &case.snapshot.replicas {
        Err(why) => {
            seen.push(unread(SERVED, "replicas", why));
            return;
        }
        Ok(replicas) => replicas,
    };
    if replicas.is_empty() {
        seen.push(no_replica(case, SERVED));
    }
    for replica in replicas {
        let place = place(
            "Pod",
            &case.snapshot.names.namespace,
            &replica.pod.name_any(),
        );
        match &replica.certificates {
            Err(Unread::Impossible(why)) => seen.push(Observation::note(SERVED, &*place, why)),
            Err(why) => seen.push(unread(SERVED, &*place, why)),
            Ok(chain) => {
                let bundles = bundles.iter().map(|it| it.0.as_slice());
                let served = bundles.map(|bundle| served(case, &place, chain, bundle));
                // Of several bundles the one that is worst off.
                let worst = served.min_by_key(|it| it.severity);
                seen.extend(worst);
            }
        }
    }
}

/// What is said of one bundle.
fn bundle_of(place: &str, bundle: Option<&[u8]>, now: i64) -> Observation {
    let Some(bundle) = bundle.filter(|it| !it.is_empty()) else {
        return Observation::error(CA_BUNDLE, place, "it has no caBundle")
            .why("the API server then trusts only the CAs of its own machine, and podgate's certificate is of none of them")
            .fix(FIX);
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bundle).collect();
    let certificates = match certificates {
        Ok(certificates) if !certificates.is_empty() => certificates,
        _ => {
            return Observation::error(
                CA_BUNDLE,
                place,
                "its caBundle holds no certificate in PEM",
            )
            .why("the API server can trust nobody by it")
            .fix(FIX);
        }
    };
    let (mut in_force, mut past) = (Vec::new(), Vec::new());
    for certificate in &certificates {
        let Ok((_, parsed)) = parse_x509_certificate(certificate) else {
            let what = "a certificate in its caBundle is malformed";
            return Observation::error(CA_BUNDLE, place, what).fix(FIX);
        };
        let validity = parsed.validity();
        if now < validity.not_before.timestamp() {
            past.push(format!(
                "one is not in force before {}",
                validity.not_before
            ));
        } else if now > validity.not_after.timestamp() {
            past.push(format!("one expired on {}", validity.not_after));
        } else {
            in_force.push(validity.not_after);
        }
    }
    let Some(last) = in_force.into_iter().max() else {
        let what = format!("no CA of its caBundle is in force: {}", past.join(", "));
        return Observation::error(CA_BUNDLE, place, what)
            .why("the API server trusts nobody by it: nothing that podgate judges can be created")
            .fix(FIX);
    };
    if last.timestamp() - now < CA_SOON {
        return Observation::warning(
            CA_BUNDLE,
            place,
            format!("the last CA of its caBundle expires on {last}"),
        )
        .why("from then on nothing that podgate judges can be created")
        .fix(FIX);
    }
    let further = if past.is_empty() {
        String::new()
    } else {
        format!(" ({})", past.join(", "))
    };
    let what = format!("its caBundle is in force until {last}{further}");
    Observation::ok(CA_BUNDLE, place, what)
}

/// What is said of what a replica presents, by this bundle.
fn served(
    case: &Case<'_>,
    place: &str,
    chain: &[CertificateDer<'static>],
    bundle: &[u8],
) -> Observation {
    let (now, names) = (case.snapshot.now, &case.snapshot.names);
    let name = format!("{}.{}.svc", names.service, names.namespace);
    let refused =
        "the API server refuses the connection: nothing that podgate judges can be created";
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Observation::error(SERVED, place, "it presents no certificate").why(refused);
    };
    let Ok((_, parsed)) = parse_x509_certificate(leaf) else {
        return Observation::error(SERVED, place, "it presents a malformed certificate")
            .why(refused);
    };
    let until = parsed.validity().not_after;
    if let Err(error) = verify(leaf, intermediates, bundle, &name, now) {
        let what = match &error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                format!(
                    "its certificate was not signed by a CA of the caBundle (its issuer: {})",
                    parsed.issuer()
                )
            }
            Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => format!("its certificate expired on {until}"),
            Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => format!(
                "its certificate is not in force before {}",
                parsed.validity().not_before
            ),
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "its certificate is not for {name}, the name by which the API server calls it"
            ),
            other => format!("the API server will not trust its certificate: {other}"),
        };
        return Observation::error(SERVED, place, what)
            .why(refused)
            .fix(FIX);
    }
    if until.timestamp() - now < CERTIFICATE_SOON {
        return Observation::warning(SERVED, place, format!("its certificate expires on {until}"))
            .why("whatever renews it should have done so by now")
            .fix("see why it was not renewed: podgate's log, or the Certificate of cert-manager");
    }
    Observation::ok(
        SERVED,
        place,
        format!("the API server will trust its certificate until {until}"),
    )
}

/// As the API server does.
fn verify(
    leaf: &CertificateDer<'static>,
    intermediates: &[CertificateDer<'static>],
    bundle: &[u8],
    name: &str,
    now: i64,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle).flatten() {
        // What cannot be a root vouches for nobody.
        let _ = roots.add(certificate);
    }
    let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| unknown())?;
    let name = ServerName::try_from(name).map_err(|_| unknown())?;
    let since_epoch = Duration::from_secs(u64::try_from(now).unwrap_or_default());
    let now = UnixTime::since_unix_epoch(since_epoch);
    verifier
        .verify_server_cert(leaf, intermediates, &name, &[], now)
        .map(|_| ())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::testing::{Authority, Case, NOW, cases};
    use super::*;
    use crate::cluster::snapshot::Snapshot;

    fn present(snapshot: &mut Snapshot, by: &Authority, name: &str, from: i64, until: i64) {
        let chain = vec![by.certificate(name, from, until)];
        snapshot.replicas.as_mut().unwrap()[0].certificates = Ok(chain);
    }

    fn bundle(snapshot: &mut Snapshot, pem: &str) {
        for all in [&mut snapshot.validating, &mut snapshot.mutating] {
            for webhook in &mut all.as_mut().unwrap()[0].webhooks {
                webhook.client_config.ca_bundle =
                    Some(k8s_openapi::ByteString(pem.as_bytes().to_vec()));
            }
        }
    }

    const NAME: &str = "podgate.podgate-system.svc";

    #[test]
    fn what_the_api_server_would_not_trust_is_named() {
        let gate = "ValidatingWebhookConfiguration podgate, webhook gate.podgate.dev";
        let pod = "Pod podgate-system/podgate-1";
        cases(&[
            Case::webhook(
                |it| it.client_config.ca_bundle = None,
                &format!("error ca-bundle: {gate}: it has no caBundle"),
            ),
            Case::new(
                |it| bundle(it, "none"),
                &format!("error ca-bundle: {gate}: its caBundle holds no certificate in PEM"),
            ),
            Case::new(
                |it| bundle(it, &Authority::new("old", NOW - 90 * DAY, NOW - DAY).pem()),
                &format!(
                    "error ca-bundle: {gate}: no CA of its caBundle is in force: one expired on "
                ),
            ),
            Case::new(
                |it| {
                    bundle(
                        it,
                        &Authority::new("early", NOW + DAY, NOW + 90 * DAY).pem(),
                    );
                },
                &format!(
                    "error ca-bundle: {gate}: no CA of its caBundle is in force: one is not in force before "
                ),
            ),
            Case::new(
                |it| bundle(it, &Authority::new("soon", NOW - DAY, NOW + 20 * DAY).pem()),
                &format!("warning ca-bundle: {gate}: the last CA of its caBundle expires on "),
            ),
            Case::new(
                |it| {
                    bundle(
                        it,
                        &Authority::new("foreign", NOW - DAY, NOW + 90 * DAY).pem(),
                    );
                },
                &format!(
                    "error served-certificate: {pod}: its certificate was not signed by a CA of the caBundle (its issuer: CN=podgate)"
                ),
            ),
            Case::new(
                |it| {
                    let authority = Authority::new("new", NOW - DAY, NOW + 90 * DAY);
                    bundle(it, &authority.pem());
                    present(
                        it,
                        &authority,
                        "podgate.elsewhere.svc",
                        NOW - DAY,
                        NOW + 60 * DAY,
                    );
                },
                &format!(
                    "error served-certificate: {pod}: its certificate is not for podgate.podgate-system.svc"
                ),
            ),
            Case::new(
                |it| {
                    let authority = Authority::new("new", NOW - 9 * DAY, NOW + 90 * DAY);
                    bundle(it, &authority.pem());
                    present(it, &authority, NAME, NOW - 9 * DAY, NOW - DAY);
                },
                &format!("error served-certificate: {pod}: its certificate expired on "),
            ),
            Case::new(
                |it| {
                    let authority = Authority::new("new", NOW - DAY, NOW + 90 * DAY);
                    bundle(it, &authority.pem());
                    present(it, &authority, NAME, NOW - DAY, NOW + 2 * DAY);
                },
                &format!("warning served-certificate: {pod}: its certificate expires on "),
            ),
            Case::new(
                |it| it.replicas.as_mut().unwrap()[0].certificates = Ok(Vec::new()),
                &format!("error served-certificate: {pod}: it presents no certificate"),
            ),
            Case::new(
                |it| {
                    it.replicas.as_mut().unwrap()[0].certificates =
                        Err(Unread::TimedOut(Duration::from_secs(1)));
                },
                &format!(
                    "unknown served-certificate: {pod}: cannot be looked at: no answer within 1s"
                ),
            ),
        ]);
    }
}
