//! Entries that outlive the row they were read from, for matching them later.

use crate::{Marks, Place, Severity, StoredEntry, Timestamp};

/// Fields of an entry that are text.
const TEXTS: usize = 14;

/// An entry in memory of its own: all of its text in one piece.
#[derive(Debug)]
pub struct KeptEntry {
    place: Place,
    marks: Marks,
    occurred_at: Timestamp,
    severity: Severity,
    text: Box<str>,
    /// Where each field ends in the text; the next one begins there.
    ends: [u32; TEXTS],
    /// A bit for each field that is there; one that is empty is there, too.
    present: u16,
}

impl KeptEntry {
    /// Copies an entry. Its size is bound by what an entry may have.
    pub fn of(entry: &StoredEntry<'_>) -> Self {
        let texts = texts(entry);
        let mut text = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
        let (mut ends, mut present) = ([0; TEXTS], 0);
        for (n, field) in texts.into_iter().enumerate() {
            if let Some(field) = field {
                text.push_str(field);
                present |= 1 << n;
            }
            ends[n] = u32::try_from(text.len()).expect("an entry is far smaller");
        }
        Self {
            place: entry.place,
            marks: Marks::of(entry),
            occurred_at: entry.occurred_at,
            severity: entry.severity,
            text: text.into_boxed_str(),
            ends,
            present,
        }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What a sieve looks at.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Bytes of its text.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// As many bytes as its texts can take in JSON, with all their escapes.
    pub fn json_bytes_max(&self) -> usize {
        let escapes = self.text.bytes().map(|byte| match byte {
            b'"' | b'\\' => 1,
            0..0x20 => 5,
            _ => 0,
        });
        self.text.len() + escapes.sum::<usize>()
    }

    /// The entry, as it was.
    pub fn entry(&self) -> StoredEntry<'_> {
        StoredEntry {
            place: self.place,
            recorded_by: self.text(0).unwrap_or_default(),
            occurred_at: self.occurred_at,
            user_id: self.text(1).unwrap_or_default(),
            user_name: self.text(2),
            session_id: self.text(3),
            request_id: self.text(4),
            action: self.text(5).unwrap_or_default(),
            resource_type: self.text(6).unwrap_or_default(),
            resource_id: self.text(7),
            severity: self.severity,
            message: self.text(8),
            ip_address: self.text(9),
            user_agent: self.text(10),
            before: self.text(11),
            after: self.text(12),
            metadata: self.text(13),
        }
    }

    fn text(&self, n: usize) -> Option<&str> {
        let begin = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.present & 1 << n != 0).then(|| &self.text[begin as usize..self.ends[n] as usize])
    }
}

/// In the order of [`KeptEntry::entry`].
fn texts<'a>(entry: &StoredEntry<'a>) -> [Option<&'a str>; TEXTS] {
    [
        Some(entry.recorded_by),
        Some(entry.user_id),
        entry.user_name,
        entry.session_id,
        entry.request_id,
        Some(entry.action),
        Some(entry.resource_type),
        entry.resource_id,
        entry.message,
        entry.ip_address,
        entry.user_agent,
        entry.before,
        entry.after,
        entry.metadata,
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{LogOwner, Seq, TenantId};

    /// What an entry's JSON has beside its texts.
    const NAMES_BYTES_MAX: usize = 600;

    proptest! {
        #[test]
        fn a_kept_entry_is_the_entry(
            must in prop::array::uniform4("(.|\\p{C}|[\"\\\\]){0,5}"),
            may in prop::array::uniform10(proptest::option::of("(.|\\p{C}|[\"\\\\]){0,5}")),
        ) {
            let [recorded_by, user_id, action, resource_type] = must.each_ref().map(String::as_str);
            let [user_name, session_id, request_id, resource_id, message, rest @ ..] =
                may.each_ref().map(Option::as_deref);
            let [ip_address, user_agent, before, after, metadata] = rest;
            let at = Timestamp::from_millis(7);
            let entry = StoredEntry {
                place: Place { recorded_at: at, seq: Seq::new(3).unwrap() },
                recorded_by, occurred_at: at.plus_millis(-1), user_id, user_name, session_id,
                request_id, action, resource_type, resource_id, severity: Severity::Error,
                message, ip_address, user_agent, before, after, metadata,
            };
            let kept = KeptEntry::of(&entry);
            prop_assert_eq!(kept.entry(), entry);
            let mut json = Vec::new();
            entry.write_json(&LogOwner::of(TenantId::new(Uuid::nil())), &mut json);
            prop_assert!(json.len() <= kept.json_bytes_max() + NAMES_BYTES_MAX);
        }
    }
}
