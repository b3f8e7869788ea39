//! From where a request comes, also behind reverse proxies.
//!
//! **Invariant:** what a request says of its own address counts only where a proxy says it that the operator named.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// Where proxies say for whom they ask: the farthest first.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The reverse proxies that are believed, by their networks.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Reads networks, each as `10.0.0.0/8`, `2001:db8::/32`, or one address; gives the first text that is none.
    ///
    /// # Errors
    /// When a text is no network.
    pub fn read(networks: &[String]) -> Result<Self, &str> {
        networks.iter().map(|text| Network::read(text).ok_or(text.as_str())).collect::<Result<_, _>>().map(Self)
    }

    /// The nearest address that is no proxy of ours.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let said = headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default());
        let hops: Vec<&str> = said.flat_map(|value| value.split(',')).collect();
        let mut client = peer.to_canonical();
        for hop in hops.into_iter().rev().map(str::trim) {
            if !self.0.iter().any(|network| network.holds(client)) {
                break;
            }
            // Some proxies write the port beside it. What is no address was not written by any.
            let with_port = || hop.parse::<SocketAddr>().map(|address| address.ip());
            let Ok(next) = hop.parse::<IpAddr>().or_else(|_| with_port()) else { break };
            client = next.to_canonical();
        }
        client
    }
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address.
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(a, bits)| (a, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { u32::BITS } else { u128::BITS };
        let bits = bits.map_or(Ok(most), str::parse).ok()?;
        (bits <= most).then_some(Self { address, bits })
    }

    fn holds(&self, address: IpAddr) -> bool {
        let (differ, most) = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (u128::from(ours.to_bits() ^ theirs.to_bits()), u32::BITS),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits() ^ theirs.to_bits(), u128::BITS),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        // All bits shifted out: none has to be the same.
        differ.checked_shr(most - self.bits).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(proxies: &[&str], peer: &str, said: &[&str]) -> String {
        let named: Vec<String> = proxies.iter().map(|text| (*text).to_owned()).collect();
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        Proxies::read(&named).unwrap().client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_proxy_that_was_named_is_believed() {
        assert_eq!(client(&[], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.2.3.4", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.2.3.4", &[]), "10.2.3.4");
    }

    #[test]
    fn what_stands_before_the_nearest_stranger_is_his_own_word() {
        let behind = |said: &[&str]| client(&["10.0.0.0/8", "2001:db8::/32"], "10.2.3.4", said);
        assert_eq!(behind(&["198.51.100.1, 203.0.113.9, 10.9.9.9"]), "203.0.113.9");
        assert_eq!(behind(&["198.51.100.1", "203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(behind(&["203.0.113.9, 2001:db8::7"]), "203.0.113.9");
        assert_eq!(behind(&["203.0.113.9, nobody"]), "10.2.3.4");
    }

    #[test]
    fn a_network_is_its_first_bits() {
        for (network, address, holds) in [
            ("0.0.0.0/0", "203.0.113.9", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("::1", "127.0.0.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
        ] {
            let read = Network::read(network).unwrap();
            assert_eq!(read.holds(address.parse().unwrap()), holds, "{address} in {network}");
        }
        for wrong in ["", "10.0.0.0/33", "ten", "10.0.0.0/-1", "::/129"] {
            assert!(Network::read(wrong).is_none(), "{wrong}");
        }
    }
}
