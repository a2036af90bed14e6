//! What is true of a container orchestration engine wherever it runs.
//!
//! - [`engine`]: the Docker Engine's API, for agents (over the local socket) and drivers (over TLS)
//! - [`swarm`]: what Docker Swarm needs and offers: labels, ports, network drivers, health

pub mod engine;
pub mod swarm;

pub use engine::{EngineClient, EngineError};
