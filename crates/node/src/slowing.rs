//! Slowing down whoever guesses passwords: each failure makes the next try wait longer, by name and by address.
//!
//! **Invariants:** a try that comes too early is answered without any work, and does not count; names that nobody has are
//! counted as all others. Bounded: who counts the most keys forgets the oldest.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Timestamp;

/// Failures of one name that cost nothing: people mistype.
const FREE_OF_NAME: u32 = 5;
/// Failures from one address that cost nothing: an office of volunteers has one.
const FREE_OF_ADDRESS: u32 = 20;
/// The first wait, in ms; each failure doubles it.
const WAIT_MS: i64 = 5_000;
/// The longest wait, in ms: a stranger can put this between somebody and her login, and no more.
const WAIT_MS_MAX: i64 = 15 * 60 * 1000;
/// After so long without a failure, in ms, those before do not count.
const FORGOTTEN_MS: i64 = 60 * 60 * 1000;
/// The most names and addresses that are counted: a megabyte.
const KEYS_MAX: usize = 10_000;

/// What failures are counted of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A name, whether or not somebody has it.
    Name(String),
    /// An address; of IPv6 its network of 64 bits, which one household has.
    Address(IpAddr),
}

impl Key {
    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        })
    }

    const fn free(&self) -> u32 {
        match self {
            Self::Name(_) => FREE_OF_NAME,
            Self::Address(_) => FREE_OF_ADDRESS,
        }
    }
}

/// Failures so far, and when the last was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) count: u32,
    pub(crate) last: Timestamp,
}

impl Failures {
    /// Of what this process has seen and what the login's row says, the newer: another process may have given her another
    /// password since, and with it a fresh beginning.
    fn newer(self, kept: Self) -> Self {
        if kept.last > self.last { kept } else { self }
    }

    /// How many still count.
    fn counting(self, now: Timestamp) -> u32 {
        if now.since(self.last) > FORGOTTEN_MS { 0 } else { self.count }
    }

    /// How long the next try has to wait, in ms.
    fn wait(self, free: u32, now: Timestamp) -> i64 {
        let Some(over) = self.counting(now).checked_sub(free) else { return 0 };
        let wait = (WAIT_MS << over.min(16)).min(WAIT_MS_MAX);
        // A clock that was put back does not make it longer.
        (wait - now.since(self.last).max(0)).max(0)
    }
}

/// Who failed how often, as this process has seen it.
#[derive(Debug, Default)]
pub(crate) struct Slowing(Mutex<BTreeMap<Key, Failures>>);

impl Slowing {
    fn counted(&self) -> MutexGuard<'_, BTreeMap<Key, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the next try has to wait, in ms. `kept` is what the login's row says, from before this process began or from
    /// another one.
    pub(crate) fn wait(&self, key: &Key, kept: Failures, now: Timestamp) -> i64 {
        let seen = self.counted().get(key).copied().unwrap_or_default();
        seen.newer(kept).wait(key.free(), now)
    }

    /// Counts a failure; gives how many there are now.
    pub(crate) fn failed(&self, key: Key, kept: Failures, now: Timestamp) -> u32 {
        let mut counted = self.counted();
        if counted.len() >= KEYS_MAX && !counted.contains_key(&key) {
            counted.retain(|_, failures| failures.counting(now) > 0);
            let oldest = counted.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| counted.len() >= KEYS_MAX) {
                counted.remove(&oldest);
            }
        }
        let seen = counted.entry(key).or_default();
        let count = seen.newer(kept).counting(now).saturating_add(1);
        *seen = Failures { count, last: now };
        count
    }

    /// She got in: what was counted of her name is over, and does not slow down others at her address: an office of people
    /// who mistype would in the end wait for each other.
    pub(crate) fn got_in(&self, name: &Key, address: Option<&Key>) {
        let mut counted = self.counted();
        let hers = counted.remove(name).unwrap_or_default().count;
        if let Some(there) = address.and_then(|address| counted.get_mut(address)) {
            there.count = there.count.saturating_sub(hers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);

    #[test]
    fn each_failure_after_the_fifth_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        let (slowing, lee, none) = (Slowing::default(), Key::Name("lee".to_owned()), Failures::default());
        let waits = |_| {
            let wait = slowing.wait(&lee, none, NOW);
            slowing.failed(lee.clone(), none, NOW);
            wait / 1000
        };
        assert_eq!((0..15).map(waits).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(slowing.wait(&lee, none, NOW.plus_millis(899_000)), 1000);
        assert_eq!(slowing.wait(&lee, none, NOW.plus_millis(900_000)), 0);
        assert_eq!(slowing.wait(&lee, none, NOW.plus_millis(-1_000_000)), WAIT_MS_MAX, "a clock that was put back");
        assert_eq!(slowing.wait(&Key::Name("ana".to_owned()), none, NOW), 0, "others are not slowed down");
        let later = NOW.plus_millis(FORGOTTEN_MS + 1);
        assert_eq!(slowing.failed(lee.clone(), none, later), 1, "after an hour it begins anew");
        slowing.got_in(&lee, None);
        assert_eq!(slowing.wait(&lee, none, later), 0);
    }

    #[test]
    fn who_got_in_after_mistyping_does_not_slow_her_office_down() {
        let (slowing, none) = (Slowing::default(), Failures::default());
        let office = Key::address("192.0.2.1".parse().unwrap());
        let fails = |name: &str| {
            let key = Key::Name(name.to_owned());
            slowing.failed(key.clone(), none, NOW);
            slowing.failed(office.clone(), none, NOW);
            key
        };
        for volunteer in 0..2 * FREE_OF_ADDRESS {
            let key = fails(&format!("v{volunteer}"));
            slowing.got_in(&key, Some(&office));
        }
        assert_eq!(slowing.wait(&office, none, NOW), 0);
        for guess in 0..FREE_OF_ADDRESS {
            fails(&format!("g{guess}"));
        }
        assert_eq!(slowing.wait(&office, none, NOW), WAIT_MS, "who does not get in is counted");
    }

    #[test]
    fn what_was_counted_before_this_process_began_counts_on() {
        let (slowing, lee) = (Slowing::default(), Key::Name("lee".to_owned()));
        let kept = Failures { count: 7, last: NOW };
        assert_eq!(slowing.wait(&lee, kept, NOW), 20_000);
        assert_eq!(slowing.failed(lee.clone(), kept, NOW), 8);
        let changed = Failures { count: 0, last: NOW.plus_millis(1) };
        assert_eq!(slowing.wait(&lee, changed, NOW.plus_millis(1)), 0, "she was given another password");
        assert_eq!(slowing.failed(lee, changed, NOW.plus_millis(2)), 1);
    }

    #[test]
    fn no_more_is_counted_than_fits() {
        let slowing = Slowing::default();
        for n in 0..KEYS_MAX + 50 {
            let at = NOW.plus_millis(i64::try_from(n).unwrap());
            slowing.failed(Key::Name(format!("n{n}")), Failures::default(), at);
        }
        assert_eq!(slowing.counted().len(), KEYS_MAX);
        assert!(!slowing.counted().contains_key(&Key::Name("n0".to_owned())), "the oldest goes");
    }

    #[test]
    fn one_household_is_one_address() {
        let of = |text: &str| Key::address(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
