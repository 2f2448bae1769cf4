//! Whom a connection comes from, as far as sharing with others goes.

use std::net::{IpAddr, Ipv6Addr};

/// One IPv4 address, or the /64 that an IPv6 address is in: whoever has one address of a /64 has all of them.
/// API servers come from few of them, and so does a Pod that means harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer(IpAddr);

// === impl Peer ===

impl Peer {
    /// Where there is no socket: a router that is called directly.
    pub(crate) const NOBODY: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(network.into())
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_owner_are_one_peer() {
        let peer = |text: &str| Peer::from(text.parse::<IpAddr>().expect("it is an address"));
        for (one, other, same) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("fd00::1:2:3:4", "fd00::5:6:7:8", true),
            ("fd00::1", "fd00:0:0:1::1", false),
        ] {
            assert_eq!(peer(one) == peer(other), same, "{one} and {other}");
        }
    }
}
