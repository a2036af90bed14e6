//! How long a client may take for what the service waits for.

use std::time::Duration;

/// Limits of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of this listener at a time. Default 4096.
    pub connections: usize,
    /// Longest TLS handshake. Default 20 s.
    pub handshake: Duration,
    /// Longest time from the first byte of a request, or the opening of the connection, to the end of the request's
    /// head. For a stream: to its first byte. Default 20 s.
    pub head: Duration,
    /// Longest time for the body of a request. Default 60 s.
    pub body: Duration,
    /// Longest pause within a body. Default 20 s.
    pub body_pause: Duration,
    /// How long a connection is kept open for the next request. Default 60 s.
    pub idle: Duration,
    /// Longest wait for a client to take some of an answer. Default 60 s.
    pub write: Duration,
    /// How long a stream that is passed on may be without a byte in either direction. Default 1 h.
    pub stream_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(20),
            head: Duration::from_secs(20),
            body: Duration::from_secs(60),
            body_pause: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(60),
            stream_idle: Duration::from_secs(3600),
        }
    }
}
