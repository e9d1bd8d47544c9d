//! JSON Schema, as far as the OpenAPI document uses it; any other word in it is a mistake.

use domain::Timestamp;
use regex_lite::Regex;
use serde_json::{Map, Value};

/// Why a value does not fit a schema, told by the first word that it breaks.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(words) = schema.as_object() else { return Err("a schema is an object".to_owned()) };
    for (word, wanted) in words {
        let fits = match word.as_str() {
            "description" | "deprecated" | "default" => true,
            "type" | "const" | "enum" | "format" => is_kind(word, wanted, value),
            "$ref" | "anyOf" | "allOf" | "not" => combined(document, word, wanted, value)?,
            "minimum" | "maximum" => is_number(word, wanted, value),
            "minLength" | "maxLength" | "pattern" => is_text(word, wanted, value),
            _ => match value {
                Value::Array(items) => is_array(document, word, wanted, items)?,
                Value::Object(members) => is_object(document, word, wanted, members, words)?,
                _ => is_known(word),
            },
        };
        if !fits {
            return Err(format!("{} is not {word} {wanted}", short(value)));
        }
    }
    Ok(())
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

fn all<'v>(
    document: &Value,
    schema: &Value,
    values: impl IntoIterator<Item = &'v Value>,
) -> Result<bool, String> {
    values.into_iter().try_for_each(|value| check(document, schema, value)).map(|()| true)
}

fn combined(document: &Value, word: &str, wanted: &Value, value: &Value) -> Result<bool, String> {
    let each = || wanted.as_array().unwrap().iter().map(|schema| check(document, schema, value));
    match word {
        "$ref" => {
            let pointer = wanted.as_str().unwrap().trim_start_matches('#');
            check(document, document.pointer(pointer).expect(pointer), value).map(|()| true)
        }
        "allOf" => each().collect::<Result<(), _>>().map(|()| true),
        "anyOf" if each().any(|fits| fits.is_ok()) => Ok(true),
        "anyOf" => Err(each().filter_map(Result::err).collect::<Vec<_>>().join(" and ")),
        _ => Ok(check(document, wanted, value).is_err()),
    }
}

fn is_kind(word: &str, wanted: &Value, value: &Value) -> bool {
    match word {
        "type" => wanted
            .as_array()
            .map_or_else(|| is_a(value, wanted), |types| types.iter().any(|one| is_a(value, one))),
        "const" => value == wanted,
        "enum" => wanted.as_array().unwrap().contains(value),
        _ => value.as_str().is_none_or(|text| has_format(text, wanted.as_str().unwrap())),
    }
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("the test knows no type {other}"),
    }
}

fn has_format(text: &str, format: &str) -> bool {
    match format {
        "date-time" => Timestamp::parse(text).is_ok(),
        "uri" => text.contains(':'),
        "uuid" => text.len() == 36 && uuid::Uuid::parse_str(text).is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        // Of numbers, which are none of a text's.
        "int32" | "int64" => false,
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        other => panic!("the test knows no format {other}"),
    }
}

fn is_number(word: &str, wanted: &Value, value: &Value) -> bool {
    let (Some(value), Some(wanted)) = (value.as_f64(), wanted.as_f64()) else { return true };
    if word == "minimum" { value >= wanted } else { value <= wanted }
}

fn is_text(word: &str, wanted: &Value, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    let chars = text.chars().count() as u64;
    match word {
        "minLength" => chars >= wanted.as_u64().unwrap(),
        "maxLength" => chars <= wanted.as_u64().unwrap(),
        _ => Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text),
    }
}

fn is_array(document: &Value, word: &str, wanted: &Value, items: &[Value]) -> Result<bool, String> {
    let len = items.len() as u64;
    Ok(match word {
        "items" => all(document, wanted, items)?,
        "minItems" => len >= wanted.as_u64().unwrap(),
        "maxItems" => len <= wanted.as_u64().unwrap(),
        "uniqueItems" => items.iter().enumerate().all(|(at, item)| !items[..at].contains(item)),
        other => is_known(other),
    })
}

fn is_object(
    document: &Value,
    word: &str,
    wanted: &Value,
    members: &Map<String, Value>,
    schema: &Map<String, Value>,
) -> Result<bool, String> {
    let known =
        |name: &String| schema.get("properties").is_some_and(|known| known.get(name).is_some());
    let names = || members.keys().map(|name| Value::from(name.as_str()));
    Ok(match word {
        "required" => wanted
            .as_array()
            .unwrap()
            .iter()
            .all(|name| members.contains_key(name.as_str().unwrap())),
        "maxProperties" => members.len() as u64 <= wanted.as_u64().unwrap(),
        "propertyNames" => all(document, wanted, &names().collect::<Vec<_>>())?,
        "additionalProperties" => match wanted {
            Value::Bool(allowed) => *allowed || members.keys().all(known),
            schema => all(
                document,
                schema,
                members.iter().filter(|(name, _)| !known(name)).map(|(_, value)| value),
            )?,
        },
        "properties" => {
            for (name, schema) in wanted.as_object().unwrap() {
                let Some(value) = members.get(name) else { continue };
                check(document, schema, value).map_err(|wrong| format!("{name}: {wrong}"))?;
            }
            true
        }
        other => is_known(other),
    })
}

/// A word about another kind of value says nothing of this one.
fn is_known(word: &str) -> bool {
    const KNOWN: [&str; 9] = [
        "items",
        "minItems",
        "maxItems",
        "uniqueItems",
        "required",
        "maxProperties",
        "propertyNames",
        "additionalProperties",
        "properties",
    ];
    assert!(KNOWN.contains(&word), "the test knows no {word}");
    true
}
