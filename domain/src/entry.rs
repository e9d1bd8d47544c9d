//! Entries: checked ones that have no place yet, and those in a log.

use std::io;
use std::net::IpAddr;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use uuid::Uuid;

use crate::{
    Action, CallerDefaults, EntryId, Ident, JsonText, Message, Place, ResourceId, ResourceType,
    Seq, Severity, StoredEntry, TenantId, TenantTag, Timestamp, UserAgent,
};

/// One entry as stored: the length of its JSON, after masking.
///
/// It is counted with the widest `seq` there is, so that it does not depend on
/// the place an entry will get.
pub const ENTRY_BYTES_MAX: usize = 65_536;

/// A checked entry that is not in a log yet.
///
/// A draft's check makes it, [`NewEntry::own`] does, or the store from a row
/// that was one. Each field's type proves its own limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The authenticated principal.
    pub recorded_by: Ident,
    /// When it happened, as the caller says; else when it is recorded.
    pub occurred_at: Option<Timestamp>,
    /// The actor.
    pub user_id: Ident,
    /// The actor's name.
    pub user_name: Option<Ident>,
    /// The actor's session.
    pub session_id: Option<Ident>,
    /// What correlates the entries of one request.
    pub request_id: Option<Ident>,
    /// What was done.
    pub action: Action,
    /// What kind of thing it was done to.
    pub resource_type: ResourceType,
    /// Which thing it was done to.
    pub resource_id: Option<ResourceId>,
    /// How grave it is.
    pub severity: Severity,
    /// What a person reads about it.
    pub message: Option<Message>,
    /// Where the actor was.
    pub ip_address: Option<IpAddr>,
    /// The program the actor used.
    pub user_agent: Option<UserAgent>,
    /// The thing before.
    pub before: Option<JsonText>,
    /// The thing after.
    pub after: Option<JsonText>,
    /// The caller's own data; an object.
    pub metadata: Option<JsonText>,
}

impl NewEntry {
    /// The `resource_type` of the service's own entries.
    pub const OWN_RESOURCE_TYPE: ResourceType = ResourceType::from_static("audit_log");

    /// An entry of the service itself, about what `caller` made it do.
    ///
    /// ```
    /// use domain::{Action, CallerDefaults, NewEntry, Severity};
    ///
    /// const EXPIRED: Action = Action::from_static("log.expired");
    /// let entry = NewEntry {
    ///     severity: Severity::Warning,
    ///     ..NewEntry::own(&CallerDefaults::service(), EXPIRED)
    /// };
    /// assert_eq!(entry.resource_type, NewEntry::OWN_RESOURCE_TYPE);
    /// ```
    pub fn own(caller: &CallerDefaults, action: Action) -> Self {
        Self {
            recorded_by: caller.recorded_by.clone(),
            occurred_at: None,
            user_id: caller.user_id.clone(),
            user_name: caller.user_name.clone(),
            session_id: None,
            request_id: caller.request_id.clone(),
            action,
            resource_type: Self::OWN_RESOURCE_TYPE,
            resource_id: None,
            severity: Severity::Info,
            message: None,
            ip_address: caller.ip_address,
            user_agent: caller.user_agent.clone(),
            before: None,
            after: None,
            metadata: None,
        }
    }

    /// Whether the service wrote it about itself.
    pub fn is_own(&self) -> bool {
        self.resource_type == Self::OWN_RESOURCE_TYPE
    }

    /// About how many bytes it takes in memory and on its way to the database.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.texts().into_iter().flatten().map(str::len).sum::<usize>()
    }

    /// As the log has it at a place; an address has no text of its own here.
    pub fn stored_at<'a>(&'a self, place: Place, ip_address: Option<&'a str>) -> StoredEntry<'a> {
        StoredEntry {
            place,
            recorded_by: self.recorded_by.as_str(),
            occurred_at: self.occurred_at.unwrap_or(place.recorded_at),
            user_id: self.user_id.as_str(),
            user_name: self.user_name.as_ref().map(Ident::as_str),
            session_id: self.session_id.as_ref().map(Ident::as_str),
            request_id: self.request_id.as_ref().map(Ident::as_str),
            action: self.action.as_str(),
            resource_type: self.resource_type.as_str(),
            resource_id: self.resource_id.as_ref().map(ResourceId::as_str),
            severity: self.severity,
            message: self.message.as_ref().map(Message::as_str),
            ip_address,
            user_agent: self.user_agent.as_ref().map(UserAgent::as_str),
            before: self.before.as_ref().map(JsonText::as_str),
            after: self.after.as_ref().map(JsonText::as_str),
            metadata: self.metadata.as_ref().map(JsonText::as_str),
        }
    }

    /// The length of its JSON in an answer, whatever place it gets.
    pub(crate) fn stored_bytes(&self) -> usize {
        let tenant_id = TenantId::new(Uuid::nil());
        let widest = Place { recorded_at: Timestamp::MAX, seq: Seq::MAX };
        let wire =
            Wire { id: EntryId::of(widest, tenant_id), tenant_id, place: widest, content: self };
        let mut count = ByteCount(0);
        serde_json::to_writer(&mut count, &wire).expect("an entry always has a JSON form");
        count.0
    }

    fn texts(&self) -> [Option<&str>; 13] {
        [
            Some(self.recorded_by.as_str()),
            Some(self.user_id.as_str()),
            self.user_name.as_ref().map(Ident::as_str),
            self.session_id.as_ref().map(Ident::as_str),
            self.request_id.as_ref().map(Ident::as_str),
            Some(self.action.as_str()),
            Some(self.resource_type.as_str()),
            self.resource_id.as_ref().map(ResourceId::as_str),
            self.message.as_ref().map(Message::as_str),
            self.user_agent.as_ref().map(UserAgent::as_str),
            self.before.as_ref().map(JsonText::as_str),
            self.after.as_ref().map(JsonText::as_str),
            self.metadata.as_ref().map(JsonText::as_str),
        ]
    }
}

/// An entry at its place in a tenant's log.
///
/// In JSON all fields are always there, in the order of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    id: EntryId,
    tenant_id: TenantId,
    place: Place,
    content: NewEntry,
}

impl Entry {
    /// The entry at `place` of the tenant's log.
    pub fn new(tenant_id: TenantId, place: Place, content: NewEntry) -> Self {
        Self::with_tag(tenant_id, TenantTag::of(tenant_id), place, content)
    }

    /// As [`Self::new`], when the tenant's tag is known from the entry before.
    pub fn with_tag(tenant_id: TenantId, tag: TenantTag, place: Place, content: NewEntry) -> Self {
        Self { id: EntryId::with_tag(place, tag), tenant_id, place, content }
    }

    /// Its id, which says its place.
    pub const fn id(&self) -> EntryId {
        self.id
    }

    /// Whose log it is in.
    pub const fn tenant_id(&self) -> TenantId {
        self.tenant_id
    }

    /// Its place in the log.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// What was appended.
    pub const fn content(&self) -> &NewEntry {
        &self.content
    }

    /// When it happened: as the caller said, else when it was recorded.
    pub fn occurred_at(&self) -> Timestamp {
        self.content.occurred_at.unwrap_or(self.place.recorded_at)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, tenant_id, place, content } = self;
        Wire { id: *id, tenant_id: *tenant_id, place: *place, content }.serialize(serializer)
    }
}

/// How an entry is written.
struct Wire<'a> {
    id: EntryId,
    tenant_id: TenantId,
    place: Place,
    content: &'a NewEntry,
}

impl Serialize for Wire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, tenant_id, place: Place { recorded_at, seq }, content } = self;
        let mut fields = serializer.serialize_struct("Entry", 20)?;
        fields.serialize_field("id", id)?;
        fields.serialize_field("seq", seq)?;
        fields.serialize_field("tenant_id", tenant_id)?;
        fields.serialize_field("recorded_at", recorded_at)?;
        fields.serialize_field("recorded_by", &content.recorded_by)?;
        fields.serialize_field("occurred_at", &content.occurred_at.unwrap_or(*recorded_at))?;
        fields.serialize_field("user_id", &content.user_id)?;
        fields.serialize_field("user_name", &content.user_name)?;
        fields.serialize_field("session_id", &content.session_id)?;
        fields.serialize_field("request_id", &content.request_id)?;
        fields.serialize_field("action", &content.action)?;
        fields.serialize_field("resource_type", &content.resource_type)?;
        fields.serialize_field("resource_id", &content.resource_id)?;
        fields.serialize_field("severity", &content.severity)?;
        fields.serialize_field("message", &content.message)?;
        fields.serialize_field("ip_address", &content.ip_address)?;
        fields.serialize_field("user_agent", &content.user_agent)?;
        fields.serialize_field("before", &content.before)?;
        fields.serialize_field("after", &content.after)?;
        fields.serialize_field("metadata", &content.metadata)?;
        fields.end()
    }
}

/// Counts what is written, and keeps nothing.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
