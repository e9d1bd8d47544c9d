//! What the service holds at this moment, read when somebody looks.

use prometheus::{IntGauge, IntGaugeVec};
use sqlx::PgPool;

use super::made::{Known, Maker, signed};
use crate::app::App;
use crate::searching::Condition;

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    admitted: IntGauge,
    admitted_max: IntGauge,
    queued: IntGauge,
    pool: IntGaugeVec,
    pool_max: IntGaugeVec,
    pool_waiting: IntGauge,
    streams: IntGauge,
    streams_max: IntGauge,
    ring: IntGauge,
    exports: IntGauge,
    reads: IntGauge,
    search_up: Known,
}

impl State {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            admitted: maker.gauge(
                "audit_admission_bytes",
                "Memory that requests under way are reckoned with. At the limit: 503 overloaded.",
            ),
            admitted_max: maker.gauge(
                "audit_admission_limit_bytes",
                "What audit_admission_bytes may reach: AUDIT_ADMISSION_MIB.",
            ),
            queued: maker.gauge(
                "audit_append_queue_requests",
                "Requests that wait for the writer. Rising: it writes less than comes in; look at \
                 audit_append_seconds.",
            ),
            pool: maker.gauges(
                "audit_pool_connections",
                "Connections to PostgreSQL, by pool and whether somebody uses them.",
                &["pool", "state"],
            ),
            pool_max: maker.gauges(
                "audit_pool_limit_connections",
                "How many connections a pool may have; of reader: AUDIT_READER_CONNECTIONS.",
                &["pool"],
            ),
            pool_waiting: maker.gauge(
                "audit_pool_reader_waiting",
                "Reads that wait for their tenant's turn or for a connection, and get 503 after some seconds. For long \
                 above 0: too few connections, or slow reads.",
            ),
            streams: maker.gauge("audit_streams", "Streams that are open on this replica."),
            streams_max: maker.gauge(
                "audit_streams_limit",
                "How many streams this replica takes: AUDIT_STREAM_MAX. At it: 429 for the next.",
            ),
            ring: maker.gauge(
                "audit_stream_ring_bytes",
                "Memory that the newest entries of watched logs take.",
            ),
            exports: maker.gauge("audit_exports", "Exports that run on this replica."),
            reads: maker.gauge(
                "audit_reads_pending",
                "Reads that are not told in their logs yet; a replica that is killed loses them.",
            ),
            search_up: maker.known(
                "audit_search_up",
                "1 while searches ask the index, 0 while they do without as it fails or is not ours; left out where \
                 nobody has asked yet, or there is none.",
            ),
        }
    }

    pub(super) fn fill(&self, app: &App) {
        let (admitted, limit) = app.admission.weights();
        self.admitted.set(i64::try_from(admitted).unwrap_or(i64::MAX));
        self.admitted_max.set(i64::try_from(limit).unwrap_or(i64::MAX));
        self.queued.set(signed(app.writer.queued()));
        self.fill_pool("reader", &app.store.reader);
        self.fill_pool("worker", &app.store.worker);
        self.pool_waiting.set(signed(app.store.waiting()));
        let (streams, streams_max) = app.streams.slots().taken();
        self.streams.set(signed(streams));
        self.streams_max.set(signed(streams_max));
        self.ring.set(signed(app.streams.ring_bytes()));
        self.exports.set(signed(app.exports.running()));
        self.reads.set(signed(app.reads.pending()));
        self.search_up.set(match app.searches.condition() {
            Some(Condition::Ok) => Some(1.0),
            Some(Condition::Failing) => Some(0.0),
            Some(Condition::Unknown) | None => None,
        });
    }

    fn fill_pool(&self, name: &str, pool: &PgPool) {
        let size = signed(pool.size() as usize);
        // Not read at the same moment.
        let idle = signed(pool.num_idle()).min(size);
        self.pool.with_label_values(&[name, "idle"]).set(idle);
        self.pool.with_label_values(&[name, "used"]).set(size - idle);
        let max = pool.options().get_max_connections();
        self.pool_max.with_label_values(&[name]).set(max.into());
    }
}
