//! What the properties have in common: a tenant, a time, somebody who asks.

use domain::{
    CallerDefaults, CheckContext, EntryDraft, FieldProblem, LogOwner, Masking, NewEntry, Place,
    Seq, StoredEntry, TenantId, Timestamp,
};
use uuid::Uuid;

pub(crate) const TENANT: TenantId =
    TenantId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_000a));

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_265_411_123);

pub(crate) fn owner() -> LogOwner {
    LogOwner::of(TENANT)
}

pub(crate) fn place(seq: i64) -> Place {
    Place { recorded_at: NOW, seq: Seq::new(seq).expect("a number of an entry") }
}

/// The last place there can be, where an entry's JSON is longest.
pub(crate) fn last_place() -> Place {
    Place { recorded_at: NOW, seq: Seq::MAX }
}

pub(crate) fn check(
    draft: &EntryDraft<'_>,
    masking: &Masking,
) -> Result<NewEntry, Vec<FieldProblem>> {
    draft.check(&CheckContext { now: NOW, caller: &CallerDefaults::service(), masking })
}

/// An entry with nothing in it but what must be there.
pub(crate) fn plain(place: Place) -> StoredEntry<'static> {
    let anna = StoredEntry::bare(place, "anna", "UPDATE", "invoice");
    StoredEntry { recorded_by: "gateway:anna", ..anna }
}
