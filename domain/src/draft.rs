//! Drafts: entries as a client sent them, each field still as it was written.

use crate::check::Checker;
use crate::field::Field;
use crate::json::{Json, Kind};
use crate::problem::{Echo, FieldProblem, PROBLEMS_MAX};
use crate::{CheckContext, NewEntry, Unreadable};

/// A field as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The name or alias that the client used.
    pub(crate) name: &'static str,
    pub(crate) value: Json<'a>,
}

/// An entry that is readable JSON, and nothing more than that.
#[derive(Debug)]
pub struct EntryDraft<'a> {
    pub(crate) kind: Kind,
    fields: [Option<Given<'a>>; Field::ALL.len()],
    pub(crate) unknown: Vec<String>,
    pub(crate) repeated: Vec<String>,
}

impl<'a> EntryDraft<'a> {
    /// Reads a body that is one entry.
    pub fn read(body: &'a str) -> Result<Self, Unreadable> {
        Json::read(body).map(Self::from_json)
    }

    pub(crate) fn from_json(json: Json<'a>) -> Self {
        let mut draft = Self {
            kind: json.kind(),
            fields: [None; Field::ALL.len()],
            unknown: Vec::new(),
            repeated: Vec::new(),
        };
        if draft.kind == Kind::Object {
            json.members().for_each(|(key, value)| draft.take(&key.decode(), value));
        }
        draft
    }

    /// Checks the draft: the entry to append, or all that is wrong with it.
    pub fn check(&self, context: &CheckContext<'_>) -> Result<NewEntry, Vec<FieldProblem>> {
        Checker::new(self, context).check()
    }

    pub(crate) fn given(&self, field: Field) -> Option<Given<'a>> {
        self.fields[field as usize]
    }

    fn take(&mut self, name: &str, value: Json<'a>) {
        let Some((field, known_name)) = Field::find(name) else {
            return keep_name(&mut self.unknown, name);
        };
        let slot = &mut self.fields[field as usize];
        if slot.is_some() {
            return keep_name(&mut self.repeated, name);
        }
        *slot = Some(Given { name: known_name, value });
    }
}

fn keep_name(names: &mut Vec<String>, name: &str) {
    if names.len() < PROBLEMS_MAX {
        names.push(Echo::name(name).to_string());
    }
}
