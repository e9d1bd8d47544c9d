//! Answers where no handler answers.

use domain::ProblemCode;

use crate::error::ApiError;

pub(super) async fn not_found() -> ApiError {
    let detail = "there is no such route: /docs lists them";
    ApiError::new(ProblemCode::NotFound, detail)
}

pub(super) async fn method_not_allowed() -> ApiError {
    let detail = "this route has other methods: see the header Allow";
    ApiError::new(ProblemCode::MethodNotAllowed, detail)
}
