//! What the crate promises to the service, tried through its public interface.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]

mod batches;
mod buckets;
mod entries;
mod hostile;
mod masked;
mod messages;
mod queries;
mod refusals;
mod searched;
mod statistics;

#[path = "../search_cases/mod.rs"]
mod search_cases;

use domain::{
    CallerDefaults, CheckContext, EntryDraft, FieldProblem, Ident, Masking, NewEntry, Timestamp,
    UserAgent,
};

/// The time of every check.
const NOW: &str = "2026-11-21T12:50:11.123Z";

fn ident(text: &str) -> Ident {
    Ident::parse(text).unwrap()
}

fn caller() -> CallerDefaults {
    CallerDefaults {
        recorded_by: ident("gateway:anna"),
        user_id: ident("anna"),
        user_name: Some(ident("Anna")),
        request_id: Some(ident("req-1")),
        ip_address: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some(UserAgent::parse("curl/8").unwrap()),
    }
}

fn check(body: &str) -> Result<NewEntry, Vec<FieldProblem>> {
    check_with(body, &Masking::default())
}

fn check_with(body: &str, masking: &Masking) -> Result<NewEntry, Vec<FieldProblem>> {
    let now = Timestamp::parse(NOW).unwrap();
    let context = CheckContext { now, caller: &caller(), masking };
    EntryDraft::read(body).unwrap().check(&context)
}

/// A good entry with more members, as in `, "user_id": 5`.
fn entry_with(members: &str) -> String {
    format!(r#"{{"action": "UPDATE", "resource_type": "invoice"{members}}}"#)
}
