//! Addresses: where this node listens, and where others reach it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use crate::NodeError;
use crate::invite::{WAYS_MAX, is_address};

/// Reads an address to listen on.
///
/// # Errors
/// When it can't be read.
pub fn listen_address(address: &str, what: &str) -> Result<SocketAddr, NodeError> {
    let mut found = address.to_socket_addrs().map_err(|_| {
        NodeError::Refused(format!("{address:?} is not an address for {what}: write it as 127.0.0.1:8080"))
    })?;
    found.next().ok_or_else(|| NodeError::Refused(format!("{address:?} names no address")))
}

/// Reads an address and refuses any that is not this machine's own: pages are not encrypted.
///
/// # Errors
/// When it can't be read, or is not a loopback address.
pub fn loopback_only(address: &str, what: &str) -> Result<SocketAddr, NodeError> {
    let socket = listen_address(address, what)?;
    if socket.ip().is_loopback() {
        return Ok(socket);
    }
    Err(NodeError::Refused(format!(
        "{what} can't listen on {socket}: pages are not encrypted by the node, so only this machine's own addresses \
         (127.0.0.1, ::1) are allowed; a proxy with TLS on this machine may serve them to others"
    )))
}

/// Where the local network reaches a port: at its address, or if that is every address of this machine, at the one that is
/// shown to others. Sends nothing.
pub fn local_network_address(bound: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    // An address for documentation (RFC 5737): only the way there is looked up.
    let elsewhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9));
    let ours = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(elsewhere)?;
        Ok(socket.local_addr()?.ip())
    });
    SocketAddr::new(ours.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), bound.port())
}

/// Reads the addresses that invitations name, with commas between.
///
/// # Errors
/// When one is not `host:port`, or there are too many.
pub fn public_addresses(text: &str) -> Result<Vec<String>, NodeError> {
    let addresses: Vec<String> = text.split(',').map(|address| address.trim().to_owned()).collect();
    let unfit = |address: &str| {
        let words = format!("{address:?} is not an address that others can dial: write it as hub.example.org:8443");
        NodeError::Refused(words)
    };
    if let Some(address) = addresses.iter().find(|address| !is_address(address)) {
        return Err(unfit(address));
    }
    if addresses.len() > WAYS_MAX {
        return Err(NodeError::Refused(format!("{} addresses are named; {WAYS_MAX} are enough", addresses.len())));
    }
    Ok(addresses)
}

/// Where others reach a port: at its address, or if that is every address of this machine, at the machine's name.
pub(crate) fn reached_at(bound: SocketAddr) -> Vec<String> {
    if !bound.ip().is_unspecified() {
        return vec![bound.to_string()];
    }
    let named = machine_name().map(|name| format!("{name}:{}", bound.port()));
    named.filter(|address| is_address(address)).into_iter().collect()
}

/// What this machine calls itself. One function for every system: elsewhere than on Linux the environment says it, or nobody.
fn machine_name() -> Option<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = kernel.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_name_addresses_that_somebody_can_dial() {
        assert_eq!(public_addresses("hub.example.org:8443, [::1]:8443").unwrap().len(), 2);
        for wrong in ["", "hub.example.org", "hub.example.org:0", "a:1,b:1,c:1,d:1", "a b:1"] {
            assert!(public_addresses(wrong).is_err(), "{wrong}");
        }
        assert_eq!(reached_at("127.0.0.1:8443".parse().unwrap()), ["127.0.0.1:8443"]);
        let everywhere = reached_at("0.0.0.0:8443".parse().unwrap());
        assert!(everywhere.iter().all(|address| !address.starts_with("0.0.0.0") && address.ends_with(":8443")));
        let shown = local_network_address("0.0.0.0:8090".parse().unwrap());
        assert!(!shown.ip().is_unspecified() && shown.port() == 8090, "{shown}");
    }
}
