//! Docker Swarm: what it needs of a network, how healthy it is.

mod health;
mod tables;

pub use health::health;
pub use tables::{NetworkDrivers, Port, Protocol, Reach, SwarmTables, VolumeDrivers, catalogue};

/// Port on which managers talk to each other and take in new members (TCP).
pub const CONTROL_PORT: u16 = 2377;
/// Port of an engine's API that demands certificates (TCP).
pub const TLS_PORT: u16 = 2376;
/// Port of an engine's API that anybody may use (TCP), for templates with `tls_disabled`.
pub const PLAIN_PORT: u16 = 2375;
