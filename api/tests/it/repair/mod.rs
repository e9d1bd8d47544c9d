//! The index is mended by comparison with the log.

mod marks;
mod owners;
mod reindex;
mod replicas;
mod stage;
mod verify;
mod worker;
