//! Addresses that may be listened on until links are encrypted.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::NodeError;

/// Reads an address and refuses any that is not this machine's own: without TLS a link must not leave it.
///
/// # Errors
/// When it can't be read, or is not a loopback address.
pub fn loopback_only(address: &str, what: &str) -> Result<SocketAddr, NodeError> {
    let mut found = address.to_socket_addrs().map_err(|_| {
        NodeError::Refused(format!("{address:?} is not an address for {what}: write it as 127.0.0.1:8080"))
    })?;
    let socket = found.next().ok_or_else(|| NodeError::Refused(format!("{address:?} names no address")))?;
    if socket.ip().is_loopback() {
        return Ok(socket);
    }
    Err(NodeError::Refused(format!(
        "{what} can't listen on {socket}: links and pages are not encrypted, so only this machine's own addresses \
         (127.0.0.1, ::1) are allowed"
    )))
}
