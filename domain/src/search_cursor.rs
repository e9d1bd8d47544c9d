//! Where a search goes on.

use crate::cursor::{self, PLACE_LEN, number, put_place, read_place};
use crate::{Binding, InvalidCursor, Place, Seq};

/// How well an entry matches, and its number: what a ranking goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rank {
    /// The better, the higher.
    pub score: f32,
    /// Of equal scores the higher number comes first.
    pub seq: Seq,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// By place: everything down to here has been looked at.
    Newest {
        /// The last place looked at.
        below: Place,
    },
    /// By relevance, in the log: everything down to here has been looked at and given.
    Below {
        /// The last place looked at.
        below: Place,
    },
    /// By relevance, in a window of the log that is ranked by itself.
    Within {
        /// The window's highest entry.
        top: Place,
        /// Its lowest.
        bottom: Place,
        /// The last entry given.
        after: Rank,
    },
    /// By relevance, in the index.
    Ranked {
        /// The last entry given; `None` when none was.
        after: Option<Rank>,
    },
}

/// Where a search goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchCursor {
    /// The head that the first page saw, where later pages begin, too.
    pub until: Place,
    /// How far it has come.
    pub progress: Progress,
    /// By relevance: up to here the index answers, above the log does; 0 when the index has no part.
    pub settled: i64,
    /// Matches found up to there; within a window, before it.
    pub counted: u64,
}

/// The bytes of a cursor, all of one length; what a kind has no use for is zero:
///
/// ```text
/// version 1 │ kind 1 │ until 13 │ place 13 │ place 13 │ score 4 │ seq 5 │ settled 5 │ counted 5 │ check 8
/// ```
mod layout {
    use super::PLACE_LEN;

    /// Lists' cursors have version 1, and another length.
    pub(super) const VERSION: u8 = 2;
    pub(super) const UNTIL_AT: usize = 2;
    pub(super) const TOP_AT: usize = UNTIL_AT + PLACE_LEN;
    pub(super) const BOTTOM_AT: usize = TOP_AT + PLACE_LEN;
    pub(super) const SCORE_AT: usize = BOTTOM_AT + PLACE_LEN;
    pub(super) const SEQ_AT: usize = SCORE_AT + 4;
    pub(super) const SETTLED_AT: usize = SEQ_AT + NUMBER_LEN;
    pub(super) const COUNTED_AT: usize = SETTLED_AT + NUMBER_LEN;
    pub(super) const CHECK_AT: usize = COUNTED_AT + NUMBER_LEN;
    /// Bytes of an entry's number, and of a count of entries.
    pub(super) const NUMBER_LEN: usize = 5;
}

impl SearchCursor {
    /// The same search where nothing is left of it: all that it had still to look at has expired,
    /// the last of which is this.
    #[must_use]
    pub fn expired(self, last: Place) -> Self {
        let below = last;
        let progress = match self.progress {
            Progress::Newest { .. } => Progress::Newest { below },
            _ => Progress::Below { below },
        };
        let until = if self.until.seq <= last.seq { last } else { self.until };
        Self { until, progress, settled: 0, ..self }
    }

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
        let (kind, top, bottom, after) = match self.progress {
            Progress::Newest { below } => (1, Some(below), None, None),
            Progress::Below { below } => (2, Some(below), None, None),
            Progress::Within { top, bottom, after } => (3, Some(top), Some(bottom), Some(after)),
            Progress::Ranked { after } => (4, None, None, after),
        };
        let mut bytes = [0; layout::CHECK_AT];
        bytes[0] = layout::VERSION;
        bytes[1] = kind;
        put_place(&mut bytes[layout::UNTIL_AT..layout::TOP_AT], Some(self.until));
        put_place(&mut bytes[layout::TOP_AT..layout::BOTTOM_AT], top);
        put_place(&mut bytes[layout::BOTTOM_AT..layout::SCORE_AT], bottom);
        if let Some(after) = after {
            bytes[layout::SCORE_AT..layout::SEQ_AT].copy_from_slice(&after.score.to_be_bytes());
            put_number(&mut bytes[layout::SEQ_AT..layout::SETTLED_AT], after.seq.get());
        }
        put_number(&mut bytes[layout::SETTLED_AT..layout::COUNTED_AT], self.settled);
        let counted = i64::try_from(self.counted).unwrap_or(i64::MAX).min(Seq::MAX.get());
        put_number(&mut bytes[layout::COUNTED_AT..], counted);
        bytes
    }

    /// The cursor these bytes seem to be: the caller makes the bytes again and compares.
    fn from_payload(bytes: &[u8]) -> Option<Self> {
        let place = |at: usize| read_place(&bytes[at..at + PLACE_LEN]);
        let at = |at: usize| number(&bytes[at..at + layout::NUMBER_LEN]);
        let score = bytes[layout::SCORE_AT..layout::SEQ_AT].try_into().ok()?;
        let after =
            Seq::new(at(layout::SEQ_AT)).map(|seq| Rank { score: f32::from_be_bytes(score), seq });
        let progress = match bytes[1] {
            1 => Progress::Newest { below: place(layout::TOP_AT)? },
            2 => Progress::Below { below: place(layout::TOP_AT)? },
            3 => Progress::Within {
                top: place(layout::TOP_AT)?,
                bottom: place(layout::BOTTOM_AT)?,
                after: after?,
            },
            4 => Progress::Ranked { after },
            _ => return None,
        };
        Some(Self {
            until: place(layout::UNTIL_AT)?,
            progress,
            settled: at(layout::SETTLED_AT),
            counted: u64::try_from(at(layout::COUNTED_AT)).ok()?,
        })
    }
}

fn put_number(bytes: &mut [u8], number: i64) {
    let number = number.to_be_bytes();
    bytes.copy_from_slice(&number[number.len() - bytes.len()..]);
}

const _: () = assert!(layout::NUMBER_LEN + cursor::TIME_LEN == PLACE_LEN);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{TenantId, Timestamp};

    const TENANT: TenantId = TenantId::new(Uuid::from_u128(7));

    fn seqs() -> impl Strategy<Value = Seq> {
        (1..=Seq::MAX.get()).prop_map(|seq| Seq::new(seq).unwrap())
    }

    fn places() -> impl Strategy<Value = Place> {
        let times = Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis();
        (times, seqs()).prop_map(|(ms, seq)| Place { recorded_at: Timestamp::from_millis(ms), seq })
    }

    fn ranks() -> impl Strategy<Value = Rank> {
        (0.0..1e6_f32, seqs()).prop_map(|(score, seq)| Rank { score, seq })
    }

    fn cursors() -> impl Strategy<Value = SearchCursor> {
        let progress = prop_oneof![
            places().prop_map(|below| Progress::Newest { below }),
            places().prop_map(|below| Progress::Below { below }),
            (places(), places(), ranks()).prop_map(|(top, bottom, after)| Progress::Within {
                top,
                bottom,
                after
            }),
            proptest::option::of(ranks()).prop_map(|after| Progress::Ranked { after }),
        ];
        (places(), progress, 0..=Seq::MAX.get(), 0..1_u64 << 40).prop_map(
            |(until, progress, settled, counted)| SearchCursor {
                until,
                progress,
                settled,
                counted,
            },
        )
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_for_its_binding_alone(cursor in cursors(), filter: [u8; 32], other: u128) {
            let binding = Binding::filtered(TENANT, filter);
            let text = cursor.encode(&binding);
            prop_assert_eq!(SearchCursor::decode(&text, &binding), Ok(cursor));
            prop_assert_eq!(SearchCursor::decode(&text, &Binding::live(TENANT)), Err(InvalidCursor));
            let stranger = Binding::filtered(TenantId::new(Uuid::from_u128(other)), filter);
            prop_assume!(stranger != binding);
            prop_assert_eq!(SearchCursor::decode(&text, &stranger), Err(InvalidCursor));
        }

        #[test]
        fn a_changed_cursor_is_refused(cursor in cursors(), at: prop::sample::Index, to: u8) {
            let binding = Binding::filtered(TENANT, [1; 32]);
            let mut text = cursor.encode(&binding).into_bytes();
            let at = at.index(text.len());
            prop_assume!(text[at] != to);
            text[at] = to;
            let text = String::from_utf8_lossy(&text);
            prop_assert_eq!(SearchCursor::decode(&text, &binding), Err(InvalidCursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_not(text in ".{0,120}|[A-Za-z0-9_-]{0,120}") {
            let _ = SearchCursor::decode(&text, &Binding::live(TENANT));
        }
    }
}
