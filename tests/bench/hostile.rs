//! `cargo bench --bench hostile`: what clients that mean harm cost those that do not. It starts podgate, measures good
//! clients while nothing else happens and then under each attack, and writes a table. `-- --only NAME,NAME` runs some,
//! `--seconds N` measures longer, `--rate N` has the attackers open so many connections a second, `--server PATH` attacks
//! another podgate. The attack `none` is nobody: how far two measurements differ where there is nothing to differ.
//!
//! Good clients come from 127.0.0.1, as an API server does: four kept-alive connections with a review every two
//! milliseconds each, and a fresh connection with one review every twenty-five. Attackers come from 127.0.0.2 to
//! 127.0.0.9, or from 127.0.0.1 too, in a process of their own. They share the processors with the server and the
//! good clients, which no real ones would; so they run at the lowest priority and open a bounded number of connections
//! a second. Compare within one run.

#[path = "hostile/attack.rs"]
mod attack;
#[path = "hostile/good.rs"]
mod good;
#[path = "hostile/subject.rs"]
mod subject;

use std::error::Error;
use std::time::Duration;

use self::attack::{Attack, Attackers, Origin};
use self::good::{Measured, measure};
use self::subject::Subject;

/// Connections that attackers want to hold.
const CONNECTIONS: usize = 10_000;

/// For an attack to unfold before anything is measured.
const UNFOLD: Duration = Duration::from_secs(4);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if args.first().is_some_and(|arg| arg == attack::ARGUMENT) {
        return runtime.block_on(attack::run(&args[1..]));
    }
    let seconds = value("--seconds").map_or(Ok(8), |value| value.parse())?;
    let rate = value("--rate").map_or(Ok(attack::RATE), |value| value.parse())?;
    let measured = Duration::from_secs(seconds);
    println!(
        "good clients: p50 and p99 in milliseconds, in brackets p99 as a multiple of its quiet value just before\n"
    );
    println!(
        "| attack | from | kept: p50 | p99 | fresh: p50 | p99 | failed | of | RSS MiB | connections | closed | attackers opened |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for attack in Attack::ALL {
        for origin in [Origin::Elsewhere, Origin::Same] {
            if value("--only").is_some_and(|only| !only.split(',').any(|it| it == attack.name())) {
                continue;
            }
            let mut subject = Subject::start(value("--server").as_deref())?;
            let quiet = runtime.block_on(measure(&subject, measured / 2))?;
            subject.forget_peak()?;
            let attackers = Attackers::start(attack, origin, rate, &subject)?;
            std::thread::sleep(UNFOLD);
            let attacked = runtime.block_on(measure(&subject, measured))?;
            let figures = runtime.block_on(subject.figures())?;
            let opened = attackers.end()?;
            row(attack, origin, &quiet, &attacked, &figures, &opened);
            subject.end()?;
        }
    }
    Ok(())
}

fn row(
    attack: Attack,
    origin: Origin,
    quiet: &Measured,
    attacked: &Measured,
    figures: &subject::Figures,
    opened: &str,
) {
    let (kept, fresh) = (&attacked.kept, &attacked.fresh);
    println!(
        "| {} | {} | {:.2} | {:.2} ({:.1}×) | {:.2} | {:.2} ({:.1}×) | {} | {} | {} | {} | {} | {opened} |",
        attack.name(),
        origin.name(),
        kept.at(50),
        kept.at(99),
        kept.at(99) / quiet.kept.at(99),
        fresh.at(50),
        fresh.at(99),
        fresh.at(99) / quiet.fresh.at(99),
        kept.failed + fresh.failed,
        kept.total() + fresh.total(),
        figures.peak_mib,
        figures.connections,
        figures.closed,
    );
}
