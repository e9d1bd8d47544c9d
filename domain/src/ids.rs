//! Ids: the tenant's, and the entry's, which is the entry's place.

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Place, Seq, Timestamp};

/// The length of the one form of UUID we read: `8-4-4-4-12` digits.
const HYPHENATED_LEN: usize = 36;

/// Whose log it is. Comes from the caller's identity, never from a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TenantId(Uuid);

impl TenantId {
    /// Wraps a UUID that is known to name a tenant.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Reads a hyphenated UUID of either case, and no other form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        parse_hyphenated(text).map(Self)
    }

    /// The UUID, for the database.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The 34 bits of an [`EntryId`] that belong to the tenant: the first of SHA-256 over its id.
///
/// Make it once for a page, not once for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantTag(u64);

impl TenantTag {
    const BITS: u32 = 34;

    /// Hashes the tenant's id.
    pub fn of(tenant: TenantId) -> Self {
        let digest = Sha256::digest(tenant.0.as_bytes());
        let head: [u8; 8] = std::array::from_fn(|i| digest[i]);
        Self(u64::from_be_bytes(head) >> (u64::BITS - Self::BITS))
    }
}

/// An entry's id: a version 7 UUID that says where the entry is.
///
/// ```text
/// 48 bits recorded_at │ version 7 │ 12 bits seq │ variant │ 28 bits seq │ 34 bits TenantTag
/// ```
///
/// So a look-up needs no index of ids, and another tenant's id is known without a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct EntryId(Uuid);

impl EntryId {
    const VERSION: u128 = 7;
    const VARIANT: u128 = 0b10;
    const SEQ_LOW_BITS: u32 = 28;
    const SEQ_LOW_MASK: u128 = (1 << Self::SEQ_LOW_BITS) - 1;
    const SEQ_HIGH_MASK: u128 = (1 << 12) - 1;

    const TIME_SHIFT: u32 = 80;
    const VERSION_SHIFT: u32 = 76;
    const SEQ_HIGH_SHIFT: u32 = 64;
    const VARIANT_SHIFT: u32 = 62;
    const SEQ_LOW_SHIFT: u32 = TenantTag::BITS;

    /// The id of the entry at `place` of `tenant`'s log.
    pub fn of(place: Place, tenant: TenantId) -> Self {
        Self::with_tag(place, TenantTag::of(tenant))
    }

    /// As [`Self::of`], without hashing.
    ///
    /// A time before 1970 is taken as 1970: a UUID cannot say more, and no log was there.
    pub fn with_tag(place: Place, tag: TenantTag) -> Self {
        let ms = u128::from(place.recorded_at.max(Timestamp::EPOCH).as_millis().unsigned_abs());
        let seq = u128::from(place.seq.get().unsigned_abs());
        Self(Uuid::from_u128(
            ms << Self::TIME_SHIFT
                | Self::VERSION << Self::VERSION_SHIFT
                | (seq >> Self::SEQ_LOW_BITS) << Self::SEQ_HIGH_SHIFT
                | Self::VARIANT << Self::VARIANT_SHIFT
                | (seq & Self::SEQ_LOW_MASK) << Self::SEQ_LOW_SHIFT
                | u128::from(tag.0),
        ))
    }

    /// Reads a hyphenated UUID of either case. Whether it is a place shows [`Self::place_in`].
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        parse_hyphenated(text).map(Self)
    }

    /// The place it says, if it is the id of an entry of this tenant at all.
    pub fn place_in(&self, tenant: TenantId) -> Option<Place> {
        let place = self.place_said()?;
        // Making the id again checks version, variant, time range and tenant in one go.
        (Self::of(place, tenant) == *self).then_some(place)
    }

    /// The place it says, in whoever's log; other UUIDs say one, too, where no entry is.
    pub(crate) fn place_said(&self) -> Option<Place> {
        let bits = self.0.as_u128();
        let high = bits >> Self::SEQ_HIGH_SHIFT & Self::SEQ_HIGH_MASK;
        let low = bits >> Self::SEQ_LOW_SHIFT & Self::SEQ_LOW_MASK;
        Some(Place {
            recorded_at: Timestamp::from_millis(i64::try_from(bits >> Self::TIME_SHIFT).ok()?),
            seq: Seq::new(i64::try_from(high << Self::SEQ_LOW_BITS | low).ok()?)?,
        })
    }

    /// The UUID, for whoever stores it.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not a UUID in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the id as 32 hexadecimal digits in groups of 8-4-4-4-12")]
pub struct InvalidId;

fn parse_hyphenated(text: &str) -> Result<Uuid, InvalidId> {
    // Of the forms that the crate reads, only this one has this length.
    if text.len() != HYPHENATED_LEN {
        return Err(InvalidId);
    }
    Uuid::try_parse(text).map_err(|_| InvalidId)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::new(Uuid::from_u128(n))
    }

    fn place(ms: i64, seq: i64) -> Place {
        Place { recorded_at: Timestamp::from_millis(ms), seq: Seq::new(seq).unwrap() }
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let text = "0193A5F2-7b1c-7000-8000-000000000001";
        assert_eq!(TenantId::parse(text).unwrap().to_string(), text.to_lowercase());
        assert_eq!(EntryId::parse(text).unwrap().to_string(), text.to_lowercase());
        for other in [
            "",
            "0193a5f27b1c70008000000000000001",
            "{0193a5f2-7b1c-7000-8000-000000000001}",
            "urn:uuid:0193a5f2-7b1c-7000-8000-000000000001",
            "0193a5f2-7b1c-7000-8000-00000000000g",
            "0193a5f27-b1c-7000-8000-000000000001",
            " 193a5f2-7b1c-7000-8000-000000000001",
        ] {
            assert_eq!(TenantId::parse(other), Err(InvalidId), "{other:?}");
            assert_eq!(EntryId::parse(other), Err(InvalidId), "{other:?}");
        }
    }

    /// Computed by hand, from the layout in the documentation: ids outlive this code.
    #[test]
    fn the_bits_of_an_id_never_move() {
        let id = EntryId::of(place(0x0123_4567_89ab, 0xab_cdef_0123), tenant(1));
        let digest = Sha256::digest(1_u128.to_be_bytes());
        let tag = u128::from_be_bytes(digest[..16].try_into().unwrap()) >> (128 - 34);
        let low = 0x2_u128 << 62 | 0xdef_0123 << 34 | tag;
        assert_eq!(id.as_uuid().as_u128(), 0x0123_4567_89ab_7abc_u128 << 64 | low);
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_eq!(id.as_uuid().get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn ids_grow_with_their_places() {
        let ids = [place(5, 7), place(5, 8), place(6, 9), place(6, 1 << 30)]
            .map(|place| EntryId::of(place, tenant(1)));
        assert!(ids.is_sorted());
    }

    #[test]
    fn what_no_entry_can_have_is_no_place() {
        let id = EntryId::of(place(1_795_265_411_123, 42), tenant(1)).as_uuid().as_u128();
        let place_of = |bits| EntryId(Uuid::from_u128(bits)).place_in(tenant(1));
        assert_eq!(place_of(id), Some(place(1_795_265_411_123, 42)));
        assert_eq!(place_of(id ^ (42 << 34)), None, "seq 0");
        assert_eq!(place_of(id | u128::MAX << 80), None, "after the year 9999");
        assert_eq!(place_of(id ^ (1 << 62)), None, "variant");
        assert_eq!(place_of(id ^ (3 << 76)), None, "version 4");
        assert_eq!(place_of(id ^ 1), None, "tag");
    }

    #[test]
    fn a_place_before_1970_has_the_id_of_1970() {
        assert_eq!(EntryId::of(place(-1, 1), tenant(1)), EntryId::of(place(0, 1), tenant(1)));
    }

    proptest! {
        #[test]
        fn an_id_is_its_place_for_its_tenant_alone(
            ms in 0..=Timestamp::MAX.as_millis(),
            seq in 1..=Seq::MAX.get(),
            owner: u128,
            stranger: u128,
        ) {
            let id = EntryId::of(place(ms, seq), tenant(owner));
            prop_assert_eq!(EntryId::parse(&id.to_string()), Ok(id));
            prop_assert_eq!(id.place_in(tenant(owner)), Some(place(ms, seq)));
            prop_assume!(TenantTag::of(tenant(owner)) != TenantTag::of(tenant(stranger)));
            prop_assert_eq!(id.place_in(tenant(stranger)), None);
        }

        #[test]
        fn any_uuid_is_a_place_or_not(bits: u128) {
            let _ = EntryId(Uuid::from_u128(bits)).place_in(tenant(1));
        }
    }
}
