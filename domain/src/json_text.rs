//! Compact JSON text, as the log keeps it.
//!
//! A client's numbers, string escapes and key order stay as they were written.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::Masking;
use crate::json::Json;
use crate::problem::Problems;
use crate::scanner::Scanner;

/// A JSON value without white space between its tokens, in keeping with every limit.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// How deep values nest: the outermost is at depth 1.
    pub const DEPTH_MAX: usize = 16;
    /// The longest key.
    pub const KEY_CHARS_MAX: usize = 256;
    /// The longest number.
    pub const NUMBER_CHARS_MAX: usize = 128;

    /// What a value of this program's own looks like in JSON.
    pub fn of(value: &impl Serialize) -> Result<Self, InvalidJsonText> {
        let text = serde_json::to_string(value).map_err(|_| InvalidJsonText)?;
        Self::parse(&text, &Masking::off())
    }

    /// Reads a value that stands alone.
    pub fn parse(text: &str, masking: &Masking) -> Result<Self, InvalidJsonText> {
        let json = Json::read(text).map_err(|_| InvalidJsonText)?;
        let mut problems = Problems::default();
        Self::scan(json, "", masking, &mut problems).ok_or(InvalidJsonText)
    }

    /// Takes back what the log holds, where it was put only after it was checked.
    pub fn from_stored(text: String) -> Result<Self, InvalidJsonText> {
        RawValue::from_string(text).map(Self).map_err(|_| InvalidJsonText)
    }

    /// Makes what is stored of `json`, the value of `field`, or notes what is wrong with it.
    pub(crate) fn scan(
        json: Json<'_>,
        field: &str,
        masking: &Masking,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let text = Scanner::new(json, masking, problems).scan(field);
        // A full list takes no more notes, so its length proves nothing.
        if problems.len() > before || problems.is_full() {
            return None;
        }
        Some(Self(RawValue::from_string(text).expect("a part of readable JSON is readable")))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

/// The text is not JSON that the log could hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JSON within the limits of the log")]
pub struct InvalidJsonText;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::FieldCode;

    fn compact(text: &str) -> String {
        JsonText::parse(text, &Masking::off()).unwrap().as_str().to_owned()
    }

    fn masked(text: &str) -> String {
        JsonText::parse(text, &Masking::default()).unwrap().as_str().to_owned()
    }

    fn problems(text: &str) -> Vec<(String, FieldCode)> {
        let mut problems = Problems::default();
        let json = Json::read(text).unwrap();
        let scanned = JsonText::scan(json, "metadata", &Masking::default(), &mut problems);
        assert_eq!(scanned.is_some(), problems.is_empty());
        problems.into_vec().into_iter().map(|problem| (problem.field, problem.code)).collect()
    }

    fn problem(field: &str, code: FieldCode) -> Vec<(String, FieldCode)> {
        vec![(field.to_owned(), code)]
    }

    #[test]
    fn white_space_goes_and_everything_else_stays_as_written() {
        for (text, expected) in [
            (" null ", "null"),
            ("[ ]", "[]"),
            ("{\n}", "{}"),
            ("\t[ 1 ,\r\n 2.50E+1 , -0 ]", "[1,2.50E+1,-0]"),
            (r#"{ "b" : 1 , "a" : " x  y " }"#, r#"{"b":1,"a":" x  y "}"#),
            (r#"["\u0041\/\n\ud83d\ude00é"]"#, r#"["\u0041\/\n\ud83d\ude00é"]"#),
            ("123456789012345678901234567890.10", "123456789012345678901234567890.10"),
            (r#"{"":{"":[[],{}]}}"#, r#"{"":{"":[[],{}]}}"#),
        ] {
            assert_eq!(compact(text), expected);
        }
    }

    #[test]
    fn secrets_are_masked_at_any_depth_and_of_any_type() {
        for (text, expected) in [
            (r#"{ "password" : "x" , "n" : 1.0 }"#, r#"{"password":"[masked]","n":1.0}"#),
            (r#"{"token":{"a":[1,{"b":2}]}}"#, r#"{"token":"[masked]"}"#),
            (r#"{"token": null}"#, r#"{"token":"[masked]"}"#),
            (r#"{"token":[ 1 , 2 ],"a" : 1}"#, r#"{"token":"[masked]","a":1}"#),
            (r#"{"secret":{"token" : [ 1 ]} , "a":2}"#, r#"{"secret":"[masked]","a":2}"#),
            (r#"[[{"a":[{"x-api-key":true}]}]]"#, r#"[[{"a":[{"x-api-key":"[masked]"}]}]]"#),
            (r#"{"p\u0061ssword":"x"}"#, r#"{"p\u0061ssword":"[masked]"}"#),
        ] {
            assert_eq!(masked(text), expected);
        }
        assert_eq!(compact(r#"{"password":"x"}"#), r#"{"password":"x"}"#);
    }

    #[test]
    fn card_numbers_in_strings_are_masked_also_when_escaped() {
        for (text, expected) in [
            (r#""4111 1111 1111 1111""#, r#""[masked]""#),
            (r#"["a 4111111111111111\n"]"#, r#"["a [masked]\n"]"#),
            (r#"["\u003411111111111111\u0031"]"#, r#"["[masked]"]"#),
            (r#"["\u00e9 \"4111111111111111"]"#, r#"["é \"[masked]"]"#),
            (r#"["\u00e9 4111111111111112"]"#, r#"["\u00e9 4111111111111112"]"#),
            ("[4111111111111111]", "[4111111111111111]"),
            (r#"{"4111111111111111":1}"#, r#"{"4111111111111111":1}"#),
        ] {
            assert_eq!(masked(text), expected);
        }
        assert_eq!(compact(r#"["4111111111111111"]"#), r#"["4111111111111111"]"#);
    }

    fn nested(depth: usize, innermost: &str) -> String {
        format!("{}{innermost}{}", "[".repeat(depth - 1), "]".repeat(depth - 1))
    }

    #[test]
    fn values_nest_sixteen_deep() {
        assert_eq!(compact(&nested(16, "1")), nested(16, "1"));
        assert_eq!(compact(&nested(16, "{}")), nested(16, "{}"));
        let deep = format!("metadata{}", ".0".repeat(16));
        assert_eq!(problems(&nested(17, "1")), problem(&deep, FieldCode::TooDeep));
        assert_eq!(problems(&nested(17, "[]")), problem(&deep, FieldCode::TooDeep));
        let members = r#"{"a":"#.repeat(16) + "1" + &"}".repeat(16);
        let deep = format!("metadata{}", ".a".repeat(16));
        assert_eq!(problems(&members), problem(&deep, FieldCode::TooDeep));
    }

    #[test]
    fn keys_have_at_most_256_characters() {
        let object = |key: String| format!(r#"{{"{key}":1}}"#);
        assert!(problems(&object("é".repeat(256))).is_empty());
        assert!(problems(&object(r"\u00e9".repeat(256))).is_empty());
        let path = format!("metadata.{}…", "é".repeat(64));
        let expected = problem(&path, FieldCode::KeyTooLong);
        assert_eq!(problems(&object("é".repeat(257))), expected);
        assert_eq!(problems(&object(r"\u00e9".repeat(257))), expected);
    }

    #[test]
    fn numbers_have_at_most_128_characters() {
        let digits = |n: usize| format!("-{}", "1".repeat(n - 1));
        assert!(problems(&digits(128)).is_empty());
        assert_eq!(problems(&digits(129)), problem("metadata", FieldCode::NumberTooLong));
        let inside = format!(r#"{{"a":[1, {} ]}}"#, digits(129));
        assert_eq!(problems(&inside), problem("metadata.a.1", FieldCode::NumberTooLong));
    }

    #[test]
    fn no_object_has_a_key_twice() {
        let duplicate = problem("metadata.a", FieldCode::DuplicateKey);
        assert_eq!(problems(r#"{"a":1,"a":1}"#), duplicate);
        assert_eq!(problems(r#"{"a":1,"b":{"a":1},"\u0061":2}"#), duplicate);
        assert!(problems(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#).is_empty());

        let object = |keys: Vec<String>| format!("{{{}}}", keys.join(","));
        let keys: Vec<_> = (0..40).map(|i| format!(r#""k{i}":{{"k0":0}}"#)).collect();
        assert!(problems(&object(keys.clone())).is_empty());
        for (repeated, key) in keys.iter().enumerate() {
            let twice = object(keys.iter().chain([key]).cloned().collect());
            let path = format!("metadata.k{repeated}");
            assert_eq!(problems(&twice), problem(&path, FieldCode::DuplicateKey));
        }
    }

    #[test]
    fn nul_is_refused_everywhere_and_other_control_characters_are_kept() {
        assert_eq!(problems(r#""\u0000""#), problem("metadata", FieldCode::NulCharacter));
        assert_eq!(problems(r#"["\\\u0000"]"#), problem("metadata.0", FieldCode::NulCharacter));
        let key = problem("metadata.a\u{fffd}", FieldCode::NulCharacter);
        assert_eq!(problems(r#"{"a\u0000":1}"#), key);
        assert!(problems(r#"["\\u0000","\u0001\n\t\u001f"]"#).is_empty());
    }

    #[test]
    fn what_is_masked_is_checked_like_the_rest() {
        let deep = nested(16, "1");
        let text = format!(r#"{{"token":{deep},"secret":{{"a":"\u0000","a":2}},"b":"\u0000"}}"#);
        let found: Vec<_> = problems(&text).into_iter().map(|(_, code)| code).collect();
        let expected = [
            FieldCode::TooDeep,
            FieldCode::NulCharacter,
            FieldCode::DuplicateKey,
            FieldCode::NulCharacter,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn own_values_keep_the_order_of_their_fields() {
        #[derive(Serialize)]
        struct Rows {
            rows: u64,
            first_seq: i64,
        }
        let text = JsonText::of(&Rows { rows: 2, first_seq: 1 }).unwrap();
        assert_eq!(text.as_str(), r#"{"rows":2,"first_seq":1}"#);
        assert_eq!(JsonText::of(&"\0"), Err(InvalidJsonText));
    }

    /// Tokens of a JSON value; between any two of them there may be white space.
    type Tokens = Vec<String>;

    fn strings() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            r"[a-z0-9 \-éß€😀,:\[\]{}]{0,6}",
            r#"\\[\\/bfnrt"]"#,
            r"\\u[1-9a-c][0-9a-f]{3}",
            Just(r"\ud83d\ude00".to_owned()),
            Just("4111 1111 1111 1111".to_owned()),
        ];
        proptest::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
    }

    fn keys() -> impl Strategy<Value = String> {
        let names = ["password", "a", "Access_Token", r"p\u0077d", "x y", ""];
        proptest::sample::select(names.to_vec()).prop_map(str::to_owned)
    }

    fn values() -> impl Strategy<Value = Tokens> {
        let number = r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
        let scalar = prop_oneof![number, "null|true|false", strings()];
        scalar.prop_map(|token| vec![token]).prop_recursive(5, 40, 6, |inner| {
            let array = proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| wrapped("[", items.join(&",".to_owned()), "]"));
            let object = proptest::collection::vec((keys(), inner), 0..5).prop_map(|members| {
                let members = members.into_iter().enumerate().map(|(index, (key, value))| {
                    [vec![format!("\"{index}{key}\""), ":".to_owned()], value].concat()
                });
                wrapped("{", members.collect::<Vec<_>>().join(&",".to_owned()), "}")
            });
            prop_oneof![array, object]
        })
    }

    fn wrapped(open: &str, tokens: Tokens, close: &str) -> Tokens {
        [vec![open.to_owned()], tokens, vec![close.to_owned()]].concat()
    }

    fn spaced(tokens: &Tokens, spaces: &[String]) -> String {
        let spaces = spaces.iter().cycle();
        tokens.iter().zip(spaces).flat_map(|(token, space)| [space.as_str(), token]).collect()
    }

    fn spaces() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[ \t\r\n]{0,3}", 1..8)
    }

    /// What masking must never let through, looked for with another parser.
    fn is_masked(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => Masking::default().text(text).is_none(),
            serde_json::Value::Array(items) => items.iter().all(is_masked),
            serde_json::Value::Object(members) => members.iter().all(|(key, value)| {
                if Masking::default().covers(key) {
                    *value == crate::MASK
                } else {
                    is_masked(value)
                }
            }),
            _ => true,
        }
    }

    proptest! {
        #[test]
        fn compact_text_is_the_tokens_as_they_were_written(tokens in values(), spaces in spaces()) {
            prop_assert_eq!(compact(&spaced(&tokens, &spaces)), tokens.concat());
        }

        #[test]
        fn masking_leaves_no_secret_and_changes_nothing_the_second_time(
            tokens in values(),
            spaces in spaces(),
        ) {
            let once = masked(&spaced(&tokens, &spaces));
            prop_assert_eq!(&masked(&once), &once);
            if let Ok(value) = serde_json::from_str(&once) {
                prop_assert!(is_masked(&value), "{}", once);
            }
        }
    }
}
