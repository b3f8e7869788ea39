//! Made-up people at real postal codes.

use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

const GIVEN: [&str; 24] = [
    "Ana", "Ben", "Carla", "Dev", "Elena", "Femi", "Grace", "Hiro", "Ines", "Jamal", "Kira", "Luis", "Maya", "Noor",
    "Omar", "Petra", "Quinn", "Rosa", "Sam", "Tariq", "Uma", "Vera", "Wei", "Zoe",
];
const FAMILY: [&str; 24] = [
    "Adler",
    "Brown",
    "Chen",
    "Diaz",
    "Eze",
    "Fisher",
    "Garcia",
    "Haddad",
    "Ito",
    "Jones",
    "Khan",
    "Lopez",
    "Müller",
    "Nguyen",
    "Okafor",
    "Park",
    "Quiroga",
    "Rossi",
    "Singh",
    "Torres",
    "Underwood",
    "Vasquez",
    "Walker",
    "Young",
];

/// Postal codes where three quarters live near the demo's chapters.
const NEAR: [&str; 6] = ["900", "902", "941", "606", "917", "600"];

/// A CSV of sign-ups: seeded, so that the same seed gives the same people.
pub fn csv(count: usize, seed: u64) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let all = atlas::Gazetteer::us().entries();
    let civil: Vec<&atlas::Entry> = all.iter().filter(|entry| !entry.is_military()).collect();
    let near: Vec<&atlas::Entry> =
        civil.iter().copied().filter(|entry| NEAR.iter().any(|prefix| entry.code.starts_with(prefix))).collect();
    let mut text = String::from("given_name,family_name,email,phone,postal_code,country\n");
    for nth in 0..count {
        let pool = if rng.random_bool(0.75) { &near } else { &civil };
        let (given, family) = (GIVEN.choose(&mut rng).unwrap_or(&"Ana"), FAMILY.choose(&mut rng).unwrap_or(&"Adler"));
        let code = pool.choose(&mut rng).map_or("90012", |entry| entry.code);
        let line = rng.random_range(1000..9999);
        let _ = writeln!(text, "{given},{family},supporter{seed}-{nth}@example.org,213555{line},{code},US");
    }
    text
}
