//! The one way from a draft to an entry: everything the database could refuse, all at once.

use std::fmt::Display;
use std::net::IpAddr;

use crate::draft::{EntryDraft, Given};
use crate::entry::{ENTRY_BYTES_MAX, NewEntry};
use crate::field::{Field, advice_on_unknown};
use crate::json::Kind;
use crate::problem::{FieldCode, FieldProblem, Problems};
use crate::text::{Ident, InvalidText, Message, ResourceType, Text, UserAgent};
use crate::{Action, JsonText, Masking, Severity, Timestamp};

/// How far ahead of ours a client's clock may be.
const AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;

/// What an entry is checked against.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext<'a> {
    /// The time of the check.
    pub now: Timestamp,
    /// Who sent it.
    pub caller: &'a CallerDefaults,
    /// What the tenant wants masked.
    pub masking: &'a Masking,
}

/// What a request says about its caller; it stands where an entry says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerDefaults {
    /// The authenticated principal.
    pub recorded_by: Ident,
    /// The caller as an actor.
    pub user_id: Ident,
    /// The caller's name.
    pub user_name: Option<Ident>,
    /// The request's id.
    pub request_id: Option<Ident>,
    /// Where the request came from.
    pub ip_address: Option<IpAddr>,
    /// The program that sent it.
    pub user_agent: Option<UserAgent>,
}

impl CallerDefaults {
    /// The service itself, when it acts without being asked.
    pub fn service() -> Self {
        const NAME: Ident = Ident::from_static("audit-log");
        Self {
            recorded_by: NAME,
            user_id: NAME,
            user_name: None,
            request_id: None,
            ip_address: None,
            user_agent: None,
        }
    }
}

/// Checks one draft and collects its problems.
pub(crate) struct Checker<'d, 'c> {
    draft: &'d EntryDraft<'d>,
    context: &'c CheckContext<'c>,
    problems: Problems,
}

impl<'d, 'c> Checker<'d, 'c> {
    pub(crate) fn new(draft: &'d EntryDraft<'d>, context: &'c CheckContext<'c>) -> Self {
        Self { draft, context, problems: Problems::default() }
    }

    pub(crate) fn check(mut self) -> Result<NewEntry, Vec<FieldProblem>> {
        if self.draft.kind != Kind::Object {
            let detail = format!("must be an object, not {}", self.draft.kind);
            return Err(vec![FieldProblem::new("", FieldCode::WrongType, detail)]);
        }
        self.names();
        let entry = self.entry();
        if let Some(entry) = &entry {
            self.size(entry);
        }
        match entry {
            Some(entry) if self.problems.is_empty() => Ok(entry),
            _ => Err(self.problems.into_vec()),
        }
    }

    fn names(&mut self) {
        for name in &self.draft.unknown {
            self.problems.note(name, FieldCode::UnknownField, advice_on_unknown(name));
        }
        for name in &self.draft.repeated {
            let detail = "give each field once, by its name or its alias";
            self.problems.note(name, FieldCode::DuplicateField, detail);
        }
    }

    /// Reads every field; `None` when a required one is missing or refused.
    fn entry(&mut self) -> Option<NewEntry> {
        let caller = self.context.caller;
        let action = self.required(Field::Action, action);
        let resource_type = self.required(Field::ResourceType, resource_type);
        let occurred_at = self.occurred_at();
        let user_id = self.optional(Field::UserId, text);
        let is_caller = user_id.as_ref().is_none_or(|actor| *actor == caller.user_id);
        // Anybody else would get the wrong name.
        let callers_name = || caller.user_name.clone().filter(|_| is_caller);
        Some(NewEntry {
            recorded_by: caller.recorded_by.clone(),
            occurred_at,
            user_id: user_id.unwrap_or_else(|| caller.user_id.clone()),
            user_name: self.optional(Field::UserName, text).or_else(callers_name),
            session_id: self.optional(Field::SessionId, text),
            request_id: self.optional(Field::RequestId, text).or_else(|| caller.request_id.clone()),
            resource_id: self.optional(Field::ResourceId, text),
            severity: self.optional(Field::Severity, severity).unwrap_or_default(),
            message: self.message(),
            ip_address: self.optional(Field::IpAddress, ip_address).or(caller.ip_address),
            user_agent: self
                .optional(Field::UserAgent, user_agent)
                .or_else(|| caller.user_agent.clone()),
            before: self.json(Field::Before),
            after: self.json(Field::After),
            metadata: self.metadata(),
            // Last, so that every field is read even if one of these is missing.
            action: action?,
            resource_type: resource_type?,
        })
    }

    fn occurred_at(&mut self) -> Option<Timestamp> {
        let latest = self.context.now.plus_millis(AHEAD_MS_MAX);
        self.optional(Field::OccurredAt, |text| {
            let time = Timestamp::parse(text)
                .map_err(|error| Refusal::new(FieldCode::InvalidTime, error))?;
            if (Timestamp::EPOCH..=latest).contains(&time) {
                return Ok(time);
            }
            let range = format_args!("must be from {} to {latest}", Timestamp::EPOCH);
            Err(Refusal::new(FieldCode::TimeOutOfRange, range))
        })
    }

    fn message(&mut self) -> Option<Message> {
        let masking = self.context.masking;
        self.optional(Field::Message, |text| {
            let message = Message::parse(text).map_err(Refusal::of_text)?;
            Ok(message.masked(masking))
        })
    }

    fn metadata(&mut self) -> Option<JsonText> {
        let given = self.given(Field::Metadata)?;
        if given.value.kind() == Kind::Object {
            return self.json(Field::Metadata);
        }
        self.refuse_type(&given, Kind::Object);
        None
    }

    fn json(&mut self, field: Field) -> Option<JsonText> {
        let given = self.given(field)?;
        JsonText::scan(given.value, given.name, self.context.masking, &mut self.problems)
    }

    fn required<T>(
        &mut self,
        field: Field,
        read: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        if self.given(field).is_none() {
            self.problems.note(field.name(), FieldCode::Required, "give this field");
        }
        self.optional(field, read)
    }

    fn optional<T>(
        &mut self,
        field: Field,
        read: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let given = self.given(field)?;
        if given.value.kind() != Kind::String {
            self.refuse_type(&given, Kind::String);
            return None;
        }
        let value = read(&given.value.decode());
        value.map_err(|refusal| self.problems.note(given.name, refusal.code, refusal.detail)).ok()
    }

    fn refuse_type(&mut self, given: &Given<'_>, wanted: Kind) {
        let detail = format_args!("must be {wanted}, not {}", given.value.kind());
        self.problems.note(given.name, FieldCode::WrongType, detail);
    }

    /// What the draft says about a field, where `null` says nothing.
    fn given(&self, field: Field) -> Option<Given<'d>> {
        self.draft.given(field).filter(|given| given.value.kind() != Kind::Null)
    }

    fn size(&mut self, entry: &NewEntry) {
        if entry.stored_bytes() > ENTRY_BYTES_MAX {
            let detail = format_args!("an entry has at most {ENTRY_BYTES_MAX} bytes of JSON");
            self.problems.note("", FieldCode::EntryTooLarge, detail);
        }
    }
}

/// Why one value cannot stand in its field.
struct Refusal {
    code: FieldCode,
    detail: String,
}

impl Refusal {
    fn new(code: FieldCode, detail: impl Display) -> Self {
        Self { code, detail: detail.to_string() }
    }

    fn of_text(error: InvalidText) -> Self {
        Self::new(error.code(), error)
    }
}

fn text<const MIN: usize, const MAX: usize>(text: &str) -> Result<Text<MIN, MAX>, Refusal> {
    Text::parse(text).map_err(Refusal::of_text)
}

fn resource_type(given: &str) -> Result<ResourceType, Refusal> {
    let resource_type = text(given)?;
    if resource_type == NewEntry::OWN_RESOURCE_TYPE {
        let detail = "`audit_log` stands for entries of the service itself: take another name";
        return Err(Refusal::new(FieldCode::UnknownValue, detail));
    }
    Ok(resource_type)
}

fn action(text: &str) -> Result<Action, Refusal> {
    Action::parse(text).map_err(|error| Refusal::new(error.code(), error))
}

fn severity(text: &str) -> Result<Severity, Refusal> {
    Severity::parse(text).map_err(|error| Refusal::new(FieldCode::UnknownValue, error))
}

fn ip_address(text: &str) -> Result<IpAddr, Refusal> {
    let detail = "write an IPv4 or IPv6 address, without port, zone or brackets";
    text.parse().map_err(|_| Refusal::new(FieldCode::InvalidIp, detail))
}

fn user_agent(text: &str) -> Result<UserAgent, Refusal> {
    UserAgent::parse(text).map_err(Refusal::of_text)
}
