//! Conductors that report themselves.

use magnum_domain::service::Service;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::magnum_service;
use crate::error::is_duplicate;
use crate::row::{naive, utc_opt};
use crate::transaction::retry;
use crate::{Result, Store};

/// Most services that are listed; one per conductor host.
const MOST: u64 = 10_000;

impl Store {
    /// Says that a process is alive: counts its report, or writes its first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heartbeat(&self, host: &str, binary: &str) -> Result<()> {
        retry(|| async {
            if self.count_report(host, binary).await? {
                return Ok(());
            }
            match self.insert_service(host, binary).await {
                // Somebody with the same name was faster.
                Err(error) if is_duplicate(&error) => self.count_report(host, binary).await.map(|_| ()),
                other => Ok(other?),
            }
        })
        .await
    }

    async fn count_report(&self, host: &str, binary: &str) -> Result<bool> {
        let now = naive(Some(self.upstream_now()));
        let row = magnum_service::ActiveModel { last_seen_up: Set(now), updated_at: Set(now), ..Default::default() };
        let updated = magnum_service::Entity::update_many()
            .set(row)
            .col_expr(magnum_service::Column::ReportCount, magnum_service::Column::ReportCount.into_expr().add(1))
            .filter(magnum_service::Column::Host.eq(host))
            .filter(magnum_service::Column::Binary.eq(binary))
            .exec(self.write())
            .await?;
        Ok(updated.rows_affected > 0)
    }

    async fn insert_service(&self, host: &str, binary: &str) -> Result<(), sea_orm::DbErr> {
        let now = naive(Some(self.upstream_now()));
        let row = magnum_service::ActiveModel {
            id: NotSet,
            created_at: Set(now),
            updated_at: Set(None),
            report_count: Set(1),
            host: Set(Some(host.to_owned())),
            binary: Set(Some(binary.to_owned())),
            disabled: Set(Some(false)),
            disabled_reason: Set(None),
            last_seen_up: Set(now),
            forced_down: Set(Some(false)),
        };
        magnum_service::Entity::insert(row).exec_without_returning(self.write()).await?;
        Ok(())
    }

    /// Everybody who ever reported, by key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_services(&self) -> Result<Vec<Service>> {
        let rows = magnum_service::Entity::find()
            .order_by_asc(magnum_service::Column::Id)
            .limit(MOST)
            .all(self.read())
            .await?;
        Ok(rows.into_iter().map(from_row).collect())
    }
}

fn from_row(row: magnum_service::Model) -> Service {
    Service {
        id: row.id.into(),
        host: row.host,
        binary: row.binary.unwrap_or_default(),
        report_count: row.report_count,
        disabled: row.disabled.unwrap_or(false),
        disabled_reason: row.disabled_reason,
        last_seen_up: utc_opt(row.last_seen_up),
        forced_down: row.forced_down.unwrap_or(false),
        created_at: utc_opt(row.created_at),
        updated_at: utc_opt(row.updated_at),
    }
}
