//! What is to be said of labels, by the one catalogue of them.

use magnum_coe::label::catalogue;
use magnum_domain::{ClusterTemplate, Labels};

use crate::ApiState;
use crate::error::{ApiError, Result};

/// Refuses what upstream refused in the days of an engine.
///
/// # Errors
/// In upstream's words.
pub(crate) fn refuse(engine: &str, labels: &Labels) -> Result<()> {
    let catalogue = catalogue().map_err(|error| ApiError::Internal(error.to_owned()))?;
    catalogue.refusal(engine, labels).map_or(Ok(()), |reason| Err(ApiError::Invalid(reason)))
}

/// What was accepted and yet deserves a word: labels that are not known, are for other engines, or have odd values.
pub(crate) fn told(api: &ApiState, template: &ClusterTemplate, labels: &Labels) -> Vec<String> {
    let driver = api.planner.driver(template);
    let findings = catalogue().map(|catalogue| catalogue.findings(&template.coe, driver, labels)).unwrap_or_default();
    findings.iter().map(ToString::to_string).collect()
}
