//! Where the agents of a cluster's nodes call: HTTPS inside the cluster's own network.
//!
//! Joining needs the one-time token; everything else a certificate that this cluster's authority has signed and
//! that the node's row names.

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use magnum_certs::{CertError, DEFAULT_VALIDITY_DAYS, NodeSubject, sign_node_csr};
use magnum_domain::agent::{JOIN_PATH, JoinRequest, JoinResponse, POLL_SECONDS, REPORT_PATH, Report, STATE_PATH};
use magnum_domain::event::NewEvent;
use magnum_domain::{Node, NodePhase, text};
use magnum_listen::rate::Rates;
use magnum_listen::{Listener, PeerCertificate, Tls, is_too_slow, serve_http};
use magnum_store::{Store, StoreError};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::authority::{Authorities, ListenerTls};
use super::error::LocalError;
use super::{names, secret};

/// Port of the listener on the machine's side of the cluster's network.
pub(crate) const PORT: u16 = 9512;
/// Longest body that is read: a report or a certificate request is a few KiB.
const BODY: usize = 64 * 1024;
/// Connections held at a time for one cluster.
pub(super) const CONNECTIONS: usize = 1024;

/// Reports of one node: so many in a second, and at once. Beyond them they are refused, and the agent says it again later.
const REPORTS: (NonZeroU32, NonZeroU32) = (NonZeroU32::MIN.saturating_add(4), NonZeroU32::MIN.saturating_add(199));
/// Those of them that become events: so many in a minute, and at once. A node that comes up needs some twenty. Beyond
/// them a report is kept as what the node said last, and nowhere else.
const EVENTS: (NonZeroU32, NonZeroU32) = (NonZeroU32::MIN.saturating_add(5), NonZeroU32::MIN.saturating_add(199));

/// The listener of one cluster.
#[derive(Clone)]
pub(super) struct AgentListener {
    store: Store,
    tls: Arc<ListenerTls>,
    cluster: Uuid,
    rates: Arc<NodeRates>,
}

/// How often nodes say something: it costs them nothing, and a node could be anybody's.
struct NodeRates {
    reports: Rates<Uuid>,
    events: Rates<Uuid>,
}

impl Default for NodeRates {
    fn default() -> Self {
        Self {
            reports: Rates::per_second(REPORTS.0, REPORTS.1, Uuid::nil()),
            events: Rates::per_minute(EVENTS.0, EVENTS.1, Uuid::nil()),
        }
    }
}

impl AgentListener {
    pub(super) fn new(store: Store, tls: Arc<ListenerTls>, cluster: Uuid) -> Self {
        Self { store, tls, cluster, rates: Arc::default() }
    }

    /// Serves for ever; ends by being dropped.
    pub(super) async fn run(self, listener: Listener) {
        let tls: Arc<dyn Tls> = self.tls.clone();
        let router = Router::new()
            .route(JOIN_PATH, post(join))
            .route(STATE_PATH, get(state))
            .route(REPORT_PATH, post(report))
            .layer(DefaultBodyLimit::max(BODY))
            .with_state(self);
        serve_http(listener, Some(tls), router, CancellationToken::new(), Duration::ZERO).await;
    }

    /// The node whose certificate the peer has shown.
    async fn node(&self, peer: &PeerCertificate) -> Result<Node, Refusal> {
        let refused = || Refusal(StatusCode::UNAUTHORIZED, "show the certificate that this node was given".to_owned());
        let fingerprint = peer.0.as_ref().map(|shown| magnum_certs::fingerprint(shown)).ok_or_else(refused)?;
        let node = self.store.node_by_fingerprint(&fingerprint).await?.ok_or_else(refused)?;
        if node.cluster_uuid == self.cluster { Ok(node) } else { Err(refused()) }
    }
}

#[async_trait]
impl Tls for ListenerTls {
    async fn config(&self) -> io::Result<Arc<ServerConfig>> {
        self.current().await.map_err(io::Error::other)
    }
}

/// Why a call is not answered with what was asked for.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self(StatusCode::NOT_FOUND, "there is no such node any more".to_owned()),
            error => {
                tracing::warn!(%error, "an agent's call could not be served");
                Self(StatusCode::SERVICE_UNAVAILABLE, "the database could not be used; try again".to_owned())
            }
        }
    }
}

impl From<CertError> for Refusal {
    fn from(error: CertError) -> Self {
        if error.is_clients_fault() {
            return Self(StatusCode::BAD_REQUEST, format!("the certificate request can't be signed: {error}"));
        }
        tracing::warn!(%error, "a node's certificate could not be signed");
        Self(StatusCode::SERVICE_UNAVAILABLE, "the cluster's authority could not be used; try again".to_owned())
    }
}

impl From<LocalError> for Refusal {
    fn from(error: LocalError) -> Self {
        tracing::warn!(%error, "a node's certificate could not be signed");
        Self(StatusCode::SERVICE_UNAVAILABLE, "the cluster's authority could not be used; try again".to_owned())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        if is_too_slow(&rejection).is_some() {
            return Self(StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned());
        }
        // Not in its own words: those may repeat what was sent, such as a token.
        Self(rejection.status(), "the body is not what is expected here".to_owned())
    }
}

async fn join(
    State(listener): State<AgentListener>,
    body: Result<Json<JoinRequest>, JsonRejection>,
) -> Result<Json<JoinResponse>, Refusal> {
    let Json(request) = body?;
    let refused = || Refusal(StatusCode::FORBIDDEN, "the join token is not valid, or was used already".to_owned());
    let node = listener.store.get_node(request.node).await.map_err(|error| match error {
        StoreError::NotFound { .. } => refused(),
        other => other.into(),
    })?;
    let hash = secret::hash(&request.join_token);
    let is_known = node.join_token_hash.as_deref().is_some_and(|known| secret::is_same(known, &hash));
    if node.cluster_uuid != listener.cluster || !is_known {
        return Err(refused());
    }
    let (certificate, ca) = sign(&listener, &node, &request.csr).await?;
    let fingerprint = fingerprint(&certificate)?;
    // The token is spent in the same statement that compares it, so of two who hold it one gets a certificate.
    if !listener.store.join_node(node.uuid, &hash, &fingerprint).await? {
        return Err(refused());
    }
    Ok(Json(JoinResponse { certificate, ca }))
}

/// Signs a node's request: for the names that its row gives it, and those of the way that tenants take to it. Returns
/// the certificate and the authority's.
async fn sign(listener: &AgentListener, node: &Node, csr: &str) -> Result<(String, String), Refusal> {
    let tls = &listener.tls;
    let authorities = Authorities::read(&tls.store, &tls.vault, listener.cluster).await?;
    let authority = authorities.of_node(node.uuid).ok_or(CertError::Missing("certificate authority"))?;
    let here = ["127.0.0.1", "localhost"].map(str::to_owned);
    let subject =
        NodeSubject { name: names::hostname(node), names: node.address.clone().into_iter().chain(here).collect() };
    let certificate = sign_node_csr(authority, csr, &subject, DEFAULT_VALIDITY_DAYS)?;
    Ok((certificate, authority.certificate_pem().to_owned()))
}

fn fingerprint(certificate: &str) -> Result<String, CertError> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes())
        .map_err(|error| CertError::InvalidCertificate(error.to_string()))?;
    Ok(magnum_certs::fingerprint(&der))
}

#[derive(Deserialize)]
struct After {
    after: Option<i64>,
}

async fn state(
    State(listener): State<AgentListener>,
    Extension(peer): Extension<PeerCertificate>,
    Query(query): Query<After>,
) -> Result<Response, Refusal> {
    let node = listener.node(&peer).await?.uuid;
    let mut changed = listener.store.nodes_changed();
    let end = tokio::time::Instant::now() + Duration::from_secs(POLL_SECONDS);
    loop {
        changed.mark_unchanged();
        let row = listener.store.get_node(node).await?;
        if let Some(desired) = row.desired
            && query.after.is_none_or(|after| desired.generation > after)
        {
            return Ok(Json(desired).into_response());
        }
        let now = tokio::time::Instant::now();
        if now >= end {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        // Changes that another process writes are not announced here: hence the look every second.
        let _ = tokio::time::timeout((end - now).min(Duration::from_secs(1)), changed.changed()).await;
    }
}

async fn report(
    State(listener): State<AgentListener>,
    Extension(peer): Extension<PeerCertificate>,
    body: Result<Json<Report>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let node = listener.node(&peer).await?;
    if listener.rates.reports.count(&node.uuid).is_err() {
        return Err(Refusal(StatusCode::TOO_MANY_REQUESTS, "there are too many reports of this node".to_owned()));
    }
    let Json(mut report) = body?;
    check(&report)?;
    clean(&mut report);
    let phase = phase(&node, &report);
    listener.store.node_report(node.uuid, &report.observed, Some(phase), Some(&report.message)).await?;
    let repeated = node.message.as_deref() == Some(report.message.as_str());
    if !repeated && listener.rates.events.count(&node.uuid).is_ok() {
        listener.store.add_event(event(&node, report)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What comes from a node may be anybody's words: identities are used in calls to the engine, the step is shown.
fn check(report: &Report) -> Result<(), Refusal> {
    let plain = |text: &str, more: &[char]| {
        !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    let observed = &report.observed;
    let ids = [&observed.swarm_node_id, &observed.swarm_id];
    let versions = [&observed.engine_version];
    let fine = plain(&report.step, &['.', '_', '-'])
        && ids.into_iter().flatten().all(|id| plain(id, &[]))
        && versions.into_iter().flatten().all(|version| plain(version, &['.', '+', '-', '~', '_', ':']));
    if fine { Ok(()) } else { Err(Refusal(StatusCode::BAD_REQUEST, "the report holds odd words".to_owned())) }
}

/// Takes out of an agent's sentences what does not belong into a message.
fn clean(report: &mut Report) {
    for words in [Some(&mut report.message), report.observed.problem.as_mut()].into_iter().flatten() {
        *words = text::clean(words, text::MESSAGE);
    }
}

/// How far the node has come, by what its agent says.
fn phase(node: &Node, report: &Report) -> NodePhase {
    let seen = &report.observed;
    match node.phase {
        NodePhase::Leaving | NodePhase::Gone => node.phase,
        _ if !seen.engine_ready => NodePhase::Joined,
        _ if seen.swarm_node_id.is_some() => NodePhase::Ready,
        _ => NodePhase::EngineReady,
    }
}

fn event(node: &Node, report: Report) -> NewEvent {
    NewEvent {
        cluster_uuid: node.cluster_uuid,
        operation_uuid: None,
        node: Some(node.name.clone()),
        step: report.step,
        state: report.state,
        message: report.message,
    }
}

#[cfg(test)]
mod tests {
    use magnum_domain::EventState;
    use magnum_domain::agent::ObservedNode;

    use super::*;
    use crate::local::testing::{cluster, node};

    fn report(step: &str, observed: ObservedNode) -> Report {
        Report { step: step.to_owned(), state: EventState::Done, message: String::new(), observed }
    }

    #[test]
    fn a_phase_follows_the_report_unless_the_node_leaves() {
        let engine = ObservedNode { engine_ready: true, ..ObservedNode::default() };
        let member = ObservedNode { swarm_node_id: Some("id".to_owned()), ..engine.clone() };
        let mut node = node(&cluster("web"), "web-worker-0");
        for (before, observed, after) in [
            (NodePhase::Started, ObservedNode::default(), NodePhase::Joined),
            (NodePhase::Joined, engine.clone(), NodePhase::EngineReady),
            (NodePhase::EngineReady, member.clone(), NodePhase::Ready),
            (NodePhase::Ready, ObservedNode::default(), NodePhase::Joined),
            (NodePhase::Leaving, member, NodePhase::Leaving),
            (NodePhase::Leaving, engine, NodePhase::Leaving),
        ] {
            node.phase = before;
            assert_eq!(phase(&node, &report("x", observed)), after, "{before:?}");
        }
    }

    #[test]
    fn sentences_of_an_agent_are_cleaned() {
        let long = "y".repeat(60_000);
        for (said, kept) in [
            ("the engine answers", "the engine answers"),
            ("\u{1b}]0;owned\u{7}\u{1b}[2Jgone\u{202e}!\n\0", "gone!"),
            (&long, &format!("{}...", &long[..text::MESSAGE - 3])),
        ] {
            let observed = ObservedNode { problem: Some(said.to_owned()), ..ObservedNode::default() };
            let mut report = Report { message: said.to_owned(), ..report("engine.start", observed) };
            clean(&mut report);
            assert_eq!((report.message.as_str(), report.observed.problem.as_deref()), (kept, Some(kept)));
        }
    }

    #[test]
    fn odd_words_of_an_agent_are_refused() {
        let id = |id: &str| ObservedNode { swarm_node_id: Some(id.to_owned()), ..ObservedNode::default() };
        let version = |text: &str| ObservedNode { engine_version: Some(text.to_owned()), ..ObservedNode::default() };
        for (step, observed, fine) in [
            ("engine.start", id("g1bndu4a40j3bq5byv9weqa42"), true),
            ("engine.start", version("20.10.24+dfsg1"), true),
            ("", ObservedNode::default(), false),
            ("engine start\n", ObservedNode::default(), false),
            ("engine.start", id("../../containers"), false),
            ("engine.start", id(""), false),
            ("engine.start", version("<script>"), false),
        ] {
            assert_eq!(check(&report(step, observed)).is_ok(), fine, "{step}");
        }
    }
}
