//! How many connections there are at a time, in all and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::ProblemCode;
use thiserror::Error;

use crate::error::ApiError;

/// Open files that are not connections of clients: those to the database, the queue and the
/// index, and what the process has for itself.
const FILES_KEPT: usize = 256;

/// Connections, unless it is said otherwise, however many files there may be.
const DEFAULT_MAX: usize = 20_000;

/// As many connections as files allow, when nobody says how many.
pub fn fitting(files_max: u64) -> usize {
    let files = usize::try_from(files_max).unwrap_or(usize::MAX);
    files.saturating_sub(FILES_KEPT).max(files / 2).clamp(1, DEFAULT_MAX)
}

/// Who has too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Full {
    /// All together.
    #[error("this replica has as many connections as it may")]
    Service,
    /// This address.
    #[error("this address has as many connections as it may")]
    Address,
}

impl Full {
    /// The limit that was reached.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Address => "address",
        }
    }
}

impl From<Full> for ApiError {
    fn from(full: Full) -> Self {
        let code = match full {
            Full::Service => ProblemCode::Overloaded,
            Full::Address => ProblemCode::RateLimited,
        };
        Self::new(code, format!("{full}: use those that are open, or try again")).retry_after(1)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Places {
    all_max: usize,
    address_max: Option<usize>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Places {
    /// So many in all; of one address as many, unless that is bounded, too.
    pub fn new(all_max: usize, address_max: Option<usize>) -> Self {
        Self { all_max, address_max, taken: Arc::default() }
    }

    /// How many there are.
    pub(super) fn max(&self) -> usize {
        self.all_max
    }

    /// Takes a place, unless there are too many connections.
    pub(super) fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.all_max {
            return Err(Full::Service);
        }
        let address = self.address_max.map(|max| (host(address), max));
        if let Some((host, max)) = address {
            let own = taken.by_address.entry(host).or_default();
            if *own >= max {
                return Err(Full::Address);
            }
            *own += 1;
        }
        taken.all += 1;
        let address = address.map(|(host, _)| host);
        Ok(Place { taken: Arc::clone(&self.taken), address })
    }
}

/// Who has an address of IPv6 has all that share its first half.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address @ IpAddr::V4(_) => address,
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(own) = taken.by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_leaves_room_for_others_and_gives_its_own_back() {
        let places = Places::new(5, Some(3));
        let take = |text: &str| places.take(address(text));
        let mut held: Vec<_> = (0..9).filter_map(|_| take("192.0.2.1").ok()).collect();
        assert_eq!(held.len(), 3);
        assert_eq!(take("::ffff:192.0.2.1").err(), Some(Full::Address), "the same by another name");
        held.extend((0..9).filter_map(|_| take("192.0.2.2").ok()));
        assert_eq!(held.len(), 5);
        assert_eq!(take("192.0.2.3").err(), Some(Full::Service));
        held.remove(0);
        assert!(take("192.0.2.3").is_ok());
        drop(held);
        assert!(lock(&places.taken).by_address.is_empty());
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let places = Places::new(5, Some(1));
        let _first = places.take(address("2001:db8:0:1::1")).expect("room");
        let same = places.take(address("2001:db8:0:1:ffff::2"));
        assert_eq!(same.err(), Some(Full::Address));
        assert!(places.take(address("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn some_files_are_left_for_everything_else() {
        assert_eq!(fitting(1_024), 768);
        assert_eq!(fitting(256), 128);
        assert_eq!(fitting(u64::MAX), DEFAULT_MAX);
    }
}
