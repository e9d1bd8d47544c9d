//! Each route's success and main refusals against the document. So is every other answer of the suite
//! that a `Caller` gets; here none is missing.

use domain::TenantId;
use uuid::Uuid;

use crate::matrix::{Route, STREAM, place, routes};
use crate::support::app::{Answer, Caller, TestApp};
use crate::support::spec;

fn assert_told(route: &Route, answer: &Answer) {
    let path = format!("/api/v1{}", route.path);
    // What a stream sends is not in `answer`.
    if route.path == STREAM && answer.status.is_success() {
        return;
    }
    spec::check(route.method.as_str(), &path, answer).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_succeeds_and_refuses_as_the_document_says() {
    let app = TestApp::start().await;
    for route in routes() {
        let place = place(&app).await;
        let right = route.caller(&app, place.tenant_id);
        let told = |answer: Answer, status: u16| {
            assert_eq!(
                answer.status.as_u16(),
                status,
                "{} {}: {answer:?}",
                route.method,
                route.path
            );
            assert_told(&route, &answer);
        };
        let done = route.call(&right, &place).await;
        assert!(done.status.is_success(), "{} {}: {done:?}", route.method, route.path);
        assert_told(&route, &done);
        told(route.call(&right.clone().without("x-gateway-secret"), &place).await, 401);
        told(route.call(&right.clone().without("x-user-id"), &place).await, 400);
        let wrong_role = if route.is_for_operators() { "admin" } else { "operator" };
        told(route.call(&app.caller(place.tenant_id, wrong_role), &place).await, 403);
        if !route.is_for_operators() {
            let stranger = app.caller(TenantId::new(Uuid::now_v7()), route.roles[0]);
            told(route.call(&stranger, &place).await, 403);
        }
        if route.path != "/logs/board" {
            let unknown = asking(&route, "no_such_parameter=1");
            told(unknown.call(&right, &place).await, 400);
        }
        if route.body.is_some() {
            told(as_text(&route, &right, &place).await, 415);
        }
    }
}

fn asking(route: &Route, query: &'static str) -> Route {
    let query = if route.query.is_empty() {
        format!("?{query}")
    } else {
        format!("{}&{query}", route.query)
    };
    Route { query: query.leak(), body: route.body.clone(), method: route.method.clone(), ..*route }
}

async fn as_text(route: &Route, caller: &Caller<'_>, place: &crate::matrix::Place) -> Answer {
    let path = route.path_of(place.tenant_id, place.entry_id);
    let request = caller.request(route.method.clone(), &path);
    crate::support::app::send(request.header("content-type", "text/plain").body("x")).await
}
