//! What clients were told, and whether it is so.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use domain::{EntryId, Place, Seq, TenantId, Timestamp};
use sqlx::PgConnection;
use uuid::Uuid;

/// An entry that was acknowledged. The marker stands in the entry and in no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) tenant_id: TenantId,
    pub(super) marker: String,
}

/// One answer, and when it came.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) at: Instant,
    pub(super) tenant_id: TenantId,
    /// `created`, the code of a problem, or what happened instead of an answer.
    pub(super) what: String,
}

impl Told {
    pub(super) const CREATED: &'static str = "created";
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) seed: u64,
    pub(super) tenants: Vec<TenantId>,
    pub(super) acknowledged: HashMap<Uuid, Acknowledged>,
    /// Markers of which an answer said that nothing was written, sent once.
    pub(super) denied: HashSet<String>,
    /// Markers without an answer, or with one that says that it is not known.
    pub(super) unknown: HashSet<String>,
    pub(super) told: Vec<Told>,
    /// What no fault explains.
    pub(super) surprises: Vec<String>,
}

/// An entry as it stands in a log.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    seq: i64,
    recorded_ms: i64,
    resource_id: String,
    message: String,
}

impl Ledger {
    /// How often this was answered to these tenants since then.
    pub(super) fn count(&self, what: &str, of: impl Fn(TenantId) -> bool, since: Instant) -> usize {
        let told = self.told.iter().filter(|told| told.at >= since && of(told.tenant_id));
        told.filter(|told| told.what == what).count()
    }

    /// The longest time in that span in which a tenant got no 201.
    pub(super) fn longest_silence(&self, of: TenantId, from: Instant, to: Instant) -> Duration {
        let created =
            self.told.iter().filter(|told| told.tenant_id == of && told.what == Told::CREATED);
        let mut times: Vec<_> =
            created.map(|told| told.at).filter(|at| (from..to).contains(at)).collect();
        times.extend([from, to]);
        times.sort();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// How often each thing was told, for the test's output.
    pub(super) fn summary(&self) -> String {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for told in &self.told {
            *counts.entry(&told.what).or_default() += 1;
        }
        let mut counts: Vec<_> =
            counts.into_iter().map(|(what, n)| format!("{n} {what}")).collect();
        counts.sort();
        counts.join(", ")
    }

    /// Compares with the logs themselves, read past the service.
    pub(super) async fn verify(&self, admin: &mut PgConnection) {
        let seed = self.seed;
        eprintln!("  {} ids acknowledged; {}", self.acknowledged.len(), self.summary());
        assert!(self.surprises.is_empty(), "seed {seed}: {:#?}", self.surprises);
        assert!(!self.acknowledged.is_empty(), "seed {seed}: nothing was acknowledged");
        let mut found: HashMap<Uuid, Acknowledged> = HashMap::new();
        for tenant_id in self.tenants.iter().copied() {
            let rows = read(admin, tenant_id).await;
            self.verify_order(admin, tenant_id, &rows).await;
            for row in rows {
                assert_eq!(row.message, format!("about {}", row.resource_id), "seed {seed}");
                let entry = Acknowledged { tenant_id, marker: row.resource_id.clone() };
                found.insert(id(tenant_id, &row), entry);
            }
        }
        let promised: BTreeSet<_> = self.acknowledged.keys().collect();
        let there: BTreeSet<_> = found.keys().collect();
        let lost: Vec<_> = promised.difference(&there).collect();
        assert!(lost.is_empty(), "seed {seed}: acknowledged, but not in the log: {lost:?}");
        for (id, entry) in &self.acknowledged {
            assert_eq!(found[id], *entry, "seed {seed}: {id} is another entry");
        }
        self.verify_rest(&found);
    }

    /// Numbers 1, 2, 3 …, times that never decrease, and what is kept about both.
    async fn verify_order(&self, admin: &mut PgConnection, tenant_id: TenantId, rows: &[Row]) {
        let seed = self.seed;
        let seqs: Vec<_> = rows.iter().map(|row| row.seq).collect();
        let gapless: Vec<_> = (1..).take(rows.len()).collect();
        assert_eq!(seqs, gapless, "seed {seed}: the log of {tenant_id} has a gap");
        let in_order = rows.is_sorted_by_key(|row| row.recorded_ms);
        assert!(in_order, "seed {seed}: the log of {tenant_id} goes back in time");
        let head: (i64, i64) = sqlx::query_as(
            "select seq, (extract(epoch from recorded_at) * 1000)::bigint
             from log_head
             where tenant_id = $1",
        )
        .bind(tenant_id.as_uuid())
        .fetch_one(&mut *admin)
        .await
        .unwrap();
        let last = rows.last().map_or((0, 0), |row| (row.seq, row.recorded_ms));
        assert_eq!(head, last, "seed {seed}: the head of {tenant_id} is not the log's end");
        let wrong_days: i64 = sqlx::query_scalar(
            "select count(*)
             from (
                select (recorded_at at time zone 'utc')::date as day, min(seq) as first_seq
                from audit_log
                where tenant_id = $1
                group by day
             ) l
             full join (
                select day, first_seq from log_day where tenant_id = $1
             ) d using (day, first_seq)
             where l.day is null or d.day is null",
        )
        .bind(tenant_id.as_uuid())
        .fetch_one(admin)
        .await
        .unwrap();
        assert_eq!(wrong_days, 0, "seed {seed}: log_day of {tenant_id} is wrong");
    }

    /// What is there without an acknowledgement: only where none was denied, and nothing twice.
    fn verify_rest(&self, found: &HashMap<Uuid, Acknowledged>) {
        let seed = self.seed;
        let mut markers = HashSet::new();
        let twice: Vec<_> = found.values().filter(|entry| !markers.insert(&entry.marker)).collect();
        assert!(twice.is_empty(), "seed {seed}: written twice: {twice:?}");
        let denied: Vec<_> =
            markers.iter().filter(|marker| self.denied.contains(**marker)).collect();
        assert!(denied.is_empty(), "seed {seed}: written, but it was denied: {denied:?}");
        let promised: HashSet<_> = self.acknowledged.values().map(|entry| &entry.marker).collect();
        let stray =
            |marker: &&&String| !promised.contains(**marker) && !self.unknown.contains(**marker);
        let strays: Vec<_> = markers.iter().filter(stray).collect();
        assert!(strays.is_empty(), "seed {seed}: nobody knows of these: {strays:?}");
    }

    /// Markers that are in the logs although nobody was told so.
    pub(super) async fn written_untold(&self, admin: &mut PgConnection) -> Vec<String> {
        let mut untold = Vec::new();
        for tenant_id in self.tenants.iter().copied() {
            let markers = read(admin, tenant_id).await.into_iter().map(|row| row.resource_id);
            untold.extend(markers.filter(|marker| self.unknown.contains(marker)));
        }
        untold
    }
}

async fn read(admin: &mut PgConnection, tenant_id: TenantId) -> Vec<Row> {
    sqlx::query_as(
        "select seq, (extract(epoch from recorded_at) * 1000)::bigint as recorded_ms,
            resource_id, message
         from audit_log
         where tenant_id = $1
         order by seq",
    )
    .bind(tenant_id.as_uuid())
    .fetch_all(admin)
    .await
    .unwrap()
}

fn id(tenant_id: TenantId, row: &Row) -> Uuid {
    let recorded_at = Timestamp::from_millis(row.recorded_ms);
    EntryId::of(Place { recorded_at, seq: Seq::new(row.seq).unwrap() }, tenant_id).as_uuid()
}
