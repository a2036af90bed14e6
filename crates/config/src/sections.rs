//! The groups as structs, for those who use them. Every field is the option of the same name, where nothing else is
//! said; what it does and its default are in `data/options.yaml`.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use crate::identity;
use crate::settings::Values;
use crate::value::{GetError, PortRange};

/// A struct whose fields are options of one group.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident = $group:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            pub(crate) fn read(values: &Values) -> Result<Self, GetError> {
                Ok(Self { $($field: values.get($group, stringify!($field))?,)* })
            }
        }
    };
}

section! {
    /// `[api]`.
    ApiSettings = "api" {
        /// Address to listen on.
        host: IpAddr,
        /// Port to listen on.
        port: u16,
        /// Most entries in one answer.
        max_limit: u32,
        /// Whether to serve TLS.
        enabled_ssl: bool,
        /// Certificate in PEM.
        ssl_cert_file: Option<PathBuf>,
        /// Its key in PEM.
        ssl_key_file: Option<PathBuf>,
    }
}

section! {
    /// `[database]`.
    DatabaseSettings = "database" {
        /// SQLAlchemy's notation.
        connection: SecretString,
        /// To add to the connection's parameters; may be empty.
        connection_parameters: String,
        /// Connections kept open.
        max_pool_size: u32,
        /// Connections beyond those.
        max_overflow: u32,
        /// Longest wait for a connection.
        pool_timeout: Duration,
        /// Age at which a connection is replaced.
        connection_recycle_time: Duration,
        /// Attempts to connect at the start; -1 for no end.
        max_retries: i32,
        /// Pause between them.
        retry_interval: Duration,
    }
}

impl DatabaseSettings {
    /// The connection with what is to be added to its parameters.
    #[must_use]
    pub fn url(&self) -> SecretString {
        let connection = self.connection.expose_secret();
        match self.connection_parameters.trim().trim_start_matches(['?', '&']) {
            "" => self.connection.clone(),
            more => format!("{connection}{}{more}", if connection.contains('?') { '&' } else { '?' }).into(),
        }
    }
}

section! {
    /// `[quotas]`.
    QuotaSettings = "quotas" {
        /// Clusters of a project without a quota of its own; -1 for any number.
        max_clusters_per_project: i32,
    }
}

section! {
    /// `[certificates]`.
    CertificateSettings = "certificates" {
        /// Keeper of keys: x509keypair, or one that there is no code for; nothing for the database, sealed.
        cert_manager_type: Option<String>,
        /// How their pass phrases are kept: plain or sealed.
        pass_phrases: Option<String>,
    }
}

impl CertificateSettings {
    /// Whether pass phrases are kept as upstream keeps them, which can read them then.
    #[must_use]
    pub fn has_plain_pass_phrases(&self) -> bool {
        let like_upstream = self.cert_manager_type.as_deref() == Some("x509keypair");
        self.pass_phrases.as_deref().map_or(like_upstream, |kept| kept == "plain")
    }
}

section! {
    /// `[x509]`.
    X509Settings = "x509" {
        /// Whether certificates of authorities are signed.
        allow_ca: bool,
        /// Names of extensions, as OpenSSL's.
        allowed_extensions: Vec<String>,
        /// Names of key usages, as OpenSSL's.
        allowed_key_usage: Vec<String>,
        /// Days.
        term_of_validity: u32,
        /// Bits: 2048, 3072 or 4096.
        rsa_key_size: u32,
    }
}

section! {
    /// `[cluster_template]`. An allowed list of `all` allows any.
    ClusterTemplateSettings = "cluster_template" {
        /// For Kubernetes.
        kubernetes_allowed_network_drivers: Vec<String>,
        /// For Kubernetes.
        kubernetes_default_network_driver: String,
        /// For Swarm.
        swarm_allowed_network_drivers: Vec<String>,
        /// For Swarm.
        swarm_default_network_driver: String,
        /// For Mesos.
        mesos_allowed_network_drivers: Vec<String>,
        /// For Mesos.
        mesos_default_network_driver: String,
    }
}

section! {
    /// `[drivers]`.
    DriverSettings = "drivers" {
        /// Names of drivers.
        disabled_drivers: Vec<String>,
        /// Names of drivers.
        enabled_beta_drivers: Vec<String>,
        /// Name of a driver.
        default_driver: Option<String>,
    }
}

section! {
    /// `[local]`.
    LocalSettings = "local" {
        /// Whether the driver is offered.
        enabled: bool,
        /// Folder for the nodes.
        state_dir: PathBuf,
        /// The `magnum-agent` program.
        agent_path: Option<PathBuf>,
        /// The `dockerd` program.
        engine_path: Option<PathBuf>,
        /// Addresses of nodes.
        subnet: IpNet,
        /// Ports on 127.0.0.1.
        api_ports: PortRange,
        /// Ports of public addresses that nodes reach.
        egress_ports: Vec<String>,
        /// Public networks that they do not.
        egress_refused_networks: Vec<String>,
        /// Connections of one cluster at the same time.
        egress_connections: usize,
        /// Silence after which one of them is closed.
        egress_idle_timeout: Duration,
        /// Nodes at the same time.
        max_nodes: u32,
        /// Nodes that are started, brought up or removed at the same time.
        parallel_steps: Option<NonZeroUsize>,
    }
}

/// `[cors]` or one of `[cors.NAME]`: what holds for some origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    /// Origins, or `*`.
    pub allowed_origin: Vec<String>,
    /// Whether credentials may be sent.
    pub allow_credentials: bool,
    /// Names of headers.
    pub expose_headers: Vec<String>,
    /// For how long the answer to a preflight request is good.
    pub max_age: Duration,
    /// Methods.
    pub allow_methods: Vec<String>,
    /// Names of headers.
    pub allow_headers: Vec<String>,
}

impl CorsSettings {
    /// Those that name origins, `[cors]` first. What `[cors.NAME]` does not set is as in `[cors]`.
    pub(crate) fn read(values: &Values) -> Result<Vec<Self>, GetError> {
        const GROUP: &str = "cors";
        let common = Self {
            allowed_origin: values.get::<Option<_>>(GROUP, "allowed_origin")?.unwrap_or_default(),
            allow_credentials: values.get(GROUP, "allow_credentials")?,
            expose_headers: values.get(GROUP, "expose_headers")?,
            max_age: values.get(GROUP, "max_age")?,
            allow_methods: values.get(GROUP, "allow_methods")?,
            allow_headers: values.get(GROUP, "allow_headers")?,
        };
        let mut all = vec![common.clone()];
        for group in values.named_groups("cors.") {
            all.push(Self {
                allowed_origin: values.get::<Option<_>>(group, "allowed_origin")?.unwrap_or_default(),
                allow_credentials: values
                    .get::<Option<_>>(group, "allow_credentials")?
                    .unwrap_or(common.allow_credentials),
                expose_headers: values
                    .get::<Option<_>>(group, "expose_headers")?
                    .unwrap_or(common.expose_headers.clone()),
                max_age: values.get::<Option<_>>(group, "max_age")?.unwrap_or(common.max_age),
                allow_methods: values.get::<Option<_>>(group, "allow_methods")?.unwrap_or(common.allow_methods.clone()),
                allow_headers: values.get::<Option<_>>(group, "allow_headers")?.unwrap_or(common.allow_headers.clone()),
            });
        }
        all.retain(|rule| !rule.allowed_origin.is_empty());
        Ok(all)
    }
}

section! {
    /// `[healthcheck]`.
    HealthcheckSettings = "healthcheck" {
        /// While this file is there the answer is 503.
        disable_by_file_path: Option<PathBuf>,
        /// Whether the answer tells about the program.
        detailed: bool,
    }
}

section! {
    /// Of `[DEFAULT]`, what concerns the log.
    LogSettings = "DEFAULT" {
        /// More of it. Taken over on SIGHUP.
        debug: bool,
        /// JSON lines.
        use_json: bool,
    }
}

section! {
    /// Of `[DEFAULT]`, what concerns the service as a whole.
    ServiceSettings = "DEFAULT" {
        /// Name under which this process reports itself; nothing for the host's name.
        host: Option<String>,
        /// Folder for everything that is kept.
        state_path: PathBuf,
        /// Silence after which a conductor counts as down.
        service_down_time: Duration,
        /// How long running work may take to end.
        graceful_shutdown_timeout: Duration,
    }
}

/// `[conductor]`, and when the health of clusters is looked at.
#[derive(Debug, Clone)]
pub struct ConductorSettings {
    /// Operations at the same time.
    pub concurrency: usize,
    /// Steps at the same time, all operations together.
    pub parallel_steps: Option<NonZeroUsize>,
    /// Silence after which another conductor takes an operation over.
    pub lease: Duration,
    /// Attempts at an operation.
    pub attempts: i32,
    /// Conductors that one operation may take down.
    pub max_interruptions: i32,
    /// For how long events and operations of deleted clusters are kept; hours in the file.
    pub keep_history: Duration,
    /// `[kubernetes] health_polling_interval`: pause between two looks at a cluster's health; nothing for no looks,
    /// which `[DEFAULT] periodic_enable` can say as well.
    pub health_interval: Option<Duration>,
}

impl ConductorSettings {
    pub(crate) fn read(values: &Values) -> Result<Self, GetError> {
        let hours: u64 = values.get("conductor", "keep_history")?;
        let seconds: i64 = values.get("kubernetes", "health_polling_interval")?;
        let periodic: bool = values.get("DEFAULT", "periodic_enable")?;
        Ok(Self {
            concurrency: values.get("conductor", "concurrency")?,
            parallel_steps: values.get("conductor", "parallel_steps")?,
            lease: values.get("conductor", "lease")?,
            attempts: values.get("conductor", "attempts")?,
            max_interruptions: values.get("conductor", "max_interruptions")?,
            keep_history: Duration::from_secs(hours.saturating_mul(3600)),
            health_interval: u64::try_from(seconds).ok().filter(|_| periodic).map(Duration::from_secs),
        })
    }
}

/// What holds for clusters of all kinds.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// `[cluster_heat] create_timeout`: longest time to make a cluster, where the request does not say; minutes in
    /// the file.
    pub create_timeout: Duration,
}

impl ClusterSettings {
    pub(crate) fn read(values: &Values) -> Result<Self, GetError> {
        let minutes: u64 = values.get("cluster_heat", "create_timeout")?;
        Ok(Self { create_timeout: Duration::from_secs(minutes.saturating_mul(60)) })
    }
}

/// `[limits]`, and the limits that have another place upstream.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// `[oslo_middleware] max_request_body_size`, in bytes.
    pub max_request_body_size: usize,
    /// Requests of a project in a second; nothing for any number.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests of a project at once.
    pub request_burst: NonZeroU32,
    /// Failed authentications from one address in a minute; nothing for any number.
    pub failed_authentications_per_minute: Option<NonZeroU32>,
    /// Certificates that are signed at the same time.
    pub concurrent_signatures: usize,
    /// Connections of the API at a time.
    pub max_connections: usize,
    /// Connections of all clusters' listeners at a time.
    pub max_cluster_connections: usize,
    /// File descriptors that connections leave to the process itself.
    pub reserved_descriptors: u64,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take to come.
    pub head_timeout: Duration,
    /// How long the body of a request may take to come.
    pub body_timeout: Duration,
    /// Longest pause within a body.
    pub body_pause_timeout: Duration,
    /// How long a connection is kept open for its next request.
    pub idle_timeout: Duration,
    /// Longest wait for a client to take some of an answer.
    pub write_timeout: Duration,
    /// How long a connection through to a cluster may be silent.
    pub stream_idle_timeout: Duration,
    /// Password authentications from one address in a minute.
    pub login_attempts_per_minute: u32,
    /// Event streams of a project at the same time.
    pub event_streams: usize,
    /// Nodes of one node group.
    pub max_nodes_per_nodegroup: u32,
    /// Nodes of one cluster.
    pub max_nodes_per_cluster: u32,
    /// Node groups of one cluster.
    pub max_nodegroups_per_cluster: u32,
    /// GB of one volume.
    pub max_volume_size: u32,
    /// Minutes of one operation.
    pub max_create_timeout: u32,
    /// Event streams of a user at the same time.
    pub event_streams_per_user: usize,
    /// Event streams of all but administrators at the same time.
    pub event_streams_altogether: usize,
    /// How often it is looked whether a stream's user may still follow it.
    pub event_stream_check: Duration,
    /// Changes of a user in a second; nothing for any number.
    pub writes_per_second: Option<NonZeroU32>,
    /// Changes of a user at once.
    pub write_burst: NonZeroU32,
    /// Tokens of a user of the built-in identity that are good at the same time.
    pub tokens_per_user: u64,
    /// `[oslo_middleware] enable_proxy_headers_parsing`: whether `X-Forwarded-*` headers are believed.
    pub trust_proxy_headers: bool,
}

impl LimitSettings {
    pub(crate) fn read(values: &Values) -> Result<Self, GetError> {
        Ok(Self {
            max_request_body_size: values.get("oslo_middleware", "max_request_body_size")?,
            requests_per_second: NonZeroU32::new(values.get("limits", "requests_per_second")?),
            request_burst: NonZeroU32::new(values.get("limits", "request_burst")?).unwrap_or(NonZeroU32::MIN),
            failed_authentications_per_minute: NonZeroU32::new(
                values.get("limits", "failed_authentications_per_minute")?,
            ),
            concurrent_signatures: values.get("limits", "concurrent_signatures")?,
            max_connections: values.get("limits", "max_connections")?,
            max_cluster_connections: values.get("limits", "max_cluster_connections")?,
            reserved_descriptors: values.get("limits", "reserved_descriptors")?,
            handshake_timeout: values.get("limits", "handshake_timeout")?,
            head_timeout: values.get("limits", "head_timeout")?,
            body_timeout: values.get("limits", "body_timeout")?,
            body_pause_timeout: values.get("limits", "body_pause_timeout")?,
            idle_timeout: values.get("limits", "idle_timeout")?,
            write_timeout: values.get("limits", "write_timeout")?,
            stream_idle_timeout: values.get("limits", "stream_idle_timeout")?,
            login_attempts_per_minute: values.get("limits", "login_attempts_per_minute")?,
            event_streams: values.get("limits", "event_streams")?,
            max_nodes_per_nodegroup: values.get("limits", "max_nodes_per_nodegroup")?,
            max_nodes_per_cluster: values.get("limits", "max_nodes_per_cluster")?,
            max_nodegroups_per_cluster: values.get("limits", "max_nodegroups_per_cluster")?,
            max_volume_size: values.get("limits", "max_volume_size")?,
            max_create_timeout: values.get("limits", "max_create_timeout")?,
            event_streams_per_user: values.get("limits", "event_streams_per_user")?,
            event_streams_altogether: values.get("limits", "event_streams_altogether")?,
            event_stream_check: values.get("limits", "event_stream_check")?,
            writes_per_second: NonZeroU32::new(values.get("limits", "writes_per_second")?),
            write_burst: NonZeroU32::new(values.get("limits", "write_burst")?).unwrap_or(NonZeroU32::MIN),
            tokens_per_user: values.get("limits", "tokens_per_user")?,
            trust_proxy_headers: values.get("oslo_middleware", "enable_proxy_headers_parsing")?,
        })
    }
}

/// Where callers' identities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityBackend {
    /// The built-in identity.
    Builtin,
    /// Keystone.
    Keystone,
    /// Headers that are believed.
    NoAuth,
}

/// `[identity]`, with `[DEFAULT] auth_strategy`.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// `noauth` if `auth_strategy` says so, otherwise `backend`, otherwise Keystone if there is an address for it, otherwise
    /// the built-in one on the embedded database. Nothing if that leaves it unclear: [`Settings::meaning`] says why.
    ///
    /// [`Settings::meaning`]: crate::Settings::meaning
    pub backend: Option<IdentityBackend>,
    /// For how long a token is good.
    pub token_expiration: Duration,
    /// Wrong passwords after which a user is locked out.
    pub lockout_failure_attempts: u32,
    /// For how long.
    pub lockout_duration: Duration,
    /// Name of the region in the catalog.
    pub region: String,
    /// Address under which clients reach this service; nothing for what it listens on.
    pub public_url: Option<String>,
}

impl IdentitySettings {
    pub(crate) fn read(values: &Values) -> Result<Self, GetError> {
        Ok(Self {
            backend: identity::decide(values)?.0,
            token_expiration: values.get("identity", "token_expiration")?,
            lockout_failure_attempts: values.get("identity", "lockout_failure_attempts")?,
            lockout_duration: values.get("identity", "lockout_duration")?,
            region: values.get("identity", "region")?,
            public_url: values.get("identity", "public_url")?,
        })
    }
}

/// `[oslo_policy]`.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// `policy_file`, found next to the configuration files or where it would be; it need not exist.
    pub file: Option<PathBuf>,
    /// `policy_dirs`, likewise.
    pub folders: Vec<PathBuf>,
    /// `policy_default_rule`; nothing if empty.
    pub default_rule: Option<String>,
    /// Whether only the newer defaults hold.
    pub enforce_new_defaults: bool,
    /// Whether tokens of another scope than a rule is meant for are refused.
    pub enforce_scope: bool,
}

impl PolicySettings {
    pub(crate) fn read(values: &Values) -> Result<Self, GetError> {
        let file: String = values.get("oslo_policy", "policy_file")?;
        let folders: Vec<String> = values.get("oslo_policy", "policy_dirs")?;
        let default_rule: String = values.get("oslo_policy", "policy_default_rule")?;
        // Older releases wrote JSON, which their successors still found under the old name.
        let older = || (file == "policy.yaml").then(|| values.find_file("policy.json")).flatten();
        let found = values.find_file(&file).or_else(older).or_else(|| values.would_be(&file));
        Ok(Self {
            file: found,
            folders: folders
                .iter()
                .filter_map(|name| values.find_file(name).or_else(|| values.would_be(name)))
                .collect(),
            default_rule: Some(default_rule).filter(|rule| !rule.is_empty()),
            enforce_new_defaults: values.get("oslo_policy", "enforce_new_defaults")?,
            enforce_scope: values.get("oslo_policy", "enforce_scope")?,
        })
    }
}
