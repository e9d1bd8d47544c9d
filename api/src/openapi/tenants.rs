//! What is below `/tenants`.

use domain::ProblemCode as Code;
use serde_json::Value;

use super::headers::LIMITS;
use super::operation::Operation;
use super::parameters as p;
use super::{examples, schemas};
use crate::identity::Role;
use crate::identity::caller::{MayAdminister, Right};
use crate::routes::tenants::PAGE_MAX;

const JSON: &str = "application/json";
const OPERATOR: &[Role] = &[Role::Operator];
const BODY: &str = "Up to 64 KiB, unpacked: the settings that are to change.";
const RECORDED: &str =
    "A change is an entry `tenant.updated` in the tenant's log; what changes nothing is none.";

/// What a change, which is an entry of the log, may fail with.
const CHANGING: [Code; 3] = [Code::InvalidTenant, Code::LogBusy, Code::ClockSkew];

fn tenant() -> [(&'static str, Value, Value); 1] {
    [(JSON, schemas::named("Tenant"), examples::tenant())]
}

pub(super) fn operations() -> Vec<Operation> {
    [all(), one(), own()].into_iter().flatten().collect()
}

fn all() -> [Operation; 2] {
    let example = examples::list_of(&examples::tenant());
    let list = Operation::of("get", "/tenants", OPERATOR)
        .named("listTenants", "tenants", "Lists tenants", "By id.")
        .takes([p::limit(PAGE_MAX), p::cursor("`next_cursor` of the page before.")])
        .problems(&[Code::InvalidCursor])
        .answers(200, "Tenants.", &LIMITS, &[(JSON, schemas::named("Tenants"), example)]);
    let create = Operation::of("post", "/tenants", OPERATOR)
        .named(
            "createTenant",
            "tenants",
            "Makes a tenant with an empty log",
            "Once, whoever races for an id.",
        )
        .takes([])
        .body(
            "Up to 64 KiB, unpacked.",
            &[(JSON, schemas::named("NewTenant"), examples::new_tenant())],
        )
        .problems(&[Code::TenantExists, Code::InvalidTenant])
        .answers(201, "The tenant.", &[&["Location"][..], &LIMITS].concat(), &tenant());
    [list, create]
}

fn one() -> [Operation; 2] {
    let id = || p::id("The tenant's id.", examples::TENANT_ID);
    let get = Operation::of("get", "/tenants/{id}", OPERATOR)
        .named("getTenant", "tenants", "Reads one tenant", "Its settings, not its log.")
        .takes([id()])
        .problems(&[Code::NotFound])
        .answers(200, "The tenant.", &LIMITS, &tenant());
    let change = Operation::of("patch", "/tenants/{id}", OPERATOR)
        .named("changeTenant", "tenants", "Changes a tenant", RECORDED)
        .takes([id()])
        .body(BODY, &[(JSON, schemas::named("TenantChange"), examples::tenant_change())])
        .problems(&CHANGING)
        .problems(&[Code::NotFound])
        .answers(200, "The tenant as it is now.", &LIMITS, &tenant());
    [get, change]
}

fn own() -> [Operation; 2] {
    let get = Operation::of("get", "/tenants/self", MayAdminister::ROLES)
        .named("getOwnTenant", "tenants", "Reads the caller's tenant", "Its settings.")
        .takes([])
        .answers(200, "The tenant.", &LIMITS, &tenant());
    let change = Operation::of("patch", "/tenants/self", MayAdminister::ROLES)
        .named("changeOwnTenant", "tenants", "Changes what an admin may of its own", RECORDED)
        .takes([])
        .body(BODY, &[(JSON, schemas::named("OwnTenantChange"), examples::tenant_change())])
        .problems(&CHANGING)
        .answers(200, "The tenant as it is now.", &LIMITS, &tenant());
    [get, change]
}
