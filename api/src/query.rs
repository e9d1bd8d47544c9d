//! Query strings: every parameter is known, given once unless it may repeat, and not empty.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{Asked, Filter, ProblemCode, Selection};

use crate::error::ApiError;

/// The parameters of a request, in order, decoded.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

impl Parameters {
    /// Reads a query string.
    pub fn read(query: &str) -> Result<Self, ApiError> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        // What is not UTF-8 was replaced by this character, which is hardly ever sent as itself.
        let is_replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        let replaced = pairs.iter().find(|(name, value)| is_replaced(name) || is_replaced(value));
        match replaced {
            Some((name, _)) => Err(invalid(&shown(name), "must be UTF-8, percent-encoded")),
            None => Ok(Self(pairs)),
        }
    }

    /// Refuses any parameter that is not among these, by name.
    pub fn allow(&self, known: &[&str]) -> Result<(), ApiError> {
        for (name, value) in &self.0 {
            if !known.contains(&name.as_str()) {
                let shown = shown(name);
                let detail = match known {
                    [] => format!("unknown parameter `{shown}`: this route takes none"),
                    known => format!(
                        "unknown parameter `{shown}`: this route takes {}",
                        known.join(", ")
                    ),
                };
                return Err(ApiError::new(ProblemCode::UnknownParameter, detail));
            }
            if value.is_empty() {
                return Err(invalid(name, "it is empty"));
            }
        }
        Ok(())
    }

    /// The value of a parameter that may be given once.
    pub fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        let first = values.next();
        if values.next().is_some() {
            return Err(invalid(name, "it is given more than once"));
        }
        Ok(first.map(|(_, value)| value.as_str()))
    }

    /// Names and values, in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The values of a parameter that may repeat.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(known, _)| known == name);
        values.map(|(_, value)| value.as_str())
    }

    /// The filter that the parameters make.
    pub fn filter(&self) -> Result<Filter, ApiError> {
        Filter::read(self.pairs()).map_err(|error| invalid(error.name, &error.to_string()))
    }

    /// The filter, and the query of `q` where there is one.
    pub fn selection(&self) -> Result<Selection, ApiError> {
        let filter = self.filter()?;
        let q = self.one("q")?.map(Asked::parse).transpose();
        let q = q.map_err(|error| ApiError::new(ProblemCode::InvalidQuery, error.to_string()))?;
        Ok(Selection { q, filter })
    }

    /// `true` or `false`; false when absent.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(name, "must be true or false")),
        }
    }

    /// A whole number from 1 on.
    pub fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|number| *number >= 1);
        number.map(Some).ok_or_else(|| invalid(name, "must be a whole number from 1 on"))
    }

    /// A whole number from 1 to `max`.
    pub fn limit(&self, name: &str, default: u32, max: u32) -> Result<u32, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(default) };
        let number = text.parse::<u32>().ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| invalid(name, &format!("must be a whole number from 1 to {max}")))
    }
}

/// The name of a parameter, cut for a message.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A parameter that is known and wrong.
pub fn invalid(name: &str, why: &str) -> ApiError {
    ApiError::new(ProblemCode::InvalidParameter, format!("parameter `{name}`: {why}"))
}
