use super::*;
use crate::control::testing::{check, read_over};

fn only(types: &[&'static str]) -> Volumes {
    Volumes {
        allowed: Some(types.to_vec()),
        ..Volumes::default()
    }
}

fn logs(read_only: bool) -> HostPath {
    HostPath {
        path_prefix: "/var/log".to_owned(),
        read_only,
    }
}

#[test]
fn allows_the_types_that_are_listed() {
    check(
        only(&["configMap", "secret"]),
        r#"{"spec": {"volumes": [{"name": "a", "secret": {}}, {"name": "b", "hostPath": {"path": "/var"}},
            {"name": "c", "csi": {"driver": "x"}}, {"name": "d", "nfs": {}}, {"name": "e", "configMap": {}}]}}"#,
        &[
            r#"spec.volumes[1].hostPath is {path: "/var"}; must be unset: allowed is configMap or secret"#,
            r#"spec.volumes[2].csi is {driver: "x"}; must be unset: allowed is configMap or secret"#,
            "spec.volumes[3].nfs is set; must be unset: allowed is configMap or secret",
        ],
    );
    check(
        only(&[]),
        r#"{"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}}"#,
        &["spec.volumes[0].emptyDir is set; must be unset: allowed is nothing"],
    );
    check(
        only(&[
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "image",
            "projected",
            "secret",
            "nfs",
        ]),
        r#"{"spec": {"volumes": [{"name": "a", "rbd": {}}]}}"#,
        &[
            "spec.volumes[0].rbd is set; must be unset: allowed is configMap, csi, downwardAPI, emptyDir, ephemeral, \
           image, projected, secret and 1 more",
        ],
    );
}

#[test]
fn denies_the_types_that_are_forbidden() {
    check(
        Volumes {
            forbidden: vec!["hostPath"],
            ..Volumes::default()
        },
        r#"{"spec": {"volumes": [{"name": "a", "nfs": {}}, {"name": "b", "hostPath": {"path": "/"}}]}}"#,
        &[
            r#"spec.volumes[1].hostPath is {path: "/"}; must be unset: allowed is any type podgate knows but hostPath"#,
        ],
    );
}

#[test]
fn denies_what_it_does_not_know_and_every_source_of_a_volume() {
    let pod = r#"{"spec": {"volumes": [{"name": "a", "quantumFoam": {}}, {"name": "b"},
        {"name": "c", "emptyDir": {}, "unknown": {}, "nfs": {}}]}}"#;
    let known = [
        "spec.volumes[0].quantumFoam is set, which podgate does not know; must be unset: allowed is any type podgate knows",
        "spec.volumes[1] is without a source; must be given one: allowed is any type podgate knows",
        "spec.volumes[2].unknown is set, which podgate does not know; must be unset: allowed is any type podgate knows",
    ];
    check(Volumes::default(), pod, &known);
    check(only(&[ANY]), pod, &known);
    check(
        only(&["emptyDir"]),
        r#"{"spec": {"volumes": [{"name": "c", "emptyDir": {}, "nfs": {}}]}}"#,
        &["spec.volumes[0].nfs is set; must be unset: allowed is emptyDir"],
    );
}

#[test]
fn narrows_host_paths() {
    let it = Volumes {
        host_paths: Some(vec![logs(false)]),
        ..Volumes::default()
    };
    check(
        it,
        r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/var/log/x"}},
            {"name": "b", "hostPath": {"path": "/var/logs"}}, {"name": "c", "hostPath": {"path": "/var/log/../x"}}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "a", "mountPath": "/a"}]}]}}"#,
        &[
            r#"spec.volumes[1].hostPath.path is "/var/logs"; must be "/var/log" or below"#,
            r#"spec.volumes[2].hostPath.path is "/var/log/../x"; must be a path without .."#,
        ],
    );
    check(
        Volumes {
            host_paths: Some(Vec::new()),
            ..Volumes::default()
        },
        r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}}"#,
        &[r#"spec.volumes[0].hostPath.path is "/"; must be unset, since no path is allowed"#],
    );
    check(
        Volumes::default(),
        r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/a/.."}}, {"name": "b", "hostPath": {"path": "/"}}]}}"#,
        &[r#"spec.volumes[0].hostPath.path is "/a/.."; must be a path without .."#],
    );
}

#[test]
fn a_read_only_host_path_asks_for_read_only_mounts_in_every_container_list() {
    let pod = r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/var/log"}}, {"name": "b", "emptyDir": {}}],
        "initContainers": [{"name": "i", "volumeMounts": [{"name": "a", "readOnly": false}]}],
        "containers": [{"name": "c", "volumeMounts": [{"name": "b"}, {"name": "a", "readOnly": true}, {"name": "a"}]}],
        "ephemeralContainers": [{"name": "e", "volumeMounts": [{"name": "a"}]}]}}"#;
    let of = |list| Volumes {
        host_paths: Some(list),
        ..Volumes::default()
    };
    let required = r#"must be true, since "/var/log" of the node is allowed for reading only"#;
    check(
        of(vec![logs(true)]),
        pod,
        &[
            &format!("spec.initContainers[0].volumeMounts[0].readOnly is false; {required}"),
            &format!("spec.containers[0].volumeMounts[2].readOnly is unset; {required}"),
            &format!(
                "spec.ephemeralContainers[0].volumeMounts[0].readOnly is unset; {required}"
            ),
        ],
    );
    check(of(vec![logs(true), logs(false)]), pod, &[]);
    check(
        of(vec![logs(true)]),
        r#"{"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/etc"}}]}}"#,
        &[
            r#"spec.volumes[0].hostPath.path is "/etc"; must be "/var/log" (read-only) or below"#,
        ],
    );
}

#[test]
fn narrows_drivers() {
    let drivers = || Some(vec!["good".to_owned()]);
    check(
        Volumes {
            csi_drivers: drivers(),
            flex_volume_drivers: drivers(),
            ..Volumes::default()
        },
        r#"{"spec": {"volumes": [{"name": "a", "csi": {"driver": "good"}}, {"name": "b", "csi": {"driver": "bad"}},
            {"name": "c", "flexVolume": {"driver": "good"}}, {"name": "d", "flexVolume": {}}]}}"#,
        &[
            r#"spec.volumes[1].csi.driver is "bad"; must be "good""#,
            r#"spec.volumes[3].flexVolume.driver is ""; must be "good""#,
        ],
    );
    check(
        Volumes {
            csi_drivers: Some(Vec::new()),
            ..Volumes::default()
        },
        r#"{"spec": {"volumes": [{"name": "b", "csi": {"driver": "bad"}}]}}"#,
        &[r#"spec.volumes[0].csi.driver is "bad"; must be unset, since no driver is allowed"#],
    );
}

#[test]
fn reads_over_the_base() {
    let baseline = || Volumes {
        forbidden: vec!["hostPath"],
        ..Volumes::default()
    };
    let yaml = "{allowed: [hostPath, cephFS], hostPaths: [{pathPrefix: /var/log, readOnly: true}], csiDrivers: [a], flexVolumeDrivers: [b]}";
    let expected = Volumes {
        allowed: Some(vec!["hostPath", "cephfs"]),
        forbidden: Vec::new(),
        host_paths: Some(vec![logs(true)]),
        csi_drivers: Some(vec!["a".to_owned()]),
        flex_volume_drivers: Some(vec!["b".to_owned()]),
        allow_unknown: false,
    };
    assert_eq!(read_over(baseline(), yaml), Ok(expected));
    assert_eq!(read_over(baseline(), "{}"), Ok(baseline()));
    let both = Volumes {
        forbidden: vec!["csi", "hostPath"],
        ..Volumes::default()
    };
    assert_eq!(read_over(baseline(), "forbidden: [csi]"), Ok(both));
    assert_eq!(read_over(baseline(), "allowed: ['*']"), Ok(only(&[ANY])));
    let narrowed = Volumes {
        forbidden: vec!["csi"],
        ..only(&["csi", "secret"])
    };
    assert_eq!(
        read_over(only(&["csi", "secret"]), "forbidden: [csi]"),
        Ok(narrowed)
    );
}

#[test]
fn refuses_what_makes_no_sense() {
    for (yaml, expected) in [
        (
            "{allowed: [nfs], forbidden: [csi]}",
            "allowed and forbidden cannot both be given (what is not in allowed is forbidden)",
        ),
        (
            "allowed: [configmaps]",
            "unknown volume type \"configmaps\" (did you mean \"configMap\"?)",
        ),
        (
            "allowed: [unknown]",
            "unknown volume type \"unknown\" (expected the name of a volume source in a Pod, such as configMap)",
        ),
        (
            "allowed: ['*', nfs]",
            "\"*\" beside other types (\"*\" alone allows every type)",
        ),
        (
            "forbidden: ['*']",
            "\"*\" cannot be forbidden (to forbid every type, write allowed: [])",
        ),
        (
            "hostPaths: [{pathPrefix: var}]",
            "the host path \"var\" is not absolute (it must start with /)",
        ),
        (
            "hostPaths: [{pathPrefix: /a/../b}]",
            "the host path \"/a/../b\" must not contain ..",
        ),
        (
            "hostPaths: [{readOnly: true}]",
            "missing field \"pathPrefix\"",
        ),
    ] {
        assert_eq!(
            read_over(Volumes::default(), yaml),
            Err(vec![expected.to_owned()]),
            "{yaml}"
        );
    }
}
