//! Engines and real databases through thousands of shuffled, cut and repeated deliveries.

use tests::world::World;

/// Seeds in the test command; `SEEDS=N` runs as many.
const SEEDS: u64 = 40;
const STEPS: usize = 600;

fn run(seed: u64, steps: usize) -> anyhow::Result<(String, u64)> {
    let mut world = World::new(seed, 2)?;
    for step in 0..steps {
        world.step().map_err(|error| error.context(format!("seed {seed}, step {step}")))?;
    }
    world.rest().map_err(|error| error.context(format!("seed {seed}, at rest")))?;
    Ok((world.digest()?, world.compared))
}

#[test]
fn nodes_agree_after_cuts_crashes_and_repeats() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let mut compared = 0;
    for seed in 0..seeds {
        match run(seed, STEPS) {
            Ok((_, more)) => compared += more,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(compared > seeds, "restores and rollbacks are made good by comparing: {compared} times in {seeds} runs");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let twice = [run(7, 300), run(7, 300)].map(|run| run.expect("the run stands"));
    assert_eq!(twice[0], twice[1]);
}

/// An end that had folded said so before the other had checked its cursor, and was taken for one that acknowledges ahead.
#[test]
fn seed_0_a_late_fold_is_not_an_acknowledgement_ahead() {
    run(0, STEPS).expect("the run stands");
}
