//! What `bench search` measures, and what must come out.

use std::fmt;

use crate::goals::{Comparison, Goal, Measure};

/// Something that searches, or brings entries to where they are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The same search by so many clients.
    Search { question: Question, clients: usize, way: Way },
    /// From the log into the index by the relay, the queue and the function.
    Index,
    /// Documents that are ready made, straight into the index.
    Bulk,
    /// From a 201 until a search in the index finds the entry.
    Fresh,
    /// What a queue takes.
    RawSends,
    /// From the log into a queue by the relay.
    Drain,
    /// POST, without a queue.
    Ingest,
    /// The same, and the relay sends what comes.
    IngestRelayed,
}

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Question {
    TwoWords,
    Filtered,
    Phrase,
    Field,
    Rare,
    Facets,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// `GET /logs/search`.
    Service,
    /// OpenSearch, with the entries: what a client without the service would ask.
    Straight,
    /// OpenSearch, with nothing but places: what the service asks it.
    StraightPlaces,
}

/// Clients that search at the same time.
const CLIENTS: [usize; 2] = [1, 16];

impl Question {
    pub(super) const ALL: [Self; 6] =
        [Self::TwoWords, Self::Filtered, Self::Phrase, Self::Field, Self::Rare, Self::Facets];

    fn title(self) -> &'static str {
        match self {
            Self::TwoWords => "two words",
            Self::Filtered => "a word, filtered",
            Self::Phrase => "a phrase",
            Self::Field => "a field",
            Self::Rare => "a rare word",
            Self::Facets => "a word, four facets",
        }
    }
}

impl Subject {
    /// Searches, in the order of a round: what is compared stands close together.
    pub(super) fn searches() -> impl DoubleEndedIterator<Item = Self> {
        Question::ALL.into_iter().flat_map(|question| {
            CLIENTS.into_iter().flat_map(move |clients| {
                [Way::Service, Way::Straight, Way::StraightPlaces].map(|way| Self::Search {
                    question,
                    clients,
                    way,
                })
            })
        })
    }

    /// In the order of the table.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::searches().chain([
            Self::Index,
            Self::Bulk,
            Self::Fresh,
            Self::Drain,
            Self::RawSends,
            Self::Ingest,
            Self::IngestRelayed,
        ])
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Search { question, clients, way } => {
                let s = if *clients == 1 { "" } else { "s" };
                let way = match way {
                    Way::Service => "",
                    Way::Straight => ": OpenSearch, entries",
                    Way::StraightPlaces => ": OpenSearch, places",
                };
                return write!(f, "{}, {clients} client{s}{way}", question.title());
            }
            Self::Index => "log to index, all parts",
            Self::Bulk => "bare _bulk, ready made",
            Self::Fresh => "from 201 to found, 1,000/s",
            Self::RawSends => "bare SendMessageBatch",
            Self::Drain => "log to queue",
            Self::Ingest => "POST, 256 connections, no queue",
            Self::IngestRelayed => "POST, 256 connections, relayed",
        })
    }
}

/// Every comparison that needs nothing but the samples, in the order of the table.
pub(super) fn comparisons() -> Vec<Comparison<Subject>> {
    let mut all = Vec::new();
    for subject in Subject::searches() {
        let Subject::Search { question, clients, way: Way::Service } = subject else { continue };
        let by = |way| Some(Subject::Search { question, clients, way });
        let within = Some(Goal::Within { times: 1.25, more_ms: 2.0 });
        let compare = |with, measure, goal| Comparison { of: subject, with, measure, goal };
        all.push(compare(by(Way::Straight), Measure::P50, within));
        all.push(compare(by(Way::Straight), Measure::P99, within));
        all.push(compare(by(Way::StraightPlaces), Measure::P50, None));
        all.push(compare(None, Measure::P99, Some(Goal::AtMost(50.0))));
    }
    let rate = |of, with, goal| Comparison { of, with: Some(with), measure: Measure::Rate, goal };
    all.push(rate(Subject::Index, Subject::Bulk, Some(Goal::AtLeast(0.5))));
    all.push(rate(Subject::Drain, Subject::Ingest, Some(Goal::AtLeast(2.0))));
    all.push(rate(Subject::Drain, Subject::IngestRelayed, None));
    all.push(rate(Subject::Drain, Subject::RawSends, None));
    all.push(rate(Subject::IngestRelayed, Subject::Ingest, None));
    all
}
