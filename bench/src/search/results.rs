//! The table of `bench search`: rows of samples, and what is worked out of them.

use std::time::Duration;

use super::cold::ColdStart;
use super::drain::Drained;
use super::fresh::Fresh;
use super::price::{AS_OF, Way};
use super::subject::{Subject, comparisons};
use crate::goals::Goal;
use crate::report::{Report, Samples};
use crate::table::{Table, dash, thousands};

const HONEST: [&str; 4] = [
    "PostgreSQL, the service, OpenSearch's JVM, the emulator of SQS (one process of Python), the \
     Lambda and this load share the processors.",
    "The service's searches read the log for what they show, and ask OpenSearch for places only. \
     OpenSearch's answers with entries show what the index keeps, those with places show nothing.",
    "Log to index: from the start of a service to the last document that a search can find, so a \
     refresh is in it, and in the bare _bulk as well.",
    "No request failed, and the service and OpenSearch found the same entries.",
];

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) samples: Samples<Subject>,
    pub(super) way: Option<Way>,
    pub(super) drained: Option<Drained>,
    pub(super) cold: Option<ColdStart>,
    refresh: Option<(Duration, usize)>,
}

impl Results {
    pub(super) fn add_fresh(&mut self, fresh: Fresh) {
        self.refresh = Some((fresh.refresh, fresh.seen));
        self.samples.insert(Subject::Fresh, vec![fresh.sample]);
    }

    pub(super) fn into_table(self, heading: String) -> Table {
        let mut report = Report::new(heading, Subject::all(), &comparisons(), &self.samples);
        self.judge_fresh(&mut report);
        self.tell_drained(&mut report);
        if let Some(way) = self.way {
            tell_way(&mut report, way);
        }
        if let Some(cold) = self.cold {
            tell_cold(&mut report, cold);
        }
        let mut table = report.into_table();
        table.extend_footnotes(HONEST.map(ToOwned::to_owned));
        if self.way.is_some() {
            table.extend_footnotes([format!(
                "Prices: AWS's list, us-east-1, {AS_OF}, without free tiers and empty receives."
            )]);
        }
        table
    }

    fn judge_fresh(&self, report: &mut Report<'_, Subject>) {
        let (Some((refresh, seen)), Some([sample])) =
            (self.refresh, self.samples.get(&Subject::Fresh).map(Vec::as_slice))
        else {
            return;
        };
        let r = refresh.as_secs_f64() * 1_000.0;
        let found = format!("from 201 to found, {} sampled, R = {r:.0} ms", thousands(seen as f64));
        report.add_fact(&found, "", "");
        let goals = [
            ("  p50 ≤ R/2 + 250 ms", sample.p50_ms, r / 2.0 + 250.0),
            ("  p99 ≤ R + 750 ms", sample.p99_ms, r + 750.0),
        ];
        for (what, ms, goal) in goals {
            let ms = ms.unwrap_or(f64::INFINITY);
            report.judge_fact(what, &format!("{ms:.0} ms"), ms, Goal::AtMost(goal));
        }
    }

    fn tell_drained(&self, report: &mut Report<'_, Subject>) {
        let Some(Drained { entries, messages, left_behind }) = self.drained else { return };
        let each = entries as f64 / messages.max(1) as f64;
        report.add_fact("entries of a message, in the drain", &format!("{each:.1}"), "");
        let left = thousands(left_behind as f64);
        report.add_fact("entries not sent yet when relayed POSTs ended", &left, "");
    }
}

fn tell_cold(report: &mut Report<'_, Subject>, cold: ColdStart) {
    let ColdStart { median_ms, worst_ms, bytes, zipped } = cold;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let worst = format!("at most {worst_ms:.1} ms");
    report.add_fact("the Lambda, from its start to asking", &format!("{median_ms:.1} ms"), &worst);
    let zipped = format!("{:.1} MiB zipped", mib(zipped));
    report.add_fact("  its program", &format!("{:.1} MiB", mib(bytes)), &zipped);
}

fn tell_way(report: &mut Report<'_, Subject>, way: Way) {
    let million = way.of_a_million();
    let facts = [
        ("of a million entries: messages", million.messages),
        ("  calls of SendMessageBatch", million.sends),
        ("  calls of the Lambda", million.calls.number),
    ];
    for (what, number) in facts {
        report.add_fact(what, &thousands(number), "");
    }
    let calls = way.calls;
    let each = calls.ms / calls.number.max(1.0);
    let used = way.memory_used.map_or_else(dash, |bytes| format!("{} MiB", bytes >> 20));
    let note = format!("{:.0} MiB given, {used} needed at most", calls.memory_mib);
    report.add_fact("  a call of the Lambda, mean", &format!("{each:.0} ms"), &note);
    let (price, other) = (million.price(), million.one_by_one().price());
    let parts =
        |price: super::price::Price| format!("SQS ${:.3}, Lambda ${:.3}", price.sqs, price.lambda);
    report.add_fact("  price", &format!("${:.3}", price.all()), &parts(price));
    report.add_fact(
        "  price by one message an entry",
        &format!("${:.3}", other.all()),
        &parts(other),
    );
    report.add_fact("  so many times less", &format!("{:.0}", other.all() / price.all()), "");
}
