//! Settings of the API.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use magnum_certs::SigningRules;

use crate::link::LinkOptions;

/// Settings, with upstream's names and defaults where it has them.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// `[api] max_limit`: most items of a page. Default 1000.
    pub max_limit: u64,
    /// `[oslo_middleware] max_request_body_size`, in bytes. Default 114688.
    pub body_limit: usize,
    /// Longest path with query, in bytes. Default 8192.
    pub path_limit: usize,
    /// How links are made.
    pub links: LinkOptions,
    /// `[cors]` and `[cors.NAME]`; the first that names an origin holds. Default none, and no CORS headers.
    pub cors: Vec<CorsRule>,
    /// Whether `/metrics` answers others than this machine. Default no.
    pub public_metrics: bool,
    /// `[quotas] max_clusters_per_project`, for projects without a quota. Default 20.
    pub max_clusters_per_project: i32,
    /// `[DEFAULT] service_down_time`: how old the last heartbeat of a conductor that is up may be. Default 180 s.
    pub service_down_time: Duration,
    /// `[cinder] default_boot_volume_size`, in GB; 0: nodes boot from the flavor's disk. Default 0.
    pub default_boot_volume_size: i64,
    /// `[drivers] default_driver`, for templates that name none. Default none.
    pub default_driver: Option<String>,
    /// `[cluster_template] <coe>_allowed_network_drivers` and `<coe>_default_network_driver`, by COE. What is not
    /// here has the default of the table in `rules::coe`.
    pub network_drivers: BTreeMap<String, NetworkDrivers>,
    /// Group `[x509]`.
    pub signing: SigningRules,
    /// How large what one request asks for may be.
    pub sizes: SizeLimits,
    /// Who may hold how many event streams open.
    pub streams: StreamOptions,
    /// What `/healthcheck` looks at, and tells.
    pub health: HealthOptions,
    /// What one caller may ask for in a time.
    pub rates: RateOptions,
    /// How long a cluster may take to come up when the request does not say (`create_timeout` null or 0). Default 60 min.
    pub create_timeout: Duration,
}

/// What an operator says about the network drivers of one COE. `None` leaves the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkDrivers {
    /// Those that templates may name; the word `all` allows all that are supported.
    pub allowed: Option<Vec<String>>,
    /// What a template gets that names none.
    pub preset: Option<String>,
}

/// What pages of some origins may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsRule {
    /// Scheme, host and port, written as browsers write them; `*` for all that no rule names.
    pub origins: Vec<String>,
    /// Whether browsers may send credentials. Default yes.
    pub allow_credentials: bool,
    /// Headers of answers that pages may read. Default: upstream's.
    pub expose_headers: Vec<String>,
    /// For how long browsers may keep the answer to a preflight request; 0: they are not told. Default 1 h.
    pub max_age: Duration,
    /// Methods. Default: GET, PUT, POST, DELETE, PATCH.
    pub allow_methods: Vec<String>,
    /// Headers that pages may send beside the simple ones. Default: upstream's.
    pub allow_headers: Vec<String>,
}

impl Default for CorsRule {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            origins: Vec::new(),
            allow_credentials: true,
            expose_headers: words(&[
                "X-Auth-Token",
                "X-Subject-Token",
                "X-Service-Token",
                "X-OpenStack-Request-ID",
                "X-Server-Management-Url",
            ]),
            max_age: Duration::from_secs(3600),
            allow_methods: words(&["GET", "PUT", "POST", "DELETE", "PATCH"]),
            allow_headers: words(&[
                "X-Auth-Token",
                "X-Identity-Status",
                "X-Roles",
                "X-Service-Catalog",
                "X-User-Id",
                "X-Tenant-Id",
                "X-OpenStack-Request-ID",
                "X-Server-Management-Url",
            ]),
        }
    }
}

/// What `/healthcheck` looks at, and tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthOptions {
    /// `[healthcheck] disable_by_file_path`: while it is there the answer is 503. Default none.
    pub disable_by_file: Option<PathBuf>,
    /// `[healthcheck] detailed`: whether anybody is told what was looked at, and by which program. Default no.
    pub detailed: bool,
    /// How long the database may take to answer. Default 2 s.
    pub timeout: Duration,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self { disable_by_file: None, detailed: false, timeout: Duration::from_secs(2) }
    }
}

/// Who may hold how many event streams open, and for how long they are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// `[limits] event_streams`: of one project. Default 100.
    pub per_project: usize,
    /// `[limits] event_streams_per_user`: of one user. Default 50.
    pub per_user: usize,
    /// `[limits] event_streams_altogether`: of all but administrators. Default 1000.
    pub altogether: usize,
    /// `[limits] event_stream_check`: after how long it is looked again whether the user still may. Default 10 s.
    pub look_again: Duration,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { per_project: 100, per_user: 50, altogether: 1000, look_again: Duration::from_secs(10) }
    }
}

/// What one caller may ask for in a time, and how much costly work is done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateOptions {
    /// `[limits] requests_per_second`: of one project, on average. Default none: any number.
    pub requests_per_second: Option<NonZeroU32>,
    /// `[limits] request_burst`: of one project at once, before the average counts. Default 40,000.
    pub request_burst: NonZeroU32,
    /// `[limits] writes_per_second`: changes of one user, on average. Default none: any number.
    pub writes_per_second: Option<NonZeroU32>,
    /// `[limits] write_burst`: changes of one user at once. Default 2000.
    pub write_burst: NonZeroU32,
    /// `[limits] failed_authentications_per_minute`: from one address. Default none: any number.
    pub failures_per_minute: Option<NonZeroU32>,
    /// `[limits] concurrent_signatures`: certificates that are signed at the same time. Default 16.
    pub signatures_at_once: usize,
    /// Longest wait for a turn at what is limited at once, 10 s at most. Default 10 s.
    pub longest_wait: Duration,
}

/// How large what one request asks for may be, whichever way it comes: a body, a patch, a label, an older name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimits {
    /// `[limits] max_nodes_per_nodegroup`. Default 500.
    pub nodes_per_nodegroup: u32,
    /// `[limits] max_nodes_per_cluster`. Default 1000.
    pub nodes_per_cluster: u32,
    /// `[limits] max_nodegroups_per_cluster`. Default 100.
    pub nodegroups_per_cluster: u32,
    /// `[limits] max_volume_size`, in GB. Default 16,384.
    pub volume_gigabytes: u32,
    /// `[limits] max_create_timeout`, in minutes. Default 10,080: a week.
    pub timeout_minutes: u32,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self {
            nodes_per_nodegroup: 500,
            nodes_per_cluster: 1000,
            nodegroups_per_cluster: 100,
            volume_gigabytes: 16_384,
            timeout_minutes: 7 * 24 * 60,
        }
    }
}

impl Default for RateOptions {
    fn default() -> Self {
        Self {
            requests_per_second: None,
            request_burst: NonZeroU32::MIN.saturating_add(39_999),
            writes_per_second: None,
            write_burst: NonZeroU32::MIN.saturating_add(1999),
            failures_per_minute: None,
            signatures_at_once: 16,
            longest_wait: Duration::from_secs(10),
        }
    }
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            max_limit: 1000,
            body_limit: 112 * 1024,
            path_limit: 8 * 1024,
            links: LinkOptions::default(),
            cors: Vec::new(),
            public_metrics: false,
            max_clusters_per_project: 20,
            service_down_time: Duration::from_secs(180),
            default_boot_volume_size: 0,
            default_driver: None,
            network_drivers: BTreeMap::new(),
            signing: SigningRules::default(),
            sizes: SizeLimits::default(),
            streams: StreamOptions::default(),
            health: HealthOptions::default(),
            rates: RateOptions::default(),
            create_timeout: Duration::from_secs(60 * 60),
        }
    }
}
