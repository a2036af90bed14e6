//! The services that are spoken to.

use std::fmt;

/// A service of OpenStack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Keystone.
    Identity,
    /// Glance.
    Image,
    /// Nova.
    Compute,
    /// Neutron.
    Network,
}

impl Service {
    /// Its types in catalogs: the usual one, then what old installations call it.
    pub(crate) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Identity => &["identity", "identityv3"],
            Self::Image => &["image", "imagev2"],
            Self::Compute => &["compute", "computev21", "nova"],
            Self::Network => &["network"],
        }
    }

    /// The name its client has in messages of upstream.
    pub(crate) fn client(self) -> &'static str {
        match self {
            Self::Identity => "keystone",
            Self::Image => "glance",
            Self::Compute => "nova",
            Self::Network => "neutron",
        }
    }

    /// The version whose paths are used, as the last part of a base address.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Identity => "v3",
            Self::Image => "v2",
            Self::Compute => "v2.1",
            Self::Network => "v2.0",
        }
    }
}

/// As a tenant calls it.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Identity => "identity service (Keystone)",
            Self::Image => "image service (Glance)",
            Self::Compute => "compute service (Nova)",
            Self::Network => "network service (Neutron)",
        };
        f.write_str(words)
    }
}
