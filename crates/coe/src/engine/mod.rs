//! The Docker Engine's API (1.41 and newer), as far as clusters need it.

mod client;
mod error;
mod model;
mod swarm;
mod tasks;

pub use client::EngineClient;
pub use error::EngineError;
pub use model::{Availability, EngineInfo, Role, SwarmMembership, SwarmNode};
pub use tasks::Departure;
