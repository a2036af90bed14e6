//! What is true of a container orchestration engine wherever it runs.
//!
//! - [`engine`]: the Docker Engine's API, for agents (over the local socket) and drivers (over TLS)
//! - [`label`]: the labels of all engines and drivers: their kinds, defaults and meanings
//! - [`swarm`]: what Docker Swarm needs and offers: ports, network drivers, health

pub mod engine;
pub mod label;
pub mod swarm;

pub use engine::{EngineClient, EngineError};
