//! What a request says and a driver does nothing with: refused, or answered with a word. The drivers' tables decide.

use magnum_domain::ClusterTemplate;
use magnum_domain::effect::{Effect, FieldEffect, Subject};
use serde_json::Value;

use crate::ApiState;
use crate::error::{ApiError, Result};
use crate::field::{Access, BodySpec, table};

/// The texts of warnings about the fields that a request has set, in the order of the fields.
///
/// # Errors
/// For a field with which the driver can make no cluster.
pub(crate) fn told<'a>(
    api: &ApiState,
    template: &ClusterTemplate,
    subject: Subject,
    sent: impl Fn(&str) -> Option<&'a Value>,
) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let driver = api.planner.driver(template).unwrap_or("none");
    let effects = api.planner.field_effects(template);
    for field in fields(subject).fields {
        let Some(value) = sent(field.name).filter(|value| says_something(value)) else { continue };
        if field.access == Access::Ignored {
            texts.push(format!("{} is set by the server. What the request says of it has no effect.", field.name));
            continue;
        }
        match effect(effects, subject, field.name) {
            Effect::Ignored { unless, why } if !unless.contains(&text(value).as_str()) => {
                texts.push(format!("{} has no effect with the driver {driver}: {why}.", field.name));
            }
            Effect::Refused(why) => {
                return Err(ApiError::invalid(format!(
                    "{} is not supported by the driver {driver}: {why}.",
                    field.name
                )));
            }
            Effect::Used | Effect::Ignored { .. } => {}
        }
    }
    Ok(texts)
}

/// The table of fields, by the names of today.
fn fields(subject: Subject) -> &'static BodySpec {
    match subject {
        Subject::ClusterTemplate => &table::CLUSTER_TEMPLATE,
        Subject::Cluster => &table::CLUSTER,
        Subject::Nodegroup => &table::NODEGROUP,
    }
}

fn effect(effects: &[FieldEffect], subject: Subject, name: &str) -> Effect {
    let row = effects.iter().find(|row| row.subject == subject && row.name == name);
    row.map_or(Effect::Used, |row| row.effect)
}

/// Whether a value is more than what clients send for nothing.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
