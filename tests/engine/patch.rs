//! The patch of the mutating half: what holds for every Pod and all policies.
//! A case that fails is printed as policies and Pods, to be kept as a test beside these.

#[path = "patch/case.rs"]
mod case;
#[path = "patch/changes.rs"]
mod changes;
#[path = "patch/choices.rs"]
mod choices;
#[path = "patch/pods.rs"]
mod pods;
#[path = "patch/policies.rs"]
mod policies;
#[path = "patch/properties.rs"]
mod properties;
#[path = "patch/validation.rs"]
mod validation;

use proptest::prelude::*;

use case::Case;

/// Cases whose policies agree, or not.
fn cases(conflicts: bool) -> impl Strategy<Value = Case> {
    prop::collection::vec(any::<u8>(), 0..500).prop_map(move |bytes| Case::new(&bytes, conflicts))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: Some(Box::new(
            prop::test_runner::FileFailurePersistence::Direct("tests/engine/patch/regressions.txt"),
        )),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_patch_changes_nothing_but_what_is_missing(case in cases(true)) {
        properties::changes_nothing_but_what_is_missing(&case);
    }

    #[test]
    fn a_second_run_injects_nothing(case in cases(true)) {
        properties::injects_once(&case);
    }

    #[test]
    fn the_order_of_policies_changes_nothing(case in cases(true)) {
        properties::does_not_depend_on_the_order_of_policies(&case);
    }

    #[test]
    fn the_names_of_policies_that_agree_change_nothing(case in cases(false)) {
        properties::does_not_depend_on_the_names_of_policies(&case);
    }

    #[test]
    fn what_is_injected_is_what_the_policy_asks_for(case in cases(false)) {
        properties::satisfies_the_policy_that_injects(&case);
    }

    #[test]
    fn nothing_is_injected_that_the_api_server_refuses(case in cases(true)) {
        properties::contradicts_no_validation(&case);
    }

    #[test]
    fn what_is_judged_is_what_the_patch_makes(case in cases(true)) {
        properties::judges_what_it_injects(&case);
        properties::sees_what_the_patch_makes(&case);
    }
}
