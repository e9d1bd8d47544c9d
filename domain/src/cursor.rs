//! Cursors: opaque places that a client hands back to go on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::{Place, Seq, TenantId, Timestamp};

/// Which way a list goes through the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// From old to new.
    Asc,
    /// From new to old.
    #[default]
    Desc,
}

impl Order {
    /// The word, as clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Asc => Self::Desc,
            Self::Desc => Self::Asc,
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Asc, Self::Desc].into_iter().find(|order| order.as_str() == text)
    }
}

/// What a cursor is good for: one tenant, and one filter or any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Whose log.
    pub tenant: TenantId,
    /// The digest of the filter; `None` binds the tenant only, as live cursors do.
    pub filter: Option<[u8; 32]>,
}

/// Where to go on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last place that was looked at; `None` when none was, as in an empty log.
    pub place: Option<Place>,
    /// The head that the first page saw, where later pages end too.
    pub until: Option<Place>,
    /// Which way to go on.
    pub order: Order,
}

/// The bytes of a cursor, all of one length:
///
/// ```text
/// version 1 │ order 1 │ recorded_at 8 │ seq 5 │ until's recorded_at 8 │ seq 5 │ check 8
/// ```
///
/// Number 0 stands for no place and for no end.
mod layout {
    pub(super) const VERSION: u8 = 1;
    pub(super) const PLACE_AT: usize = 2;
    pub(super) const UNTIL_AT: usize = 15;
    pub(super) const CHECK_AT: usize = 28;
}

/// Bytes of a place in a cursor.
pub(crate) const PLACE_LEN: usize = 13;

/// Bytes of a place's time; the rest of it is the number.
pub(crate) const TIME_LEN: usize = 8;

/// Bytes of the check.
const CHECK_LEN: usize = 8;

/// Bytes of a cursor of any kind, with its check.
const LEN_MAX: usize = 128;

impl Cursor {
    /// The cursor as text: URL-safe base64 that only [`Self::decode`] reads.
    pub fn encode(&self, binding: &Binding) -> String {
        binding.seal(&self.payload())
    }

    /// Reads a cursor that [`Self::encode`] made for the same binding, and nothing else.
    pub fn decode(text: &str, binding: &Binding) -> Result<Self, InvalidCursor> {
        let payload = binding.open(text)?;
        let cursor = Self::from_payload(&payload);
        cursor.filter(|cursor| cursor.payload() == payload).ok_or(InvalidCursor)
    }

    fn payload(&self) -> [u8; layout::CHECK_AT] {
        let mut bytes = [0; layout::CHECK_AT];
        bytes[0] = layout::VERSION;
        bytes[1] = self.order as u8;
        put_place(&mut bytes[layout::PLACE_AT..layout::UNTIL_AT], self.place);
        put_place(&mut bytes[layout::UNTIL_AT..], self.until);
        bytes
    }

    /// The cursor these bytes seem to be: the caller makes the bytes again and compares.
    fn from_payload(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            place: read_place(&bytes[layout::PLACE_AT..layout::UNTIL_AT]),
            until: read_place(&bytes[layout::UNTIL_AT..]),
            order: [Order::Asc, Order::Desc].into_iter().find(|order| *order as u8 == bytes[1])?,
        })
    }
}

impl Binding {
    /// Binds the tenant only.
    pub const fn live(tenant: TenantId) -> Self {
        Self { tenant, filter: None }
    }

    /// Binds the tenant and the filter with this digest.
    pub const fn filtered(tenant: TenantId, filter: [u8; 32]) -> Self {
        Self { tenant, filter: Some(filter) }
    }

    /// The text of a cursor's bytes, with a check behind them.
    pub(crate) fn seal(&self, payload: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([payload, &self.check_bits(payload)].concat())
    }

    /// The bytes that [`Self::seal`] was given, so many.
    pub(crate) fn open<const N: usize>(&self, text: &str) -> Result<[u8; N], InvalidCursor> {
        let mut bytes = [0; LEN_MAX];
        let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| InvalidCursor)?;
        let (payload, check) = bytes[..len].split_first_chunk().ok_or(InvalidCursor)?;
        if check != self.check_bits(payload) {
            return Err(InvalidCursor);
        }
        Ok(*payload)
    }

    /// Not a signature: it finds mistakes, and a forged cursor reads nothing more than a list does.
    fn check_bits(&self, payload: &[u8]) -> [u8; CHECK_LEN] {
        let mut hash = Sha256::new();
        hash.update(payload);
        hash.update(self.tenant.as_uuid().as_bytes());
        if let Some(filter) = self.filter {
            hash.update(filter);
        }
        let digest = hash.finalize();
        std::array::from_fn(|i| digest[i])
    }
}

pub(crate) fn put_place(bytes: &mut [u8], place: Option<Place>) {
    let Some(place) = place else { return };
    let (time, seq) = bytes.split_at_mut(TIME_LEN);
    time.copy_from_slice(&place.recorded_at.as_millis().to_be_bytes());
    let number = place.seq.get().to_be_bytes();
    seq.copy_from_slice(&number[number.len() - seq.len()..]);
}

pub(crate) fn read_place(bytes: &[u8]) -> Option<Place> {
    let (time, seq) = bytes.split_at(TIME_LEN);
    let recorded_at = Timestamp::from_millis(number(time));
    Seq::new(number(seq)).map(|seq| Place { recorded_at, seq })
}

pub(crate) fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// The text is no cursor, or one of another tenant, another filter, or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "use a cursor unchanged, for the same tenant and with the same filter, or start without one"
)]
pub struct InvalidCursor;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId::new(Uuid::from_u128(7));

    fn places() -> impl Strategy<Value = Place> {
        let seqs = prop_oneof![1..=3_i64, 1..=Seq::MAX.get(), Just(Seq::MAX.get())];
        let times = Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis();
        (times, seqs).prop_map(|(ms, seq)| Place {
            recorded_at: Timestamp::from_millis(ms),
            seq: Seq::new(seq).unwrap(),
        })
    }

    fn cursors() -> impl Strategy<Value = Cursor> {
        let orders = prop_oneof![Just(Order::Asc), Just(Order::Desc)];
        (proptest::option::of(places()), proptest::option::of(places()), orders)
            .prop_map(|(place, until, order)| Cursor { place, until, order })
    }

    fn bindings() -> impl Strategy<Value = Binding> {
        (any::<u128>(), any::<Option<[u8; 32]>>()).prop_map(|(tenant, filter)| Binding {
            tenant: TenantId::new(Uuid::from_u128(tenant)),
            filter,
        })
    }

    /// Clients keep cursors for as long as they like.
    #[test]
    fn the_text_of_a_cursor_never_changes() {
        let place = Place { recorded_at: Timestamp::from_millis(1_795_265_411_123), seq: Seq::MAX };
        let cursor = Cursor { place: Some(place), until: None, order: Order::Asc };
        let text = cursor.encode(&Binding::live(TENANT));
        assert_eq!(text, "AQAAAAGh_ig4M_______AAAAAAAAAAAAAAAAANP-izlDbd_F");
    }

    #[test]
    fn other_texts_are_not_cursors() {
        let text =
            Cursor { place: None, until: None, order: Order::Desc }.encode(&Binding::live(TENANT));
        let decode = |text: &str| Cursor::decode(text, &Binding::live(TENANT));
        assert!(decode(&text).is_ok());
        for other in [String::new(), format!("{text}="), format!("{text}A"), format!(" {text}")] {
            assert_eq!(decode(&other), Err(InvalidCursor));
        }
        assert_eq!(decode(&text[..text.len() - 1]), Err(InvalidCursor));
        assert_eq!(decode(&"A".repeat(10_000)), Err(InvalidCursor));
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_for_its_binding_alone(
            cursor in cursors(),
            binding in bindings(),
            other in bindings(),
        ) {
            let text = cursor.encode(&binding);
            prop_assert_eq!(Cursor::decode(&text, &binding), Ok(cursor));
            prop_assume!(other != binding);
            prop_assert_eq!(Cursor::decode(&text, &other), Err(InvalidCursor));
            let live = Binding::live(binding.tenant);
            prop_assert_eq!(Cursor::decode(&text, &live).is_ok(), binding == live);
        }

        #[test]
        fn one_changed_character_is_seen(
            cursor in cursors(),
            at in any::<prop::sample::Index>(),
            character in "[A-Za-z0-9_+/=é-]",
        ) {
            let binding = Binding::filtered(TENANT, [1; 32]);
            let mut text = cursor.encode(&binding);
            let at = at.index(text.len());
            prop_assume!(text[at..=at] != character);
            text.replace_range(at..=at, &character);
            prop_assert_eq!(Cursor::decode(&text, &binding), Err(InvalidCursor));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_-]{0,60}|.{0,60}") {
            prop_assert_eq!(Cursor::decode(&text, &Binding::live(TENANT)), Err(InvalidCursor));
        }
    }
}
