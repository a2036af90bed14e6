//! The node's place in a swarm. Everything here looks first whether it is so already.

use std::time::Duration;

use magnum_coe::engine::{EngineClient, SwarmMembership};
use magnum_coe::swarm::CONTROL_PORT;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::error::AgentError;

/// How long a member may take to be active, or active again after the engine's start.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// Whether the engine is in a swarm, be it one it has no contact with just now.
pub(crate) async fn is_member(engine: &EngineClient) -> Result<bool, AgentError> {
    Ok(engine.info().await?.swarm.is_member())
}

/// Makes a new swarm.
pub(crate) async fn init(engine: &EngineClient, advertise: &str) -> Result<SwarmMembership, AgentError> {
    match engine.swarm_init(advertise).await {
        // In a swarm since we looked: an earlier attempt was quicker than it seemed.
        Err(error) if error.is_wrong_swarm_state() && is_member(engine).await? => {}
        done => done.map(drop)?,
    }
    active(engine).await
}

/// Joins a swarm.
pub(crate) async fn join(
    engine: &EngineClient,
    managers: &[String],
    token: &str,
    advertise: &str,
) -> Result<SwarmMembership, AgentError> {
    let managers = managers.iter().map(|address| with_port(address)).collect::<Vec<_>>();
    match engine.swarm_join(&managers, &SecretString::from(token), advertise).await {
        // As above; or the managers took long, and the engine goes on trying.
        Err(error) if error.is_wrong_swarm_state() && is_member(engine).await? => {}
        done => done?,
    }
    active(engine).await
}

/// Waits until a member takes part in its swarm.
pub(crate) async fn active(engine: &EngineClient) -> Result<SwarmMembership, AgentError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let swarm = engine.info().await?.swarm;
        if swarm.is_active() && !swarm.node_id.is_empty() {
            return Ok(swarm);
        }
        if Instant::now() >= end {
            return Err(problem(&swarm));
        }
        sleep(LOOK).await;
    }
}

/// Leaves the swarm, whatever the others say. Not being in one is no error.
pub(crate) async fn leave(engine: &EngineClient) -> Result<(), AgentError> {
    match engine.swarm_leave(true).await {
        Err(error) if error.is_wrong_swarm_state() && !is_member(engine).await? => Ok(()),
        done => Ok(done?),
    }
}

/// What is wrong with a membership.
pub(crate) fn problem(swarm: &SwarmMembership) -> AgentError {
    let state = &swarm.local_node_state;
    AgentError::Membership(if swarm.error.is_empty() {
        format!("its state is {state}")
    } else {
        format!("its state is {state}: {}", swarm.error)
    })
}

fn with_port(address: &str) -> String {
    let has_port = match address.rsplit_once(':') {
        Some((host, _)) => !host.contains(':') || host.ends_with(']'),
        None => false,
    };
    if has_port { address.to_owned() } else { format!("{address}:{CONTROL_PORT}") }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn managers_without_a_port_get_the_usual_one() {
        for (given, wanted) in [
            ("10.0.0.2:2377", "10.0.0.2:2377"),
            ("10.0.0.2", "10.0.0.2:2377"),
            ("[fd00::2]:4000", "[fd00::2]:4000"),
            ("[fd00::2]", "[fd00::2]:2377"),
        ] {
            assert_eq!(with_port(given), wanted);
        }
    }
}
