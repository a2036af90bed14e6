//! How many connections this process holds, and how long whoever is at the other end may take.

use magnum_config::Settings;
use magnum_listen::{Limits, Pool, descriptors};

/// What a system gives that does not say.
const USUAL_LIMIT: u64 = 1024;

/// Room for connections.
pub(crate) struct Connections {
    /// Of the API.
    pub(crate) api: Pool,
    /// Of the listeners of all clusters.
    pub(crate) clusters: Pool,
    /// The limits that hold for each.
    pub(crate) limits: Limits,
}

impl Connections {
    /// As configured, as far as there are file descriptors for it, of which some are kept for the process itself. A process
    /// that is both API and conductor has half of them for each, so that neither's clients can shut out the other's.
    pub(crate) fn of_this_process(settings: &Settings, api: bool, conductor: bool) -> Self {
        let limit = descriptors::raise().unwrap_or_else(|error| {
            tracing::warn!(%error, "the limit of file descriptors can't be raised; taking it for {USUAL_LIMIT}");
            USUAL_LIMIT
        });
        let limits = &settings.limits;
        let room = descriptors::for_connections(limit, limits.reserved_descriptors);
        let room = if api && conductor { room / 2 } else { room };
        let (most, of_clusters) = (limits.max_connections.min(room), limits.max_cluster_connections.min(room));
        tracing::debug!(descriptors = limit, api = most, clusters = of_clusters, "connections are limited");
        Self {
            api: Pool::new(most),
            clusters: Pool::new(of_clusters),
            limits: Limits {
                connections: most,
                handshake: limits.handshake_timeout,
                head: limits.head_timeout,
                body: limits.body_timeout,
                body_pause: limits.body_pause_timeout,
                idle: limits.idle_timeout,
                write: limits.write_timeout,
                stream_idle: limits.stream_idle_timeout,
            },
        }
    }
}
