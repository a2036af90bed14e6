//! Nobody writes without the lease: what is done in the course of an operation is written only while the operation is
//! still held by the claim that it is done under.
//!
//! Whatever runs in [`Lease::scope`] has its lease looked at by every transaction that it begins, inside that
//! transaction: a conductor that was stopped past its lease, and goes on after another has taken the operation over, gets
//! [`StoreError::LeaseLost`] and has changed nothing. The scope is that of the task, so no caller in between can forget
//! to hand the lease on.

use magnum_domain::{Operation, now};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::operation;
use crate::operation::owned;
use crate::{Result, StoreError};

tokio::task_local! {
    static HELD: Lease;
}

/// One claim of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    operation: Uuid,
    owner: String,
    /// Tells this claim from a later one of the same conductor.
    claim: i32,
}

impl Lease {
    /// The lease that comes with a claimed operation; none when nobody holds it.
    #[must_use]
    pub fn of(operation: &Operation) -> Option<Self> {
        let owner = operation.lease_owner.clone()?;
        Some(Self { operation: operation.uuid, owner, claim: operation.claims })
    }

    /// Runs work that may write only as long as this lease is held.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        HELD.scope(self, work).await
    }

    /// The lease in whose scope this task is, if it is in one.
    fn held() -> Option<Self> {
        HELD.try_with(Clone::clone).ok()
    }

    /// An update rather than a look: whoever takes the operation over waits until this transaction is through, or this
    /// one fails, also where another node of a Galera cluster takes it.
    async fn check(&self, tx: &DatabaseTransaction) -> Result<()> {
        let row = operation::ActiveModel { updated_at: Set(now().naive_utc()), ..Default::default() };
        let held = operation::Entity::update_many()
            .set(row)
            .filter(owned(self.operation, &self.owner))
            .filter(operation::Column::Claims.eq(self.claim))
            .exec(tx)
            .await?;
        if held.rows_affected == 0 {
            return Err(StoreError::LeaseLost { operation: self.operation });
        }
        Ok(())
    }
}

/// Looks at the lease in whose scope a transaction was begun.
pub(crate) async fn check(tx: &DatabaseTransaction) -> Result<()> {
    match Lease::held() {
        Some(lease) => lease.check(tx).await,
        None => Ok(()),
    }
}
