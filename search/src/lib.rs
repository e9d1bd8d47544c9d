//! The audit log as OpenSearch keeps it: a view of the log that can be rebuilt from it.
//!
//! The only crate that names an index. It knows no PostgreSQL and no HTTP of ours, and everything
//! it asks is about one tenant, whose id comes first; but for `census`, which counts all of them.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")
)]

mod ask;
mod bulk;
mod census;
mod client;
mod document;
mod dsl;
mod facets;
mod fault;
mod generations;
mod health;
mod ids;
mod index;
mod login;
mod names;
mod owner;
mod page;
mod query;
mod request;
mod scope;
mod set_up;
mod straight;
mod strays;
mod template;

pub use crate::ask::{QUESTIONS_MAX, TOTAL_EXACT_MAX};
pub use crate::bulk::{BULK_LEN_MAX, Outcome};
pub use crate::census::{Population, TENANTS_MAX};
pub use crate::document::Document;
pub use crate::dsl::{PHRASE_PREFIX_WORDS_MAX, dsl};
pub use crate::facets::FACET_VALUES_MAX;
pub use crate::fault::Fault;
pub use crate::generations::IndexState;
pub use crate::health::Health;
pub use crate::ids::IDS_MAX;
pub use crate::index::{Auth, Facts, Index, IndexSettings};
pub use crate::login::{AuthChoice, IncompleteLogin, Login, WrongUrl, check_url};
pub use crate::names::{IndexName, InvalidPrefix, Month, Prefix, TEMPLATE};
pub use crate::request::{Facet, FacetField, Found, Hit, SearchAfter, SearchRequest, Sort, Total};
pub use crate::scope::{Among, Range};
pub use crate::strays::Stray;
pub use crate::template::Shape;
