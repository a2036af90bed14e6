//! Who is asked, and what comes back.

use std::collections::BTreeMap;

use anyhow::Result;
use async_trait::async_trait;

use crate::case::Request;

/// The host that requests name and links lead to.
pub const HOST: &str = "magnum.test";

/// Headers that are compared; of the rest nothing is kept.
pub(crate) const HEADERS: [&str; 14] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "content-type",
    "location",
    "openstack-api-maximum-version",
    "openstack-api-minimum-version",
    "openstack-api-version",
    "vary",
    "www-authenticate",
];

/// An answer as it came.
#[derive(Debug, Clone, Default)]
pub struct Raw {
    /// Status.
    pub status: u16,
    /// Those of the headers that are compared, by name in lower case; several of a name with commas between.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Raw {
    /// Takes up a header.
    pub fn header(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if name == "x-openstack-request-id" {
            // Another each time: what counts is that there is one.
            let known = value.strip_prefix("req-").is_some_and(|uuid| uuid::Uuid::parse_str(uuid).is_ok());
            self.headers.insert(name, if known { "<request>".to_owned() } else { value.to_owned() });
        } else if HEADERS.contains(&name.as_str()) {
            let entry = self.headers.entry(name).or_default();
            if !entry.is_empty() {
                entry.push_str(", ");
            }
            entry.push_str(value);
        }
    }
}

/// Something that answers.
#[async_trait]
pub trait Subject: Send {
    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// When there is no answer at all.
    async fn send(&mut self, request: &Request) -> Result<Raw>;

    /// Puts the database back to the seed.
    ///
    /// # Errors
    /// When that fails.
    async fn reset(&mut self) -> Result<()>;
}
