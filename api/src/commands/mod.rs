//! The commands of `audit-log`.

pub mod emit_sample;
pub mod export;
pub mod migrate;
pub mod serve;
pub mod token;

use crate::client::export::NotWhole;
use crate::config::WrongSettings;

/// What the process ends with, for scripts: 1 failed, 2 wrong settings, 3 an export that is not whole.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<WrongSettings>() {
        2
    } else if error.is::<NotWhole>() {
        3
    } else {
        1
    }
}
