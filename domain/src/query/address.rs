//! Addresses to look for: one, or all of a network.

use std::net::{IpAddr, Ipv6Addr};

/// The addresses of a network; one address alone is a network, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    written: (IpAddr, Option<u8>),
    /// Both ends, inclusive, as numbers; an address of IPv4 lies where IPv6 maps it.
    first: u128,
    last: u128,
}

impl AddressRange {
    /// Reads `192.0.2.7`, `192.0.2.0/24` and the like in IPv6.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let width: u8 = if IpAddr::is_ipv4(&address) { 32 } else { 128 };
        let free = width.checked_sub(bits.unwrap_or(width))?;
        let inside = u128::MAX.checked_shr(128 - u32::from(free)).unwrap_or(0);
        let at = number(address);
        Some(Self { written: (address, bits), first: at & !inside, last: at | inside })
    }

    /// Both ends, inclusive.
    pub fn ends(&self) -> (IpAddr, IpAddr) {
        let end = |number| IpAddr::V6(Ipv6Addr::from_bits(number)).to_canonical();
        (end(self.first), end(self.last))
    }

    /// Whether an address, as an entry has it, is in it.
    pub(crate) fn contains(&self, address: &str) -> bool {
        let Ok(address) = address.parse() else { return false };
        (self.first..=self.last).contains(&number(address))
    }
}

impl std::fmt::Display for AddressRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.written {
            (address, Some(bits)) => write!(f, "{address}/{bits}"),
            (address, None) => write!(f, "{address}"),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses() {
        for (range, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::192.0.2.7"),
            ("192.0.2.99/24", "192.0.2.255", "192.0.3.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("10.0.0.0/32", "10.0.0.0", "10.0.0.1"),
            ("2001:DB8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "10.0.0.1", "not an address"),
            ("::1/128", "0:0:0:0:0:0:0:1", "::2"),
        ] {
            let read = AddressRange::parse(range).unwrap();
            assert!(read.contains(inside), "{range} {inside}");
            assert!(!read.contains(outside), "{range} {outside}");
        }
        for text in ["", "/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "x"]
        {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}
