//! `cargo bench --bench instructions`: instructions (callgrind) and allocations (dhat) of a review, held against what the
//! project allows itself. Counts are the same on a busy machine and an idle one, so this is the gate; it ends with
//! exit code 1 if one is over its budget, and with 2 if it cannot measure.
//!
//! `-- --tolerance 5` allows 5 % more: another C library copies and allocates a little differently.
//!
//! The program runs itself under callgrind and dhat twice a case, with few rounds and with more: the difference is the
//! cost of the rounds alone, without start-up.

#[path = "workload.rs"]
mod workload;

use std::hint::black_box;
use std::process::{Command, ExitCode};

use workload::{Case, cases};

const FEW: u32 = 5;
const MANY: u32 = 25;

/// 100 policies may cost this much more than one.
const MOST_FOR_MANY_POLICIES: f64 = 1.3;
/// A parse into `serde_json::Value` costs at least this much more than the whole answer.
const LEAST_FOR_VALUE: f64 = 5.0;

/// A tool of valgrind, and what stands around its count in what it prints.
struct Tool {
    arguments: [&'static str; 2],
    around: (&'static str, &'static str),
}

const INSTRUCTIONS: Tool = Tool {
    arguments: ["--tool=callgrind", "--callgrind-out-file=/dev/null"],
    around: ("Collected : ", "\0"),
};
const ALLOCATIONS: Tool = Tool {
    arguments: ["--tool=dhat", "--dhat-out-file=/dev/null"],
    around: ("Total: ", " blocks"),
};

struct Measured {
    instructions: u64,
    allocations: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, case, rounds] = &arguments[..]
        && flag == "--rounds"
    {
        return run(case, rounds);
    }
    // cargo says `--bench` too.
    let tolerance = arguments.iter().position(|it| it == "--tolerance");
    let tolerance = match tolerance.map(|at| arguments.get(at + 1).and_then(|it| it.parse().ok())) {
        None => 0,
        Some(Some(percent)) => percent,
        Some(None) => {
            eprintln!("--tolerance takes a whole number of percent");
            return ExitCode::from(2);
        }
    };
    match report(tolerance) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot measure: {error}");
            ExitCode::from(2)
        }
    }
}

/// One case, some times: what callgrind watches.
fn run(case: &str, rounds: &str) -> ExitCode {
    let (Ok(case), Ok(rounds)) = (case.parse::<usize>(), rounds.parse::<u32>()) else {
        return ExitCode::from(2);
    };
    let cases = cases();
    for _ in 0..rounds {
        black_box(black_box(&cases[case]).run());
    }
    ExitCode::SUCCESS
}

#[allow(
    clippy::cast_precision_loss,
    reason = "ratios of counts far below 2^52"
)]
fn report(tolerance: u64) -> Result<bool, String> {
    let cases = cases();
    let mut all: Vec<(&Case, Measured)> = Vec::new();
    println!(
        "{:<34} {:>7} {:>13} {:>12}",
        "", "bytes", "instructions", "allocations"
    );
    let mut good = true;
    for (at, case) in cases.iter().enumerate() {
        let measured = Measured {
            instructions: per_round(&INSTRUCTIONS, at)?,
            allocations: per_round(&ALLOCATIONS, at)?,
        };
        let mut verdict = String::new();
        if let Some((instructions, allocations)) = case.budget {
            let is_over = measured.instructions * 100 > instructions * (100 + tolerance)
                || measured.allocations > allocations;
            good &= !is_over;
            let word = if is_over { "OVER" } else { "within" };
            verdict = format!("  {word} {instructions} and {allocations}");
        }
        println!(
            "{:<34} {:>7} {:>13} {:>12}{verdict}",
            case.name,
            case.body.len(),
            measured.instructions,
            measured.allocations
        );
        all.push((case, measured));
    }
    println!();
    let cost = |name: &str| {
        all.iter()
            .find(|(case, _)| case.name == name)
            .map_or(f64::NAN, |(_, it)| it.instructions as f64)
    };
    for size in ["7 kB", "63 kB"] {
        let whole = cost(&format!("{size}: decode, decide, answer"));
        let value = cost(&format!("{size}: serde_json::Value")) / whole;
        good &= told(
            &format!("{size}: serde_json::Value / decode, decide, answer"),
            value,
            value >= LEAST_FOR_VALUE,
            &format!("at least {LEAST_FOR_VALUE}"),
        );
        let structs =
            cost(&format!("{size}: decode, by serde_json")) / cost(&format!("{size}: decode"));
        told(
            &format!("{size}: serde_json, same structs / decode"),
            structs,
            true,
            "",
        );
    }
    for (which, most) in [
        ("one concerned", Some(MOST_FOR_MANY_POLICIES)),
        ("all alike", Some(MOST_FOR_MANY_POLICIES)),
        ("all different", None),
    ] {
        let ratio =
            cost(&format!("7 kB: 100 policies, {which}")) / cost("7 kB: decode, decide, answer");
        let bound = most.map_or_else(String::new, |most| format!("at most {most}"));
        good &= told(
            &format!("7 kB: 100 policies, {which} / one"),
            ratio,
            most.is_none_or(|most| ratio <= most),
            &bound,
        );
    }
    Ok(good)
}

fn told(what: &str, ratio: f64, is_good: bool, bound: &str) -> bool {
    let word = match (bound, is_good) {
        ("", _) => "",
        (_, true) => "  within ",
        (_, false) => "  OVER ",
    };
    println!("{what:<55} {ratio:>6.2}{word}{bound}");
    is_good
}

/// What `tool` counts for the rounds of a case, for each of them.
fn per_round(tool: &Tool, case: usize) -> Result<u64, String> {
    let (few, many) = (tool.count(case, FEW)?, tool.count(case, MANY)?);
    Ok(many.saturating_sub(few) / u64::from(MANY - FEW))
}

// === impl Tool ===

impl Tool {
    /// What it counts for the whole process.
    fn count(&self, case: usize, rounds: u32) -> Result<u64, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new("valgrind")
            .args(self.arguments)
            .arg(program)
            .args(["--rounds", &case.to_string(), &rounds.to_string()])
            .output()
            .map_err(|error| {
                format!("valgrind does not run ({error}); it is the package `valgrind`")
            })?;
        let text = String::from_utf8_lossy(&output.stderr);
        let (before, after) = self.around;
        let counted = text.lines().find_map(|line| {
            let (_, rest) = line.split_once(before)?;
            let (count, _) = rest.split_once(after).unwrap_or((rest, ""));
            count.rsplit(' ').next()?.replace(',', "").parse().ok()
        });
        match counted {
            Some(count) if output.status.success() => Ok(count),
            _ => Err(format!("valgrind says:\n{text}")),
        }
    }
}
