//! The commands of `audit-log`.

pub mod migrate;
pub mod serve;
pub mod token;
