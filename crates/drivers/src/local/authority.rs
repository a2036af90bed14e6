//! Which certificate authority the nodes of a cluster are under: one, but for the time of a rotation, in which nodes
//! under the old one give way to nodes under the new one.
//!
//! The ledger says all of it ([`ResourceKind::Authority`]): which authority takes the place of which, and which nodes are under
//! the old one. The cluster's row names the old one until the last manager under it is about to go, and the new one
//! from then on; clients and this process are led to managers under the one that the row names. Agents of both kinds
//! of nodes call the same listener, which trusts both and shows itself with a certificate of the old one for as long as
//! there is a node under it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use magnum_certs::tls::agent_server_config;
use magnum_certs::{CertError, CertificateAuthority, DEFAULT_VALIDITY_DAYS, Vault, server_certificate};
use magnum_domain::certificate::Authority;
use magnum_domain::driver::Snapshot;
use magnum_domain::{Cluster, Node, Resource, ResourceState};
use magnum_store::{CertificateRefs, Ident, Scope, Store};
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::Shared;
use super::error::LocalError;
use super::ledger::{Ledger, ResourceKind};
use super::plan::Work;

/// References to an authority and to the service's client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    ca: Option<String>,
    client: Option<String>,
}

impl Pair {
    fn refs(&self) -> CertificateRefs {
        CertificateRefs { ca: self.ca.clone(), magnum: self.client.clone(), ..CertificateRefs::default() }
    }

    fn of(refs: CertificateRefs) -> Self {
        Self { ca: refs.ca, client: refs.magnum }
    }

    /// The cluster as its row would be with this pair.
    fn in_row(&self, cluster: &Cluster) -> Cluster {
        Cluster { ca_cert_ref: self.ca.clone(), magnum_cert_ref: self.client.clone(), ..cluster.clone() }
    }
}

/// One authority takes the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rotation {
    from: Pair,
    to: Pair,
    /// Nodes under the old one, gone ones included.
    pub(crate) nodes: BTreeSet<Uuid>,
}

impl Rotation {
    /// The rotation that a cluster is in, by its ledger.
    pub(crate) fn of(resources: &[Resource]) -> Option<Self> {
        row(resources).filter(|row| row.state == ResourceState::Made).and_then(Self::read)
    }

    fn read(row: &Resource) -> Option<Self> {
        serde_json::from_value(row.attributes.clone()).ok()
    }

    /// Whether the cluster's row names the new one.
    fn is_switched(&self, cluster: &Cluster) -> bool {
        cluster.ca_cert_ref == self.to.ca
    }

    /// Whether a node is under the authority that the cluster's row names.
    pub(crate) fn is_current(&self, cluster: &Cluster, node: Uuid) -> bool {
        self.nodes.contains(&node) != self.is_switched(cluster)
    }

    /// Whether no manager under the old authority is to stay.
    pub(crate) fn may_switch(&self, snapshot: &Snapshot) -> bool {
        let stays = |node: &Node| node.is_master && !node.is_leaving() && self.nodes.contains(&node.uuid);
        !self.is_switched(&snapshot.cluster) && !snapshot.nodes.iter().any(stays)
    }

    /// Whether nobody is left under the old authority.
    pub(crate) fn is_over(&self, snapshot: &Snapshot) -> bool {
        self.is_switched(&snapshot.cluster) && !snapshot.nodes.iter().any(|node| self.nodes.contains(&node.uuid))
    }
}

fn row(resources: &[Resource]) -> Option<&Resource> {
    resources.iter().find(|row| row.kind == ResourceKind::Authority.as_str())
}

/// Whether an authority is to be made for the rotation that is asked for. One that is under way is ended first.
pub(crate) fn is_wanted(snapshot: &Snapshot) -> bool {
    let Some(operation) = snapshot.rotation else { return false };
    let is_done = snapshot.cluster.ca_cert_ref == Vault::next_references(&snapshot.cluster, operation).ca;
    !is_done && Rotation::of(&snapshot.resources).is_none()
}

impl Shared {
    /// One step of a rotation.
    pub(super) async fn rotate_authority(&self, work: Work, snapshot: &Snapshot) -> Result<(), LocalError> {
        let cluster = &snapshot.cluster;
        let rows = self.store.resources(cluster.uuid).await?;
        match (work, Rotation::of(&rows)) {
            (Work::CreateAuthority, None) => self.create_authority(snapshot).await,
            (Work::SwitchAuthority, Some(rotation)) => {
                Ok(self.store.set_certificate_refs(cluster.uuid, &rotation.to.refs()).await?)
            }
            (Work::RetireAuthority, Some(rotation)) => {
                self.vault.forget(&rotation.from.refs()).await?;
                for row in rows.iter().filter(|row| row.kind == ResourceKind::Authority.as_str()) {
                    self.store.delete_resource(row.id).await?;
                }
                Ok(())
            }
            // Done by an earlier attempt.
            _ => Ok(()),
        }
    }

    async fn create_authority(&self, snapshot: &Snapshot) -> Result<(), LocalError> {
        let Some(operation) = snapshot.rotation else { return Ok(()) };
        let cluster = &snapshot.cluster;
        let to = Pair::of(Vault::next_references(cluster, operation));
        let name = to.ca.clone().unwrap_or_default();
        let rotation = Rotation {
            from: Pair { ca: cluster.ca_cert_ref.clone(), client: cluster.magnum_cert_ref.clone() },
            to,
            nodes: snapshot.nodes.iter().map(|node| node.uuid).collect(),
        };
        let attributes = serde_json::to_value(&rotation)
            .map_err(|error| LocalError::Hopeless(format!("a rotation can't be written down: {error}")))?;
        let ledger = Ledger { store: &self.store, cluster: cluster.uuid };
        let row = ledger.plan(None, ResourceKind::Authority, &name, attributes).await?;
        self.vault.make_next_authority(cluster, operation).await?;
        ledger.made(&row).await
    }

    /// Deletes the keys of a rotation that the ledger still has, with the cluster.
    pub(super) async fn forget_rotation(&self, row: &Resource) -> Result<(), LocalError> {
        let Some(rotation) = Rotation::read(row).filter(|_| row.kind == ResourceKind::Authority.as_str()) else {
            return Ok(());
        };
        self.vault.forget(&rotation.from.refs()).await?;
        Ok(self.vault.forget(&rotation.to.refs()).await?)
    }

    /// The certificates (PEM) of all authorities that the cluster's listener may show a certificate of.
    pub(super) async fn trusted_authorities(&self, cluster: Uuid) -> Result<String, LocalError> {
        let authorities = Authorities::read(&self.store, &self.vault, cluster).await?;
        Ok(authorities.certificates().join("\n"))
    }
}

/// The authorities of a cluster as they are now.
pub(super) struct Authorities {
    rotation: Option<Rotation>,
    /// Oldest first.
    all: Vec<CertificateAuthority>,
}

impl Authorities {
    /// Reads them.
    ///
    /// # Errors
    /// When the database or the vault can't be used.
    pub(super) async fn read(store: &Store, vault: &Vault, cluster: Uuid) -> Result<Self, LocalError> {
        let (row, rotation) = known(store, cluster).await?;
        let Some(rotation) = rotation else {
            return Ok(Self { rotation: None, all: vec![vault.authority(&row, Authority::Cluster).await?] });
        };
        let mut all = Vec::new();
        match vault.authority(&rotation.from.in_row(&row), Authority::Cluster).await {
            Ok(old) => all.push(old),
            // Nobody is under it any more.
            Err(CertError::Missing(_)) => {}
            Err(error) => return Err(error.into()),
        }
        all.push(vault.authority(&rotation.to.in_row(&row), Authority::Cluster).await?);
        Ok(Self { rotation: Some(rotation), all })
    }

    /// Their certificates, oldest first.
    fn certificates(&self) -> Vec<&str> {
        self.all.iter().map(CertificateAuthority::certificate_pem).collect()
    }

    /// The one that a node is under.
    pub(super) fn of_node(&self, node: Uuid) -> Option<&CertificateAuthority> {
        let is_old = self.rotation.as_ref().is_some_and(|rotation| rotation.nodes.contains(&node));
        if is_old { self.all.first() } else { self.all.last() }
    }
}

/// The row of a cluster, and the rotation that it is in.
async fn known(store: &Store, cluster: Uuid) -> Result<(Cluster, Option<Rotation>), LocalError> {
    let row = store.get_cluster(&Scope::All, &Ident::Uuid(cluster)).await?;
    Ok((row, Rotation::of(&store.resources(cluster).await?)))
}

/// Of a cluster's managers, those under the authority that its row names, if there is one.
///
/// # Errors
/// When the database can't be used.
pub(super) async fn keep_current(store: &Store, cluster: Uuid, nodes: &mut Vec<Node>) -> Result<(), LocalError> {
    let (row, Some(rotation)) = known(store, cluster).await? else { return Ok(()) };
    let is_current = |node: &Node| node.is_master && rotation.is_current(&row, node.uuid);
    if nodes.iter().any(is_current) {
        nodes.retain(is_current);
    }
    Ok(())
}

/// TLS of a cluster's listener for agents, made anew when the cluster's authorities have changed, whichever process
/// has changed them.
pub(super) struct ListenerTls {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) cluster: Uuid,
    /// Where the listener is.
    pub(super) address: Ipv4Addr,
    kept: Mutex<Option<Made>>,
}

/// A configuration, and the references of the authorities that it was made of.
struct Made {
    of: Vec<Option<String>>,
    config: Arc<ServerConfig>,
}

impl ListenerTls {
    /// Nothing is read yet.
    pub(super) fn new(store: Store, vault: Vault, cluster: Uuid, address: Ipv4Addr) -> Self {
        Self { store, vault, cluster, address, kept: Mutex::default() }
    }

    /// What a connection of this moment is to be accepted with. A certificate of the oldest authority, made for this
    /// process; all of them are trusted.
    ///
    /// # Errors
    /// When it was never made, and can't be.
    pub(super) async fn current(&self) -> Result<Arc<ServerConfig>, LocalError> {
        let mut kept = self.kept.lock().await;
        let (row, rotation) = match (known(&self.store, self.cluster).await, &*kept) {
            (Ok(known), _) => known,
            // Without a database the agents have nothing to hear, but need not be turned away.
            (Err(_), Some(made)) => return Ok(Arc::clone(&made.config)),
            (Err(error), None) => return Err(error),
        };
        let references = match rotation {
            None => vec![row.ca_cert_ref],
            Some(rotation) => vec![rotation.from.ca, rotation.to.ca],
        };
        if let Some(made) = kept.as_ref().filter(|made| made.of == references) {
            return Ok(Arc::clone(&made.config));
        }
        let authorities = Authorities::read(&self.store, &self.vault, self.cluster).await?;
        let oldest = authorities.all.first().ok_or(CertError::Missing("certificate authority"))?;
        let identity = server_certificate(oldest, &[self.address.to_string()], DEFAULT_VALIDITY_DAYS)?;
        let config = agent_server_config(&identity, &authorities.certificates())?;
        *kept = Some(Made { of: references, config: Arc::clone(&config) });
        Ok(config)
    }
}
