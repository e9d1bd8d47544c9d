//! The board: as it is served, and as people use it in a real browser.

mod keys;
mod page;
mod scenes;
pub(crate) mod stage;
