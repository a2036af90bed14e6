//! Asks.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::case::{Case, Request};
use crate::normalize::normalize;
use crate::record::Record;
use crate::seed::Seed;
use crate::subject::Subject;
use crate::translation::Translation;

/// The name of a request of a case.
#[must_use]
pub fn request_name(case: &Case, at: usize) -> String {
    if at == 0 { case.name.clone() } else { format!("{} then {at}", case.name) }
}

/// Asks everything in order, each case on rows as the seed has them.
///
/// # Errors
/// When there is no answer at all, or the database can't be put back.
pub async fn run(subject: &mut dyn Subject, cases: &[Case], seed: &Seed, translation: &Translation) -> Result<Record> {
    let mut record = Record::default();
    let mut touched = true;
    for case in cases {
        if touched {
            subject.reset().await.with_context(|| format!("before {}", case.name))?;
            touched = false;
        }
        let mut uuids = Vec::new();
        let mut created = None;
        for (at, request) in case.requests.iter().enumerate() {
            let name = request_name(case, at);
            let request = with_uuid(request, created.as_deref());
            let raw = subject.send(&translation.request(&request)).await.with_context(|| name.clone())?;
            let raw = translation.answer(raw);
            // A refused request changes nothing; a crash may have been on its way.
            touched |= request.changes() && !(400..500).contains(&raw.status);
            if at == 0 {
                let body: Value = serde_json::from_str(&raw.body).unwrap_or_default();
                created = body["uuid"].as_str().map(str::to_owned);
            }
            record.insert(&name, normalize(raw, seed, &mut uuids));
        }
    }
    Ok(record)
}

fn with_uuid(request: &Request, uuid: Option<&str>) -> Request {
    let mut request = request.clone();
    if let Some(uuid) = uuid {
        request.path = request.path.replace("{uuid}", uuid);
        request.body = request.body.map(|body| body.replace("{uuid}", uuid));
    }
    request
}
