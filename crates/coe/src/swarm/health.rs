//! How healthy a swarm is, in upstream's form: `api`, and `<node>.Ready` for each node.

use magnum_domain::driver::Health;
use magnum_domain::{HealthStatus, Labels};

use crate::engine::{EngineError, SwarmNode};

/// Judges what a manager said of its swarm's members. `expected` are the host names of the nodes that should be in it.
///
/// Healthy is a swarm that answers and whose expected nodes are all ready; members that nobody expects, such as one
/// that is being removed, don't count.
#[must_use]
pub fn health(members: &Result<Vec<SwarmNode>, EngineError>, expected: &[String]) -> Health {
    let members = match members {
        Ok(members) => members,
        Err(error) => {
            let reason = Labels::from([("api".to_owned(), error.to_string())]);
            return Health { status: HealthStatus::Unhealthy, reason };
        }
    };
    // A node that was made anew under its old name leaves its former self behind as a member that is down.
    let ready = |name: &String| members.iter().any(|member| member.hostname == *name && member.is_ready());
    let all_ready = expected.iter().all(ready);
    let mut reason = Labels::from([("api".to_owned(), "ok".to_owned())]);
    reason.extend(expected.iter().map(|name| {
        let word = if ready(name) { "True" } else { "False" };
        (format!("{name}.Ready"), word.to_owned())
    }));
    Health { status: if all_ready { HealthStatus::Healthy } else { HealthStatus::Unhealthy }, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Availability, Role};

    fn member(hostname: &str, state: &str) -> SwarmNode {
        SwarmNode {
            id: format!("id-{hostname}-{state}"),
            hostname: hostname.to_owned(),
            role: Role::Worker,
            availability: Availability::Active,
            state: state.to_owned(),
            message: String::new(),
            address: "10.0.0.2".to_owned(),
            engine_version: "20.10.24".to_owned(),
            leader: false,
            reachability: None,
        }
    }

    fn judged(members: Vec<SwarmNode>, expected: &[&str]) -> (HealthStatus, Vec<(String, String)>) {
        let expected = expected.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let health = health(&Ok(members), &expected);
        (health.status, health.reason.into_iter().collect())
    }

    #[test]
    fn all_expected_nodes_have_to_be_ready() {
        let (status, reason) = judged(vec![member("a", "ready"), member("b", "ready")], &["a", "b"]);
        assert_eq!(status, HealthStatus::Healthy);
        let wanted = [("a.Ready", "True"), ("api", "ok"), ("b.Ready", "True")];
        assert_eq!(reason, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));

        let (status, reason) = judged(vec![member("a", "ready"), member("b", "down")], &["a", "b"]);
        assert_eq!(status, HealthStatus::Unhealthy);
        assert!(reason.contains(&("b.Ready".to_owned(), "False".to_owned())));

        let (status, _) = judged(vec![member("a", "ready")], &["a", "missing"]);
        assert_eq!(status, HealthStatus::Unhealthy);
    }

    #[test]
    fn members_nobody_expects_do_not_count() {
        let (status, reason) = judged(vec![member("a", "ready"), member("leaving", "down")], &["a"]);
        assert_eq!(status, HealthStatus::Healthy);
        assert_eq!(reason.len(), 2);
        let (status, _) = judged(vec![member("a", "down"), member("a", "ready")], &["a"]);
        assert_eq!(status, HealthStatus::Healthy);
    }

    #[test]
    fn a_swarm_that_does_not_answer_is_unhealthy_and_says_why() {
        let refused = EngineError::Refused { status: 500, message: "The swarm does not have a leader".to_owned() };
        let health = health(&Err(refused), &["a".to_owned()]);
        assert_eq!(health.status, HealthStatus::Unhealthy);
        assert_eq!(health.reason, Labels::from([("api".to_owned(), "The swarm does not have a leader".to_owned())]));
    }
}
