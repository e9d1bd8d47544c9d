//! What the client commands are made of. They know the public API and nothing else of the service.

pub mod export;
pub mod fault;
pub mod filters;
pub mod patience;
pub mod plain;
pub mod progress;
pub mod sample;
pub mod service;
pub mod tail;
