//! `cargo bench --bench review`: the time that a review takes, for people. Compare within one run: machines differ,
//! and shared ones differ from minute to minute. The gate is `instructions.rs`.

#[path = "workload.rs"]
#[allow(dead_code, reason = "the budgets are for the gate")]
mod workload;

#[cfg(feature = "net")]
#[path = "audit.rs"]
mod audit;
#[path = "pod_security.rs"]
mod pod_security;

use divan::Bencher;
use divan::counter::BytesCount;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = names())]
fn review(bencher: Bencher<'_, '_>, name: &str) {
    let case = workload::cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the names are those of the cases");
    bencher
        .counter(BytesCount::new(case.body.len()))
        .bench(|| case.run());
}

fn names() -> Vec<&'static str> {
    workload::cases().iter().map(|case| case.name).collect()
}
