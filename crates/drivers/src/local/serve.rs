//! What this process holds open for a cluster, and the cluster's network that it is held open in.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use magnum_coe::engine::EngineClient;
use magnum_domain::certificate::Authority;
use magnum_domain::driver::{Facts, Snapshot};
use magnum_domain::{Cluster, ClusterTemplate, Resource, ResourceState};
use magnum_listen::{Limits, Listener};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::authority::ListenerTls;
use super::error::LocalError;
use super::forward::Forwarder;
use super::ledger::{Ledger, ResourceKind};
use super::listener::{self, AgentListener};
use super::namespace::Namespace;
use super::network::Addresses;
use super::node::{self, private_folder};
use super::{Shared, egress_proxy, engine, forward, names, network};

/// How often it is looked whether a cluster's network is still there.
const LOOK: Duration = Duration::from_secs(2);

/// The tasks that serve one cluster; dropping it ends them.
pub(super) struct Served {
    tasks: JoinSet<()>,
}

impl Shared {
    /// Whether everything that is held open for the cluster still is.
    pub(super) fn is_served(&self, cluster: Uuid) -> bool {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = served.get_mut(&cluster) else { return false };
        // The tasks run for ever: when one has ended, there is something to be opened anew.
        let whole = found.tasks.try_join_next().is_none();
        if !whole {
            served.remove(&cluster);
        }
        whole
    }

    /// Makes the cluster's network, unless it is there, and opens what this process holds open for it.
    pub(super) async fn create_network(&self, snapshot: &Snapshot) -> Result<(), LocalError> {
        let _alone = self.lock(snapshot.cluster.uuid).await;
        self.bring_network_up(snapshot).await
    }

    /// As [`Self::create_network`], for a cluster that was made before; does nothing when it was deleted meanwhile.
    pub(super) async fn restore_network(&self, snapshot: &Snapshot) -> Result<(), LocalError> {
        let _alone = self.lock(snapshot.cluster.uuid).await;
        let known = self.store.resources(snapshot.cluster.uuid).await?;
        if known.iter().any(|row| row.node_uuid.is_none()) { self.bring_network_up(snapshot).await } else { Ok(()) }
    }

    async fn bring_network_up(&self, snapshot: &Snapshot) -> Result<(), LocalError> {
        let cluster = &snapshot.cluster;
        let ledger = Ledger { store: &self.store, cluster: cluster.uuid };

        let folder = names::cluster_folder(&self.options.state_dir, cluster.uuid);
        let row = ledger.plan(None, ResourceKind::Folder, &self.places.name_of(&folder), json!({})).await?;
        private_folder(&folder)?;
        ledger.made(&row).await?;

        let cgroup = names::cluster_cgroup(&self.options.cgroup, cluster.uuid);
        let row = ledger.plan(None, ResourceKind::Cgroup, &cgroup, json!({})).await?;
        let made = self.places.hierarchies.create(&cgroup);
        made.map_err(|source| LocalError::io("make control group", cgroup.as_ref(), source))?;
        ledger.made(&row).await?;

        let namespace = names::cluster_namespace(cluster.uuid);
        let known = self.store.resources(cluster.uuid).await?;
        let is_made = known.iter().any(|row| is_namespace(row, namespace.name()) && row.state == ResourceState::Made);
        if !(is_made && namespace.exists()) {
            self.refuse_foreign(cluster.uuid, namespace.name()).await?;
            let attributes = json!({ "subnet": self.options.subnet.to_string() });
            let row = ledger.plan(None, ResourceKind::Namespace, namespace.name(), attributes).await?;
            network::create_cluster(&namespace, Addresses(self.options.subnet)).await?;
            self.end_cut_off(snapshot);
            ledger.made(&row).await?;
        }
        self.serve(cluster, &snapshot.template, &namespace).await
    }

    /// Nodes that still run were cut off with the network before this one: they are started anew.
    fn end_cut_off(&self, snapshot: &Snapshot) {
        for node in &snapshot.nodes {
            node::end_now(&names::node_folder(&self.options.state_dir, &snapshot.cluster, node));
        }
    }

    /// Two clusters whose identities begin alike would share a namespace; one in four thousand million does.
    async fn refuse_foreign(&self, cluster: Uuid, namespace: &str) -> Result<(), LocalError> {
        for other in self.store.all_clusters_with_resources().await? {
            if other == cluster {
                continue;
            }
            if self.store.resources(other).await?.iter().any(|row| is_namespace(row, namespace)) {
                return Err(LocalError::Hopeless(format!(
                    "the namespace {namespace} belongs to cluster {other}; delete this cluster and make it anew"
                )));
            }
        }
        Ok(())
    }

    /// Opens what a cluster's agents and clients call, unless it is open.
    async fn serve(
        &self,
        cluster: &Cluster,
        template: &ClusterTemplate,
        namespace: &Namespace,
    ) -> Result<(), LocalError> {
        if self.is_served(cluster.uuid) {
            return Ok(());
        }
        let gateway = Addresses(self.options.subnet).gateway();
        let address = |port| SocketAddr::from((gateway, port));
        let listener = |name, socket, connections| {
            let limits = Limits { connections, ..self.options.limits };
            Listener::new(name, socket, &self.options.connections, limits)
        };
        let mut tasks = JoinSet::new();
        match namespace.listen(address(listener::PORT)).await {
            Ok(agents) => {
                let tls = ListenerTls::new(self.store.clone(), self.vault.clone(), cluster.uuid, gateway);
                tls.current().await?;
                let (store, tls) = (self.store.clone(), Arc::new(tls));
                let agents = listener("agents", agents, listener::CONNECTIONS);
                tasks.spawn(AgentListener::new(store, tls, cluster.uuid).run(agents));

                let api = self.open_port(cluster).await?;
                let (store, port) = (self.store.clone(), engine::port(template));
                let (space, patience) = (namespace.clone(), self.options.limits.handshake);
                let forwarder = Forwarder { store, cluster: cluster.uuid, namespace: space, port, patience };
                let api = listener("cluster API", api, forward::CONNECTIONS).with_far_ends();
                tasks.spawn(forwarder.run(api));

                if self.options.outbound_proxy {
                    let out = namespace.listen(address(egress_proxy::PORT)).await;
                    let out = out.map_err(|source| socket("listen for the cluster's way out", source))?;
                    let rules = self.options.egress.clone();
                    let limits =
                        Limits { connections: rules.connections, stream_idle: rules.idle, ..self.options.limits };
                    let out = Listener::new("way out", out, &self.options.connections, limits).with_far_ends();
                    tasks.spawn(egress_proxy::run(out, rules));
                }
            }
            // Nobody else gets in there: another conductor of this machine serves the cluster. When it ends, the
            // cluster is found not to be served, and taken over.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tracing::info!(cluster = %cluster.uuid, "another process of this machine serves this cluster");
                tasks.spawn(until_free(namespace.clone(), address(listener::PORT)));
            }
            Err(source) => return Err(socket("listen for the cluster's agents", source)),
        }
        // Another process may delete the cluster: what is held open here must not keep its port and its namespace.
        tasks.spawn(until_gone(namespace.clone()));
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.insert(cluster.uuid, Served { tasks });
        Ok(())
    }

    /// Listens on the cluster's port of this machine: the one it has, or one that is free.
    async fn open_port(&self, cluster: &Cluster) -> Result<TcpListener, LocalError> {
        let _alone = self.choosing_port.lock().await;
        let known =
            self.store.resources(cluster.uuid).await?.into_iter().find(|row| row.kind == ResourceKind::Port.as_str());
        if let Some(row) = known {
            match TcpListener::bind(&row.name).await {
                Ok(listener) => return Ok(listener),
                // Nobody was told of the port yet, so another does as well.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && cluster.api_address.is_none() => {
                    self.store.delete_resource(row.id).await?;
                }
                Err(source) => {
                    let what = format!("listen on {}, the address of cluster {}", row.name, cluster.display_name());
                    return Err(LocalError::Socket { what, source });
                }
            }
        }
        let listener = self.free_port().await?;
        let address = listener.local_addr().map_err(|source| socket("read the address of a port", source))?;
        let ledger = Ledger { store: &self.store, cluster: cluster.uuid };
        let row = ledger.plan(None, ResourceKind::Port, &address.to_string(), json!({})).await?;
        ledger.made(&row).await?;
        Ok(listener)
    }

    /// Listens on a port that neither the ledger gives to a cluster nor another program of this machine uses.
    pub(super) async fn free_port(&self) -> Result<TcpListener, LocalError> {
        let mut reserved = HashSet::new();
        for cluster in self.store.all_clusters_with_resources().await? {
            let rows = self.store.resources(cluster).await?;
            reserved.extend(rows.into_iter().filter(|row| row.kind == ResourceKind::Port.as_str()).map(|row| row.name));
        }
        for port in self.options.api_ports.clone() {
            let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
            if reserved.contains(&address.to_string()) {
                continue;
            }
            if let Ok(listener) = TcpListener::bind(address).await {
                return Ok(listener);
            }
        }
        let (first, last) = (self.options.api_ports.start(), self.options.api_ports.end());
        Err(LocalError::Hopeless(format!(
            "no port of 127.0.0.1 from {first} to {last} is free for the cluster's API: delete a cluster, end the \
             programs that use them, or configure another range"
        )))
    }

    /// Closes what is held open for the cluster and removes all that the ledger still has, latest first.
    pub(super) async fn destroy_network(&self, snapshot: &Snapshot) -> Result<(), LocalError> {
        let cluster = snapshot.cluster.uuid;
        let _alone = self.lock(cluster).await;
        let closed = self.served.lock().unwrap_or_else(PoisonError::into_inner).remove(&cluster);
        if let Some(mut served) = closed {
            served.tasks.shutdown().await;
        }
        let mut rows = self.store.resources(cluster).await?;
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        for row in rows {
            self.forget_rotation(&row).await?;
            self.places.remove(&row).await?;
            self.store.delete_resource(row.id).await?;
        }
        Ok(())
    }

    /// A client of the managers' engines, by the way that tenants take.
    pub(super) async fn engine(&self, snapshot: &Snapshot) -> Result<EngineClient, LocalError> {
        let address = self.api_address(snapshot).await?;
        if snapshot.template.tls_disabled {
            return Ok(EngineClient::plain(&address)?);
        }
        let ca = self.authority_certificate(&snapshot.cluster).await?;
        let identity = self.vault.client_identity(&snapshot.cluster).await?.to_pem()?;
        Ok(EngineClient::tls(&address, &ca, &identity)?)
    }

    /// The cluster's own CA, as PEM.
    pub(super) async fn authority_certificate(&self, cluster: &Cluster) -> Result<String, LocalError> {
        Ok(self.vault.authority_certificate(cluster, Authority::Cluster).await?)
    }

    async fn api_address(&self, snapshot: &Snapshot) -> Result<String, LocalError> {
        let rows = self.store.resources(snapshot.cluster.uuid).await?;
        let port = rows.into_iter().find(|row| row.kind == ResourceKind::Port.as_str());
        let port =
            port.ok_or_else(|| LocalError::Hopeless("the cluster has no port on this machine yet".to_owned()))?;
        Ok(format!("tcp://{}", port.name))
    }

    /// Reads addresses and versions off a cluster that is up.
    pub(super) async fn facts(&self, snapshot: &Snapshot) -> Result<Facts, LocalError> {
        let version = self.engine(snapshot).await?.info().await?.server_version;
        Ok(Facts {
            api_address: Some(self.api_address(snapshot).await?),
            stack_id: Some(names::cluster_namespace(snapshot.cluster.uuid).name().to_owned()),
            // Swarm mode is part of the engine, and has no version of its own.
            coe_version: Some(version.clone()),
            container_version: Some(version),
        })
    }
}

fn is_namespace(row: &Resource, name: &str) -> bool {
    row.kind == ResourceKind::Namespace.as_str() && row.name == name
}

fn socket(what: &str, source: io::Error) -> LocalError {
    LocalError::Socket { what: what.to_owned(), source }
}

async fn until_gone(namespace: Namespace) {
    while namespace.exists() {
        tokio::time::sleep(LOOK).await;
    }
}

async fn until_free(namespace: Namespace, address: SocketAddr) {
    while namespace.listen(address).await.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) {
        tokio::time::sleep(LOOK).await;
    }
}
