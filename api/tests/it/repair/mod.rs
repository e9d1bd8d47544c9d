//! The index is mended by comparison with the log.

mod reindex;
mod stage;
mod verify;
mod worker;
