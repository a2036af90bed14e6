//! Where the key pairs of clusters are kept: upstream table `x509keypair`, keys encrypted with a pass phrase,
//! the pass phrase sealed with a key that is not in the database, or plain where upstream shall read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use magnum_domain::Cluster;
use magnum_domain::certificate::{Authority, StoredKeyPair};
use magnum_store::{CertificateRefs, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::key::random;
use crate::{
    CertError, CertificateAuthority, DEFAULT_VALIDITY_DAYS, Identity, KeyKind, PrivateKey, SealKey, client_certificate,
    generate_authority,
};

const PASSPHRASE_BYTES: usize = 32;
/// The COE whose clusters have authorities of their own for etcd and the aggregation layer.
const KUBERNETES: &str = "kubernetes";

/// What of a cluster is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Authority(Authority),
    Client,
}

impl Kept {
    fn title(self) -> &'static str {
        match self {
            Self::Authority(Authority::Cluster) => "certificate authority",
            Self::Authority(Authority::Etcd) => "certificate authority for etcd",
            Self::Authority(Authority::FrontProxy) => "certificate authority for the front proxy",
            Self::Client => "client certificate",
        }
    }

    fn reference(self, cluster: &Cluster) -> Option<&str> {
        match self {
            Self::Authority(Authority::Cluster) => cluster.ca_cert_ref.as_deref(),
            Self::Authority(Authority::Etcd) => cluster.etcd_ca_cert_ref.as_deref(),
            Self::Authority(Authority::FrontProxy) => cluster.front_proxy_ca_cert_ref.as_deref(),
            Self::Client => cluster.magnum_cert_ref.as_deref(),
        }
    }

    /// Where the first one is kept: the same whenever it is asked, so that making it again finds what an interrupted
    /// attempt made.
    fn uuid(self, cluster: &Cluster) -> Uuid {
        self.uuid_of(&cluster.uuid.to_string())
    }

    /// Where the one is kept that a rotation makes.
    fn next_uuid(self, cluster: &Cluster, rotation: Uuid) -> Uuid {
        self.uuid_of(&format!("{} {rotation}", cluster.uuid))
    }

    fn uuid_of(self, whose: &str) -> Uuid {
        let named = format!("{whose} {}", self.title());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, named.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// The certificates of clusters. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    store: Store,
    seal: SealKey,
    validity_days: u32,
    key_kind: KeyKind,
    has_plain_pass_phrases: bool,
}

impl Vault {
    /// A vault that makes RSA keys of 2048 bits and certificates for [`DEFAULT_VALIDITY_DAYS`], and seals pass phrases.
    #[must_use]
    pub fn new(store: Store, seal: SealKey) -> Self {
        Self {
            store,
            seal,
            validity_days: DEFAULT_VALIDITY_DAYS,
            key_kind: KeyKind::Rsa2048,
            has_plain_pass_phrases: false,
        }
    }

    /// Changes what is made from now on: `[x509] term_of_validity` and `rsa_key_size`.
    #[must_use]
    pub fn making(self, validity_days: u32, key_kind: KeyKind) -> Self {
        Self { validity_days, key_kind, ..self }
    }

    /// Whether pass phrases of keys made from now on are kept plain, as upstream keeps them: it can use these keys then,
    /// and so can whoever has the database. Both kinds can be read always.
    #[must_use]
    pub fn with_plain_pass_phrases(self, has_plain_pass_phrases: bool) -> Self {
        Self { has_plain_pass_phrases, ..self }
    }

    /// Makes the authorities that a cluster of this COE needs and the service's own client certificate, and writes
    /// their references into the cluster's row. Finds and keeps what an earlier attempt has made.
    ///
    /// # Errors
    /// When keys can't be made or the database can't be used.
    pub async fn create_cluster_certificates(
        &self,
        cluster: &Cluster,
        coe: &str,
    ) -> Result<CertificateRefs, CertError> {
        let refs = self.make_cluster_certificates(cluster, coe).await?;
        self.store.set_certificate_refs(cluster.uuid, &refs).await?;
        Ok(refs)
    }

    /// As [`Self::create_cluster_certificates`], but leaves the cluster's row alone.
    ///
    /// # Errors
    /// When keys can't be made or the database can't be used.
    pub async fn make_cluster_certificates(&self, cluster: &Cluster, coe: &str) -> Result<CertificateRefs, CertError> {
        let authority = self.make_authority(cluster, Authority::Cluster).await?;
        self.make_client(cluster, authority).await?;
        let reference = |kept: Kept| Some(kept.uuid(cluster).to_string());
        let mut refs = CertificateRefs {
            ca: reference(Kept::Authority(Authority::Cluster)),
            magnum: reference(Kept::Client),
            ..CertificateRefs::default()
        };
        // A database from before they were told apart can't name them: there the cluster's does all, as it did then.
        if coe == KUBERNETES && self.store.upstream().has_authorities() {
            self.make_authority(cluster, Authority::Etcd).await?;
            self.make_authority(cluster, Authority::FrontProxy).await?;
            refs.etcd_ca = reference(Kept::Authority(Authority::Etcd));
            refs.front_proxy_ca = reference(Kept::Authority(Authority::FrontProxy));
        }
        Ok(refs)
    }

    async fn make_authority(&self, cluster: &Cluster, which: Authority) -> Result<CertificateAuthority, CertError> {
        self.make_authority_at(cluster, Kept::Authority(which).uuid(cluster)).await
    }

    async fn make_authority_at(&self, cluster: &Cluster, place: Uuid) -> Result<CertificateAuthority, CertError> {
        if let Some((certificate, key)) = self.find(place).await? {
            return CertificateAuthority::new(&certificate, key);
        }
        let (name, days, kind) = (cluster.display_name(), self.validity_days, self.key_kind);
        let made = computing(move || generate_authority(&name, days, kind)).await?;
        self.keep(cluster, place, made.certificate_pem(), made.key()).await?;
        Ok(made)
    }

    async fn make_client(&self, cluster: &Cluster, authority: CertificateAuthority) -> Result<(), CertError> {
        self.make_client_at(cluster, authority, Kept::Client.uuid(cluster)).await
    }

    async fn make_client_at(
        &self,
        cluster: &Cluster,
        authority: CertificateAuthority,
        place: Uuid,
    ) -> Result<(), CertError> {
        if self.find(place).await?.is_some() {
            return Ok(());
        }
        let (days, kind) = (self.validity_days, self.key_kind);
        let made = computing(move || client_certificate(&authority, days, kind)).await?;
        self.keep(cluster, place, &made.certificate_pem, &made.key).await
    }

    /// What a rotation of a cluster's authority will have made: the references that the cluster's row gets at its end.
    #[must_use]
    pub fn next_references(cluster: &Cluster, rotation: Uuid) -> CertificateRefs {
        let reference = |kept: Kept| Some(kept.next_uuid(cluster, rotation).to_string());
        CertificateRefs {
            ca: reference(Kept::Authority(Authority::Cluster)),
            magnum: reference(Kept::Client),
            ..CertificateRefs::default()
        }
    }

    /// Makes the authority that takes the place of the cluster's own, and the service's client certificate with it.
    /// Finds and keeps what an earlier attempt of the same rotation has made; leaves the cluster's row alone.
    ///
    /// # Errors
    /// When keys can't be made or the database can't be used.
    pub async fn make_next_authority(&self, cluster: &Cluster, rotation: Uuid) -> Result<CertificateRefs, CertError> {
        let place = Kept::Authority(Authority::Cluster).next_uuid(cluster, rotation);
        let authority = self.make_authority_at(cluster, place).await?;
        self.make_client_at(cluster, authority, Kept::Client.next_uuid(cluster, rotation)).await?;
        Ok(Self::next_references(cluster, rotation))
    }

    /// Deletes what references lead to. Nothing to delete is no error.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn forget(&self, refs: &CertificateRefs) -> Result<(), CertError> {
        let all = [&refs.magnum, &refs.front_proxy_ca, &refs.etcd_ca, &refs.ca];
        for uuid in all.into_iter().flatten().filter_map(|reference| reference.parse().ok()) {
            self.store.delete_key_pair(uuid).await?;
        }
        Ok(())
    }

    /// One of the cluster's authorities, ready to sign.
    ///
    /// # Errors
    /// [`CertError::Missing`] when the cluster has none of that kind.
    pub async fn authority(&self, cluster: &Cluster, which: Authority) -> Result<CertificateAuthority, CertError> {
        let (certificate, key) = self.get(cluster, Kept::Authority(which)).await?;
        CertificateAuthority::new(&certificate, key)
    }

    /// The certificate (PEM) of one of the cluster's authorities. Touches no key.
    ///
    /// # Errors
    /// As [`Self::authority`].
    pub async fn authority_certificate(&self, cluster: &Cluster, which: Authority) -> Result<String, CertError> {
        Ok(self.row(cluster, Kept::Authority(which)).await?.certificate.trim().to_owned())
    }

    /// Who the service is to the cluster's engines.
    ///
    /// # Errors
    /// [`CertError::Missing`] when the cluster has no client certificate.
    pub async fn client_identity(&self, cluster: &Cluster) -> Result<Identity, CertError> {
        let (certificate_pem, key) = self.get(cluster, Kept::Client).await?;
        Ok(Identity { certificate_pem, key })
    }

    /// Deletes all key pairs of a cluster, also those of an interrupted attempt. Nothing to delete is no error.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn delete(&self, cluster: &Cluster) -> Result<(), CertError> {
        let all = [
            Kept::Client,
            Kept::Authority(Authority::FrontProxy),
            Kept::Authority(Authority::Etcd),
            Kept::Authority(Authority::Cluster),
        ];
        for kept in all {
            let written = kept.reference(cluster).and_then(|reference| reference.parse().ok());
            for uuid in written.into_iter().chain([kept.uuid(cluster)]) {
                self.store.delete_key_pair(uuid).await?;
            }
        }
        Ok(())
    }

    async fn keep(&self, cluster: &Cluster, place: Uuid, certificate: &str, key: &PrivateKey) -> Result<(), CertError> {
        let passphrase = SecretString::from(STANDARD.encode(random::<PASSPHRASE_BYTES>()?));
        let pair = StoredKeyPair {
            uuid: place,
            certificate: certificate.trim().to_owned(),
            private_key: key.to_encrypted_pem(&passphrase)?,
            private_key_passphrase: if self.has_plain_pass_phrases {
                passphrase.expose_secret().to_owned()
            } else {
                self.seal.seal(passphrase.expose_secret().as_bytes())?
            },
            project_id: cluster.project_id.clone(),
            user_id: cluster.user_id.clone(),
            created_at: None,
        };
        Ok(self.store.put_key_pair(&pair).await?)
    }

    async fn row(&self, cluster: &Cluster, kept: Kept) -> Result<StoredKeyPair, CertError> {
        let missing = || CertError::Missing(kept.title());
        let reference = kept.reference(cluster).ok_or_else(missing)?;
        let uuid = reference.parse().map_err(|_| missing())?;
        self.store.get_key_pair(uuid).await.map_err(|error| match error {
            StoreError::NotFound { .. } => missing(),
            error => error.into(),
        })
    }

    async fn get(&self, cluster: &Cluster, kept: Kept) -> Result<(String, PrivateKey), CertError> {
        self.unlock(self.row(cluster, kept).await?).await
    }

    async fn find(&self, uuid: Uuid) -> Result<Option<(String, PrivateKey)>, CertError> {
        match self.store.get_key_pair(uuid).await {
            Ok(pair) => Ok(Some(self.unlock(pair).await?)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Certificate and key of a row: ours, or upstream's, whose pass phrase is plain.
    async fn unlock(&self, pair: StoredKeyPair) -> Result<(String, PrivateKey), CertError> {
        let passphrase = if SealKey::is_sealed(&pair.private_key_passphrase) {
            let plain = self.seal.open(&pair.private_key_passphrase)?;
            let text = std::str::from_utf8(&plain).map_err(|_| CertError::Unsealable("it holds no text"))?;
            SecretString::from(text)
        } else {
            SecretString::from(pair.private_key_passphrase)
        };
        let key = computing(move || PrivateKey::from_encrypted_pem(&pair.private_key, &passphrase)).await?;
        Ok((pair.certificate, key))
    }
}

/// Runs what computes for long where it holds up no other task.
async fn computing<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CertError> + Send + 'static,
) -> Result<T, CertError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| CertError::Crypto("finish a computation"))?
}
