//! Entries packed into messages, and messages into sends.
//!
//! What is billed and limited is the sum of a send. A message is a quarter of it, so that one which
//! fails, or comes again, takes few entries along; entries of all logs share them.

use domain::{MessageWriter, Place, TenantId};

use crate::queue::MESSAGES_MAX;

/// Messages that fill a send.
const MESSAGES_OF_A_SEND: usize = 4;

/// Consecutive entries of one log in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) tenant_id: TenantId,
    pub(super) last: Place,
    pub(super) entries: usize,
    /// The message's number, from 0 on since the packer began.
    pub(super) message: usize,
}

/// Messages that are sent together.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    /// The number of the first one.
    pub(super) first: usize,
    pub(super) messages: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Packer {
    send_bytes_max: usize,
    open: MessageWriter,
    parcel: Parcel,
    parcel_bytes: usize,
    /// In the order of packing.
    pieces: Vec<Piece>,
}

impl Packer {
    pub(super) fn new(send_bytes_max: usize) -> Self {
        Self {
            send_bytes_max,
            open: MessageWriter::new(),
            parcel: Parcel::default(),
            parcel_bytes: 0,
            pieces: Vec::new(),
        }
    }

    /// Adds an entry's JSON. Gives a parcel that is full without it.
    pub(super) fn push(
        &mut self,
        tenant_id: TenantId,
        place: Place,
        json: &[u8],
    ) -> Option<Parcel> {
        let message_bytes_max = self.send_bytes_max / MESSAGES_OF_A_SEND;
        let mut full = None;
        if self.open.entries() > 0 && self.open.bytes_with(json.len()) > message_bytes_max {
            full = self.close_message();
        }
        let message = self.parcel.first + self.parcel.messages.len();
        self.open.push(json);
        match self.pieces.last_mut() {
            Some(piece) if piece.message == message && piece.tenant_id == tenant_id => {
                piece.last = place;
                piece.entries += 1;
            }
            _ => self.pieces.push(Piece { tenant_id, last: place, entries: 1, message }),
        }
        full
    }

    /// Ends the message that is being filled. Gives the parcel that has no room for it.
    pub(super) fn close_message(&mut self) -> Option<Parcel> {
        if self.open.entries() == 0 {
            return None;
        }
        // An entry's JSON is text, so this is one; an empty message would be refused, and told.
        let message = std::mem::take(&mut self.open).finish().unwrap_or_default();
        let is_full = self.parcel.messages.len() >= MESSAGES_MAX
            || self.parcel_bytes + message.len() > self.send_bytes_max;
        let full = if is_full { self.close_parcel() } else { None };
        self.parcel_bytes += message.len();
        self.parcel.messages.push(message);
        full
    }

    /// The parcel so far, without the message that is being filled.
    pub(super) fn close_parcel(&mut self) -> Option<Parcel> {
        if self.parcel.messages.is_empty() {
            return None;
        }
        self.parcel_bytes = 0;
        let first = self.parcel.first + self.parcel.messages.len();
        Some(std::mem::replace(&mut self.parcel, Parcel { first, messages: Vec::new() }))
    }

    /// What went where.
    pub(super) fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests {
    use domain::{Seq, Timestamp};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const SEND: usize = 80 << 10;

    fn tenant(n: u8) -> TenantId {
        TenantId::new(Uuid::from_u128(n.into()))
    }

    fn place(seq: i64) -> Place {
        Place { recorded_at: Timestamp::EPOCH, seq: Seq::new(seq).unwrap() }
    }

    /// Packs entries of these sizes; each is an array of its number and filling.
    fn pack(entries: &[(u8, usize)]) -> (Vec<Parcel>, Vec<Piece>) {
        let mut packer = Packer::new(SEND);
        let mut parcels = Vec::new();
        for (n, (tenant_id, bytes)) in entries.iter().enumerate() {
            let json = format!("[{n},\"{}\"]", "x".repeat(*bytes));
            let place = place(n as i64 + 1);
            parcels.extend(packer.push(tenant(*tenant_id), place, json.as_bytes()));
        }
        parcels.extend(packer.close_message());
        parcels.extend(packer.close_parcel());
        (parcels, packer.into_pieces())
    }

    proptest! {
        #[test]
        fn every_entry_is_in_one_message_in_order_and_sends_keep_their_limits(
            entries in proptest::collection::vec(
                (0..3_u8, prop_oneof![0..500_usize, 0..30_000_usize, 60_000..131_072_usize]),
                0..60,
            ),
        ) {
            let (parcels, pieces) = pack(&entries);
            let mut found = Vec::new();
            let mut next = 0;
            for parcel in &parcels {
                prop_assert_eq!(parcel.first, next);
                next += parcel.messages.len();
                let bytes: usize = parcel.messages.iter().map(String::len).sum();
                prop_assert!((1..=MESSAGES_MAX).contains(&parcel.messages.len()));
                prop_assert!(bytes <= SEND || parcel.messages.len() == 1, "{} bytes", bytes);
                for message in &parcel.messages {
                    let json: serde_json::Value = serde_json::from_str(message).unwrap();
                    let held = json["entries"].as_array().unwrap();
                    prop_assert!(message.len() <= SEND / 4 || held.len() == 1);
                    found.extend(held.iter().map(|entry| entry[0].as_u64().unwrap()));
                }
            }
            prop_assert_eq!(found, (0..entries.len() as u64).collect::<Vec<_>>());

            let mut told = 0;
            for piece in &pieces {
                told += piece.entries;
                prop_assert_eq!(piece.last, place(told as i64));
                prop_assert!(piece.message < next);
                let of_piece = &entries[told - piece.entries..told];
                prop_assert!(of_piece.iter().all(|(n, _)| tenant(*n) == piece.tenant_id));
            }
            prop_assert_eq!(told, entries.len());
            prop_assert!(pieces.is_sorted_by_key(|piece| piece.message));
        }
    }

    #[test]
    fn a_send_is_filled() {
        let (parcels, _) = pack(&[(1, 500); 1_000]);
        let full: usize = parcels[0].messages.iter().map(String::len).sum();
        assert!(full > SEND * 9 / 10, "{full} bytes");
        assert!(parcels.len() <= 7, "{} sends", parcels.len());
    }
}
