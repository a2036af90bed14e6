//! Keeping key pairs: sealed, found again, deleted without a trace.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use magnum_certs::{CertError, KeyKind, SealKey, Vault};
use magnum_domain::certificate::{Authority, StoredKeyPair};
use magnum_domain::{Cluster, ClusterStatus, Labels};
use magnum_store::{CertificateRefs, ConnectOptions, Store};
use uuid::Uuid;

fn cluster() -> Cluster {
    Cluster {
        id: 1,
        uuid: Uuid::new_v4(),
        name: Some("web".to_owned()),
        project_id: "project".to_owned(),
        user_id: "user".to_owned(),
        cluster_template_id: Uuid::new_v4().to_string(),
        keypair: None,
        docker_volume_size: None,
        labels: Labels::new(),
        master_flavor_id: None,
        flavor_id: None,
        stack_id: None,
        api_address: None,
        status: ClusterStatus::CreateInProgress,
        status_reason: None,
        health_status: None,
        health_status_reason: Labels::new(),
        create_timeout: None,
        discovery_url: None,
        coe_version: None,
        container_version: None,
        ca_cert_ref: None,
        magnum_cert_ref: None,
        etcd_ca_cert_ref: None,
        front_proxy_ca_cert_ref: None,
        fixed_network: None,
        fixed_subnet: None,
        floating_ip_enabled: None,
        master_lb_enabled: false,
        created_at: None,
        updated_at: None,
    }
}

async fn store(folder: &tempfile::TempDir) -> Store {
    let url = format!("sqlite:///{}", folder.path().join("magnum.db").display());
    let store = Store::connect(&url, &ConnectOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// The references that [`Vault::create_cluster_certificates`] would write, had the cluster a row.
async fn with_certificates(vault: &Vault, coe: &str) -> Cluster {
    let mut cluster = cluster();
    let refs = vault.make_cluster_certificates(&cluster, coe).await.unwrap();
    cluster.ca_cert_ref = refs.ca;
    cluster.magnum_cert_ref = refs.magnum;
    cluster.etcd_ca_cert_ref = refs.etcd_ca;
    cluster.front_proxy_ca_cert_ref = refs.front_proxy_ca;
    cluster
}

#[tokio::test]
async fn certificates_are_made_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let vault = Vault::new(store.clone(), SealKey::ephemeral().unwrap()).making(30, KeyKind::P256);
    let swarm = with_certificates(&vault, "swarm-mode").await;
    assert_eq!((&swarm.etcd_ca_cert_ref, &swarm.front_proxy_ca_cert_ref), (&None, &None));
    let first = vault.authority(&swarm, Authority::Cluster).await.unwrap();
    let client = vault.client_identity(&swarm).await.unwrap();

    // An attempt that was cut short makes nothing anew.
    vault.make_cluster_certificates(&swarm, "swarm-mode").await.unwrap();
    let again = vault.authority(&swarm, Authority::Cluster).await.unwrap();
    assert_eq!(first.certificate_pem(), again.certificate_pem());
    assert_eq!(client.certificate_pem, vault.client_identity(&swarm).await.unwrap().certificate_pem);
    let shown = vault.authority_certificate(&swarm, Authority::Cluster).await.unwrap();
    assert_eq!(shown, first.certificate_pem().trim());

    for which in [Authority::Etcd, Authority::FrontProxy] {
        assert!(matches!(vault.authority(&swarm, which).await, Err(CertError::Missing(_))));
    }
    let kubernetes = with_certificates(&vault, "kubernetes").await;
    let mut certificates = Vec::new();
    for which in [Authority::Cluster, Authority::Etcd, Authority::FrontProxy] {
        certificates.push(vault.authority_certificate(&kubernetes, which).await.unwrap());
    }
    certificates.dedup();
    assert_eq!(certificates.len(), 3, "each has its own key");

    let uuid = swarm.ca_cert_ref.as_deref().unwrap().parse().unwrap();
    vault.delete(&swarm).await.unwrap();
    vault.delete(&swarm).await.unwrap();
    assert!(store.get_key_pair(uuid).await.is_err());
    assert!(matches!(vault.authority(&swarm, Authority::Cluster).await, Err(CertError::Missing(_))));
    vault.authority(&kubernetes, Authority::Cluster).await.unwrap();
}

#[tokio::test]
async fn an_authority_takes_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let vault = Vault::new(store.clone(), SealKey::ephemeral().unwrap()).making(30, KeyKind::P256);
    let before = with_certificates(&vault, "swarm-mode").await;
    let rotation = Uuid::new_v4();
    let refs = vault.make_next_authority(&before, rotation).await.unwrap();
    assert_eq!(refs, Vault::next_references(&before, rotation), "known before it is made");
    assert_ne!(refs, Vault::next_references(&before, Uuid::new_v4()));
    let after = Cluster { ca_cert_ref: refs.ca.clone(), magnum_cert_ref: refs.magnum.clone(), ..before.clone() };
    let certificate = vault.authority_certificate(&after, Authority::Cluster).await.unwrap();
    assert_ne!(certificate, vault.authority_certificate(&before, Authority::Cluster).await.unwrap());

    // An attempt that was cut short makes nothing anew.
    vault.make_next_authority(&before, rotation).await.unwrap();
    assert_eq!(certificate, vault.authority_certificate(&after, Authority::Cluster).await.unwrap());

    let old = CertificateRefs {
        ca: before.ca_cert_ref.clone(),
        magnum: before.magnum_cert_ref.clone(),
        ..CertificateRefs::default()
    };
    vault.forget(&old).await.unwrap();
    vault.forget(&old).await.unwrap();
    assert!(matches!(vault.authority(&before, Authority::Cluster).await, Err(CertError::Missing(_))));
    assert!(matches!(vault.client_identity(&before).await, Err(CertError::Missing(_))));
    vault.client_identity(&after).await.unwrap();
    vault.delete(&after).await.unwrap();
    assert!(matches!(vault.authority(&after, Authority::Cluster).await, Err(CertError::Missing(_))));
}

#[tokio::test]
async fn what_an_interrupted_attempt_has_made_is_deleted_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let vault = Vault::new(store.clone(), SealKey::ephemeral().unwrap()).making(30, KeyKind::P256);
    let mut cluster = with_certificates(&vault, "swarm-mode").await;
    let uuid = cluster.ca_cert_ref.take().unwrap().parse().unwrap();
    cluster.magnum_cert_ref = None;
    vault.delete(&cluster).await.unwrap();
    assert!(store.get_key_pair(uuid).await.is_err());
}

#[tokio::test]
async fn the_database_alone_opens_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let vault = Vault::new(store.clone(), SealKey::ephemeral().unwrap()).making(30, KeyKind::P256);
    let cluster = with_certificates(&vault, "swarm-mode").await;
    let row = store.get_key_pair(cluster.ca_cert_ref.as_deref().unwrap().parse().unwrap()).await.unwrap();
    assert!(row.private_key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert!(row.private_key_passphrase.starts_with("sealed:v1:"));
    assert_eq!((row.project_id.as_str(), row.user_id.as_str()), ("project", "user"));

    let stranger = Vault::new(store, SealKey::ephemeral().unwrap());
    let refused = stranger.authority(&cluster, Authority::Cluster).await;
    assert!(matches!(refused, Err(CertError::Unsealable(_))), "{refused:?}");
}

#[tokio::test]
async fn pass_phrases_are_plain_where_upstream_shall_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let sealing = Vault::new(store.clone(), SealKey::ephemeral().unwrap()).making(30, KeyKind::P256);
    let vault = sealing.clone().with_plain_pass_phrases(true);
    let cluster = with_certificates(&vault, "swarm-mode").await;
    let row = store.get_key_pair(cluster.ca_cert_ref.as_deref().unwrap().parse().unwrap()).await.unwrap();
    assert!(row.private_key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert!(!row.private_key_passphrase.starts_with("sealed:"), "{}", row.private_key_passphrase);
    assert!(row.private_key_passphrase.len() >= 40, "{}", row.private_key_passphrase);
    for vault in [vault, sealing] {
        vault.authority(&cluster, Authority::Cluster).await.unwrap();
    }
}

#[tokio::test]
async fn rows_that_upstream_wrote_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let uuid = Uuid::new_v4();
    let row = StoredKeyPair {
        uuid,
        certificate: include_str!("data/upstream-ca.pem").trim().to_owned(),
        private_key: include_str!("data/upstream-ca-key.pem").to_owned(),
        private_key_passphrase: "mfrggzdfmztw".to_owned(),
        project_id: "project".to_owned(),
        user_id: "user".to_owned(),
        created_at: None,
    };
    store.put_key_pair(&row).await.unwrap();
    let vault = Vault::new(store, SealKey::ephemeral().unwrap());
    let cluster = Cluster { ca_cert_ref: Some(uuid.to_string()), ..cluster() };
    let authority = vault.authority(&cluster, Authority::Cluster).await.unwrap();
    assert_eq!(authority.certificate_pem(), row.certificate);
    let foreign = Cluster { ca_cert_ref: Some("http://barbican/v1/containers/x".to_owned()), ..cluster };
    assert!(matches!(vault.authority(&foreign, Authority::Cluster).await, Err(CertError::Missing(_))));
}

#[test]
fn a_sealing_key_is_made_once_and_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let first = SealKey::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    let sealed = first.seal(b"secret").unwrap();
    assert_ne!(sealed, first.seal(b"secret").unwrap());
    let second = SealKey::load_or_create(&path).unwrap();
    assert_eq!(second.open(&sealed).unwrap().as_slice(), b"secret");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = SealKey::load_or_create(&path).unwrap_err().to_string();
    assert!(refused.contains("others may read this key (mode 640)"), "{refused}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, b"short").unwrap();
    let refused = SealKey::load_or_create(&path).unwrap_err().to_string();
    assert!(refused.contains("not a key of 32 bytes"), "{refused}");
}

#[test]
fn processes_that_start_at_once_agree_on_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let keys = std::thread::scope(|scope| {
        let threads = (0..8).map(|_| scope.spawn(|| SealKey::load_or_create(&path).unwrap())).collect::<Vec<_>>();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let sealed = keys[0].seal(b"x").unwrap();
    for key in &keys {
        assert_eq!(key.open(&sealed).unwrap().as_slice(), b"x");
    }
}

#[test]
fn sealed_text_that_was_changed_is_refused() {
    let key = SealKey::ephemeral().unwrap();
    let sealed = key.seal(b"secret").unwrap();
    let mut changed = sealed.clone();
    changed.replace_range(20..21, if &sealed[20..21] == "A" { "B" } else { "A" });
    for text in [changed.as_str(), "", "secret", "sealed:v1:", "sealed:v1:!!", "sealed:v1:AAAA", "sealed:v2:AAAA"] {
        assert!(matches!(key.open(text), Err(CertError::Unsealable(_))), "{text}");
    }
}
