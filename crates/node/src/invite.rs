//! The invitation: one line of text with a fixed prefix and a checksum.
//!
//! `chapterhouse-invite-1.<hex of secret and address>.<8 hex of SHA-256>`: a secret scanner knows the prefix, a typing
//! mistake is caught before anything is dialled.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const PREFIX: &str = "chapterhouse-invite-1";
/// The longest address, in bytes: a host name has at most 253, and a port.
const ADDRESS_BYTES_MAX: usize = 260;

/// An invitation. Its secret works once.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// 128 bits, drawn by the hub, which keeps only their hash.
    pub secret: [u8; 16],
    /// Where the hub is: `host:port`.
    pub address: String,
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

impl Invite {
    /// The hash that the hub keeps of the secret.
    pub fn secret_hash(secret: &[u8]) -> [u8; 32] {
        Sha256::digest(secret).into()
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = hex(&[&self.secret, self.address.as_bytes()].concat());
        write!(f, "{PREFIX}.{body}.{}", checksum(&body))
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({})", self.address)
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let rest = text.trim().strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('.'));
        let rest = rest.ok_or(InviteError::NotAnInvite)?;
        let (body, sum) = rest.split_once('.').ok_or(InviteError::Damaged)?;
        if body.len() > 2 * (16 + ADDRESS_BYTES_MAX) || checksum(body) != sum {
            return Err(InviteError::Damaged);
        }
        let bytes = unhex(body).ok_or(InviteError::Damaged)?;
        let (secret, address) = bytes.split_first_chunk::<16>().ok_or(InviteError::Damaged)?;
        let address = String::from_utf8(address.to_vec()).map_err(|_| InviteError::Damaged)?;
        Ok(Self { secret: *secret, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_reads_what_it_prints_and_nothing_else() {
        let invite = Invite { secret: [7; 16], address: "127.0.0.1:4433".to_owned() };
        let line = invite.to_string();
        assert_eq!(line.parse(), Ok(invite));
        assert_eq!("hello".parse::<Invite>(), Err(InviteError::NotAnInvite));
        assert_eq!(line[..line.len() - 1].parse::<Invite>(), Err(InviteError::Damaged));
        assert_eq!(line.replacen("07", "08", 1).parse::<Invite>(), Err(InviteError::Damaged));
        assert!(!format!("{:?}", line.parse::<Invite>()).contains("0707"));
    }
}
