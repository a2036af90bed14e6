//! `/healthcheck`: whether a load balancer shall send requests here. Answers in the forms of oslo.middleware.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Api;
use crate::ApiState;
use crate::accept::preferred;

/// Forms, the one for clients without a wish first.
const FORMS: [&str; 3] = [PLAIN, HTML, JSON];
const PLAIN: &str = "text/plain";
const HTML: &str = "text/html";
const JSON: &str = "application/json";

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Reason {
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    reason: String,
    #[serde(skip)]
    healthy: bool,
}

impl Reason {
    fn new(class: &'static str, outcome: Result<String, (String, String)>) -> Self {
        let healthy = outcome.is_ok();
        let (reason, details) = outcome.map_or_else(|why| why, |details| ("OK".to_owned(), details));
        Self { class: Some(class), details: Some(details), reason, healthy }
    }
}

/// The answer as JSON, where the operator has everything told.
#[derive(Debug, Serialize)]
struct Detailed<'a> {
    detailed: bool,
    now: String,
    platform: String,
    reasons: &'a [Reason],
    version: &'static str,
}

/// The answer as JSON otherwise.
#[derive(Debug, Serialize)]
struct Brief<'a> {
    detailed: bool,
    reasons: Vec<&'a str>,
}

/// Whether the service can serve: 200 `OK`, or 503 with the reason; as text, HTML or JSON. HEAD is answered with 204.
#[utoipa::path(get, path = "/healthcheck", tag = "operation", security(()), responses(
    (status = 200, content((str = "text/plain"), (str = "text/html"), (Object = "application/json"))),
    (status = 204, description = "To HEAD: it can."),
    (status = 503, content((str = "text/plain"), (str = "text/html"), (Object = "application/json")))))]
pub(crate) async fn healthcheck(State(api): Api, method: Method, headers: HeaderMap) -> Response {
    let reasons = look(&api).await;
    let is_healthy = reasons.iter().all(|reason| reason.healthy);
    if method == Method::HEAD {
        let status = if is_healthy { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE };
        return status.into_response();
    }
    let status = if is_healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let form = preferred(&headers, &FORMS).unwrap_or(PLAIN);
    let detailed = api.options.health.detailed;
    let (kind, body) = match form {
        JSON => ("application/json", json(&reasons, detailed)),
        HTML => ("text/html; charset=UTF-8", html(&reasons, detailed)),
        _ => ("text/plain; charset=UTF-8", plain(&reasons, is_healthy)),
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Looks at everything, also when the first is not well.
async fn look(api: &ApiState) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(file) = &api.options.health.disable_by_file {
        let shown = file.display();
        let outcome = match tokio::fs::try_exists(file).await {
            Ok(true) => Err(("DISABLED BY FILE".to_owned(), format!("Path '{shown}' was found"))),
            Ok(false) => Ok(format!("Path '{shown}' was not found")),
            Err(error) => Ok(format!("Path '{shown}' can't be looked for: {error}")),
        };
        reasons.push(Reason::new("DisableByFile", outcome));
    }
    reasons.push(Reason::new("Database", database(api).await));
    reasons
}

async fn database(api: &ApiState) -> Result<String, (String, String)> {
    let limit = api.options.health.timeout;
    let unwell = |reason: String| (reason.clone(), reason);
    match tokio::time::timeout(limit, api.store.ping()).await {
        Ok(Ok(())) => Ok("the database answers".to_owned()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the health check found no database");
            Err(unwell("the database does not answer".to_owned()))
        }
        Err(_) => Err(unwell(format!("the database has not answered within {} s", limit.as_secs_f64()))),
    }
}

/// The reasons that matter: what is not well, or that all is well.
fn plain(reasons: &[Reason], is_healthy: bool) -> String {
    if is_healthy {
        return "OK".to_owned();
    }
    let unwell: Vec<&str> = reasons.iter().filter(|reason| !reason.healthy).map(|reason| &*reason.reason).collect();
    unwell.join("\n")
}

fn json(reasons: &[Reason], detailed: bool) -> String {
    let mut text = Vec::new();
    let form = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, form);
    let written = if detailed {
        Detailed {
            detailed,
            now: chrono::Utc::now().format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            reasons,
            version: env!("CARGO_PKG_VERSION"),
        }
        .serialize(&mut serializer)
    } else {
        Brief { detailed, reasons: reasons.iter().map(|reason| &*reason.reason).collect() }.serialize(&mut serializer)
    };
    // Texts only: this can't fail.
    debug_assert!(written.is_ok());
    String::from_utf8(text).unwrap_or_default()
}

fn html(reasons: &[Reason], detailed: bool) -> String {
    let mut rows = String::new();
    for reason in reasons {
        let mut cells = vec![reason.reason.as_str()];
        if detailed {
            cells.insert(0, reason.class.unwrap_or_default());
            cells.push(reason.details.as_deref().unwrap_or_default());
        }
        let cells: String = cells.into_iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
        rows.push_str(&format!("<tr>{cells}</tr>\n"));
    }
    format!(
        "<!DOCTYPE html>\n<html>\n<head><title>Healthcheck Status</title></head>\n<body>\n<h2>Result of {} checks:</h2>\n\
         <table border=\"1\">\n{rows}</table>\n</body>\n</html>\n",
        reasons.len()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
