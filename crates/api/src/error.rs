//! The one place where whatever went wrong becomes a status and upstream's error document.
//!
//! Everything else in this crate returns an [`ApiError`]; nothing else chooses a status for a failure.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use magnum_domain::ClusterStatus;
use magnum_domain::cloud::{LookupError, Thing};
use magnum_domain::driver::DriverError;
use magnum_identity::AuthError;
use magnum_policy::Denied;
use magnum_store::{StoreError, Unstorable};
use serde::Serialize;

use crate::field::read::shorten;
use crate::microversion::{MAXIMUM, MINIMUM, Microversion, SERVICE, VERSION_HEADER, VersionError};

/// Result of everything that serves a request.
pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request is wrong in itself (400).
    #[error("{0}")]
    Invalid(String),
    /// The caller may not (403).
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or not one the caller may see (404).
    #[error("{0}")]
    NotFound(String),
    /// What is there stands in the way (409).
    #[error("{0}")]
    Conflict(String),
    /// The body is larger than is taken (413).
    #[error(
        "The request body is larger than {limit} bytes. Send less, or have [oslo_middleware]max_request_body_size raised."
    )]
    TooLarge {
        /// Greatest size in bytes.
        limit: usize,
    },
    /// The path with its query is longer than is taken (414).
    #[error("The path and query are longer than {limit} bytes. Ask for less at once.")]
    PathTooLong {
        /// Greatest length in bytes.
        limit: usize,
    },
    /// The body is not JSON (415).
    #[error("Unknown mimetype: {0}")]
    MediaType(String),
    /// More than is allowed at the same time (429).
    #[error("{0}")]
    TooMany(String),
    /// More than is allowed in a time (429).
    #[error("{what}. Try again in {} s.", seconds(*wait))]
    TooFast {
        /// In words, without a full stop.
        what: &'static str,
        /// When there is room again.
        wait: Duration,
    },
    /// The body did not come in time (408).
    #[error("The request body has not come within {} s. Send it without a pause.", limit.as_secs())]
    TooSlow {
        /// Longest time.
        limit: Duration,
    },
    /// No such path, method or representation: the reason phrase says all there is to say.
    #[error("")]
    Routing(StatusCode),
    /// No such path. Upstream looks paths up for GET alone: to whoever wants to change something there, the method
    /// is what is wrong.
    #[error("")]
    NoPath {
        /// Whether it was read.
        is_get: bool,
    },
    /// The version header (406).
    #[error("{}", version_message(*.0))]
    Version(VersionError),
    /// Served, but not at the version asked for (406).
    #[error(
        "Version {version} was requested but the requested API {method} is not supported for this version. It is there from \
         version {since} on: send the header OpenStack-API-Version: container-infra {since}, or a later one."
    )]
    NotAtVersion {
        /// What was asked for.
        version: Microversion,
        /// What has it first.
        since: Microversion,
        /// What is done.
        method: &'static str,
    },
    /// Nobody known is asking (401, 503).
    #[error("{error}")]
    Authentication {
        /// Why.
        error: AuthError,
        /// `WWW-Authenticate`.
        challenge: Option<String>,
    },
    /// A policy rule said no (403).
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database.
    #[error("{}", store_message(.0))]
    Store(#[from] StoreError),
    /// The driver.
    #[error("{0}")]
    Driver(#[from] DriverError),
    /// The cloud that images, flavors and networks are looked up in.
    #[error("{0}")]
    Lookup(#[from] LookupError),
    /// Something that has to be mended here (500). The cause is for the log.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// 400 with a message.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// 409 with a message.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict(message.into())
    }

    /// 404 in upstream's words; `resource` as error messages spell it.
    pub(crate) fn not_found(resource: &str, ident: &str) -> Self {
        Self::NotFound(format!("{resource} {ident} could not be found."))
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) | Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::PathTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(_) | Self::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Routing(status) => *status,
            Self::NoPath { is_get: true } => StatusCode::NOT_FOUND,
            Self::NoPath { is_get: false } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Version(_) | Self::NotAtVersion { .. } => StatusCode::NOT_ACCEPTABLE,
            Self::Authentication { error: AuthError::Unavailable(_), .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Authentication { .. } => StatusCode::UNAUTHORIZED,
            Self::Store(error) => store_status(error),
            Self::Driver(error) => driver_status(error),
            Self::Lookup(error) => lookup_status(error),
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Upstream's word for who is at fault; empty for what its routing answers.
    fn code(&self) -> &'static str {
        match self {
            Self::Routing(_) | Self::NoPath { .. } | Self::Version(_) | Self::NotAtVersion { .. } => "",
            _ if self.status().is_server_error() => "server",
            _ => "client",
        }
    }

    /// What the caller is told. Causes that are none of their business stay in the log.
    fn detail(&self) -> String {
        match self {
            Self::Internal(_) => INTERNAL.to_owned(),
            other => other.to_string(),
        }
    }
}

/// Whole seconds, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil().max(1.0) as u64
}

/// What the caller is told of a failure that is ours.
const INTERNAL: &str = "An unexpected error prevented the server from fulfilling your request. \
                        The operator finds the cause in the log by the request id.";
/// What the caller is told when the database does not answer.
const NO_DATABASE: &str = "The database is not available. Try again shortly.";

fn store_status(error: &StoreError) -> StatusCode {
    match error {
        StoreError::NotFound { .. } => StatusCode::NOT_FOUND,
        StoreError::Ambiguous { .. }
        | StoreError::Duplicate { .. }
        | StoreError::SchemaTooOld { .. }
        | StoreError::WrongStatus { .. }
        | StoreError::TooManyNodes(_)
        | StoreError::WrongOperationState { .. } => StatusCode::CONFLICT,
        StoreError::QuotaExceeded { .. } => StatusCode::FORBIDDEN,
        StoreError::TemplateInUse { .. }
        | StoreError::ClusterTooLarge { .. }
        | StoreError::InvalidSortKey(_)
        | StoreError::InvalidMarker
        | StoreError::Unstorable { .. } => StatusCode::BAD_REQUEST,
        StoreError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn store_message(error: &StoreError) -> String {
    match error {
        StoreError::NotFound { resource, ident } => format!("{resource} {ident} could not be found."),
        StoreError::Ambiguous { resource } => ambiguous(resource),
        StoreError::Duplicate { resource, ident } => format!("A {resource} with UUID {ident} already exists."),
        StoreError::QuotaExceeded { limit } => format!(
            "Resource limit exceeded: You have reached the maximum clusters per project, {limit}. \
             You may delete a cluster to make room for a new one."
        ),
        StoreError::ClusterTooLarge { what, limit } => format!(
            "The cluster would have more than {limit} {what}, which is as many as a cluster may have here. Ask for fewer, \
             or have the operator raise the limit."
        ),
        StoreError::TooManyNodes(error) => format!("{error}."),
        StoreError::TemplateInUse { uuid } => {
            format!("ClusterTemplate {uuid} is referenced by one or multiple clusters.")
        }
        StoreError::WrongStatus { status, busy_with: None } => {
            format!("The cluster is {status}, which does not allow this. {}", way_out(status))
        }
        StoreError::WrongStatus { status, busy_with: Some(kind) } => format!(
            "The cluster is {status}: its operation {} is not finished. Wait for it, or cancel it, and try again.",
            kind.as_str()
        ),
        StoreError::WrongOperationState { state } => {
            format!("The operation is {}, which does not allow this.", state.as_str())
        }
        StoreError::SchemaTooOld { table, column, revision } => format!(
            "This database was made by an older release and has no column {table}.{column}. Leave it out, \
             or have the operator run 'magnum-db-manage upgrade {revision}'."
        ),
        StoreError::InvalidSortKey(key) => {
            format!("The sort_key value \"{}\" is an invalid field for sorting", shorten(key))
        }
        StoreError::InvalidMarker => "The marker is not valid for this list. Use the last item of a page.".to_owned(),
        StoreError::Unstorable { column, reason: Unstorable::Characters } => format!(
            "The database can't keep the characters of {column}: its columns take none beyond U+FFFF, such as emoji. \
             Leave them out, or have the operator convert the table to utf8mb4."
        ),
        StoreError::Unstorable { column, reason: Unstorable::Length } => {
            format!("The database can't keep the whole of {column}: it is too long for its column. Shorten it.")
        }
        StoreError::Unavailable(_) => NO_DATABASE.to_owned(),
        _ => INTERNAL.to_owned(),
    }
}

/// What leads out of a status that allows nothing else.
fn way_out(status: &ClusterStatus) -> &'static str {
    match status {
        ClusterStatus::CreateFailed => "Retry the operation that failed, or delete the cluster and make it anew.",
        ClusterStatus::DeleteFailed => "Delete it again.",
        ClusterStatus::DeleteInProgress | ClusterStatus::DeleteComplete => "It is being deleted; make a new one.",
        status if status.is_in_progress() => "Wait for the end of what is being done.",
        _ => "Bring it to a COMPLETE status first.",
    }
}

fn ambiguous(resource: &str) -> String {
    let (several, one) = match resource {
        "Cluster" => ("clusters", "cluster"),
        "Nodegroup" => ("nodegroups", "nodegroup"),
        "ClusterTemplate" => ("ClusterTemplates", "ClusterTemplate"),
        "Federation" => ("federations", "federation"),
        other => return format!("Several rows of {other} exist with same name. Please use the uuid instead."),
    };
    format!("Multiple {several} exist with same name. Please use the {one} uuid instead.")
}

fn driver_status(error: &DriverError) -> StatusCode {
    match error {
        DriverError::Unsupported(_) => StatusCode::CONFLICT,
        DriverError::Transient(_) => StatusCode::SERVICE_UNAVAILABLE,
        DriverError::Fatal(_) | DriverError::Cancelled => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Missing things are 400, since they are named in a body; key pairs and projects are 404 all the same.
fn lookup_status(error: &LookupError) -> StatusCode {
    match error {
        LookupError::NotFound { thing: Thing::Keypair | Thing::Project, .. } => StatusCode::NOT_FOUND,
        LookupError::NotFound { .. } | LookupError::NoDistribution(_) => StatusCode::BAD_REQUEST,
        LookupError::Ambiguous { .. } => StatusCode::CONFLICT,
        LookupError::Forbidden(_) | LookupError::Refused(_) => StatusCode::FORBIDDEN,
        LookupError::Misconfigured(_) => StatusCode::BAD_GATEWAY,
        LookupError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn version_message(error: VersionError) -> String {
    match error {
        VersionError::Service => "Invalid service type for OpenStack-API-Version header".to_owned(),
        VersionError::Value => "Invalid value for OpenStack-API-Version header".to_owned(),
        VersionError::Unsupported(asked) if asked.major == MINIMUM.major => format!(
            "Version {asked} was requested but the minor version is not supported by this service. \
             The supported version range is: [{SERVICE} {MINIMUM}, {SERVICE} {MAXIMUM}]."
        ),
        // The missing blank is upstream's.
        VersionError::Unsupported(asked) => format!(
            "Mutually exclusive versions requested. Version {asked} requested but not supported by this service.\
             The supported version range is: [{SERVICE} {MINIMUM}, {SERVICE} {MAXIMUM}]."
        ),
    }
}

/// The document: one element, and two shapes of it.
#[derive(Serialize)]
struct Document<T> {
    errors: [T; 1],
}

#[derive(Serialize)]
struct Ordinary<'a> {
    request_id: &'static str,
    code: &'static str,
    status: u16,
    title: &'a str,
    detail: &'a str,
    links: [(); 0],
}

#[derive(Serialize)]
struct Unsupported<'a> {
    code: &'static str,
    title: &'static str,
    description: &'a str,
    max_version: String,
    min_version: String,
    links: [Help; 1],
}

#[derive(Serialize)]
struct Help {
    rel: &'static str,
    href: &'static str,
}

/// 401 is the authentication middleware's, which has a form of its own.
#[derive(Serialize)]
struct Challenge {
    error: ChallengeBody,
}

#[derive(Serialize)]
struct ChallengeBody {
    code: u16,
    title: &'static str,
    message: &'static str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(%status, error = ?self, "the request failed");
        }
        let detail = self.detail();
        let body = match &self {
            Self::Authentication { .. } if status == StatusCode::UNAUTHORIZED => json(&Challenge {
                error: ChallengeBody {
                    code: status.as_u16(),
                    title: "Unauthorized",
                    message: "The request you have made requires authentication.",
                },
            }),
            Self::Version(VersionError::Unsupported(_)) => json(&Document {
                errors: [Unsupported {
                    code: "magnum.microversion-unsupported",
                    title: "Requested microversion is unsupported",
                    description: &detail,
                    max_version: MAXIMUM.to_string(),
                    min_version: MINIMUM.to_string(),
                    links: [Help {
                        rel: "help",
                        href: "http://docs.openstack.org/api-guide/compute/microversions.html",
                    }],
                }],
            }),
            _ => json(&Document {
                errors: [Ordinary {
                    request_id: "",
                    code: self.code(),
                    status: status.as_u16(),
                    title: self.title(status, &detail),
                    detail: &detail,
                    links: [],
                }],
            }),
        };
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        match &self {
            Self::Routing(_) => {
                response.extensions_mut().insert(Unrouted);
            }
            Self::NoPath { is_get } => {
                if !is_get {
                    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
                }
                response.extensions_mut().insert(Unrouted);
            }
            Self::Version(VersionError::Service | VersionError::Value) | Self::NotAtVersion { .. } => {
                response.extensions_mut().insert(Unrouted);
            }
            Self::Version(VersionError::Unsupported(asked)) => {
                asked.tell(response.headers_mut());
                debug_assert!(response.headers().contains_key(VERSION_HEADER));
                response.extensions_mut().insert(Unrouted);
            }
            Self::Authentication { challenge: Some(challenge), .. } => {
                if let Ok(value) = HeaderValue::from_str(challenge) {
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
                }
            }
            Self::TooMany(_) | Self::Store(StoreError::Unavailable(_)) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::TooFast { wait, .. } => {
                response.headers_mut().insert(header::RETRY_AFTER, seconds(*wait).into());
            }
            // What comes of the body yet is not to be taken for the next request.
            Self::TooSlow { .. } => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl ApiError {
    /// The first sentence of the detail; for routing the reason phrase.
    fn title<'a>(&self, status: StatusCode, detail: &'a str) -> &'a str {
        match self {
            // Upstream says nothing at all of a representation it does not have.
            Self::Routing(StatusCode::NOT_ACCEPTABLE) => "",
            Self::Routing(_) | Self::NoPath { .. } | Self::Version(_) | Self::NotAtVersion { .. } => {
                status.canonical_reason().unwrap_or_default()
            }
            _ => first_sentence(detail),
        }
    }
}

/// A text up to the full stop that ends its first sentence, without it. Upstream cuts at the first one of all, which may be
/// within a name, a version, an address or a file; clients show nothing but the title.
fn first_sentence(text: &str) -> &str {
    let ends = text.match_indices('.').find(|(at, _)| {
        let (before, after) = (&text[..*at], &text[at + 1..]);
        // Three of them stand for something that was left out.
        let is_ellipsis = before.ends_with('.') || after.starts_with('.');
        after.is_empty() || (!is_ellipsis && after.starts_with(char::is_whitespace) && !is_abbreviation(before))
    });
    match ends {
        Some((at, _)) => text[..at].trim_end_matches('.'),
        None => text,
    }
}

fn is_abbreviation(text: &str) -> bool {
    ["e.g", "i.e", "etc", "vs"]
        .iter()
        .any(|known| text.strip_suffix(known).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric)))
}

/// Marks answers that upstream gives outside its controllers: they have no version headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unrouted;

fn json(document: &impl Serialize) -> Vec<u8> {
    // Texts and numbers only: this can't fail, and an empty body is the right answer if it did.
    serde_json::to_vec(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::first_sentence;

    #[test]
    fn titles_are_whole_sentences() {
        for (detail, title) in [
            ("", ""),
            ("Not authorized.", "Not authorized"),
            ("Cluster nope could not be found.", "Cluster nope could not be found"),
            ("Cluster k8s-v1.30 could not be found.", "Cluster k8s-v1.30 could not be found"),
            (
                "dockerd not found on this machine: apt-get install --no-install-recommends docker.io",
                "dockerd not found on this machine: apt-get install --no-install-recommends docker.io",
            ),
            (
                "300 nodes do not fit into the subnet 10.0.0.0/24: ask for at most 244",
                "300 nodes do not fit into the subnet 10.0.0.0/24: ask for at most 244",
            ),
            (
                "Invalid input for field/attribute name. Value: '1a'. Value should match the pattern ^[a-z.]*$",
                "Invalid input for field/attribute name",
            ),
            ("Image ubuntu-22.04.img could not be found. Upload it.", "Image ubuntu-22.04.img could not be found"),
            (
                "Put magnum-agent at /usr/lib/magnum.d/agent. It is missing.",
                "Put magnum-agent at /usr/lib/magnum.d/agent",
            ),
            ("Cluster aaaa... could not be found.", "Cluster aaaa... could not be found"),
            ("Value: aaaa...", "Value: aaaa"),
            ("Unable to find flavor m1.tiny.", "Unable to find flavor m1.tiny"),
            ("Use a word, e.g. swarm. Others are refused.", "Use a word, e.g. swarm"),
            ("First line.\nSecond line.", "First line"),
            ("Gr\u{fc}n.", "Gr\u{fc}n"),
        ] {
            assert_eq!(first_sentence(detail), title);
        }
    }
}
