//! What is to be said of labels, by the one catalogue of them.

use magnum_coe::label::{LabelType, catalogue};
use magnum_domain::{ClusterTemplate, Labels};

use crate::ApiState;
use crate::error::{ApiError, Result};
use crate::field::Measure;
use crate::field::read::whole_number;

/// Labels that are numbers of nodes.
const NODE_COUNTS: [&str; 2] = ["min_node_count", "max_node_count"];

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

/// Labels that are sizes or numbers of nodes are held to the limits of the fields that say the same. What is no number
/// is for other rules.
///
/// # Errors
/// For the first label that is below zero or beyond its limit.
pub(crate) fn within(api: &ApiState, labels: &Labels) -> Result<()> {
    let catalogue = catalogue().map_err(|error| ApiError::Internal(error.to_owned()))?;
    for (name, value) in labels {
        let measure = match catalogue.label(name).map(|label| label.kind) {
            _ if NODE_COUNTS.contains(&name.as_str()) => Measure::Nodes,
            Some(LabelType::Size) => Measure::Gigabytes,
            _ => continue,
        };
        let (most, option) = measure.most(&api.options.sizes);
        if let Some(number) = whole_number(value).filter(|number| !(0..=i64::from(most)).contains(number)) {
            return Err(ApiError::invalid(format!(
                "The label {name} is {number}. It must be between 0 and {most} ([limits] {option})."
            )));
        }
    }
    Ok(())
}
