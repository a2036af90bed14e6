//! Puts the crates together. Only here are implementations named.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use async_trait::async_trait;
use axum::Router;
use axum::http::Uri;
use magnum_api::{
    ApiOptions, ApiState, CorsRule, DriverPlanner, HealthOptions, LinkOptions, LocalCloud, Metrics, NetworkDrivers,
    Projects, RateOptions, SizeLimits, StreamOptions,
};
use magnum_certs::{KeyKind, SEALED, SealKey, SigningRules, Vault};
use magnum_conductor::{Conductor, Options as ConductorOptions};
use magnum_config::{CorsSettings, IdentityBackend, Settings, Sources};
use magnum_domain::cloud;
use magnum_domain::driver::{ClusterType, Driver, Drivers};
use magnum_drivers::local::{EgressRules, LocalDriver, LocalOptions};
use magnum_identity::{Authenticator, Bootstrap, BuiltIn, NoAuth, Options as IdentityOptions, ServiceCatalog};
use magnum_policy::{Options as PolicyOptions, Policy};
use magnum_store::{ConnectOptions, Store, StoreError};
use prometheus_client::registry::Registry;
use secrecy::ExposeSecret;

use crate::cli::{self, ConfigFiles};
use crate::cloud::Cloud;
use crate::connections::Connections;
use crate::named;
use crate::state_dir::StateDir;

/// Sealed texts of each kind that the key is tried on at the start.
const SEALED_SAMPLE: u64 = 5;

/// Reads the configuration. The command line outweighs files.
pub(crate) fn settings(files: &ConfigFiles, state: &cli::StateDir) -> anyhow::Result<Settings> {
    let mut sources = sources(files)?;
    if let Some(path) = &state.state_dir {
        sources = sources.with("DEFAULT", "state_path", std::path::absolute(path)?.display().to_string());
    }
    if files.debug {
        sources = sources.with("DEFAULT", "debug", "true");
    }
    for (name, value) in &files.overrides {
        sources = sources.with("DEFAULT", name, value.clone());
    }
    Ok(Settings::load(&sources)?)
}

/// The files that options come from.
pub(crate) fn sources(files: &ConfigFiles) -> anyhow::Result<Sources> {
    // A variable that is no text is none of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let program = named::name().unwrap_or("magnum");
    with_usual_state(Sources::discover(program, &files.config_file, &files.config_dir, variables))
}

/// The same with the state folder of whoever runs this, unless something names another.
pub(crate) fn with_usual_state(sources: Sources) -> anyhow::Result<Sources> {
    if nix::unistd::geteuid().is_root() {
        return Ok(sources);
    }
    Ok(sources.with_default("DEFAULT", "state_path", StateDir::default_path()?.display().to_string()))
}

/// Connects to the database and brings our own tables to the newest state.
pub(crate) async fn store(settings: &Settings, state: &StateDir) -> anyhow::Result<(Store, SealKey)> {
    let database = &settings.database;
    let options = ConnectOptions {
        max_connections: database.max_pool_size.saturating_add(database.max_overflow).clamp(2, 100),
        acquire_timeout: database.pool_timeout,
        max_lifetime: database.connection_recycle_time,
    };
    let store = connect(settings, &options).await?;
    store.migrate().await.context("the database's schema can't be brought to the newest state")?;
    let seal = seal_key(settings, &store, &state.join("secret.key")).await?;
    Ok((store.with_seal(seal.clone()), seal))
}

/// The key of the state folder. It is made where there is nothing yet that was sealed; beside a database that holds
/// sealed secrets it must be there, and be the one that they were sealed with.
async fn seal_key(settings: &Settings, store: &Store, path: &Path) -> anyhow::Result<SealKey> {
    let key = SealKey::load_existing(path)?;
    let sealed = store.sealed_texts(SEALED, SEALED_SAMPLE).await.context("sealed secrets can't be looked for")?;
    let opened = |key: &SealKey| sealed.iter().filter(|text| key.open(text).is_ok()).count();
    let problem = match &key {
        _ if sealed.is_empty() => None,
        None => Some("is missing"),
        Some(key) if opened(key) == 0 => Some("is not the key"),
        Some(key) => {
            let lost = sealed.len() - opened(key);
            if lost > 0 {
                tracing::warn!(lost, "secrets in the database can't be opened: they were sealed with another key");
            }
            None
        }
    };
    if let Some(problem) = problem {
        let file = path.display();
        anyhow::ensure!(
            settings.get::<bool>("certificates", "accept_lost_key")?,
            "{file} {problem} that secrets in the database were sealed with (tokens of nodes, pass phrases of keys): \
             bring it back from a backup, or from another machine that uses this database, with mode 0600; if [DEFAULT] \
             state_path should be another folder, name that. If no copy is left, [certificates] accept_lost_key = true \
             starts without what was sealed"
        );
        tracing::error!("{file} {problem} that secrets in the database were sealed with: what they hold is lost");
    }
    match key {
        Some(key) => Ok(key),
        None => Ok(SealKey::load_or_create(path)?),
    }
}

/// Connects; tried again as `[database] max_retries` and `retry_interval` say, for a database that starts at the same time.
async fn connect(settings: &Settings, options: &ConnectOptions) -> anyhow::Result<Store> {
    let database = &settings.database;
    let mut left = database.max_retries;
    loop {
        match Store::connect(database.url().expose_secret(), options).await {
            Err(error @ StoreError::Unavailable(_)) if left != 0 => {
                let pause = database.retry_interval;
                tracing::warn!(%error, ?pause, "the database does not answer; trying again");
                tokio::time::sleep(pause).await;
                left = if left > 0 { left - 1 } else { left };
            }
            connected => return connected.context("the database can't be opened: see [database] connection"),
        }
    }
}

/// The vault for clusters' certificates.
pub(crate) fn vault(settings: &Settings, store: &Store, seal: SealKey) -> anyhow::Result<Vault> {
    let kind = KeyKind::rsa(settings.x509.rsa_key_size)
        .with_context(|| format!("[x509] rsa_key_size is {}: no such keys are made", settings.x509.rsa_key_size))?;
    Ok(Vault::new(store.clone(), seal)
        .making(settings.x509.term_of_validity, kind)
        .with_plain_pass_phrases(settings.certificates.has_plain_pass_phrases()))
}

/// The drivers that are offered, by name, and what each makes. Brings none up.
pub(crate) fn offered(settings: &Settings) -> Vec<(&'static str, Vec<ClusterType>)> {
    let disabled = |name: &str| settings.drivers.disabled_drivers.iter().any(|disabled| disabled == name);
    let local = settings.local.enabled && !disabled(LocalDriver::NAME);
    local.then(|| (LocalDriver::NAME, LocalDriver::cluster_types())).into_iter().collect()
}

/// The drivers that are offered.
pub(crate) fn drivers(
    settings: &Settings,
    store: &Store,
    vault: &Vault,
    connections: &Connections,
) -> anyhow::Result<Drivers> {
    let mut drivers: Vec<Arc<dyn Driver>> = Vec::new();
    let disabled = |name: &str| settings.drivers.disabled_drivers.iter().any(|disabled| disabled == name);
    if settings.local.enabled && !disabled("local") {
        let local = LocalDriver::new(local_options(settings, connections)?, store.clone(), vault.clone());
        drivers.push(Arc::new(local));
    }
    Ok(Drivers::new(drivers))
}

fn local_options(settings: &Settings, connections: &Connections) -> anyhow::Result<LocalOptions> {
    let local = &settings.local;
    let agent = match &local.agent_path {
        Some(path) => path.clone(),
        None => beside_this_program("magnum-agent")?,
    };
    let ipnet::IpNet::V4(subnet) = local.subnet else {
        bail!("[local] subnet is {}, but local nodes have IPv4 addresses", local.subnet)
    };
    let mut options = LocalOptions::new(local.state_dir.clone(), agent);
    options.subnet = subnet;
    options.max_nodes = local.max_nodes;
    options.api_ports = local.api_ports.first..=local.api_ports.last;
    options.parallel_steps = local.parallel_steps.unwrap_or(options.parallel_steps);
    options.connections = connections.clusters.clone();
    options.limits = connections.limits;
    let each = |name: &str, value: &str| format!("[local] {name}: {value:?} can't be used");
    let ports =
        local.egress_ports.iter().map(|port| port.parse::<NonZeroU16>().with_context(|| each("egress_ports", port)));
    let networks = local.egress_refused_networks.iter();
    let networks = networks.map(|network| network.parse().with_context(|| each("egress_refused_networks", network)));
    options.egress = EgressRules {
        ports: ports.map(|port| port.map(NonZeroU16::get)).collect::<anyhow::Result<_>>()?,
        refused: networks.collect::<anyhow::Result<_>>()?,
        connections: local.egress_connections,
        idle: local.egress_idle_timeout,
    };
    Ok(options)
}

/// Where a program that comes with this one is: beside it, or wherever `PATH` has it.
fn beside_this_program(name: &str) -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(beside.clone())
        .chain(std::env::split_paths(&path).map(|folder| folder.join(name)))
        .find(|candidate| candidate.is_file());
    // The driver's preflight says that it is missing, when somebody wants a cluster.
    Ok(found.unwrap_or(beside))
}

/// A conductor on these drivers.
pub(crate) fn conductor(settings: &Settings, shared: &Shared) -> Conductor {
    let conductor = &settings.conductor;
    let options = ConductorOptions {
        host: host_name(settings),
        lease: conductor.lease,
        concurrency: conductor.concurrency,
        parallel_steps: conductor.parallel_steps.unwrap_or(ConductorOptions::default().parallel_steps),
        health_interval: conductor.health_interval.unwrap_or_default(),
        drain_timeout: settings.service.graceful_shutdown_timeout,
        attempts: conductor.attempts,
        max_interruptions: conductor.max_interruptions,
        keep_history: conductor.keep_history,
    };
    Conductor::new(shared.store.clone(), shared.vault.clone(), shared.drivers.clone(), options)
}

fn host_name(settings: &Settings) -> String {
    let of_the_machine = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    settings.service.host.clone().or_else(of_the_machine).unwrap_or_else(|| "localhost".to_owned())
}

/// Who is asking, and the routes that the built-in identity adds.
pub(crate) struct Identity {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) routes: Option<Router>,
    /// Whether `clouds.yaml` says how to log in.
    pub(crate) built_in: bool,
}

/// Sets up what `[identity] backend` and `auth_strategy` ask for.
pub(crate) async fn identity(
    settings: &Settings,
    store: &Store,
    state: &StateDir,
    cloud: Option<&Cloud>,
    bind: SocketAddr,
    url: &str,
) -> anyhow::Result<Identity> {
    match settings.identity.backend.context("it is not clear who callers are: see [identity] backend")? {
        IdentityBackend::NoAuth if !bind.ip().is_loopback() => {
            bail!("auth_strategy = noauth believes every caller: it is for loopback addresses only, not for {bind}")
        }
        IdentityBackend::NoAuth => {
            // The address that clients are told of is a name of this service, too.
            let public = settings.identity.public_url.as_deref().and_then(|url| url.parse::<Uri>().ok());
            let hosts = public.as_ref().and_then(Uri::host).map(str::to_owned).into_iter().collect();
            Ok(Identity { authenticator: Arc::new(NoAuth { hosts }), routes: None, built_in: false })
        }
        IdentityBackend::Keystone => {
            let cloud = cloud.context("a Keystone is wanted, but there is no cloud")?;
            Ok(Identity { authenticator: cloud.authenticator(settings)?, routes: None, built_in: false })
        }
        IdentityBackend::Builtin => {
            let lookup = ServiceCatalog::of_this_process(&settings.identity.region, url);
            let options = IdentityOptions {
                token_lifetime: settings.identity.token_expiration,
                proxy_headers: settings.limits.trust_proxy_headers,
                writes_per_second: settings.limits.writes_per_second,
                write_burst: settings.limits.write_burst,
                tokens_per_user: settings.limits.tokens_per_user,
                ..IdentityOptions::default()
            };
            let built_in = BuiltIn::new(store, lookup, options)?;
            let is_first = !store.identity().has_role_named("admin").await?;
            if is_first || state.join("clouds.yaml").exists() {
                let passwords = state.passwords(url, &settings.identity.region)?;
                let first = Bootstrap { admin_password: passwords.admin, demo_password: Some(passwords.demo) };
                built_in.bootstrap(&first).await?;
            } else {
                // New passwords in it would be nobody's.
                tracing::info!("there is no clouds.yaml; passwords are as they were set");
            }
            let routes = Router::new().nest_service("/identity", built_in.router());
            Ok(Identity { authenticator: Arc::new(built_in), routes: Some(routes), built_in: true })
        }
    }
}

/// Files of labels that the site declares itself.
pub(crate) fn label_files(settings: &Settings) -> anyhow::Result<Vec<PathBuf>> {
    let names: Vec<String> = settings.get("cluster_template", "label_files")?;
    let names = names.iter().filter(|name| !name.is_empty());
    Ok(names.map(|name| settings.find_file(name).unwrap_or_else(|| PathBuf::from(name))).collect())
}

/// The policy in force.
pub(crate) fn policy(settings: &Settings) -> anyhow::Result<Policy> {
    let policy = &settings.policy;
    Ok(Policy::load(PolicyOptions {
        file: policy.file.clone(),
        folders: policy.folders.clone(),
        fallback: policy.default_rule.clone(),
        enforce_new_defaults: policy.enforce_new_defaults,
        enforce_scope: policy.enforce_scope,
    })?)
}

/// What API and conductor share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) drivers: Drivers,
    pub(crate) policy: Arc<Policy>,
}

/// The API's routes.
pub(crate) fn api(
    settings: &Settings,
    shared: &Shared,
    authenticator: Arc<dyn Authenticator>,
    cloud: Option<&Cloud>,
    tls: bool,
    bind: SocketAddr,
) -> anyhow::Result<Router> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let lookup = match cloud {
        Some(cloud) => cloud.cloud(settings)?,
        None => local_cloud(settings, shared)?,
    };
    let default_boot_volume_size = settings.get::<i64>("cinder", "default_boot_volume_size")?;
    Ok(magnum_api::router(ApiState {
        store: shared.store.clone(),
        policy: shared.policy.clone(),
        authenticator,
        vault: shared.vault.clone(),
        planner: Arc::new(DriverPlanner::new(shared.drivers.clone())),
        cloud: lookup,
        metrics,
        registry: Arc::new(registry),
        options: ApiOptions { default_boot_volume_size, ..api_options(settings, tls, bind) },
    }))
}

/// What this machine has, where there is no cloud.
fn local_cloud(settings: &Settings, shared: &Shared) -> anyhow::Result<Arc<dyn cloud::CloudLookup>> {
    let mut lookup = LocalCloud::built_in().map_err(anyhow::Error::msg)?;
    if settings.identity.backend == Some(IdentityBackend::Builtin) {
        lookup = lookup.with_projects(Arc::new(BuiltInProjects(shared.store.clone())));
    }
    Ok(Arc::new(lookup))
}

/// The projects of the built-in identity.
struct BuiltInProjects(Store);

#[async_trait]
impl Projects for BuiltInProjects {
    async fn exists(&self, id: &str) -> Result<bool, String> {
        let found = self.0.identity().find_project(id).await;
        found.map(|project| project.is_some()).map_err(|error| error.to_string())
    }
}

fn cors(settings: &CorsSettings) -> CorsRule {
    CorsRule {
        origins: settings.allowed_origin.clone(),
        allow_credentials: settings.allow_credentials,
        expose_headers: settings.expose_headers.clone(),
        max_age: settings.max_age,
        allow_methods: settings.allow_methods.clone(),
        allow_headers: settings.allow_headers.clone(),
    }
}

fn api_options(settings: &Settings, tls: bool, bind: SocketAddr) -> ApiOptions {
    let x509 = &settings.x509;
    let templates = &settings.cluster_template;
    let network = |allowed: &[String], preset: &str| NetworkDrivers {
        allowed: Some(allowed.to_vec()),
        preset: Some(preset.to_owned()).filter(|preset| !preset.is_empty()),
    };
    let swarm = network(&templates.swarm_allowed_network_drivers, &templates.swarm_default_network_driver);
    ApiOptions {
        max_limit: settings.api.max_limit.into(),
        body_limit: settings.limits.max_request_body_size,
        links: LinkOptions { tls, proxy_headers: settings.limits.trust_proxy_headers, fallback_host: bind.to_string() },
        cors: settings.cors.iter().map(cors).collect(),
        health: HealthOptions {
            disable_by_file: settings.healthcheck.disable_by_file_path.clone(),
            detailed: settings.healthcheck.detailed,
            ..HealthOptions::default()
        },
        max_clusters_per_project: settings.quotas.max_clusters_per_project,
        service_down_time: settings.service.service_down_time,
        default_driver: settings.drivers.default_driver.clone(),
        network_drivers: [
            (
                "kubernetes".to_owned(),
                network(&templates.kubernetes_allowed_network_drivers, &templates.kubernetes_default_network_driver),
            ),
            ("swarm".to_owned(), swarm.clone()),
            ("swarm-mode".to_owned(), swarm),
            (
                "mesos".to_owned(),
                network(&templates.mesos_allowed_network_drivers, &templates.mesos_default_network_driver),
            ),
        ]
        .into(),
        signing: SigningRules {
            validity_days: x509.term_of_validity,
            allow_ca: x509.allow_ca,
            allowed_extensions: x509.allowed_extensions.clone(),
            allowed_key_usage: x509.allowed_key_usage.clone(),
        },
        sizes: SizeLimits {
            nodes_per_nodegroup: settings.limits.max_nodes_per_nodegroup,
            nodes_per_cluster: settings.limits.max_nodes_per_cluster,
            nodegroups_per_cluster: settings.limits.max_nodegroups_per_cluster,
            volume_gigabytes: settings.limits.max_volume_size,
            timeout_minutes: settings.limits.max_create_timeout,
        },
        streams: StreamOptions {
            per_project: settings.limits.event_streams,
            per_user: settings.limits.event_streams_per_user,
            // What they hold open is never taken away for another connection: some of those are left.
            altogether: settings.limits.event_streams_altogether.min(settings.limits.max_connections / 2),
            look_again: settings.limits.event_stream_check,
        },
        rates: RateOptions {
            requests_per_second: settings.limits.requests_per_second,
            request_burst: settings.limits.request_burst,
            writes_per_second: settings.limits.writes_per_second,
            write_burst: settings.limits.write_burst,
            failures_per_minute: settings.limits.failed_authentications_per_minute,
            signatures_at_once: settings.limits.concurrent_signatures,
            ..RateOptions::default()
        },
        create_timeout: settings.cluster.create_timeout,
        ..ApiOptions::default()
    }
}
