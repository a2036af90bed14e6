//! Which certificate authority of a cluster is meant, and how a stored key pair looks.

use uuid::Uuid;

use crate::Timestamp;

/// The authorities a cluster may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authority {
    /// The cluster's own; every word the API does not know means this one, `kubelet` and `kubernetes` included.
    Cluster,
    /// For etcd (Kubernetes only).
    Etcd,
    /// For the Kubernetes aggregation layer.
    FrontProxy,
}

impl Authority {
    /// Reads the API's `ca_cert_type`.
    #[must_use]
    pub fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("etcd") => Self::Etcd,
            Some("front_proxy" | "front-proxy") => Self::FrontProxy,
            _ => Self::Cluster,
        }
    }
}

/// One row of the `x509keypair` table.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKeyPair {
    /// The reference that the cluster row keeps.
    pub uuid: Uuid,
    /// PEM.
    pub certificate: String,
    /// PKCS#8 PEM, encrypted with the pass phrase.
    pub private_key: String,
    /// The pass phrase: sealed with a key that is not in the database, or plain in rows that upstream wrote.
    pub private_key_passphrase: String,
    /// Owning project.
    pub project_id: String,
    /// Creator.
    pub user_id: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

impl std::fmt::Debug for StoredKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredKeyPair").field("uuid", &self.uuid).finish_non_exhaustive()
    }
}
