//! The names of the fields that a client may send.

/// A field of an entry on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    OccurredAt,
    UserId,
    UserName,
    SessionId,
    RequestId,
    Action,
    ResourceType,
    ResourceId,
    Severity,
    Message,
    IpAddress,
    UserAgent,
    Before,
    After,
    Metadata,
}

impl Field {
    /// All of them, each at the index that is its number.
    pub(crate) const ALL: [Self; 15] = [
        Self::OccurredAt,
        Self::UserId,
        Self::UserName,
        Self::SessionId,
        Self::RequestId,
        Self::Action,
        Self::ResourceType,
        Self::ResourceId,
        Self::Severity,
        Self::Message,
        Self::IpAddress,
        Self::UserAgent,
        Self::Before,
        Self::After,
        Self::Metadata,
    ];

    /// Other names under which clients know a field.
    const ALIASES: [(Self, &'static str); 3] = [
        (Self::Before, "before_state"),
        (Self::After, "after_state"),
        (Self::Metadata, "log_metadata"),
    ];

    /// What the service sets itself and takes from nobody.
    const OURS: [&'static str; 5] = ["id", "seq", "tenant_id", "recorded_at", "recorded_by"];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OccurredAt => "occurred_at",
            Self::UserId => "user_id",
            Self::UserName => "user_name",
            Self::SessionId => "session_id",
            Self::RequestId => "request_id",
            Self::Action => "action",
            Self::ResourceType => "resource_type",
            Self::ResourceId => "resource_id",
            Self::Severity => "severity",
            Self::Message => "message",
            Self::IpAddress => "ip_address",
            Self::UserAgent => "user_agent",
            Self::Before => "before",
            Self::After => "after",
            Self::Metadata => "metadata",
        }
    }

    /// The field with this name or alias, and that name.
    pub(crate) fn find(name: &str) -> Option<(Self, &'static str)> {
        let names = Self::ALL.into_iter().map(|field| (field, field.name()));
        names.chain(Self::ALIASES).find(|(_, known)| *known == name)
    }
}

/// What to do about a field that nobody knows.
pub(crate) fn advice_on_unknown(name: &str) -> String {
    if Field::OURS.contains(&name) {
        return "leave it out: the service sets it".to_owned();
    }
    match nearest(name) {
        Some(field) => format!("no such field; did you mean `{}`?", field.name()),
        None => "no such field; put your own data into `metadata`".to_owned(),
    }
}

/// The known field that is most like `name`, if any is.
fn nearest(name: &str) -> Option<Field> {
    const LIKENESS_MIN: f64 = 0.8;
    let likeness = |field: Field| strsim::jaro_winkler(name, field.name());
    Field::ALL
        .into_iter()
        .map(|field| (likeness(field), field))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, field)| field)
}
