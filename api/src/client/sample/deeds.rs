//! What people do: some of it one thing, some of it many at once.

use std::collections::VecDeque;

use domain::Severity;
use serde_json::{Value, json};

use super::dice::Dice;
use super::phrases::Phrase;

/// One entry of a deed, without who and when.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) action: &'static str,
    pub(super) resource_type: &'static str,
    pub(super) resource_id: String,
    pub(super) severity: Severity,
    pub(super) phrase: Phrase,
    pub(super) before: Value,
    pub(super) after: Value,
    pub(super) metadata: Value,
}

const STATES: [&str; 5] = ["draft", "sent", "approved", "paid", "archived"];
const CURRENCIES: [&str; 4] = ["EUR", "JPY", "USD", "AED"];
const CITIES: [&str; 5] = ["Köln", "東京", "Málaga", "دبي", "Montréal"];
const FOLDERS: [&str; 4] = ["contracts", "hr", "契約書", "fotos-2026"];
const REGIONS: [&str; 3] = ["eu-central-1", "ap-northeast-1", "me-central-1"];
const SETTINGS: [&str; 4] = ["session_minutes", "export_rows_max", "two_factor", "sso"];

/// The next deed of this actor, which has at least one step.
pub(super) fn some(dice: &mut Dice, actor_id: &str) -> VecDeque<Step> {
    match dice.below(1_000) {
        0..400 => VecDeque::from([view(dice)]),
        400..560 => VecDeque::from([change_invoice(dice)]),
        560..660 => approve_order(dice),
        660..740 => VecDeque::from([change_customer(dice)]),
        740..810 => VecDeque::from([create_document(dice)]),
        810..870 => VecDeque::from([sign_in(dice, actor_id)]),
        870..910 => delete_documents(dice),
        910..950 => VecDeque::from([export_report(dice)]),
        950..980 => VecDeque::from([change_setting(dice)]),
        980..994 => fail_to_sign_in(dice, actor_id),
        _ => promote(dice),
    }
}

fn step(
    dice: &mut Dice,
    action: &'static str,
    resource_type: &'static str,
    resource_id: String,
    phrase: Phrase,
) -> Step {
    Step {
        action,
        resource_type,
        resource_id,
        severity: Severity::Info,
        phrase,
        before: Value::Null,
        after: Value::Null,
        metadata: json!({
            "region": dice.one_of(&REGIONS),
            "duration_ms": dice.below(900) + 4,
            "trace": format!("{:016x}", dice.roll()),
        }),
    }
}

fn invoice_id(dice: &mut Dice) -> String {
    format!("inv-{:06}", dice.below(40_000))
}

fn user_id(dice: &mut Dice) -> String {
    format!("u-{}", 1_000 + dice.below(240))
}

fn document_id(dice: &mut Dice) -> String {
    format!("{}/doc-{:05}.pdf", dice.one_of(&FOLDERS), dice.below(90_000))
}

/// An amount as applications write it: with two digits behind the point, as a string.
fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn view(dice: &mut Dice) -> Step {
    let (kind, id) = match dice.below(4) {
        0 => ("invoice", invoice_id(dice)),
        1 => ("customer", format!("cus-{:05}", dice.below(8_000))),
        2 => ("document", document_id(dice)),
        _ => ("report", format!("rep-{:03}", dice.below(300))),
    };
    step(dice, "VIEW", kind, id, Phrase::Viewed)
}

fn change_invoice(dice: &mut Dice) -> Step {
    let id = invoice_id(dice);
    let (state, cents) = (dice.index(4), dice.below(900_000) + 100);
    let currency = dice.index(4);
    let tax = dice.one_of(&[700, 1_900, 1_000]);
    let invoice = |state: usize, cents: u64| {
        json!({
            "state": STATES[state],
            "total": amount(cents),
            "currency": CURRENCIES[currency],
            "lines": [{"sku": format!("A-{}", cents % 977), "quantity": cents % 9 + 1}],
            "tax_basis_points": tax,
        })
    };
    let before = invoice(state, cents);
    // Half of the changes are to its state, half to its first line.
    let mut after = before.clone();
    if dice.happens(500) {
        after["state"] = json!(STATES[state + 1]);
    } else {
        after["lines"][0]["quantity"] = json!(cents % 9 + 2);
        after["total"] = json!(amount(cents + cents / 10 + 1));
    }
    Step { before, after, ..step(dice, "UPDATE", "invoice", id, Phrase::Changed) }
}

fn change_customer(dice: &mut Dice) -> Step {
    let id = format!("cus-{:05}", dice.below(8_000));
    let city = dice.index(5);
    let limit = (dice.below(50) + 1) * 1_000;
    let newsletter = dice.happens(300);
    let customer = |city: usize, limit: u64| {
        json!({
            "address": {"city": CITIES[city], "country_changed": false},
            "credit_limit": limit,
            "newsletter": newsletter,
        })
    };
    let before = customer(city, limit);
    let moved = dice.happens(600);
    let after = if moved { customer((city + 1) % 5, limit) } else { customer(city, limit * 2) };
    Step { before, after, ..step(dice, "UPDATE", "customer", id, Phrase::Changed) }
}

/// An order is approved, which makes an invoice and a shipment.
fn approve_order(dice: &mut Dice) -> VecDeque<Step> {
    let number = dice.below(60_000);
    let cents = dice.below(2_000_000) + 500;
    let order = |approved: bool| {
        json!({
            "number": number,
            "approved": approved,
            "total": amount(cents),
            "note": if cents.is_multiple_of(7) { json!("至急 🙏") } else { Value::Null },
        })
    };
    let id = format!("ord-{number:06}");
    let mut steps = VecDeque::from([
        step(dice, "VIEW", "order", id.clone(), Phrase::Viewed),
        Step {
            before: order(false),
            after: order(true),
            ..step(dice, "order.approved", "order", id.clone(), Phrase::Approved)
        },
    ]);
    let invoice = invoice_id(dice);
    steps.push_back(Step {
        after: json!({"state": "draft", "order": id, "total": amount(cents)}),
        ..step(dice, "CREATE", "invoice", invoice, Phrase::Created)
    });
    if dice.happens(700) {
        let shipment = format!("shp-{:06}", dice.below(60_000));
        steps.push_back(Step {
            after: json!({"order": id, "parcels": cents % 4 + 1, "to": dice.one_of(&CITIES)}),
            ..step(dice, "CREATE", "shipment", shipment, Phrase::Created)
        });
    }
    steps
}

fn create_document(dice: &mut Dice) -> Step {
    let id = document_id(dice);
    let bytes = dice.below(9_000_000) + 800;
    Step {
        after: json!({"bytes": bytes, "pages": bytes / 40_000 + 1, "tags": ["neu", "2026"]}),
        ..step(dice, "CREATE", "document", id, Phrase::Created)
    }
}

/// Somebody clears a folder.
fn delete_documents(dice: &mut Dice) -> VecDeque<Step> {
    (0..dice.below(9) + 2)
        .map(|_| {
            let id = document_id(dice);
            let bytes = dice.below(9_000_000) + 800;
            Step {
                severity: Severity::Warning,
                before: json!({"bytes": bytes, "pages": bytes / 40_000 + 1}),
                ..step(dice, "DELETE", "document", id, Phrase::Deleted)
            }
        })
        .collect()
}

fn export_report(dice: &mut Dice) -> Step {
    let id = format!("rep-{:03}", dice.below(300));
    let severity = if dice.happens(200) { Severity::Warning } else { Severity::Info };
    Step { severity, ..step(dice, "report.exported", "report", id, Phrase::Exported) }
}

fn sign_in(dice: &mut Dice, actor_id: &str) -> Step {
    step(dice, "session.started", "user", actor_id.to_owned(), Phrase::SignedIn)
}

fn change_setting(dice: &mut Dice) -> Step {
    let id = dice.one_of(&SETTINGS).to_owned();
    let value = dice.below(90) + 5;
    Step {
        severity: Severity::Warning,
        before: json!({"value": value, "unit": "default"}),
        after: json!({"value": value * 2, "unit": "default"}),
        ..step(dice, "UPDATE", "setting", id, Phrase::Changed)
    }
}

/// Somebody tries until the account is locked, or gives up before.
fn fail_to_sign_in(dice: &mut Dice, actor_id: &str) -> VecDeque<Step> {
    let tries = dice.below(5) + 1;
    let mut steps: VecDeque<_> = (0..tries)
        .map(|_| Step {
            severity: Severity::Error,
            ..step(dice, "session.refused", "user", actor_id.to_owned(), Phrase::SignInFailed)
        })
        .collect();
    if tries == 5 {
        steps.push_back(Step {
            severity: Severity::Critical,
            before: json!({"locked": false, "role": "clerk"}),
            after: json!({"locked": true, "role": "clerk"}),
            ..step(dice, "UPDATE", "user", actor_id.to_owned(), Phrase::Locked)
        });
    }
    steps
}

/// Somebody gets all rights, which somebody else should look at.
fn promote(dice: &mut Dice) -> VecDeque<Step> {
    let id = user_id(dice);
    let viewed = step(dice, "VIEW", "user", id.clone(), Phrase::Viewed);
    let granted = Step {
        severity: Severity::Critical,
        before: json!({"roles": ["clerk"], "locked": false}),
        after: json!({"roles": ["clerk", "admin"], "locked": false}),
        ..step(dice, "UPDATE", "user", id, Phrase::RightsGranted)
    };
    VecDeque::from([viewed, granted])
}
