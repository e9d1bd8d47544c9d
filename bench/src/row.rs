//! A row of `audit_log`, for whoever writes one past the service.

use std::borrow::Cow;

use domain::{
    Ident, JsonText, Message, NewEntry, Place, ResourceId, Severity, TenantId, Timestamp, UserAgent,
};

/// The table's columns.
pub(crate) const COLUMNS: [&str; 19] = [
    "tenant_id",
    "recorded_at",
    "seq",
    "recorded_by",
    "occurred_at",
    "user_id",
    "user_name",
    "session_id",
    "request_id",
    "action",
    "resource_type",
    "resource_id",
    "severity",
    "message",
    "ip_address",
    "user_agent",
    "before",
    "after",
    "metadata",
];

/// The value of a column.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Tenant(TenantId),
    At(Timestamp),
    Seq(i64),
    Severity(i16),
    Text(Option<Cow<'a, str>>),
    Json(Option<&'a str>),
}

/// The values of an entry at a place, in the order of [`COLUMNS`].
pub(crate) fn values(tenant_id: TenantId, place: Place, entry: &NewEntry) -> [Value<'_>; 19] {
    let text = |text| Value::Text(Some(Cow::Borrowed(text)));
    let maybe = |text: Option<_>| Value::Text(text.map(Cow::Borrowed));
    [
        Value::Tenant(tenant_id),
        Value::At(place.recorded_at),
        Value::Seq(place.seq.get()),
        text(entry.recorded_by.as_str()),
        Value::At(entry.occurred_at.unwrap_or(place.recorded_at)),
        text(entry.user_id.as_str()),
        maybe(entry.user_name.as_ref().map(Ident::as_str)),
        maybe(entry.session_id.as_ref().map(Ident::as_str)),
        maybe(entry.request_id.as_ref().map(Ident::as_str)),
        text(entry.action.as_str()),
        text(entry.resource_type.as_str()),
        maybe(entry.resource_id.as_ref().map(ResourceId::as_str)),
        Value::Severity(Severity::rank(entry.severity)),
        maybe(entry.message.as_ref().map(Message::as_str)),
        Value::Text(entry.ip_address.map(|address| Cow::Owned(address.to_string()))),
        maybe(entry.user_agent.as_ref().map(UserAgent::as_str)),
        Value::Json(entry.before.as_ref().map(JsonText::as_str)),
        Value::Json(entry.after.as_ref().map(JsonText::as_str)),
        Value::Json(entry.metadata.as_ref().map(JsonText::as_str)),
    ]
}
