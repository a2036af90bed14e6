//! A panic is a bug; the caller gets a document all the same, and everybody else goes on.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// The answer to a panic.
pub(super) fn answer(panic: &(dyn Any + Send)) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::Internal(format!("panic: {message}")).into_response()
}
