//! What is below `/logs`.

use domain::ProblemCode as Code;
use serde_json::{Value, json};

use super::headers::{self, LIMITS};
use super::operation::Operation;
use super::parameters as p;
use super::{examples, schemas};
use crate::identity::caller::{MayAdminister, MayAudit, MayRead, MayWrite, Right};
use crate::routes::logs::{expiries, list};

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

pub(super) fn operations() -> Vec<Operation> {
    [recording(), reading(), auditing(), expiring(), streaming(), board()]
        .into_iter()
        .flatten()
        .collect()
}

fn json_of(schema: &str, example: Value) -> [(&'static str, Value, Value); 1] {
    [(JSON, schemas::named(schema), example)]
}

/// What an append may fail with.
const APPENDING: [Code; 2] = [Code::LogBusy, Code::ClockSkew];

/// What every recording may fail with beside that.
const RECORDING: [Code; 4] = [
    Code::TenantSuspended,
    Code::InvalidEntry,
    Code::InvalidIdempotencyKey,
    Code::IdempotencyKeyReused,
];

fn own<const N: usize>(headers: [&'static str; N]) -> Vec<&'static str> {
    [&headers[..], &LIMITS[..]].concat()
}

fn recording() -> Vec<Operation> {
    let one = Operation::of("post", "/logs", MayWrite::ROLES)
        .named("recordEntry", "entries", "Records one entry", "201 means that it is committed.")
        .takes([])
        .takes_headers([headers::idempotency_key()])
        .body("Up to 512 KiB, unpacked.", &json_of("NewEntry", examples::new_entry()))
        .problems(&RECORDING)
        .problems(&APPENDING)
        .answers(
            201,
            "It is committed.",
            &own(["Location", "Idempotency-Replayed"]),
            &json_of("Entry", examples::entry()),
        );
    let about = "All or none. With `partial=true` the good ones: 201 when none was refused, 207 when some were, 422 when \
        all were. Each of `errors` names an entry by its index.";
    let lines = (
        NDJSON,
        json!({ "type": "string", "description": "A `NewEntry` each line." }),
        examples::lines(),
    );
    let array = (JSON, schemas::named("NewEntries"), json!([examples::new_entry()]));
    let many = Operation::of("post", "/logs/bulk", MayWrite::ROLES)
        .named("recordEntries", "entries", "Records up to 1,000 entries", about)
        .takes([p::partial()])
        .takes_headers([headers::idempotency_key()])
        .body(
            "Up to 10 MiB, unpacked: an array, an object with `logs` alone, or NDJSON.",
            &[array, lines],
        )
        .problems(&RECORDING)
        .problems(&APPENDING)
        .problems(&[Code::EmptyBatch, Code::TooManyEntries])
        .answers(
            201,
            "All are committed.",
            &own(["Idempotency-Replayed"]),
            &json_of("Bulk", examples::bulk()),
        )
        .answers(
            207,
            "Some are committed, `errors` says which not.",
            &own(["Idempotency-Replayed"]),
            &json_of("Bulk", examples::bulk_in_part()),
        );
    vec![one, many]
}

/// What going on from a cursor may fail with.
const WALKING: [Code; 4] =
    [Code::InvalidCursor, Code::CursorExpired, Code::HistoryChanged, Code::LogBusy];

const PAGES: &str = "Each request does bounded work: a page may be short or empty and still have a `next_cursor`; `null` is \
    the end. A cursor goes with the same filter alone.";

fn reading() -> Vec<Operation> {
    let cursor = "`next_cursor` of the page before, or with order=asc a `live_cursor`.";
    let list = Operation::of("get", "/logs", MayRead::ROLES)
        .named("listEntries", "entries", "Lists entries by exact filters", PAGES)
        .takes(
            [p::filters(), vec![p::limit(list::LIMIT_MAX), p::order(), p::cursor(cursor)]].concat(),
        )
        .problems(&WALKING)
        .answers(
            200,
            "A page, current to the last commit.",
            &own(["Cache-Control", "Link"]),
            &json_of("Page", examples::page()),
        );
    let search = Operation::of("get", "/logs/search", MayRead::ROLES)
        .named("searchEntries", "entries", "Finds entries by words", PAGES)
        .takes(
            [
                p::filters(),
                vec![
                    p::q(),
                    p::sort(),
                    p::limit(list::LIMIT_MAX),
                    p::cursor("`next_cursor` of the page before."),
                ],
                vec![p::highlight(), p::facets()],
            ]
            .concat(),
        )
        .problems(&WALKING)
        .problems(&[Code::InvalidQuery, Code::SearchSourceChanged])
        .answers(
            200,
            "A page, complete to the last commit.",
            &own(["Cache-Control", "Link"]),
            &json_of("Found", examples::found()),
        );
    let one = Operation::of("get", "/logs/{id}", MayRead::ROLES)
        .named(
            "getEntry",
            "entries",
            "Reads one entry",
            "An entry never changes: its tag is good for ever.",
        )
        .takes([p::id("The entry's id.", examples::ENTRY_ID)])
        .takes_headers([headers::if_none_match()])
        .problems(&[Code::NotFound])
        .answers(
            200,
            "The entry.",
            &own(["ETag", "Cache-Control"]),
            &json_of("Entry", examples::entry()),
        )
        .answers(304, "The caller has it.", &own(["ETag", "Cache-Control"]), &[]);
    vec![list, search, one]
}

fn auditing() -> Vec<Operation> {
    let stats = Operation::of("get", "/logs/stats", MayAudit::ROLES)
        .named(
            "countEntries",
            "entries",
            "Counts entries",
            "By up to two fields, and by time: up to 5,000 rows.",
        )
        .takes([p::filters(), vec![p::group_by(), p::interval(), p::tz()]].concat())
        .problems(&[Code::LogBusy])
        .answers(200, "The counts.", &own([]), &json_of("Stats", examples::stats()));
    let about = "The range is fixed when it begins and told in headers; order by place, ascending. It is whole when the log \
        has an entry `export.completed` with its id. `cursor` (also the id of the last entry received) goes on.";
    let cursor = "A cursor of a list with order=asc, or the id of the last entry received.";
    let array = json!({ "type": "array", "items": schemas::named("Entry") });
    let told = [
        "Content-Disposition",
        "X-Export-Id",
        "X-Export-First-Seq",
        "X-Export-Last-Seq",
        "Cache-Control",
        "Trailer",
    ];
    let export = Operation::of("get", "/logs/export", MayAudit::ROLES)
        .named("exportEntries", "entries", "Streams a log, or what a filter takes of it", about)
        .takes(
            [
                p::filters(),
                vec![p::q(), p::format(), p::raw(), p::cursor(cursor), p::max_entries()],
            ]
            .concat(),
        )
        .takes_headers([headers::te()])
        .problems(&WALKING)
        .problems(&APPENDING)
        .problems(&[Code::InvalidQuery])
        .answers(
            200,
            "The entries.",
            &own(told),
            &[
                (JSON, array, json!([examples::entry()])),
                (NDJSON, json!({ "type": "string" }), examples::exported_lines()),
                ("text/csv", json!({ "type": "string" }), examples::exported_cells()),
            ],
        );
    vec![stats, export]
}

fn expiring() -> Vec<Operation> {
    let about = "In two steps: with `dry_run=true` it says what would go and gives `confirm`; with that it goes, once, within \
        10 minutes. Nothing younger than what the instance keeps at least goes.";
    let range = json!({ "anyOf": [schemas::named("DryRun"), schemas::named("Certificate"), schemas::named("Range")] });
    let clean_up = Operation::of("delete", "/logs/cleanup", MayAdminister::ROLES)
        .named("cleanUp", "expiry", "Lets the beginning of the log expire", about)
        .takes([p::older_than(), p::dry_run(), p::confirm()])
        .problems(&APPENDING)
        .problems(&[Code::ConfirmRequired, Code::ConfirmMismatch, Code::LegalHold])
        .answers(
            200,
            "What would go; or its certificate; or, where there was nothing, the empty range.",
            &own([]),
            &[(JSON, range, examples::dry_run())],
        );
    let example = examples::list_of(&examples::certificate());
    let list = Operation::of("get", "/logs/expiries", MayAudit::ROLES)
        .named(
            "listExpiries",
            "expiry",
            "Lists the certificates of what has expired",
            "Newest first.",
        )
        .takes([p::limit(expiries::PAGE_MAX), p::cursor("`next_cursor` of the page before.")])
        .problems(&[Code::InvalidCursor])
        .answers(200, "Certificates.", &own([]), &json_of("Expiries", example));
    vec![clean_up, list]
}

fn streaming() -> Vec<Operation> {
    let about = "Each entry once and in order, from a cursor or from now, over a WebSocket (`Upgrade: websocket`) or as \
        server-sent events (`Accept: text/event-stream`). docs/asyncapi.json describes the frames.";
    let cursor = "A `live_cursor` of a list or search, or a cursor of a stream.";
    let stream = Operation::of("get", "/logs/stream", MayAudit::ROLES)
        .named("watch", "stream", "Sends entries as they are committed", about)
        .or_proved_by("ticket")
        .takes([p::filters(), vec![p::q(), p::include_self(), p::cursor(cursor)]].concat())
        .takes_headers([headers::upgrade(), headers::last_event_id(), headers::origin()])
        .problems(&[Code::InvalidQuery, Code::InvalidCursor, Code::HistoryChanged])
        .problems(&[Code::NotAcceptable, Code::InvalidRequest, Code::OriginNotAllowed])
        .answers(101, "A WebSocket.", &["Upgrade", "Connection", "Sec-WebSocket-Accept"], &[])
        .answers(
            200,
            "Events; they have no end.",
            &own(["Cache-Control", "X-Accel-Buffering"]),
            &[("text/event-stream", schemas::named("Event"), examples::event())],
        );
    let about = "For browsers, whose WebSockets send no headers: one stream, within 30 s.";
    let ticket = Operation::of("post", "/logs/stream/ticket", MayAudit::ROLES)
        .named("issueTicket", "stream", "Gives a proof for one stream", about)
        .takes([])
        .answers(
            201,
            "The ticket.",
            &own(["Cache-Control"]),
            &json_of("Ticket", examples::ticket()),
        );
    vec![stream, ticket]
}

fn board() -> Vec<Operation> {
    let html = || ("text/html", json!({ "type": "string" }), examples::html());
    let told = || own(["Cache-Control", "Content-Security-Policy"]);
    let about = "Its query string is the page's own. In jwt mode it comes without a proof and asks for a token. Who may not \
        use it, or not now, and accepts `text/html` gets the page with the problem's status.";
    let page = Operation::of("get", "/logs/board", MayAudit::ROLES)
        .named("board", "board", "The page for people", about)
        .answers(200, "The page.", &told(), &[html()])
        .answers(403, "It may not be used, as a page or as a problem.", &[], &[html()])
        .answers(503, "Not now, as a page or as a problem.", &["Retry-After"], &[html()]);
    let file = Operation::proved("get", "/logs/board/{version}/{file}", true)
        .named(
            "boardFile",
            "board",
            "A part of that page",
            "Needs a proof of identity, of whatever role; in jwt mode none.",
        )
        .takes_headers([p::version(), p::file("main.js")])
        .problems(&[Code::NotFound])
        .answers(
            200,
            "The file.",
            &told(),
            &[
                ("text/javascript", json!({ "type": "string" }), json!("export {};")),
                ("text/css", json!({ "type": "string" }), json!("body {}")),
            ],
        );
    let session = Operation::of("get", "/logs/board/session", MayAudit::ROLES)
        .named("boardSession", "board", "Who is looking", "For the page to say.")
        .takes([])
        .answers(200, "Who.", &own(["Cache-Control"]), &json_of("Session", examples::session()));
    vec![page, file, session]
}
