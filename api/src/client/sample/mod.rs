//! Believable entries out of a number. No input, no output, no clock.
//!
//! The same seed gives the same entries for ever: the random numbers are made here. People do
//! things one after the other; what one of them does at once shares a request id, and what each
//! thing becomes follows from what it was.

mod calendar;
mod deeds;
mod dice;
mod people;
mod phrases;

use std::collections::VecDeque;

use domain::{Severity, Timestamp};
use serde::Serialize;
use serde_json::Value;

pub use self::calendar::Calendar;
use self::deeds::Step;
use self::dice::Dice;
use self::people::{Crowd, Person};

/// What an application sends to have an entry recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleEntry {
    /// When it happened; left to the service unless a [`Calendar`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// The actor.
    pub user_id: String,
    /// The actor's name.
    pub user_name: String,
    /// The actor's session.
    pub session_id: String,
    /// Shared by what was done at once.
    pub request_id: String,
    /// What was done.
    pub action: &'static str,
    /// To what kind of thing.
    pub resource_type: &'static str,
    /// To which.
    pub resource_id: String,
    /// How grave it is.
    pub severity: Severity,
    /// In the actor's language.
    pub message: String,
    /// Where the actor was.
    pub ip_address: String,
    /// The actor's program.
    pub user_agent: &'static str,
    /// The thing before.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// The thing after.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// What else the application tells.
    pub metadata: Value,
}

/// Entries without end.
#[derive(Debug)]
pub struct Sample {
    dice: Dice,
    crowd: Crowd,
    calendar: Option<Calendar>,
    /// What is still to come of what somebody does at once.
    burst: VecDeque<Step>,
    actor: Person,
    request_id: String,
    burst_at: Option<Timestamp>,
    /// Entries made so far.
    made: u64,
}

impl Sample {
    /// The entries of this seed; those of a calendar differ in their times alone.
    pub fn new(seed: u64, calendar: Option<Calendar>) -> Self {
        let mut dice = Dice::new(seed);
        let mut crowd = Crowd::new(&mut dice);
        let actor = crowd.somebody(&mut dice);
        Self {
            dice,
            crowd,
            calendar,
            burst: VecDeque::new(),
            actor,
            request_id: String::new(),
            burst_at: None,
            made: 0,
        }
    }

    fn begin_burst(&mut self) {
        self.actor = self.crowd.somebody(&mut self.dice);
        self.request_id = format!("req-{:016x}", self.dice.roll());
        self.burst_at = self.calendar.as_ref().map(|calendar| calendar.at(self.made));
        self.burst = deeds::some(&mut self.dice, &self.actor.id);
    }
}

impl Iterator for Sample {
    type Item = SampleEntry;

    fn next(&mut self) -> Option<SampleEntry> {
        if self.burst.is_empty() {
            self.begin_burst();
        }
        let step = self.burst.pop_front()?;
        self.made += 1;
        // A few milliseconds from one to the next; drawn with and without a calendar.
        let pause_ms = 3 + self.dice.below(60) as i64;
        self.burst_at = self.burst_at.map(|at| at.plus_millis(pause_ms));
        let Person { id, name, session_id, ip_address, user_agent, language } = &self.actor;
        let mark = phrases::emoji(step.severity, &mut self.dice);
        let message = phrases::say(step.phrase, *language, name, &step.resource_id, mark);
        Some(SampleEntry {
            occurred_at: self.burst_at,
            user_id: id.clone(),
            user_name: name.clone(),
            session_id: session_id.clone(),
            request_id: self.request_id.clone(),
            action: step.action,
            resource_type: step.resource_type,
            resource_id: step.resource_id,
            severity: step.severity,
            message,
            ip_address: ip_address.clone(),
            user_agent,
            before: step.before,
            after: step.after,
            metadata: step.metadata,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::{CallerDefaults, CheckContext, EntryDraft, Masking};

    use super::*;

    fn entries(seed: u64, count: usize) -> Vec<SampleEntry> {
        Sample::new(seed, None).take(count).collect()
    }

    #[test]
    fn a_seed_makes_the_same_entries_with_and_without_a_calendar() {
        let calendar = Calendar::new(Timestamp::from_millis(1_790_000_000_000), 30, 500);
        let dated: Vec<_> = Sample::new(7, Some(calendar)).take(500).collect();
        let plain = entries(7, 500);
        assert!(dated.iter().all(|entry| entry.occurred_at.is_some()));
        let undated: Vec<_> =
            dated.into_iter().map(|entry| SampleEntry { occurred_at: None, ..entry }).collect();
        assert_eq!(plain, undated);
        assert_ne!(plain, entries(8, 500));
    }

    #[test]
    fn the_first_entries_of_a_seed_never_change() {
        let hash =
            <sha2::Sha256 as sha2::Digest>::digest(serde_json::to_vec(&entries(1, 1_000)).unwrap());
        let pinned = "b485de3d64dc2ec7e4fdd4b4e0a4cad7f39a373d4ccd2bd2457beb8440a6ed1d";
        assert_eq!(format!("{hash:x}"), pinned);
    }

    #[test]
    fn the_service_takes_each_of_them_as_it_is() {
        let calendar = Calendar::new(Timestamp::now(), 90, 20_000);
        let context = CheckContext {
            now: Timestamp::now(),
            caller: &CallerDefaults::service(),
            masking: &Masking::default(),
        };
        for entry in Sample::new(3, Some(calendar)).take(20_000) {
            let json = serde_json::to_string(&entry).unwrap();
            let checked = EntryDraft::read(&json).unwrap().check(&context);
            let checked = checked.unwrap_or_else(|problems| panic!("{json}: {problems:?}"));
            let kept = |value: &Value| (!value.is_null()).then(|| value.to_string());
            let text =
                |json: &Option<domain::JsonText>| json.as_ref().map(|j| j.as_str().to_owned());
            assert_eq!(text(&checked.before), kept(&entry.before), "masked or changed");
            assert_eq!(text(&checked.after), kept(&entry.after), "masked or changed");
            assert_eq!(checked.message.unwrap().as_str(), entry.message);
        }
    }

    #[test]
    fn they_are_as_varied_as_those_of_a_business() {
        let entries = entries(42, 10_000);
        let distinct =
            |of: fn(&SampleEntry) -> String| entries.iter().map(of).collect::<BTreeSet<_>>().len();
        assert!(distinct(|entry| entry.user_id.clone()) > 100);
        assert!(distinct(|entry| entry.session_id.clone()) > 300);
        assert!(distinct(|entry| entry.resource_type.to_owned()) >= 6);
        assert!(distinct(|entry| entry.action.to_owned()) >= 8);
        assert_eq!(distinct(|entry| format!("{:?}", entry.severity)), 4);
        assert!(distinct(|entry| entry.resource_id.clone()) > 3_000);
        let critical = entries.iter().filter(|entry| entry.severity == Severity::Critical).count();
        assert!((10..500).contains(&critical), "{critical} critical");
        for letters in ["の", "ü", "ال", "é", "ñ", "🔒"] {
            assert!(entries.iter().any(|entry| entry.message.contains(letters)), "{letters}");
        }
    }

    #[test]
    fn what_is_done_at_once_has_one_actor_one_session_and_one_request() {
        let mut bursts: BTreeMap<String, Vec<SampleEntry>> = BTreeMap::new();
        for entry in entries(5, 5_000) {
            bursts.entry(entry.request_id.clone()).or_default().push(entry);
        }
        let long = bursts.values().filter(|burst| burst.len() > 1).count();
        assert!(long > 300 && bursts.len() > 1_000, "{long} of {}", bursts.len());
        for burst in bursts.values() {
            let same = |of: fn(&SampleEntry) -> &str| burst.iter().all(|e| of(e) == of(&burst[0]));
            assert!(same(|entry| &entry.user_id) && same(|entry| &entry.session_id));
            let signs_in = |entry: &&SampleEntry| entry.action.starts_with("session.");
            assert!(burst.iter().filter(signs_in).all(|entry| entry.resource_id == entry.user_id));
        }
    }

    #[test]
    fn before_and_after_are_two_states_of_one_thing() {
        for entry in entries(9, 5_000) {
            match (entry.before.as_object(), entry.after.as_object()) {
                (Some(before), Some(after)) => {
                    assert!(before.keys().eq(after.keys()), "{entry:?}");
                    assert_ne!(before, after);
                    assert!(before.iter().any(|(key, value)| after[key] == *value), "{entry:?}");
                }
                (None, Some(_)) => assert_eq!(entry.action, "CREATE"),
                (Some(_), None) => assert_eq!(entry.action, "DELETE"),
                (None, None) => {}
            }
        }
    }
}
