//! The patch of the mutating half, by the same cases and properties as the property tests.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../engine/patch/case.rs"]
mod case;
#[path = "../engine/patch/changes.rs"]
mod changes;
#[path = "../engine/patch/choices.rs"]
mod choices;
#[path = "../engine/patch/pods.rs"]
mod pods;
#[path = "../engine/patch/policies.rs"]
mod policies;
#[path = "../engine/patch/properties.rs"]
mod properties;
#[path = "../engine/support.rs"]
#[allow(dead_code, reason = "what other tests use")]
mod support;
#[path = "../engine/patch/validation.rs"]
mod validation;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let conflicts = first % 2 == 0;
    let case = case::Case::new(bytes, conflicts);
    properties::changes_nothing_but_what_is_missing(&case);
    properties::injects_once(&case);
    properties::does_not_depend_on_the_order_of_policies(&case);
    properties::contradicts_no_validation(&case);
    properties::judges_what_it_injects(&case);
    properties::sees_what_the_patch_makes(&case);
    if !conflicts {
        properties::does_not_depend_on_the_names_of_policies(&case);
        properties::satisfies_the_policy_that_injects(&case);
    }
});
