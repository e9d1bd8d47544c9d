//! How callers prove who they are, in each mode.

use serde_json::{Value, json};

/// Every way there is.
pub(super) fn schemes() -> Value {
    let header = |name: &str, about: &str| json!({ "type": "apiKey", "in": "header", "name": name, "description": about });
    json!({
        "gatewaySecret": header("X-Gateway-Secret", "Gateway mode (the default): what only the API gateway knows. Without it \
            the other headers count for nothing."),
        "userId": header("X-User-Id", "Gateway mode: the principal, 1 to 256 characters."),
        "userRole": header("X-User-Role", "Gateway mode: admin, auditor, user or operator."),
        "tenantId": header("X-Tenant-Id", "Gateway mode: the tenant, a UUID with hyphens. The last address of \
            `X-Forwarded-For`, which the gateway wrote, is the caller's."),
        "userName": header("X-User-Name", "Gateway mode: the principal's name for people, UTF-8; may be missing."),
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Jwt mode: a token with tenant, \
            role and user as claims, signed by a key of the configured set." },
        "ticket": { "type": "apiKey", "in": "query", "name": "ticket", "description": "For one stream, good once and for 30 s: \
            from POST /api/v1/logs/stream/ticket. No header counts beside it." },
    })
}

/// What a route below the base needs: the headers of a gateway, or a token.
pub(super) fn needed(tenant: bool) -> Value {
    let mut gateway = json!({ "gatewaySecret": [], "userId": [], "userRole": [] });
    if tenant {
        gateway["tenantId"] = json!([]);
    }
    let mut with_name = gateway.clone();
    with_name["userName"] = json!([]);
    json!([gateway, with_name, { "bearer": [] }])
}
