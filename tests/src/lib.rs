//! Whole-system tests: harness, simulation, end to end, tidy; the programs behind xtask.
