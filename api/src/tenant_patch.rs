//! What a request may say about a tenant: checked as a whole, all problems at once.

use std::fmt;

use domain::{FieldCode, FieldProblem, Ident, Masking, ProblemCode, TenantId, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::rates::OwnLimits;
use crate::retention::Retention;
use crate::store::tenants::{LegalHold, Settings};

/// Longest time that entries can be kept.
pub const RETENTION_DAYS_MAX: i64 = 36_500;

/// Longest reason of a legal hold, in characters.
pub const REASON_CHARS_MAX: usize = 1_024;

/// What is repeated of the name of a limit that there is not.
const LIMIT_NAME_CHARS_MAX: usize = 64;

/// Who asks for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Runs the instance.
    Operator,
    /// Speaks for its own tenant.
    Admin,
}

impl Scope {
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Operator => &[
                "name",
                "suspended",
                "retention_days",
                "legal_hold",
                "masking",
                "masked_keys",
                "record_reads",
                "limits",
            ],
            Self::Admin => {
                &["name", "retention_days", "legal_hold", "masking", "masked_keys", "record_reads"]
            }
        }
    }
}

/// What is to become of a legal hold.
#[derive(Debug)]
enum Hold {
    /// Nothing expires, for this reason.
    Keep(String),
    /// There is none any more.
    Lift,
}

/// The settings that a request names.
#[derive(Debug, Default)]
pub struct TenantPatch {
    name: Option<String>,
    suspended: Option<bool>,
    retention_days: Option<i32>,
    legal_hold: Option<Hold>,
    masking: Option<bool>,
    masked_keys: Option<Vec<String>>,
    record_reads: Option<bool>,
    limits: Option<Map<String, Value>>,
}

impl TenantPatch {
    /// Reads a change.
    pub fn read(body: &[u8], scope: Scope) -> Result<Self, ApiError> {
        let mut reader = Reader::new(body)?;
        let patch = reader.patch();
        reader.finish(scope.fields())?;
        Ok(patch)
    }

    /// Reads a new tenant, which needs a name and may choose its id.
    pub fn read_new(body: &[u8]) -> Result<(Option<TenantId>, Self), ApiError> {
        let mut reader = Reader::new(body)?;
        let id = reader.take("id", tenant_id);
        reader.members.remove("id");
        let patch = reader.patch();
        if patch.name.is_none() && !reader.has_problem_with("name") {
            reader.note("name", FieldCode::Required, "give the tenant a name");
        }
        reader.finish(Scope::Operator.fields())?;
        Ok((id, patch))
    }

    /// Makes the changes; retention below what this instance keeps at least is refused.
    pub fn apply(
        &self,
        settings: &mut Settings,
        retention: Retention,
        by: &str,
    ) -> Result<(), ApiError> {
        if let Some(days) = self.retention_days {
            retention.set(settings, days, Timestamp::now())?;
        }
        set(&mut settings.name, self.name.as_ref());
        set(&mut settings.suspended, self.suspended.as_ref());
        set(&mut settings.masking, self.masking.as_ref());
        set(&mut settings.masked_keys, self.masked_keys.as_ref());
        set(&mut settings.record_reads, self.record_reads.as_ref());
        set(&mut settings.limits, self.limits.as_ref());
        match &self.legal_hold {
            Some(Hold::Keep(reason)) => {
                settings.legal_hold = Some(held(settings.legal_hold.take(), reason, by));
            }
            Some(Hold::Lift) => settings.legal_hold = None,
            None => {}
        }
        Ok(())
    }
}

fn set<T: Clone>(setting: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        setting.clone_from(value);
    }
}

/// The same reason again changes nothing, so that a hold keeps its author and time.
fn held(before: Option<LegalHold>, reason: &str, by: &str) -> LegalHold {
    before.filter(|hold| hold.reason == reason).unwrap_or_else(|| LegalHold {
        reason: reason.to_owned(),
        by: by.to_owned(),
        at: Timestamp::now().to_string(),
    })
}

/// A JSON value, with the names that stand in it twice where it is an object.
enum Body {
    Object { members: Map<String, Value>, repeated: Vec<String> },
    Other,
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Ok(Self::Other);
        }
        serde_json::Deserializer::from_str(raw.get())
            .deserialize_map(Members)
            .map_err(serde::de::Error::custom)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Body, A::Error> {
        let (mut members, mut repeated) = (Map::new(), Vec::new());
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if members.insert(name.clone(), value).is_some() {
                repeated.push(name.chars().take(64).collect());
            }
        }
        Ok(Body::Object { members, repeated })
    }
}

/// Takes known members out of an object and collects what is wrong with them.
struct Reader {
    members: Map<String, Value>,
    problems: Vec<FieldProblem>,
}

type Refusal = (FieldCode, String);

impl Reader {
    fn new(body: &[u8]) -> Result<Self, ApiError> {
        let body: Body = serde_json::from_str(domain::utf8(body)?).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            ApiError::new(ProblemCode::UnreadableJson, format!("{place}: send JSON"))
        })?;
        let Body::Object { members, repeated } = body else {
            let problem = FieldProblem::new("", FieldCode::WrongType, "must be an object");
            return Err(ApiError::refused(ProblemCode::InvalidTenant, vec![problem]));
        };
        let mut reader = Self { members, problems: Vec::new() };
        for name in repeated {
            reader.note(&name, FieldCode::DuplicateField, "give each field once");
        }
        Ok(reader)
    }

    fn patch(&mut self) -> TenantPatch {
        TenantPatch {
            name: self.take("name", name),
            suspended: self.take("suspended", boolean),
            retention_days: self.take("retention_days", retention_days),
            legal_hold: self.take("legal_hold", legal_hold),
            masking: self.take("masking", boolean),
            masked_keys: self.take("masked_keys", masked_keys),
            record_reads: self.take("record_reads", boolean),
            limits: self.take("limits", limits),
        }
    }

    fn take<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&Value) -> Result<T, Refusal>,
    ) -> Option<T> {
        let value = self.members.get(field)?;
        match read(value) {
            Ok(taken) => Some(taken),
            Err((code, detail)) => {
                self.note(field, code, &detail);
                None
            }
        }
    }

    fn note(&mut self, field: &str, code: FieldCode, detail: &str) {
        self.problems.push(FieldProblem::new(field, code, detail));
    }

    fn has_problem_with(&self, field: &str) -> bool {
        self.problems.iter().any(|problem| problem.field == field)
    }

    /// Refuses members that nobody may set here, by name.
    fn finish(mut self, fields: &[&str]) -> Result<(), ApiError> {
        let unknown: Vec<_> = self
            .members
            .keys()
            .filter(|name| !fields.contains(&name.as_str()))
            .map(|name| name.chars().take(64).collect::<String>())
            .collect();
        for name in unknown {
            let detail = format!("cannot be set here: known are {}", fields.join(", "));
            self.note(&name, FieldCode::UnknownField, &detail);
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::refused(ProblemCode::InvalidTenant, self.problems))
        }
    }
}

fn wrong_type(wanted: &str) -> Refusal {
    (FieldCode::WrongType, format!("must be {wanted}"))
}

fn boolean(value: &Value) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| wrong_type("true or false"))
}

fn tenant_id(value: &Value) -> Result<TenantId, Refusal> {
    let id = value.as_str().and_then(|text| TenantId::parse(text).ok());
    id.ok_or((FieldCode::InvalidCharacters, "must be a UUID with hyphens".to_owned()))
}

fn name(value: &Value) -> Result<String, Refusal> {
    let text = value.as_str().ok_or_else(|| wrong_type("a string"))?;
    let name = Ident::parse(text).map_err(|error| (error.code(), error.to_string()))?;
    Ok(name.as_str().to_owned())
}

fn retention_days(value: &Value) -> Result<i32, Refusal> {
    let days = whole(value).ok_or_else(|| wrong_type("a whole number of days"))?;
    let in_range = (1..=RETENTION_DAYS_MAX).contains(&days).then_some(days);
    in_range.and_then(|days| i32::try_from(days).ok()).ok_or_else(|| {
        (FieldCode::UnknownValue, format!("must be from 1 to {RETENTION_DAYS_MAX} days"))
    })
}

/// A number without a fraction, however it is written: some clients have but one kind of number.
fn whole(value: &Value) -> Option<i64> {
    let written = || value.as_f64().filter(|number| number.fract() == 0.0);
    value.as_i64().or_else(|| format!("{:.0}", written()?).parse().ok())
}

fn legal_hold(value: &Value) -> Result<Hold, Refusal> {
    if value.is_null() {
        return Ok(Hold::Lift);
    }
    let wanted = || wrong_type("null, or an object with the member `reason` alone");
    let members = value.as_object().filter(|members| members.len() == 1).ok_or_else(wanted)?;
    let reason = members.get("reason").and_then(Value::as_str).ok_or_else(wanted)?;
    let chars = reason.chars().count();
    let code = match chars {
        0 => FieldCode::TooShort,
        _ if chars > REASON_CHARS_MAX => FieldCode::TooLong,
        _ if reason.contains('\0') => FieldCode::NulCharacter,
        _ => return Ok(Hold::Keep(reason.to_owned())),
    };
    Err((code, format!("the reason has 1 to {REASON_CHARS_MAX} characters, none of them NUL")))
}

fn masked_keys(value: &Value) -> Result<Vec<String>, Refusal> {
    let wanted = || wrong_type("an array of strings");
    let items = value.as_array().ok_or_else(wanted)?;
    let keys: Option<Vec<String>> =
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    let keys = keys.ok_or_else(wanted)?;
    if keys.iter().any(|key| key.contains('\0')) {
        return Err((FieldCode::NulCharacter, "no key may hold NUL".to_owned()));
    }
    match Masking::new(true, &keys) {
        Ok(_) => Ok(keys),
        Err(error) => Err((FieldCode::UnknownValue, error.to_string())),
    }
}

fn limits(value: &Value) -> Result<Map<String, Value>, Refusal> {
    let limits = value.as_object().ok_or_else(|| wrong_type("an object of limits by class"))?;
    for (name, limit) in limits {
        if let Err(problem) = OwnLimits::check(name, limit) {
            let name: String = name.chars().take(LIMIT_NAME_CHARS_MAX).collect();
            let detail = format!("{name}: {problem}; `off` for no limit");
            return Err((FieldCode::UnknownValue, detail));
        }
    }
    Ok(limits.clone())
}
