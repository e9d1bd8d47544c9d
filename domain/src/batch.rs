//! Many entries in one body: a JSON array, `{"logs": […]}`, or one entry a line.

use crate::json::{Json, Kind};
use crate::problem::{Echo, FieldCode, FieldProblem, Problems};
use crate::{EntryDraft, ProblemCode, Unreadable};

/// The most entries one request may carry.
pub const ENTRIES_MAX: usize = 1_000;

/// The one member of a batch that is an object.
const MEMBER: &str = "logs";

/// Why a body is not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchRefusal {
    /// It is not JSON.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is JSON of another shape.
    #[error("send an array of entries, or an object with `logs` alone")]
    Shape(Vec<FieldProblem>),
    /// It has no entries.
    #[error("send at least one entry")]
    Empty,
    /// It has more than [`ENTRIES_MAX`].
    #[error("send at most {ENTRIES_MAX} entries at once")]
    TooMany,
}

impl BatchRefusal {
    /// The stable code for clients.
    pub const fn code(&self) -> ProblemCode {
        match self {
            Self::Unreadable(_) => ProblemCode::UnreadableJson,
            Self::Shape(_) => ProblemCode::InvalidEntry,
            Self::Empty => ProblemCode::EmptyBatch,
            Self::TooMany => ProblemCode::TooManyEntries,
        }
    }
}

/// Reads a JSON array of entries, or an object whose one member `logs` is such an array.
pub fn read_bulk_json(body: &str) -> Result<Vec<EntryDraft<'_>>, BatchRefusal> {
    let array = entries_in(Json::read(body)?)?;
    collect(array.elements().map(EntryDraft::from_json))
}

/// Reads one entry a line, without blank ones.
///
/// A line that is not readable is an item that failed, told by its line of the
/// whole body: the others may still be good.
pub fn read_ndjson(body: &str) -> Result<Vec<Result<EntryDraft<'_>, Unreadable>>, BatchRefusal> {
    let lines = (1..).zip(body.split('\n')).filter(|(_, line)| !line.trim_ascii().is_empty());
    collect(lines.map(|(number, line)| {
        EntryDraft::read(line).map_err(|unreadable| unreadable.on_line(number))
    }))
}

fn collect<T>(items: impl Iterator<Item = T>) -> Result<Vec<T>, BatchRefusal> {
    let items: Vec<T> = items.take(ENTRIES_MAX + 1).collect();
    match items.len() {
        0 => Err(BatchRefusal::Empty),
        1..=ENTRIES_MAX => Ok(items),
        _ => Err(BatchRefusal::TooMany),
    }
}

fn entries_in(body: Json<'_>) -> Result<Json<'_>, BatchRefusal> {
    match body.kind() {
        Kind::Array => Ok(body),
        Kind::Object => {
            the_member(body).map_err(|problems| BatchRefusal::Shape(problems.into_vec()))
        }
        other => {
            let detail = format!("must be an array of entries, not {other}");
            Err(BatchRefusal::Shape(vec![FieldProblem::new("", FieldCode::WrongType, detail)]))
        }
    }
}

fn the_member(body: Json<'_>) -> Result<Json<'_>, Problems> {
    let mut problems = Problems::default();
    let mut array = None;
    for (key, value) in body.members() {
        let key = key.decode();
        if key != MEMBER {
            let detail = "no such member: send entries in `logs`";
            problems.note(Echo::name(&key), FieldCode::UnknownField, detail);
        } else if array.replace(value).is_some() {
            problems.note(MEMBER, FieldCode::DuplicateField, "give each field once");
        } else if value.kind() != Kind::Array {
            let detail = format_args!("must be an array of entries, not {}", value.kind());
            problems.note(MEMBER, FieldCode::WrongType, detail);
        }
    }
    match array {
        Some(array) if problems.is_empty() => Ok(array),
        Some(_) => Err(problems),
        None => {
            problems.note(MEMBER, FieldCode::Required, "give an array of entries");
            Err(problems)
        }
    }
}
