//! One operation while it is described.

use std::collections::BTreeMap;

use domain::ProblemCode;
use serde_json::{Map, Value, json};

use super::{headers, problems, security};
use crate::error::ApiError;
use crate::identity::Role;
use crate::routes::BASE;

/// What every route may answer, whoever asks for what: a connection without a place, a handler that
/// is too late, a panic.
const ANYWHERE: [ProblemCode; 3] =
    [ProblemCode::RateLimited, ProblemCode::Overloaded, ProblemCode::Internal];

/// What every route with roles may answer beside that.
const BASE_PROBLEMS: [ProblemCode; 4] = [
    ProblemCode::InvalidIdentity,
    ProblemCode::ForbiddenRole,
    ProblemCode::DatabaseUnavailable,
    ProblemCode::ShuttingDown,
];

/// A method of a path, with all that it takes and answers.
pub(super) struct Operation {
    method: &'static str,
    path: String,
    members: Map<String, Value>,
    parameters: Vec<Value>,
    answers: Map<String, Value>,
    problems: BTreeMap<u16, Vec<ProblemCode>>,
}

impl Operation {
    /// Below the base, for these roles.
    pub(super) fn of(method: &'static str, path: &str, roles: &[Role]) -> Self {
        let operator = roles == [Role::Operator];
        let mut operation = Self::proved(method, path, !operator).problems(&BASE_PROBLEMS);
        if method != "get" {
            operation = operation.problems(&[ProblemCode::OutcomeUnknown]);
        }
        if !operator {
            operation = operation.problems(&[ProblemCode::UnknownTenant]);
        }
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        operation.members.insert("x-roles".to_owned(), json!(names));
        operation
    }

    /// Below the base, for whoever has a proof.
    pub(super) fn proved(method: &'static str, path: &str, tenant: bool) -> Self {
        let mut operation = Self::open(method, &format!("{BASE}{path}"));
        operation = operation.problems(&[ProblemCode::Unauthenticated]);
        operation.members.insert("security".to_owned(), security::needed(tenant));
        operation.parameters.push(headers::request_id());
        operation
    }

    /// Anywhere, for everybody.
    pub(super) fn open(method: &'static str, path: &str) -> Self {
        let operation = Self {
            method,
            path: path.to_owned(),
            members: Map::from_iter([("security".to_owned(), json!([]))]),
            parameters: Vec::new(),
            answers: Map::new(),
            problems: BTreeMap::new(),
        };
        operation.problems(&ANYWHERE)
    }

    /// Its name for programs, under which tag, and what it does in a line and in more.
    pub(super) fn named(mut self, id: &str, tag: &str, summary: &str, about: &str) -> Self {
        let about = match self.members.get("x-roles").and_then(Value::as_array) {
            Some(roles) => {
                let roles: Vec<_> = roles.iter().filter_map(Value::as_str).collect();
                format!("{about}\n\nRoles: {}.", roles.join(", "))
            }
            None => about.to_owned(),
        };
        let members = [("operationId", id), ("summary", summary), ("description", &about)];
        let members = members.map(|(name, text)| (name.to_owned(), json!(text)));
        self.members.extend(members);
        self.members.insert("tags".to_owned(), json!([tag]));
        self
    }

    /// One more way to prove who is calling.
    pub(super) fn or_proved_by(mut self, scheme: &str) -> Self {
        if let Some(needed) = self.members.get_mut("security").and_then(Value::as_array_mut) {
            needed.push(json!({ scheme: [] }));
        }
        self
    }

    /// Parameters in the path, the query string or headers. What is no such parameter is refused.
    pub(super) fn takes(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self.problems(&[ProblemCode::UnknownParameter, ProblemCode::InvalidParameter])
    }

    /// Headers that are none of every request.
    pub(super) fn takes_headers(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// A body in one of these media types, each with its schema and an example.
    pub(super) fn body(mut self, about: &str, media: &[(&str, Value, Value)]) -> Self {
        let body = json!({ "required": true, "description": about, "content": content(media) });
        self.members.insert("requestBody".to_owned(), body);
        self.parameters.push(headers::content_encoding());
        self.problems(&[
            ProblemCode::UnsupportedMediaType,
            ProblemCode::UnsupportedEncoding,
            ProblemCode::BodyTooLarge,
            ProblemCode::UnreadableJson,
            ProblemCode::InvalidRequest,
        ])
    }

    /// An answer that is no problem.
    pub(super) fn answers(
        mut self,
        status: u16,
        about: &str,
        own_headers: &[&str],
        media: &[(&str, Value, Value)],
    ) -> Self {
        let mut answer =
            json!({ "description": about, "headers": headers::of_answer(own_headers) });
        if !media.is_empty() {
            answer["content"] = content(media);
        }
        self.answers.insert(status.to_string(), answer);
        self
    }

    /// The problems that it may answer with.
    pub(super) fn problems(mut self, codes: &[ProblemCode]) -> Self {
        for code in codes {
            let told = self.problems.entry(ApiError::status_of(*code).as_u16()).or_default();
            if !told.contains(code) {
                told.push(*code);
            }
        }
        self
    }

    /// Its path, its method and the rest.
    pub(super) fn describe(self) -> (String, &'static str, Value) {
        let mut members = self.members;
        let mut answers = self.answers;
        for (status, codes) in &self.problems {
            let problem = problems::answer(*status, codes);
            match answers.get_mut(&status.to_string()) {
                Some(answer) => {
                    answer["content"][problems::MEDIA] =
                        problem["content"][problems::MEDIA].clone();
                }
                None => drop(answers.insert(status.to_string(), problem)),
            }
        }
        members.insert("parameters".to_owned(), self.parameters.into());
        members.insert("responses".to_owned(), answers.into());
        (self.path, self.method, members.into())
    }
}

fn content(media: &[(&str, Value, Value)]) -> Value {
    let media = media.iter().map(|(name, schema, example)| {
        ((*name).to_owned(), json!({ "schema": schema, "example": example }))
    });
    media.collect::<Map<_, _>>().into()
}
