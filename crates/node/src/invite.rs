//! The invitation: one line of text with a fixed prefix and a checksum.
//!
//! `chapterhouse-invite-2.<hex>.<8 hex of SHA-256>`: a secret scanner knows the prefix, a typing mistake is caught before
//! anything is dialled. The hex is the secret (16 bytes), how many pins there are (1 byte), the pins (32 bytes each), and
//! the addresses as text, with commas between. As a link the line stands in the fragment, which no browser sends anywhere.

use std::fmt;
use std::str::FromStr;

use model::Digest;
use sha2::{Digest as _, Sha256};
use store::ParentAt;

const PREFIX: &str = "chapterhouse-invite-2";
/// What a link begins with.
const LINK: &str = "chapterhouse:join#";
/// The most addresses and the most pins.
pub(crate) const WAYS_MAX: usize = 3;
/// The longest address, in bytes: a host name has at most 253, and a port.
const ADDRESS_BYTES_MAX: usize = 260;
/// The longest that the addresses are together, in bytes.
const ADDRESSES_BYTES_MAX: usize = WAYS_MAX * (ADDRESS_BYTES_MAX + 1);

/// An invitation. Its secret works once.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// 128 bits, drawn by the hub, which keeps only their hash.
    pub secret: [u8; 16],
    /// Where the hub is, and by what it is known.
    pub hub: ParentAt,
}

/// Why a text is no invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// It does not begin as one.
    #[error("this is not an invitation: it begins with {PREFIX}")]
    NotAnInvite,
    /// It was not copied whole, or mistyped.
    #[error("the invitation is not complete: copy the whole line again")]
    Damaged,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let even = text.len().is_multiple_of(2) && text.is_ascii();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    if even { (0..text.len()).step_by(2).map(byte).collect() } else { None }
}

fn checksum(body: &str) -> String {
    hex(&Sha256::digest(body.as_bytes())[..4])
}

/// Whether a text can be an address in an invitation: `host:port`.
pub(crate) fn is_address(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !",#/\\\"'<>".contains(c);
    let fits = !host.is_empty() && text.len() <= ADDRESS_BYTES_MAX && text.chars().all(plain);
    fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

impl Invite {
    /// The hash that the hub keeps of the secret.
    pub fn secret_hash(secret: &[u8]) -> [u8; 32] {
        Sha256::digest(secret).into()
    }

    /// As a link, with everything in the fragment.
    pub fn link(&self) -> String {
        format!("{LINK}{self}")
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pins: Vec<u8> = self.hub.pins.iter().flat_map(|pin| pin.0).collect();
        let count = u8::try_from(self.hub.pins.len()).map_err(|_| fmt::Error)?;
        let body = hex(&[&self.secret[..], &[count], &pins, self.hub.addresses.join(",").as_bytes()].concat());
        write!(f, "{PREFIX}.{body}.{}", checksum(&body))
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({})", self.hub.addresses.join(","))
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    /// The line, or a link that has it in its fragment, whatever stands before that.
    fn from_str(text: &str) -> Result<Self, InviteError> {
        let line = text.trim().rsplit('#').next().unwrap_or_default();
        let rest = line.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('.'));
        let rest = rest.ok_or(InviteError::NotAnInvite)?;
        let (body, sum) = rest.split_once('.').ok_or(InviteError::Damaged)?;
        if body.len() > 2 * (16 + 1 + 32 * WAYS_MAX + ADDRESSES_BYTES_MAX) || checksum(body) != sum {
            return Err(InviteError::Damaged);
        }
        read_body(&unhex(body).ok_or(InviteError::Damaged)?).ok_or(InviteError::Damaged)
    }
}

fn read_body(bytes: &[u8]) -> Option<Invite> {
    let (secret, bytes) = bytes.split_first_chunk::<16>()?;
    let (count, bytes) = bytes.split_first()?;
    let count = usize::from(*count);
    let (pins, addresses) = bytes.split_at_checked(32 * count).filter(|_| (1..=WAYS_MAX).contains(&count))?;
    let pins = pins.as_chunks::<32>().0.iter().copied().map(Digest).collect();
    let addresses: Vec<String> = std::str::from_utf8(addresses).ok()?.split(',').map(str::to_owned).collect();
    let fit = addresses.len() <= WAYS_MAX && addresses.iter().all(|address| is_address(address));
    fit.then_some(Invite { secret: *secret, hub: ParentAt { addresses, pins } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(addresses: &[&str], pins: usize) -> Invite {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        Invite { secret: [7; 16], hub: ParentAt { addresses, pins: vec![Digest([9; 32]); pins] } }
    }

    #[test]
    fn an_invitation_reads_what_it_prints_and_nothing_else() {
        for made in [invite(&["127.0.0.1:4433"], 1), invite(&["hub.example.org:8443", "[::1]:8443", "a:1"], 3)] {
            let (line, link) = (made.to_string(), made.link());
            assert_eq!(line.parse(), Ok(made.clone()));
            assert_eq!(link.parse(), Ok(made.clone()));
            assert_eq!(format!(" https://example.org/join#{line}\n").parse(), Ok(made));
            assert!(!link.split_once('#').unwrap().0.contains("0707"), "the secret is in the fragment alone");
            assert_eq!(line[..line.len() - 1].parse::<Invite>(), Err(InviteError::Damaged));
            assert_eq!(line.replacen("07", "08", 1).parse::<Invite>(), Err(InviteError::Damaged));
            assert!(!format!("{:?}", line.parse::<Invite>()).contains("0707"));
        }
        assert_eq!("hello".parse::<Invite>(), Err(InviteError::NotAnInvite));
    }

    #[test]
    fn what_no_hub_would_print_is_no_invitation_even_with_a_good_checksum() {
        let unfit = [
            invite(&["127.0.0.1:4433"], 0),
            invite(&["127.0.0.1:4433"], 4),
            invite(&["a:1", "b:1", "c:1", "d:1"], 1),
            invite(&[], 1),
            invite(&["127.0.0.1"], 1),
            invite(&["host:0"], 1),
            invite(&["ho st:1"], 1),
            invite(&[&format!("{}:1", "a".repeat(ADDRESS_BYTES_MAX))], 1),
        ];
        for unfit in unfit {
            assert_eq!(unfit.to_string().parse::<Invite>(), Err(InviteError::Damaged), "{unfit:?}");
        }
    }
}
