//! Entries like those of a business application, each unlike the others.

use domain::{
    CallerDefaults, CheckContext, EntryDraft, Ident, Masking, NewEntry, Timestamp, UserAgent,
};
use serde_json::json;

/// What the load says of itself in every request's headers.
pub(crate) const USER_ID: &str = "svc-billing";
pub(crate) const USER_NAME: &str = "Billing";
pub(crate) const ADDRESS: &str = "203.0.113.7";
pub(crate) const USER_AGENT: &str = "billing/4.11 (bench)";
pub(crate) const REQUEST_ID: &str = "4f7c1f2e-6f0e-4c58-9a55-0d6f3e8f2b10";

const ACTIONS: [&str; 4] = ["UPDATE", "CREATE", "invoice.approved", "VIEW"];
const STATES: [&str; 4] = ["draft", "sent", "approved", "paid"];
const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "ap-south-1"];

/// The JSON of the entry of that number: about 450 bytes, most of them before, after, metadata.
pub(crate) fn json(number: u64) -> String {
    let random = scatter(number);
    let one_of = |words: [&'static str; 4], bits: u64| words[(bits % 4) as usize];
    let user = format!("u-{}", random >> 8 & 0xfff);
    let invoice = random >> 20 & 0xff_ffff;
    let amount = format!("{}.{:02}", random >> 44 & 0xffff, random >> 60);
    let trace = format!("{:016x}", scatter(random));
    json!({
        "user_id": user,
        "user_name": format!("User {user}"),
        "session_id": format!("s-{trace}"),
        "action": one_of(ACTIONS, random),
        "resource_type": "invoice",
        "resource_id": format!("inv-{invoice:08}"),
        "message": format!("invoice {invoice} changed by {user}"),
        "before": {"state": one_of(STATES, random >> 2), "amount": amount, "approved_by": null},
        "after": {"state": one_of(STATES, random >> 4), "amount": amount, "approved_by": user},
        "metadata": {
            "region": one_of(REGIONS, random >> 6),
            "trace": trace,
            "attempt": 1,
            "tags": ["billing", "web"],
        },
    })
    .to_string()
}

/// The JSON array of the entries of these numbers.
pub(crate) fn json_array(numbers: impl Iterator<Item = u64>) -> String {
    let entries: Vec<_> = numbers.map(json).collect();
    format!("[{}]", entries.join(","))
}

/// The same entry as the service would make it of [`json()`] and the load's headers.
pub(crate) fn checked(number: u64) -> anyhow::Result<NewEntry> {
    let context = CheckContext {
        now: Timestamp::now(),
        caller: &CallerDefaults {
            recorded_by: Ident::parse(USER_ID)?,
            user_id: Ident::parse(USER_ID)?,
            user_name: Some(Ident::parse(USER_NAME)?),
            request_id: Some(Ident::parse(REQUEST_ID)?),
            ip_address: Some(ADDRESS.parse()?),
            user_agent: Some(UserAgent::parse(USER_AGENT)?),
        },
        masking: &Masking::default(),
    };
    let json = json(number);
    let entry = EntryDraft::read(&json)?.check(&context);
    entry.map_err(|problems| anyhow::anyhow!("the benchmark's own entry is wrong: {problems:?}"))
}

/// A bijection that looks random (the finalizer of splitmix64).
fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
