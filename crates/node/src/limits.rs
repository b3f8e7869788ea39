//! Limits of the public sign-up: what is beyond them is held for a person to look at, never lost and never refused.
//!
//! **Invariant:** counting keeps nothing of an address in clear: keys are an HMAC by a key that is drawn when the process
//! starts and is nowhere else. Counters are in memory and begin empty; each window begins for all of them at once, so that
//! what a flood brought is let go as a whole.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use model::{EmailAddress, Timestamp};
use serde::Deserialize;
use sha2::Sha256;
use store::HeldWhy;

use crate::draw;

/// The most keys that one counter holds: some MB. Beyond it new ones are not counted until the next window: a flood from
/// more places than this is not made smaller by holding everybody else.
const KEYS_MAX: usize = 100_000;
/// IPv4: what one provider gives to one place. IPv6: what one customer gets (RFC 6177 says /48 to /64).
const BLOCK_BITS_V4: u32 = 24;
const BLOCK_BITS_V6: u32 = 56;
const MINUTE_MS: i64 = 60_000;

/// The limits by name, as they stand in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignUpLimits {
    /// Sign-ups from one block of addresses (IPv4 /24, IPv6 /56) in one window. A hall of 300 people fits twice.
    pub address_most: u32,
    /// How long that window is, in minutes.
    pub address_minutes: u32,
    /// Sign-ups with one e-mail address in one window.
    pub email_most: u32,
    /// How long that window is, in minutes.
    pub email_minutes: u32,
    /// How long a person needs for the form at least, in seconds.
    pub fill_seconds: u32,
}

impl Default for SignUpLimits {
    fn default() -> Self {
        Self { address_most: 600, address_minutes: 10, email_most: 5, email_minutes: 60, fill_seconds: 2 }
    }
}

/// What is known of how a form was filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Whether something stands in the field that people do not see.
    pub honeypot: bool,
    /// When the form was shown, if it says so.
    pub shown: Option<Timestamp>,
}

/// Counts sign-ups. Clones share the counters.
#[derive(Clone, Debug)]
pub struct SignUpGate {
    limits: SignUpLimits,
    key: Arc<Key>,
    counters: Arc<Mutex<Counters>>,
}

#[derive(Debug)]
struct Counters {
    addresses: Counter,
    emails: Counter,
}

/// The key by which addresses are counted.
struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The first 16 bytes of an HMAC-SHA-256 over a byte that says what it is of, and the bytes.
    fn of(&self, what: u8, bytes: &[u8]) -> Option<[u8; 16]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(&[what]);
        mac.update(bytes);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        Some(std::array::from_fn(|at| whole[at]))
    }
}

/// How many came with each key since a window began.
#[derive(Debug)]
struct Counter {
    most: u32,
    window_ms: i64,
    began: Timestamp,
    counts: BTreeMap<[u8; 16], u32>,
}

impl Counter {
    fn new(most: u32, minutes: u32) -> Self {
        let window_ms = i64::from(minutes) * MINUTE_MS;
        Self { most, window_ms, began: Timestamp::default(), counts: BTreeMap::new() }
    }

    /// Counts one more; gives whether that is over the limit.
    fn is_over(&mut self, key: Option<[u8; 16]>, now: Timestamp) -> bool {
        // A clock that was put back begins a window, too.
        if !(0..self.window_ms).contains(&now.since(self.began)) {
            self.began = now;
            self.counts.clear();
        }
        let Some(key) = key.filter(|key| self.counts.len() < KEYS_MAX || self.counts.contains_key(key)) else {
            return false;
        };
        let count = self.counts.entry(key).or_default();
        *count = count.saturating_add(1);
        *count > self.most
    }
}

impl SignUpGate {
    /// A gate with these limits and empty counters.
    pub fn new(limits: SignUpLimits) -> Self {
        let counters = Counters {
            addresses: Counter::new(limits.address_most, limits.address_minutes),
            emails: Counter::new(limits.email_most, limits.email_minutes),
        };
        Self { limits, key: Arc::new(Key(draw::token())), counters: Arc::new(Mutex::new(counters)) }
    }

    /// Counts a sign-up; gives why it is to be held, if it is.
    pub fn why_held(&self, from: IpAddr, emails: &[EmailAddress], filled: Filled, now: Timestamp) -> Option<HeldWhy> {
        let address = self.key.of(b'a', &block_of(from));
        let emails: Vec<_> = emails.iter().map(|email| self.key.of(b'e', email.as_str().as_bytes())).collect();
        let (many_here, many_hers) = {
            let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
            let many_here = counters.addresses.is_over(address, now);
            // All of them are counted, also after one that is over.
            let over = emails.into_iter().filter(|email| counters.emails.is_over(*email, now)).count();
            (many_here, over > 0)
        };
        let least_ms = i64::from(self.limits.fill_seconds) * 1000;
        let fast = filled.shown.is_some_and(|shown| now.since(shown) < least_ms);
        let reasons = [
            (filled.honeypot, HeldWhy::Honeypot),
            (fast, HeldWhy::FillTime),
            (many_hers, HeldWhy::Email),
            (many_here, HeldWhy::Address),
        ];
        reasons.into_iter().find_map(|(holds, why)| holds.then_some(why))
    }
}

/// The block of an address, as bytes.
pub(crate) fn block_of(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let block = v4.to_bits() & (u32::MAX << (u32::BITS - BLOCK_BITS_V4));
            block.to_be_bytes().to_vec()
        }
        IpAddr::V6(v6) => {
            let block = v6.to_bits() & (u128::MAX << (u128::BITS - BLOCK_BITS_V6));
            block.to_be_bytes().to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);

    fn gate() -> SignUpGate {
        SignUpGate::new(SignUpLimits { address_most: 3, email_most: 2, ..SignUpLimits::default() })
    }

    fn held(gate: &SignUpGate, from: &str, email: &str, now: Timestamp) -> Option<HeldWhy> {
        let emails: Vec<EmailAddress> = vec![email.parse().unwrap()];
        gate.why_held(from.parse().unwrap(), &emails, Filled::default(), now)
    }

    #[test]
    fn a_block_is_counted_as_one_and_the_next_window_begins_anew() {
        let gate = gate();
        let from = ["192.0.2.1", "192.0.2.200", "::ffff:192.0.2.7", "192.0.2.1"];
        let whys: Vec<_> =
            from.iter().enumerate().map(|(n, from)| held(&gate, from, &format!("p{n}@example.org"), NOW)).collect();
        assert_eq!(whys, [None, None, None, Some(HeldWhy::Address)]);
        assert_eq!(held(&gate, "192.0.3.1", "p9@example.org", NOW), None, "the block beside it");
        assert_eq!(held(&gate, "192.0.2.1", "p8@example.org", NOW.plus_millis(10 * MINUTE_MS)), None);
        for n in 0..4 {
            let from = format!("2001:db8:0:{n}::1");
            let expected = (n == 3).then_some(HeldWhy::Address);
            assert_eq!(held(&gate, &from, &format!("s{n}@example.org"), NOW.plus_millis(10 * MINUTE_MS)), expected);
        }
    }

    #[test]
    fn one_address_of_mail_is_counted_wherever_it_comes_from() {
        let gate = gate();
        let whys: Vec<_> = (0..3).map(|n| held(&gate, &format!("198.51.{n}.1"), "Mary@Example.org", NOW)).collect();
        assert_eq!(whys, [None, None, Some(HeldWhy::Email)]);
    }

    #[test]
    fn what_people_do_not_see_and_what_nobody_types_so_fast_is_held() {
        let gate = gate();
        let filled = |honeypot, ago: i64| Filled { honeypot, shown: Some(NOW.plus_millis(-ago)) };
        let why = |filled| gate.why_held("203.0.113.1".parse().unwrap(), &[], filled, NOW);
        assert_eq!(why(filled(true, 60_000)), Some(HeldWhy::Honeypot));
        assert_eq!(why(filled(false, 1_999)), Some(HeldWhy::FillTime));
        assert_eq!(why(filled(false, 2_000)), None);
    }

    #[test]
    fn nothing_of_an_address_is_printed() {
        let gate = gate();
        held(&gate, "192.0.2.1", "mary@example.org", NOW);
        let printed = format!("{gate:?}");
        assert!(!printed.contains("mary") && !printed.contains("192.0.2"), "{printed}");
    }
}
