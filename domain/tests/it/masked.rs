//! Masking, seen from an entry.

use domain::{MASK, Masking};

use crate::{check, check_with, entry_with};

const SECRETIVE: &str = r#",
    "message": "paid with 4111 1111 1111 1111",
    "before": {"password": "hunter2"},
    "after": "4111111111111111",
    "metadata": {"deep": [{"X-Api-Key": ["hunter2"]}], "mine": "hunter2", "n": 1.50}"#;

#[test]
fn message_and_json_are_masked() {
    let masking = Masking::new(true, &["MINE"]).unwrap();
    let entry = check_with(&entry_with(SECRETIVE), &masking).unwrap();
    assert_eq!(entry.message.unwrap().as_str(), format!("paid with {MASK}"));
    assert_eq!(entry.before.unwrap().as_str(), r#"{"password":"[masked]"}"#);
    assert_eq!(entry.after.unwrap().as_str(), r#""[masked]""#);
    assert_eq!(
        entry.metadata.unwrap().as_str(),
        r#"{"deep":[{"X-Api-Key":"[masked]"}],"mine":"[masked]","n":1.50}"#
    );
}

#[test]
fn a_tenant_can_switch_it_off() {
    let entry = check_with(&entry_with(SECRETIVE), &Masking::off()).unwrap();
    assert_eq!(entry.message.unwrap().as_str(), "paid with 4111 1111 1111 1111");
    assert_eq!(entry.before.unwrap().as_str(), r#"{"password":"hunter2"}"#);
    assert_eq!(entry.after.unwrap().as_str(), r#""4111111111111111""#);
}

#[test]
fn a_message_is_measured_before_it_is_masked() {
    let card = "4111111111111111,";
    let message = |cards: usize| format!(r#","message":"{}""#, card.repeat(cards));
    assert!(check(&entry_with(&message(8_192 / card.len()))).is_ok());
    assert!(check(&entry_with(&message(8_192 / card.len() + 1))).is_err());
}
