//! What a caller has proven who they are with, for asking other services in their name.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

/// A token and the catalog that came with it. Cheap to clone; never shown.
#[derive(Clone)]
pub struct Credential(Arc<Parts>);

struct Parts {
    token: SecretString,
    endpoints: Vec<Endpoint>,
}

/// One address of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Type of the service, such as `image`.
    pub service_type: String,
    /// Name of the service, such as `glance`; empty if it has none.
    pub service_name: String,
    /// Region it is in; empty if it is in none.
    pub region: String,
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// The address.
    pub url: String,
}

impl Credential {
    /// A token with the services it is good for.
    #[must_use]
    pub fn new(token: SecretString, endpoints: Vec<Endpoint>) -> Self {
        Self(Arc::new(Parts { token, endpoints }))
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &SecretString {
        &self.0.token
    }

    /// The catalog; empty for a token without a scope.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.0.endpoints
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

/// The same credential, not merely one with the same token: secrets are not compared.
impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Credential {}
