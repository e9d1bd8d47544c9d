//! Who does things: a company's people, each with a language, a place and a browser.

use super::dice::Dice;
use super::phrases::Language;

/// How many there are.
const PEOPLE: usize = 240;

/// How often in a thousand somebody begins a new session.
const NEW_SESSION: u64 = 120;

const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "backoffice-app/7.2 (Android 16; ja-JP)",
    "billing-batch/3.11",
];

/// One actor, in the session of the moment.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) session_id: String,
    pub(super) ip_address: String,
    pub(super) user_agent: &'static str,
    pub(super) language: Language,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Crowd(Vec<Person>);

impl Crowd {
    pub(super) fn new(dice: &mut Dice) -> Self {
        Self((0..PEOPLE).map(|number| person(number, dice)).collect())
    }

    /// Whoever does the next thing: some do much, most do little.
    pub(super) fn somebody(&mut self, dice: &mut Dice) -> Person {
        let among = if dice.happens(500) { PEOPLE / 8 } else { PEOPLE };
        let person = &mut self.0[dice.index(among)];
        if dice.happens(NEW_SESSION) {
            person.session_id = session_id(dice);
        }
        person.clone()
    }
}

fn person(number: usize, dice: &mut Dice) -> Person {
    let language = dice.one_of(&Language::ALL);
    let (given, family) = language.names();
    let (given, family) = (dice.one_of(given), dice.one_of(family));
    Person {
        id: format!("u-{:04}", 1_000 + number),
        name: if language.puts_family_first() {
            format!("{family} {given}")
        } else {
            format!("{given} {family}")
        },
        session_id: session_id(dice),
        ip_address: address(dice),
        user_agent: dice.one_of(&AGENTS),
        language,
    }
}

fn session_id(dice: &mut Dice) -> String {
    format!("s-{:016x}", dice.roll())
}

/// From the ranges that are kept for examples.
fn address(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => format!("2001:db8::{:x}:{:x}", dice.below(0xffff) + 1, dice.below(0xffff) + 1),
        1 => format!("198.51.100.{}", dice.below(254) + 1),
        _ => format!("203.0.113.{}", dice.below(254) + 1),
    }
}
