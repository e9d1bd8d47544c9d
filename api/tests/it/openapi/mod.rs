//! The OpenAPI document against the router, real answers, and what is made of it.

mod answers;
mod document;
mod files;
mod pages;
mod postman;
mod requests;
mod schemathesis;
