//! Key pairs upstream table `x509keypair`.

use magnum_domain::certificate::StoredKeyPair;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::x509keypair;
use crate::error::is_duplicate;
use crate::row::{naive, utc_opt};
use crate::transaction::retry;
use crate::{Result, Store, StoreError};

const RESOURCE: &str = "Certificate";

impl Store {
    /// Writes a key pair. `created_at` is given by the store.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] for a UUID that is taken.
    pub async fn put_key_pair(&self, pair: &StoredKeyPair) -> Result<()> {
        let row = x509keypair::ActiveModel {
            id: NotSet,
            created_at: Set(naive(Some(self.upstream_now()))),
            updated_at: Set(None),
            uuid: Set(Some(pair.uuid.to_string())),
            certificate: Set(Some(pair.certificate.clone())),
            private_key: Set(Some(pair.private_key.clone())),
            private_key_passphrase: Set(Some(pair.private_key_passphrase.clone())),
            intermediates: Set(None),
            project_id: Set(Some(pair.project_id.clone())),
            user_id: Set(Some(pair.user_id.clone())),
        };
        retry(|| async {
            let tx = self.begin().await?;
            let inserted = x509keypair::Entity::insert(row.clone()).exec_without_returning(&tx).await;
            match inserted {
                Ok(_) => Ok(tx.commit().await?),
                Err(error) if is_duplicate(&error) => {
                    Err(StoreError::Duplicate { resource: RESOURCE, ident: pair.uuid.to_string() })
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Reads a key pair. Who may have it is for the caller to decide: there is no project filter, since a cluster's
    /// certificates belong to the cluster, whoever made them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get_key_pair(&self, uuid: Uuid) -> Result<StoredKeyPair> {
        let row = x509keypair::Entity::find()
            .filter(self.is(x509keypair::Column::Uuid, uuid))
            .one(self.read())
            .await?
            .ok_or_else(|| StoreError::not_found(RESOURCE, uuid))?;
        Ok(StoredKeyPair {
            uuid,
            certificate: row.certificate.unwrap_or_default(),
            private_key: row.private_key.unwrap_or_default(),
            private_key_passphrase: row.private_key_passphrase.unwrap_or_default(),
            project_id: row.project_id.unwrap_or_default(),
            user_id: row.user_id.unwrap_or_default(),
            created_at: utc_opt(row.created_at),
        })
    }

    /// Removes a key pair; one that is gone already is no error.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_key_pair(&self, uuid: Uuid) -> Result<()> {
        let delete = x509keypair::Entity::delete_many().filter(self.is(x509keypair::Column::Uuid, uuid));
        retry(|| async {
            let tx = self.begin().await?;
            delete.clone().exec(&tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}
