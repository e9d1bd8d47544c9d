//! The audit log as OpenSearch keeps it: a view of the log that can be rebuilt from it.
//!
//! The only crate that names an index. It knows no PostgreSQL and no HTTP of ours, and everything
//! it asks is about one tenant, whose id comes first.

mod fault;
mod index;
mod request;

pub use crate::fault::Fault;
pub use crate::index::{Auth, Index, IndexSettings};
pub use crate::request::{Facet, FacetField, Found, Hit, SearchAfter, SearchRequest, Sort, Total};
