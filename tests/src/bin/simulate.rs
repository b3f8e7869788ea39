//! Runs the simulation over a range of seeds; of a seed that fails, finds the shortest beginning that fails.
//!
//! `cargo xtask simulate --seeds N --steps M --from S`.

use anyhow::{Result, anyhow};
use clap::Parser;
use tests::harness::say;
use tests::world::{Seen, simulate};

/// Runs the simulation over a range of seeds
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo xtask simulate --seeds 1000 --steps 1000 --from 5000")]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// How many steps each
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// After how many seeds it says how far it is.
const TELL: u64 = 100;

fn main() -> Result<()> {
    let Arguments { seeds, steps, from } = Arguments::parse();
    let mut compared = 0;
    for seed in from..from + seeds {
        match run(seed, steps) {
            Ok(seen) => compared += seen.compared,
            Err(error) => {
                say(&format!("seed {seed} fails: {error:?}"));
                let (shortest, error) = shortest_prefix(seed, steps, error);
                anyhow::bail!("seed {seed} fails after {shortest} steps already: {error:?}");
            }
        }
        let done = seed - from + 1;
        if done % TELL == 0 {
            say(&format!("{done} seeds of {steps} steps, {compared} comparisons, no failure"));
        }
    }
    say(&format!(
        "seeds {from} to {}: {} steps, {compared} comparisons, no failure",
        from + seeds - 1,
        seeds * steps as u64
    ));
    Ok(())
}

/// Runs one seed. A panic is a failure like any other: the seed and the shortest beginning are found for it, too.
fn run(seed: u64, steps: usize) -> Result<Seen> {
    let ran = std::panic::catch_unwind(|| simulate(seed, steps));
    ran.unwrap_or_else(|_| Err(anyhow!("seed {seed}: it panicked, as it said above"))).map(|(_, seen)| seen)
}

/// Halves the distance between a beginning that stands and one that fails. What a longer run mends on its way can hide a
/// shorter failure, so this is the shortest that halving finds.
fn shortest_prefix(seed: u64, steps: usize, error: anyhow::Error) -> (usize, anyhow::Error) {
    let (mut stands, mut fails, mut why) = (0, steps, error);
    while stands + 1 < fails {
        let middle = stands.midpoint(fails);
        match run(seed, middle) {
            Ok(_) => stands = middle,
            Err(error) => (fails, why) = (middle, error),
        }
    }
    (fails, why)
}
