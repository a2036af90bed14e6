//! Microversions: which there are, how one is asked for, and what each changes.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Header a version is asked for with, and told back in.
pub(crate) const VERSION_HEADER: HeaderName = HeaderName::from_static("openstack-api-version");
const MINIMUM_HEADER: HeaderName = HeaderName::from_static("openstack-api-minimum-version");
const MAXIMUM_HEADER: HeaderName = HeaderName::from_static("openstack-api-maximum-version");

/// The service's word in answers. Requests may use any of [`SERVICE_WORDS`].
pub(crate) const SERVICE: &str = "container-infrastructure-management";
/// Words a request may name the service by; the last is the one releases up to 2026.1 knew.
pub(crate) const SERVICE_WORDS: [&str; 3] = [SERVICE, "container-infrastructure", "container-infra"];

/// Version of the API within `/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion {
    /// Always 1 for versions that are served.
    pub major: u32,
    /// What is told apart by.
    pub minor: u32,
}

/// Oldest version that is served, and what a request without the header gets.
pub const MINIMUM: Microversion = minor(1);
/// Newest version that is served.
pub const MAXIMUM: Microversion = minor(14);

/// Making and changing a bay is answered before it is done.
pub(crate) const ASYNC_BAYS: Microversion = minor(2);
/// `PATCH /v1/clusters/{id}?rollback=` is understood.
pub(crate) const ROLLBACK: Microversion = minor(3);
/// `actions/resize` and `actions/upgrade` exist.
pub(crate) const ACTIONS: Microversion = minor(7);
/// `actions/upgrade` does something.
pub(crate) const UPGRADE: Microversion = minor(8);
/// Node groups exist.
pub(crate) const NODEGROUPS: Microversion = minor(9);
/// Groups may be empty; a cluster from an unknown template is 404 rather than 400.
pub(crate) const ZERO_NODES: Microversion = minor(10);
/// Clusters and templates are no longer known as bays and bay models.
pub(crate) const BAYS_GONE: Microversion = minor(11);
/// Credentials can be replaced.
pub(crate) const CREDENTIALS: Microversion = minor(12);
/// Clusters show `cluster_id` in place of `stack_id`.
pub(crate) const CLUSTER_ID: Microversion = minor(13);

/// What each version brought, as the document of the API tells it.
pub(crate) const HISTORY: &[(Microversion, &str)] = &[
    (minor(1), "The first version."),
    (ASYNC_BAYS, "Bays became asynchronous."),
    (ROLLBACK, "`rollback` in updates of clusters."),
    (minor(4), "Statistics; served at every version."),
    (minor(5), "Replacing the certificate authority; served at every version."),
    (minor(6), "Quotas; served at every version."),
    (ACTIONS, "Resizing a cluster."),
    (UPGRADE, "Upgrading a cluster."),
    (NODEGROUPS, "Node groups."),
    (ZERO_NODES, "Node groups without a node."),
    (BAYS_GONE, "Bays and bay models are gone."),
    (CREDENTIALS, "Replacing the credential of a cluster."),
    (CLUSTER_ID, "`cluster_id` in place of `stack_id`."),
    (MAXIMUM, "Labels and taints of node groups; served since 1.9."),
];

const fn minor(minor: u32) -> Microversion {
    Microversion { major: 1, minor }
}

/// Why the header does not name a version that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionError {
    /// Not two words, or another service's.
    Service,
    /// Not two numbers.
    Value,
    /// A version that is not served.
    Unsupported(Microversion),
}

impl Microversion {
    /// The version a request asks for.
    ///
    /// # Errors
    /// `VersionError` when the header is there and can't be honoured.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, VersionError> {
        let Some(value) = headers.get(VERSION_HEADER) else { return Ok(MINIMUM) };
        let text = value.to_str().map_err(|_| VersionError::Service)?;
        let mut words = text.split_whitespace();
        let (Some(service), Some(version), None) = (words.next(), words.next(), words.next()) else {
            return Err(VersionError::Service);
        };
        // Upstream looks at the service only when a version is spelled out.
        if version.eq_ignore_ascii_case("latest") {
            return Ok(MAXIMUM);
        }
        if !SERVICE_WORDS.contains(&service) {
            return Err(VersionError::Service);
        }
        let asked = version
            .split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or(VersionError::Value)?;
        if asked < MINIMUM || asked > MAXIMUM || asked.major != MINIMUM.major {
            return Err(VersionError::Unsupported(asked));
        }
        Ok(asked)
    }

    /// Puts the version headers of an answer in place.
    pub fn tell(self, headers: &mut HeaderMap) {
        for (name, version) in [(MINIMUM_HEADER, MINIMUM), (MAXIMUM_HEADER, MAXIMUM), (VERSION_HEADER, self)] {
            if let Ok(value) = HeaderValue::try_from(format!("{SERVICE} {version}")) {
                headers.insert(name, value);
            }
        }
        headers.append(header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
    }
}

/// Digits only: signs, blanks and underscores are no number here.
fn number(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_upstream_reads_them() {
        let table = [
            (None, Ok(minor(1))),
            (Some("container-infra 1.9"), Ok(minor(9))),
            (Some("  container-infrastructure   1.14 "), Ok(minor(14))),
            (Some("container-infrastructure-management LATEST"), Ok(MAXIMUM)),
            (Some("bogus latest"), Ok(MAXIMUM)),
            (Some("bogus 1.1"), Err(VersionError::Service)),
            (Some("1.1"), Err(VersionError::Service)),
            (Some(""), Err(VersionError::Service)),
            (Some("compute 2.1, container-infra 1.5"), Err(VersionError::Service)),
            (Some("container-infra 1"), Err(VersionError::Value)),
            (Some("container-infra 1.2.3"), Err(VersionError::Value)),
            (Some("container-infra 1.+2"), Err(VersionError::Value)),
            (Some("container-infra 1.99999999999"), Err(VersionError::Value)),
            (Some("container-infra 1.15"), Err(VersionError::Unsupported(minor(15)))),
            (Some("container-infra 1.0"), Err(VersionError::Unsupported(minor(0)))),
            (Some("container-infra 2.1"), Err(VersionError::Unsupported(Microversion { major: 2, minor: 1 }))),
        ];
        for (header, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(VERSION_HEADER, HeaderValue::from_str(header).unwrap());
            }
            assert_eq!(Microversion::from_headers(&headers), expected, "{header:?}");
        }
    }

    #[test]
    fn the_history_has_no_hole() {
        for (at, (version, _)) in (1..).zip(HISTORY) {
            assert_eq!(*version, minor(at));
        }
        assert_eq!(HISTORY.last().map(|(version, _)| *version), Some(MAXIMUM));
    }
}
