//! Swarm mode: making one, joining it, its members.

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::model::{JoinTokens, RawNode, RawSwarm};
use super::{Availability, EngineClient, EngineError, Role, SwarmNode};
use crate::swarm::CONTROL_PORT;

/// How often a change is tried again when somebody else was faster.
const ATTEMPTS: u32 = 5;
const NO_BODY: Option<&()> = None;

impl EngineClient {
    /// The swarm's identity. Only managers answer.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (503) where the engine is no manager.
    pub async fn swarm_id(&self) -> Result<String, EngineError> {
        Ok(self.get::<RawSwarm>("/swarm").await?.id)
    }

    /// Makes a new swarm of this engine and returns its identity as a member.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (503) when it is in a swarm already.
    pub async fn swarm_init(&self, advertise: &str) -> Result<String, EngineError> {
        let body = json!({
            "AdvertiseAddr": advertise,
            "ListenAddr": format!("{advertise}:{CONTROL_PORT}"),
            "Spec": {},
        });
        let answer = self.change(Method::POST, "/swarm/init", Some(&body)).await?;
        serde_json::from_slice(&answer).map_err(|error| self.malformed(error))
    }

    /// Joins the swarm of these managers (`address:port`). The token decides on the role.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with the engine's reason: unknown token, no manager in reach, member already.
    pub async fn swarm_join(
        &self,
        managers: &[String],
        token: &SecretString,
        advertise: &str,
    ) -> Result<(), EngineError> {
        let body = json!({
            "RemoteAddrs": managers,
            "JoinToken": token.expose_secret(),
            "AdvertiseAddr": advertise,
            "ListenAddr": format!("{advertise}:{CONTROL_PORT}"),
        });
        self.change(Method::POST, "/swarm/join", Some(&body)).await.map(drop)
    }

    /// Leaves the swarm. Without `force`, a manager refuses.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (503) when it is in none, or for a manager without `force`.
    pub async fn swarm_leave(&self, force: bool) -> Result<(), EngineError> {
        self.change(Method::POST, &format!("/swarm/leave?force={force}"), NO_BODY).await.map(drop)
    }

    /// The token with which a node of that role joins.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (503) where the engine is no manager.
    pub async fn join_token(&self, role: Role) -> Result<SecretString, EngineError> {
        Ok(pick(self.get::<RawSwarm>("/swarm").await?.join_tokens, role))
    }

    /// Makes the tokens that were given out for that role worthless, and returns the new one.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (503) where the engine is no manager.
    pub async fn rotate_join_token(&self, role: Role) -> Result<SecretString, EngineError> {
        let which = match role {
            Role::Manager => "rotateManagerToken",
            Role::Worker => "rotateWorkerToken",
        };
        for _ in 1..ATTEMPTS {
            match self.rotate(which).await {
                Err(error) if error.is_out_of_sequence() => {}
                done => return done.map(|tokens| pick(tokens, role)),
            }
        }
        self.rotate(which).await.map(|tokens| pick(tokens, role))
    }

    async fn rotate(&self, which: &str) -> Result<JoinTokens, EngineError> {
        let swarm: RawSwarm = self.get("/swarm").await?;
        let path = format!("/swarm/update?version={}&{which}=true", swarm.version.index);
        self.change(Method::POST, &path, Some(&swarm.spec)).await?;
        Ok(self.get::<RawSwarm>("/swarm").await?.join_tokens)
    }

    /// All members.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (503) where the engine is no manager, or (500) when the swarm has no leader.
    pub async fn nodes(&self) -> Result<Vec<SwarmNode>, EngineError> {
        let nodes: Vec<RawNode> = self.get("/nodes").await?;
        nodes.into_iter().map(RawNode::into_node).collect::<Result<_, _>>().map_err(|error| self.malformed(error))
    }

    /// One member, by its identity.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (404) when there is none.
    pub async fn node(&self, id: &str) -> Result<SwarmNode, EngineError> {
        self.raw_node(id).await?.into_node().map_err(|error| self.malformed(error))
    }

    async fn raw_node(&self, id: &str) -> Result<RawNode, EngineError> {
        self.get(&format!("/nodes/{}", path_part(id))).await
    }

    /// Gives a member tasks, or has them moved away.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (404) when there is no such member.
    pub async fn node_set_availability(&self, id: &str, availability: Availability) -> Result<(), EngineError> {
        self.update_node(id, "Availability", json!(availability)).await
    }

    /// Makes a manager a worker, which it has to be before it can be removed.
    ///
    /// # Errors
    /// [`EngineError::Refused`], among others when it is the last manager.
    pub async fn node_demote(&self, id: &str) -> Result<(), EngineError> {
        self.update_node(id, "Role", json!(Role::Worker)).await
    }

    /// Makes a worker a manager.
    ///
    /// # Errors
    /// [`EngineError::Refused`] (404) when there is no such member.
    pub async fn node_promote(&self, id: &str) -> Result<(), EngineError> {
        self.update_node(id, "Role", json!(Role::Manager)).await
    }

    async fn update_node(&self, id: &str, key: &str, value: serde_json::Value) -> Result<(), EngineError> {
        for _ in 1..ATTEMPTS {
            match self.update_node_once(id, key, &value).await {
                Err(error) if error.is_out_of_sequence() => {}
                done => return done,
            }
        }
        self.update_node_once(id, key, &value).await
    }

    async fn update_node_once(&self, id: &str, key: &str, value: &serde_json::Value) -> Result<(), EngineError> {
        let mut node = self.raw_node(id).await?;
        if node.spec.get(key) == Some(value) {
            return Ok(());
        }
        node.spec.insert(key.to_owned(), value.clone());
        let path = format!("/nodes/{}/update?version={}", path_part(id), node.version.index);
        self.change(Method::POST, &path, Some(&node.spec)).await.map(drop)
    }

    /// Removes a member that is down, or any with `force`. One that is gone already is no error.
    ///
    /// # Errors
    /// [`EngineError::Refused`], among others for a manager.
    pub async fn node_remove(&self, id: &str, force: bool) -> Result<(), EngineError> {
        match self.change(Method::DELETE, &format!("/nodes/{}?force={force}", path_part(id)), NO_BODY).await {
            Err(error) if error.is_not_found() => Ok(()),
            done => done.map(drop),
        }
    }
}

fn pick(tokens: JoinTokens, role: Role) -> SecretString {
    SecretString::from(match role {
        Role::Manager => tokens.manager,
        Role::Worker => tokens.worker,
    })
}

/// Percent-encodes all but what is harmless anywhere in a path or query.
pub(super) fn path_part(text: &str) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| if harmless(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
