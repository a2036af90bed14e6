//! How a cluster is: asked of its managers by the way that tenants take, and of this machine.

use magnum_coe::{EngineError, swarm};
use magnum_domain::driver::{Health, Snapshot};
use magnum_domain::{HealthStatus, Labels, Node};

use super::error::LocalError;
use super::{Shared, names};

impl Shared {
    /// Looks at the engine's API, at what the managers say of the nodes, and at the nodes' processes.
    pub(super) async fn health(&self, snapshot: &Snapshot) -> Health {
        let staying = snapshot.nodes.iter().filter(|node| !node.is_leaving()).collect::<Vec<&Node>>();
        let expected = staying.iter().map(|node| names::hostname(node)).collect::<Vec<_>>();
        let members = match self.engine(snapshot).await {
            Ok(engine) => engine.nodes().await,
            Err(LocalError::Engine(error)) => Err(error),
            Err(error) => {
                let reason = Labels::from([("api".to_owned(), error.to_string())]);
                return Health { status: HealthStatus::Unknown, reason };
            }
        };
        let mut health = swarm::health(&members, &expected);
        if members.as_ref().is_err_and(EngineError::is_unreachable) && !self.is_served(snapshot.cluster.uuid) {
            health.reason.insert("api".to_owned(), "nobody on this machine listens for the cluster".to_owned());
        }
        // The managers need some time to miss a node; its processes are seen to be gone at once.
        for node in staying.iter().filter(|node| !self.is_up(snapshot, node)) {
            health.status = HealthStatus::Unhealthy;
            health.reason.insert(format!("{}.Ready", names::hostname(node)), "False".to_owned());
            health.reason.insert(format!("{}.Process", names::hostname(node)), "ended".to_owned());
        }
        health
    }
}
