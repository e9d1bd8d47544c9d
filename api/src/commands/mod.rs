//! The commands of `audit-log`.

pub mod emit_sample;
pub mod export;
mod index_parts;
pub mod migrate;
pub mod poke;
pub mod reindex;
pub mod serve;
pub mod tail;
pub mod token;
pub mod verify_index;

use self::verify_index::Differs;
use crate::client::export::NotWhole;
use crate::client::tail::Lost;
use crate::config::WrongSettings;

/// What the process ends with, for scripts: 1 failed, 2 wrong settings, 3 an export that is not
/// whole, an index that is not the log or a stream that is refused, 4 an index that was mended or
/// a service that is gone.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<WrongSettings>() {
        2
    } else if error.is::<NotWhole>() {
        3
    } else if let Some(lost) = error.downcast_ref() {
        match lost {
            Lost::Refused => 3,
            Lost::Gone => 4,
        }
    } else {
        match error.downcast_ref() {
            Some(Differs::Still) => 3,
            Some(Differs::Repaired) => 4,
            None => 1,
        }
    }
}
