//! What must hold when all has been asked: nothing lost, nothing twice, nothing left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::people::Person;
use super::super::report::{Latency, Table};
use super::journal::Journal;
use super::things::{State, Things};
use super::worker::{Worker, named};
use crate::{say, stop};

/// How long everything that was begun may take to end.
const END: Duration = Duration::from_secs(900);
/// How long a cluster may take to be seen as healthy.
const HEALTHY: Duration = Duration::from_secs(120);
/// Pause between looks.
const PAUSE: Duration = Duration::from_millis(500);
/// More of everything than there is.
const ALL: &str = "?limit=1000";

/// Rows of the kinds of things that the API lists, for everybody.
pub(super) type Rows = BTreeMap<&'static str, Vec<String>>;

/// Where an administrator sees everything, and under which name the list is there and its items.
const LISTS: &[(&str, &str, &str)] = &[
    ("clusters", "/v1/clusters?limit=1000", "/uuid"),
    ("quotas", "/v1/quotas?all_tenants=true&limit=1000", "/project_id"),
    ("users", "/identity/v3/users?limit=1000", "/id"),
    ("projects", "/identity/v3/projects?limit=1000", "/id"),
];

/// What is there at this moment; templates are seen by their project only.
pub(super) fn rows(admin: &Person, people: &[&Person]) -> Result<Rows> {
    let mut rows = Rows::new();
    for (list, path, pointer) in LISTS {
        rows.insert(list, items(&admin.get(path)?, list, pointer)?);
    }
    let mut templates = Vec::new();
    for person in people {
        templates.extend(items(&person.get(&format!("/v1/clustertemplates{ALL}"))?, "clustertemplates", "/uuid")?);
    }
    templates.sort();
    templates.dedup();
    rows.insert("templates", templates);
    Ok(rows)
}

fn items(document: &Value, list: &str, pointer: &str) -> Result<Vec<String>> {
    let list = document.get(list).unwrap_or(document).as_array().with_context(|| format!("no {list} in {document}"))?;
    let mut found: Vec<String> =
        list.iter().filter_map(|item| item.pointer(pointer)?.as_str().map(str::to_owned)).collect();
    found.sort();
    Ok(found)
}

/// What should be there: what was there before, and what the journal says of the workers' things.
pub(super) fn expected<'a>(before: &Rows, things: impl Iterator<Item = (&'a Things, &'a str)>) -> Rows {
    let mut rows = before.clone();
    let mut add = |list: &'static str, item: &str| rows.entry(list).or_default().push(item.to_owned());
    for (things, other_project) in things {
        things.templates.iter().for_each(|template| add("templates", &template.uuid));
        things.held.iter().for_each(|held| add("clusters", &held.cluster.uuid));
        things.users.iter().for_each(|user| add("users", &user.uuid));
        if things.quota.is_some() {
            add("quotas", other_project);
        }
    }
    rows.values_mut().for_each(|items| items.sort());
    rows
}

/// A row for each list: as many as there should be, and the very same.
pub(super) fn compare(table: &mut Table, when: &str, found: &Rows, wanted: &Rows) {
    for (list, wanted) in wanted {
        let found = found.get(list).cloned().unwrap_or_default();
        table.check(format!("{list} {when}"), found.len(), &wanted.len().to_string(), found == *wanted);
        for item in found.iter().filter(|item| !wanted.contains(item)) {
            table.note(format!("{list} {when}: {item} is there, against the journal"));
        }
        for item in wanted.iter().filter(|item| !found.contains(item)) {
            table.note(format!("{list} {when}: {item} is lost"));
        }
    }
}

/// Waits until nothing is done to any cluster any more.
pub(super) fn settle(workers: &mut [Worker<'_>]) -> Result<()> {
    let began = Instant::now();
    loop {
        stop::check()?;
        let mut waiting = Vec::new();
        for worker in workers.iter_mut().filter(|worker| worker.is_waiting()) {
            worker.look()?;
            waiting
                .extend(worker.things.held.as_ref().filter(|held| is_on_its_way(held.state)).map(|held| &held.cluster));
        }
        let Some(first) = waiting.first() else { return Ok(()) };
        if began.elapsed() > END {
            bail!("cluster {} and {} others are not done after {} s", first.uuid, waiting.len() - 1, END.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

fn is_on_its_way(state: State) -> bool {
    matches!(state, State::Busy | State::Deleting)
}

/// Every cluster that is settled is healthy, and has the nodes that are wanted.
pub(super) fn nodes(table: &mut Table, workers: &[Worker<'_>]) -> Result<()> {
    let settled = workers
        .iter()
        .filter_map(|worker| Some((worker, worker.things.held.as_ref().filter(|held| held.state == State::Settled)?)));
    let mut faults = Vec::new();
    let mut clusters = 0;
    for (worker, held) in settled {
        clusters += 1;
        let path = format!("/v1/clusters/{}", held.cluster.uuid);
        let healthy = stop::poll(HEALTHY, PAUSE, || {
            let cluster = worker.person.get(&path)?;
            Ok((cluster.get("health_status").and_then(Value::as_str) == Some("HEALTHY")).then_some(()))
        })?;
        if healthy.is_none() {
            let cluster = worker.person.get(&path)?;
            faults.push(format!("{path} is not healthy: {:?}", cluster.get("health_status_reason")));
        }
        let nodes = items(&worker.person.get(&format!("{path}/nodes"))?, "nodes", "/name")?;
        let wanted = 1 + held.workers + held.extra.unwrap_or_default();
        if i64::try_from(nodes.len())? != wanted {
            faults.push(format!("{path} has the nodes {nodes:?}, not {wanted}"));
        }
    }
    table.show("clusters that outlived it", clusters);
    table.none_of("of them not healthy or not complete", &faults);
    Ok(())
}

/// Deletes all that the workers have.
pub(super) fn tidy(workers: &mut [Worker<'_>]) -> Result<()> {
    for worker in workers.iter_mut() {
        let delete = |person: &Person, path: String| person.expect("DELETE", &path, None, 204).map(drop);
        if let Some(held) = worker.things.held.as_mut().filter(|held| held.state != State::Deleting) {
            let path = format!("/v1/clusters/{}", held.cluster.uuid);
            let answer = worker.person.expect("DELETE", &path, None, 204)?;
            held.state = State::Deleting;
            let cluster = held.cluster.uuid.clone();
            worker.note_operation(cluster, named("delete cluster")?.name, Some(&answer));
        }
        for template in worker.things.templates.drain(..) {
            delete(&worker.person, format!("/v1/clustertemplates/{}", template.uuid))?;
        }
        for user in worker.things.users.drain(..) {
            delete(&worker.shared.admin, format!("/identity/v3/users/{}", user.uuid))?;
        }
        if worker.things.quota.take().is_some() {
            delete(&worker.shared.admin, format!("/v1/quotas/{}/Cluster", worker.other_project))?;
        }
    }
    say::note("waiting for the last clusters to go");
    settle(workers)
}

/// What the server's operations say of those that the journal has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    by_state: BTreeMap<String, usize>,
    lost: Vec<String>,
    open: Vec<String>,
    beyond: Vec<String>,
    at_once: Vec<String>,
}

/// No accepted operation is lost or open, none is there that nobody asked for, none ran beside another.
pub(super) fn operations(table: &mut Table, journal: &Journal, admin: &Person) -> Result<()> {
    let (accepted, clusters) = {
        let counts = journal.counts();
        (counts.operations.clone(), counts.clusters.clone())
    };
    let mut ends = Ends::default();
    let mut attempts = 0;
    for cluster in &clusters {
        let path = format!("/v1/clusters/{cluster}");
        let found = admin.get(&format!("{path}/operations{ALL}"))?;
        let found = found.get("operations").and_then(Value::as_array).cloned().unwrap_or_default();
        let of_cluster: Vec<_> = accepted.iter().filter(|accepted| accepted.cluster == *cluster).collect();
        let ids: Vec<Option<&str>> = of_cluster.iter().map(|accepted| accepted.request_id.as_deref()).collect();
        judge(&mut ends, cluster, &found, &ids);
        attempts += found.iter().filter_map(|one| one.get("attempts")?.as_u64()).sum::<u64>();
        let events = admin.get(&format!("{path}/events{ALL}"))?;
        let events = events.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        ends.at_once.extend(interleaved(&events).into_iter().map(|words| format!("{cluster}: {words}")));
    }
    table.show("clusters made", clusters.len());
    table.show("operations accepted", accepted.len());
    let states: Vec<String> = ends.by_state.iter().map(|(state, count)| format!("{count} {state}")).collect();
    table.show("how they ended", states.join(", "));
    table.show("attempts of conductors", attempts);
    table.none_of("accepted operations that are lost", &ends.lost);
    table.none_of("operations without an end", &ends.open);
    table.none_of("operations that nobody asked for", &ends.beyond);
    table.none_of("operations of a cluster at the same time", &ends.at_once);
    Ok(())
}

/// Compares the operations of a cluster with the requests that were accepted; a lost answer has no identifier.
fn judge(ends: &mut Ends, cluster: &str, found: &[Value], accepted: &[Option<&str>]) {
    let word = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let requests: Vec<String> = found.iter().map(|one| word(one, "request_id")).collect();
    for id in accepted.iter().copied().flatten() {
        if !requests.iter().any(|request| request == id) {
            ends.lost.push(format!("{cluster}: {id}"));
        }
    }
    if found.len() < accepted.len() {
        ends.lost.push(format!("{cluster}: {} operations of {}", found.len(), accepted.len()));
    }
    if found.len() > accepted.len() {
        ends.beyond.push(format!("{cluster}: {} operations of {}", found.len(), accepted.len()));
    }
    for one in found {
        let state = word(one, "state");
        if !matches!(state.as_str(), "succeeded" | "failed" | "cancelled") {
            ends.open.push(format!("{cluster}: {} is {state}: {}", word(one, "kind"), word(one, "waiting_for")));
        }
        *ends.by_state.entry(state).or_default() += 1;
    }
}

/// Steps of an operation that began after another of the same cluster had taken over; events are in order.
fn interleaved(events: &[Value]) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for event in events {
        let word = |name: &str| event.get(name).and_then(Value::as_str);
        let (Some(operation), Some("started")) = (word("operation_uuid"), word("state")) else { continue };
        match order.iter().position(|known| *known == operation) {
            None => order.push(operation),
            Some(place) if place + 1 == order.len() => {}
            // One that is begun again by request may come after others that ended.
            Some(_) if is_retried(events, operation) => {
                order.retain(|known| *known != operation);
                order.push(operation);
            }
            Some(_) => found.push(format!("{operation} goes on with {:?} after another", word("step"))),
        }
    }
    found
}

fn is_retried(events: &[Value], operation: &str) -> bool {
    let word = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    events
        .iter()
        .any(|event| word(event, "operation_uuid") == operation && word(event, "message").ends_with("is tried again"))
}

/// What was asked, and how it was answered.
pub(super) fn answers(table: &mut Table, journal: &Journal) {
    let counts = journal.counts();
    let statuses: Vec<String> = counts.statuses().iter().map(|(status, count)| format!("{count} x {status}")).collect();
    table.show("requests sent", counts.sent());
    table.show("kinds of requests", counts.by_kind.len());
    table.show("answers", statuses.join(", "));
    table.show("time of an answer", Latency::of(counts.times.clone()));
    table.show("attempts while the server was down", counts.refused);
    table.show("changes whose answer was lost", format!("{} done, {} not", counts.lost_done, counts.lost_not_done));
    table.none_of("answers of 500 and above", &counts.server_errors);
    table.none_of("requests without an answer", &counts.silent);
    table.none_of("answers that a request must not have", &counts.unexpected);
    table.none_of("clusters with other counts than asked for", &counts.wrong);
    table.none_of("changes that ended as failed", &counts.failed);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lost_and_open_operations_are_found() {
        let operation =
            |request: &str, kind: &str, state: &str| json!({"request_id": request, "kind": kind, "state": state});
        let found = [operation("req-1", "create", "succeeded"), operation("req-2", "resize", "running")];
        for (accepted, lost, open, beyond) in [
            (vec![Some("req-1"), Some("req-2")], 0, 1, 0),
            (vec![Some("req-1"), None], 0, 1, 0),
            (vec![Some("req-1"), Some("req-3")], 1, 1, 0),
            (vec![Some("req-1"), Some("req-2"), None], 1, 1, 0),
            (vec![Some("req-1")], 0, 1, 1),
        ] {
            let mut ends = Ends::default();
            judge(&mut ends, "c", &found, &accepted);
            assert_eq!((ends.lost.len(), ends.open.len(), ends.beyond.len()), (lost, open, beyond), "{accepted:?}");
        }
    }

    #[test]
    fn operations_that_take_turns_are_found() {
        let event = |operation: &str, message: &str| json!({"operation_uuid": operation, "state": "started", "step": "node", "message": message});
        for (order, faults) in [
            (vec![("a", ""), ("a", ""), ("b", "")], 0),
            (vec![("a", ""), ("b", ""), ("a", "")], 1),
            (vec![("a", ""), ("b", ""), ("a", "create is tried again")], 0),
        ] {
            let events: Vec<Value> = order.iter().map(|(operation, message)| event(operation, message)).collect();
            assert_eq!(interleaved(&events).len(), faults, "{order:?}");
        }
    }

    #[test]
    fn lists_are_compared_item_by_item() {
        let rows = |items: &[&str]| Rows::from([("clusters", items.iter().map(|&item| item.to_owned()).collect())]);
        for (found, wanted, fine) in
            [(vec!["a"], vec!["a"], true), (vec!["a"], vec!["b"], false), (vec!["a", "b"], vec!["a"], false)]
        {
            let mut table = Table::default();
            compare(&mut table, "after", &rows(&found), &rows(&wanted));
            assert_eq!(table.is_fine(), fine, "{found:?} {wanted:?}");
        }
    }
}
