//! Cursors and ids, as they were given out and as somebody makes them up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Binding, Cursor, EntryId, Place, Progress, SearchCursor, TenantId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::sample::TENANT;

const FILTER: [u8; 32] = [7; 32];
const STRANGER: TenantId = TenantId::new(Uuid::from_u128(11));
/// Bytes that a cursor ends in.
const CHECK_LEN: usize = 8;

pub(crate) fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert_told_apart(&text);
    // Whoever knows how the check is made can make one: it is no signature.
    assert_told_apart(&sealed(bytes));
    id(&text);
    if let Some(bits) = bytes.first_chunk() {
        id(&Uuid::from_bytes(*bits).to_string());
    }
}

/// What is taken is what was given out, for this tenant and filter alone.
fn assert_told_apart(text: &str) {
    let binding = Binding::filtered(TENANT, FILTER);
    let others = [
        Binding::live(TENANT),
        Binding::filtered(TENANT, [8; 32]),
        Binding::filtered(STRANGER, FILTER),
    ];
    let list = Cursor::decode(text, &binding);
    let search = SearchCursor::decode(text, &binding);
    if let Ok(cursor) = list {
        assert_eq!(cursor.encode(&binding), text);
        assert!(others.iter().all(|other| Cursor::decode(text, other).is_err()));
        cursor.place.into_iter().chain(cursor.until).for_each(assert_place);
    }
    if let Ok(cursor) = search {
        assert_eq!(cursor.encode(&binding), text);
        assert!(others.iter().all(|other| SearchCursor::decode(text, other).is_err()));
        assert_place(cursor.until);
        assert_progress(cursor.progress);
        assert!(cursor.settled >= 0);
    }
    assert!(list.is_err() || search.is_err(), "both kinds take {text}");
}

fn assert_progress(progress: Progress) {
    match progress {
        Progress::Newest { below } | Progress::Below { below } => assert_place(below),
        Progress::Within { top, bottom, .. } => {
            assert_place(top);
            assert_place(bottom);
        }
        Progress::Ranked { .. } => {}
    }
}

/// It can be shown and asked for.
fn assert_place(place: Place) {
    let mut text = Vec::new();
    place.recorded_at.write_to(&mut text);
    assert_eq!(text.len(), "2026-11-21T12:50:11.123Z".len());
    let id = EntryId::of(place, TENANT);
    assert_eq!(id.place_in(TENANT).map(|place| place.seq), Some(place.seq));
}

fn sealed(payload: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(payload);
    hash.update(TENANT.as_uuid().as_bytes());
    hash.update(FILTER);
    URL_SAFE_NO_PAD.encode([payload, &hash.finalize()[..CHECK_LEN]].concat())
}

/// An id is its place for its tenant, or nothing at all.
fn id(text: &str) {
    let Ok(id) = EntryId::parse(text) else { return };
    assert!(id.to_string().eq_ignore_ascii_case(text));
    if let Some(place) = id.place_in(TENANT) {
        assert_eq!(EntryId::of(place, TENANT), id);
        assert_eq!(id.place_in(STRANGER), None);
    }
}
