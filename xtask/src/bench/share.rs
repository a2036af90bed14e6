//! How much of a cluster's creation was our own work: the time in which nothing waited for an engine.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::stamp;

/// Steps of the node agent that are a container engine's work, with us waiting.
const ENGINE_STEPS: &[&str] = &["engine.start", "swarm.init", "swarm.join"];

/// Times of one creation, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Creation {
    /// From the first event to the last.
    pub(super) total: f64,
    /// The part of it in which no engine was waited for.
    pub(super) own: f64,
}

/// What is needed of an event.
#[derive(Debug, Clone)]
struct Event {
    at: f64,
    node: String,
    step: String,
    state: String,
}

/// Reads the document of `GET /v1/clusters/<uuid>/events`.
pub(super) fn of_events(document: &Value) -> Result<Creation> {
    let events = document.get("events").and_then(Value::as_array).context("no events in the answer")?;
    let events: Vec<Event> = events.iter().map(read).collect::<Option<_>>().context("an event lacks a field")?;
    let first = events.first().context("no event at all")?.at;
    let last = events.last().map_or(first, |event| event.at);
    let total = last - first;
    Ok(Creation { total, own: total - length_of_union(waits(&events, last)) })
}

fn read(event: &Value) -> Option<Event> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    Some(Event {
        at: stamp::seconds(text("created_at")?)?,
        node: text("node").unwrap_or_default().to_owned(),
        step: text("step")?.to_owned(),
        state: text("state")?.to_owned(),
    })
}

/// From start to end of each engine step; one that never ended counts up to the last event.
///
/// The conductor has steps of the same names around those of the agents, with its own work in them: of steps within
/// each other only the innermost counts.
fn waits(events: &[Event], last: f64) -> Vec<(f64, f64)> {
    let mut open: BTreeMap<_, Vec<(f64, bool)>> = BTreeMap::new();
    let mut waits = Vec::new();
    for event in events.iter().filter(|event| ENGINE_STEPS.contains(&event.step.as_str())) {
        let running = open.entry((&event.node, &event.step)).or_default();
        if event.state == "started" {
            if let Some((_, holds_another)) = running.last_mut() {
                *holds_another = true;
            }
            running.push((event.at, false));
        } else if matches!(event.state.as_str(), "done" | "failed")
            && let Some((start, false)) = running.pop()
        {
            waits.push((start, event.at));
        }
    }
    let unended = open.into_values().flatten().filter(|(_, holds_another)| !holds_another);
    waits.extend(unended.map(|(start, _)| (start, last)));
    waits
}

fn length_of_union(mut spans: Vec<(f64, f64)>) -> f64 {
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut length = 0.0;
    let mut reached = f64::NEG_INFINITY;
    for (start, end) in spans {
        length += (end - start.max(reached)).max(0.0);
        reached = reached.max(end);
    }
    length
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn event(second: f64, node: &str, step: &str, state: &str) -> Value {
        json!({"created_at": format!("2026-01-01T10:00:{second:09.6}+00:00"), "node": node, "step": step, "state": state})
    }

    #[test]
    fn time_in_which_any_engine_was_waited_for_is_not_ours() {
        let document = json!({"events": [
            event(0.0, "", "network.create", "started"),
            event(1.0, "a", "engine.start", "started"),
            event(1.5, "b", "engine.start", "started"),
            event(3.0, "a", "engine.start", "done"),
            event(4.0, "b", "engine.start", "done"),
            event(5.0, "a", "swarm.init", "started"),
            event(5.25, "a", "swarm.init", "done"),
            event(6.0, "", "create", "done"),
        ]});
        let creation = of_events(&document).unwrap();
        assert!((creation.total - 6.0).abs() < 1e-6 && (creation.own - 2.75).abs() < 1e-6, "{creation:?}");
    }

    #[test]
    fn of_steps_within_each_other_the_innermost_counts() {
        let document = json!({"events": [
            event(0.0, "a", "swarm.join", "started"),
            event(1.0, "a", "swarm.join", "started"),
            event(1.5, "a", "swarm.join", "done"),
            event(3.0, "a", "swarm.join", "done"),
        ]});
        let creation = of_events(&document).unwrap();
        assert!((creation.own - 2.5).abs() < 1e-6, "{creation:?}");
    }

    #[test]
    fn a_document_without_events_is_an_error() {
        assert!(of_events(&json!({"events": []})).is_err());
        assert!(of_events(&json!({"events": [{"created_at": "yesterday"}]})).is_err());
    }
}
