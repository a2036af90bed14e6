//! The revisions of the upstream schema as a table: what each did, so that rows of an older one can be read and
//! written, and so that `magnum-db-manage upgrade REVISION` can bring a database from one to a later one.
//!
//! The chain is linear. Releases by their newest revision: Train `c04e925e65c2`, Wallaby to Bobcat (Zed among them)
//! `7da8489d6a68`, 2024.x to 21.x, the last with Heat, `c0f832afc4fd`, 23.x `b3e1cf4a2d5e`.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue, EntityName, EntityTrait, IdenStatic, Iterable, QuerySelect, Select, Value,
};

use crate::entity::{cluster, cluster_template};
use crate::{Result, Store, StoreError};

/// A revision of the upstream schema that this release works with, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpstreamHead {
    /// `c04e925e65c2`, the newest of Train: node groups have stacks and statuses of their own.
    Nodegroups,
    /// `95096e2334ee`: whether masters have a load balancer is the cluster's, no longer the template's, to say.
    MasterLoadBalancer,
    /// `f1d8b0ab8b8d`: templates have tags.
    Tags,
    /// `7da8489d6a68`, the newest of Zed: etcd and front proxy have authorities of their own.
    Authorities,
    /// `c0f832afc4fd`, the last with Heat: templates name a driver.
    Driver,
    /// `d7e6a4d39fe4`: the four columns for trusts are gone from clusters.
    WithoutTrust,
    /// `b3e1cf4a2d5e`: labels and taints of nodes. What a fresh database gets.
    NodeLabels,
}

/// The one before Train's, where upstream's own migrations end on PostgreSQL: the next has statements of MySQL's.
pub(crate) const BEFORE: &str = "47380964133d";

/// What one revision did.
pub(crate) struct Revision {
    pub(crate) head: UpstreamHead,
    /// Its word in `alembic_version`.
    pub(crate) word: &'static str,
    /// Its title, as upstream's tool says it.
    pub(crate) title: &'static str,
    /// Columns that came: table, column, type. All may be null.
    pub(crate) added: &'static [(&'static str, &'static str, &'static str)],
    /// What went into them: column, the query for its value (standard SQL).
    pub(crate) filled: &'static [(&'static str, &'static str, &'static str)],
    /// Columns that went.
    pub(crate) dropped: &'static [(&'static str, &'static str)],
}

/// The trust columns: table, column.
pub(crate) const TRUST: &[(&str, &str)] = &[
    ("cluster", "trust_id"),
    ("cluster", "trustee_username"),
    ("cluster", "trustee_user_id"),
    ("cluster", "trustee_password"),
];

pub(crate) const REVISIONS: [Revision; 7] = [
    Revision {
        head: UpstreamHead::Nodegroups,
        word: "c04e925e65c2",
        title: "nodegroups_v2",
        added: &[
            ("nodegroup", "stack_id", "VARCHAR(255)"),
            ("nodegroup", "status", "VARCHAR(20)"),
            ("nodegroup", "status_reason", "TEXT"),
            ("nodegroup", "version", "VARCHAR(20)"),
        ],
        filled: &[
            (
                "nodegroup",
                "stack_id",
                "(SELECT cluster.stack_id FROM cluster WHERE cluster.uuid = nodegroup.cluster_id)",
            ),
            ("nodegroup", "status", "(SELECT cluster.status FROM cluster WHERE cluster.uuid = nodegroup.cluster_id)"),
            ("nodegroup", "version", "'0'"),
        ],
        dropped: &[],
    },
    Revision {
        head: UpstreamHead::MasterLoadBalancer,
        word: "95096e2334ee",
        title: "add master_lb_enabled to cluster",
        added: &[("cluster", "master_lb_enabled", "BOOLEAN")],
        filled: &[(
            "cluster",
            "master_lb_enabled",
            "(SELECT cluster_template.master_lb_enabled FROM cluster_template \
              WHERE cluster_template.uuid = cluster.cluster_template_id)",
        )],
        dropped: &[],
    },
    Revision {
        head: UpstreamHead::Tags,
        word: "f1d8b0ab8b8d",
        title: "added_tags_to_cluster_template",
        added: &[("cluster_template", "tags", "VARCHAR(255)")],
        filled: &[],
        dropped: &[],
    },
    Revision {
        head: UpstreamHead::Authorities,
        word: "7da8489d6a68",
        title: "separated CA cert for etcd and front-proxy",
        added: &[
            ("cluster", "etcd_ca_cert_ref", "VARCHAR(512)"),
            ("cluster", "front_proxy_ca_cert_ref", "VARCHAR(512)"),
        ],
        filled: &[],
        dropped: &[],
    },
    Revision {
        head: UpstreamHead::Driver,
        word: "c0f832afc4fd",
        title: "add driver to cluster_template",
        added: &[("cluster_template", "driver", "VARCHAR(255)")],
        filled: &[],
        dropped: &[],
    },
    Revision {
        head: UpstreamHead::WithoutTrust,
        word: "d7e6a4d39fe4",
        title: "drop trust columns",
        added: &[],
        filled: &[],
        dropped: TRUST,
    },
    Revision {
        head: UpstreamHead::NodeLabels,
        word: "b3e1cf4a2d5e",
        title: "add node_labels and node_taints to nodegroup",
        added: &[("nodegroup", "node_labels", "TEXT"), ("nodegroup", "node_taints", "TEXT")],
        filled: &[],
        dropped: &[],
    },
];

impl UpstreamHead {
    /// What a fresh database gets.
    pub const NEWEST: Self = Self::NodeLabels;

    /// Its word in `alembic_version`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        REVISIONS.iter().find(|revision| revision.head == self).map_or("", |revision| revision.word)
    }

    /// Reads a word of `alembic_version`, or as upstream's tool takes it: `head` too, or the first letters of a word
    /// that fit no other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        if matches!(word, "head" | "heads") {
            return Some(Self::NEWEST);
        }
        let mut fitting = REVISIONS.iter().filter(|revision| word.len() >= 4 && revision.word.starts_with(word));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only.head),
            _ => None,
        }
    }

    /// Reads what `alembic_version` holds.
    pub(crate) fn of_database(word: &str) -> Option<Self> {
        REVISIONS.iter().find(|revision| revision.word == word).map(|revision| revision.head)
    }

    /// Every word, oldest first.
    #[must_use]
    pub fn words() -> [&'static str; 7] {
        REVISIONS.map(|revision| revision.word)
    }

    /// Whether a table has a column at this revision. Of columns that no revision brought, it has.
    pub(crate) fn has(self, table: &str, column: &str) -> bool {
        let brought = |revision: &&Revision| revision.added.iter().any(|(of, name, _)| *of == table && *name == column);
        REVISIONS.iter().find(brought).is_none_or(|revision| self >= revision.head)
    }

    /// Whether `nodegroup` has the columns for labels and taints of nodes.
    #[must_use]
    pub fn has_node_labels(self) -> bool {
        self >= Self::NodeLabels
    }

    /// Whether clusters can have authorities of their own for etcd and the front proxy. Before, the cluster's did
    /// all.
    #[must_use]
    pub fn has_authorities(self) -> bool {
        self >= Self::Authorities
    }
}

impl Store {
    /// Every column of an entity; those that this database has not, as what stands for them.
    pub(crate) fn select<E: EntityTrait>(&self) -> Select<E> {
        self.cached_select("every column", select_at::<E>)
    }

    /// Whether clusters say themselves if their masters have a load balancer. Before, the template's word held.
    pub(crate) fn knows_master_load_balancer(&self) -> bool {
        self.head() >= UpstreamHead::MasterLoadBalancer
    }

    /// A row without the columns that this database has not.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooOld`] when one of them holds something.
    pub(crate) fn fitting<A: ActiveModelTrait>(&self, mut row: A) -> Result<A> {
        let head = self.head();
        if head == UpstreamHead::NEWEST {
            return Ok(row);
        }
        let entity = <A::Entity as Default>::default();
        let table = entity.table_name();
        for column in <A::Entity as EntityTrait>::Column::iter().filter(|column| !head.has(table, column.as_str())) {
            if let ActiveValue::Set(value) = row.get(column)
                && !says_nothing(&value)
            {
                return Err(too_old(table, column.as_str()));
            }
            row.not_set(column);
        }
        Ok(row)
    }
}

/// As [`Store::select`], at any revision.
pub(crate) fn select_at<E: EntityTrait>(head: UpstreamHead) -> Select<E> {
    if head == UpstreamHead::NEWEST {
        return E::find();
    }
    let entity = E::default();
    let table = entity.table_name();
    E::Column::iter().fold(E::find().select_only(), |select, column| {
        if head.has(table, column.as_str()) {
            select.column(column)
        } else {
            select.expr_as(stand_in(table, column.as_str()), column.as_str())
        }
    })
}

/// What an older schema has in place of a column: the template's word, or nothing.
fn stand_in(table: &str, column: &str) -> Expr {
    if (table, column) == ("cluster", "master_lb_enabled") {
        let of_the_template = Query::select()
            .column((cluster_template::Entity, cluster_template::Column::MasterLbEnabled))
            .from(cluster_template::Entity)
            .and_where(
                Expr::col((cluster_template::Entity, cluster_template::Column::Uuid))
                    .equals((cluster::Entity, cluster::Column::ClusterTemplateId)),
            )
            .to_owned();
        return Expr::SubQuery(None, Box::new(of_the_template.into()));
    }
    Expr::val(None::<String>).cast_as(Alias::new("char(1)"))
}

/// Null, false, an empty list or map: what a missing column is read as.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag.unwrap_or(false),
        Value::String(text) => text.as_ref().is_none_or(|text| matches!(text.as_str(), "" | "{}" | "[]" | "null")),
        _ => false,
    }
}

/// The refusal that names the column and the revision that brings it.
pub(crate) fn too_old(table: &str, column: &str) -> StoreError {
    let brings =
        REVISIONS.iter().find(|revision| revision.added.iter().any(|(of, name, _)| *of == table && *name == column));
    match brings {
        Some(revision) => {
            let column = revision.added.iter().find(|(of, name, _)| *of == table && *name == column);
            StoreError::SchemaTooOld {
                table: column.map_or("", |(table, ..)| table),
                column: column.map_or("", |(_, name, _)| name),
                revision: revision.word,
            }
        }
        None => StoreError::SchemaUnknown { reason: format!("{table} has no column {column}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_found_by_their_words() {
        for (word, head) in [
            ("c04e925e65c2", Some(UpstreamHead::Nodegroups)),
            ("c04e", Some(UpstreamHead::Nodegroups)),
            ("c0", None),
            ("head", Some(UpstreamHead::NodeLabels)),
            ("47380964133d", None),
            ("", None),
        ] {
            assert_eq!(UpstreamHead::from_word(word), head, "{word}");
        }
        assert!(REVISIONS.iter().map(|revision| revision.head).is_sorted());
    }

    #[test]
    fn columns_come_with_their_revision() {
        for (head, table, column, has) in [
            (UpstreamHead::Nodegroups, "cluster", "master_lb_enabled", false),
            (UpstreamHead::Nodegroups, "cluster_template", "master_lb_enabled", true),
            (UpstreamHead::Nodegroups, "nodegroup", "stack_id", true),
            (UpstreamHead::Authorities, "cluster", "etcd_ca_cert_ref", true),
            (UpstreamHead::Authorities, "cluster_template", "driver", false),
            (UpstreamHead::Driver, "cluster_template", "driver", true),
            (UpstreamHead::WithoutTrust, "nodegroup", "node_taints", false),
            (UpstreamHead::Nodegroups, "cluster", "name", true),
        ] {
            assert_eq!(head.has(table, column), has, "{head:?} {table}.{column}");
        }
    }
}
