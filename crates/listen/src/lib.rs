//! Everything that stands between the service and whoever calls it: listeners that no client can hold up, the address
//! a request comes from, its body, and how often somebody may do something.
//!
//! The rules, the same for every listener of the program:
//!
//! - A client has a limited time for each thing that the service waits for: the TLS handshake, the head of a request, its
//!   body (as a whole, and between two pieces), the next request of a connection that is kept open, taking an answer.
//! - A listener holds a limited number of connections. When it is full, a new one takes the place of one that is
//!   waiting for its client: of the address with the most such connections, the one that has waited longest. So thousands
//!   of slow connections of one address cost that address its own, and a proxy or this machine itself, whose
//!   address many share, has no limit of its own to run into. A request that is being answered is never cut off.
//! - All connections together leave file descriptors for the program itself (see [`descriptors`]).

pub mod address;
pub mod descriptors;
mod http;
pub mod json;
pub mod lanes;
mod limits;
mod listener;
mod pool;
mod progress;
pub mod rate;

pub use http::{BodyTooSlow, PeerCertificate, Tls, is_too_slow, serve_http};
pub use limits::Limits;
pub use listener::{Listener, serve_streams};
pub use pool::Pool;
pub use progress::Watched;
