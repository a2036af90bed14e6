//! Databases as upstream's own migrations leave them, recorded on MariaDB (`tests/data`), on all three.

use magnum_store::{Backend, UpstreamHead};

use super::Database;

/// A recorded schema: its revision, its statements.
pub struct Recorded {
    pub revision: &'static str,
    sql: &'static str,
}

pub const STEIN: Recorded = Recorded { revision: "47380964133d", sql: include_str!("../data/stein-47380964133d.sql") };
pub const TRAIN: Recorded = Recorded { revision: "c04e925e65c2", sql: include_str!("../data/train-c04e925e65c2.sql") };
pub const ZED: Recorded = Recorded { revision: "7da8489d6a68", sql: include_str!("../data/zed-7da8489d6a68.sql") };
pub const LAST_WITH_HEAT: Recorded =
    Recorded { revision: "c0f832afc4fd", sql: include_str!("../data/last-with-heat-c0f832afc4fd.sql") };
pub const NEWEST: Recorded =
    Recorded { revision: "b3e1cf4a2d5e", sql: include_str!("../data/newest-b3e1cf4a2d5e.sql") };

/// Those that are used as they are.
pub const RELEASES: [Recorded; 4] = [TRAIN, ZED, LAST_WITH_HEAT, NEWEST];

const TABLES: &str = "'alembic_version', 'cluster', 'cluster_template', 'federation', 'magnum_service', 'nodegroup', \
                      'quotas', 'x509keypair'";

impl Recorded {
    /// Its revision; that of Stein is none that is worked with.
    pub fn head(&self) -> UpstreamHead {
        UpstreamHead::from_word(self.revision).unwrap()
    }

    /// Its statements, for a database.
    pub fn on(&self, backend: Backend) -> String {
        let lines = self.sql.lines().filter(|line| !line.starts_with("--"));
        if backend == Backend::MySql {
            return lines.collect::<Vec<_>>().join("\n");
        }
        let key = match backend {
            Backend::Postgres => "SERIAL NOT NULL",
            _ => "INTEGER NOT NULL",
        };
        let lines = lines.map(|line| {
            let line = match line.find(") ENGINE=") {
                Some(at) => format!("{});", &line[..at]),
                None => line.to_owned(),
            };
            let line = match line.split_once("UNIQUE KEY `") {
                Some((_, rest)) => format!("UNIQUE {}", rest.split_once("` ").unwrap().1),
                None => line,
            };
            line.replace('`', "\"")
                .replace("int(11) NOT NULL AUTO_INCREMENT", key)
                .replace("int(11)", "INTEGER")
                .replace("tinyint(1)", "BOOLEAN")
                .replace("datetime", "TIMESTAMP")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Database {
    /// Every column and index of upstream's tables, as one text.
    pub async fn upstream_tables(&self) -> String {
        let sql = match self.backend {
            Backend::Sqlite => format!(
                "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_master WHERE tbl_name IN ({TABLES}) \
                 ORDER BY name)"
            ),
            Backend::Postgres => format!(
                "SELECT (SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, is_nullable, \
                 character_maximum_length), ',' ORDER BY table_name, column_name) FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name IN ({TABLES})) || \
                 (SELECT string_agg(indexdef, ';' ORDER BY indexname) FROM pg_indexes \
                 WHERE schemaname = current_schema() AND tablename IN ({TABLES}))"
            ),
            Backend::MySql => format!(
                "SELECT CAST(CONCAT((SELECT GROUP_CONCAT(CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, \
                 character_set_name) ORDER BY table_name, column_name) FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name IN ({TABLES})), \
                 (SELECT GROUP_CONCAT(CONCAT_WS(' ', table_name, index_name, column_name) \
                 ORDER BY table_name, index_name, seq_in_index) FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND table_name IN ({TABLES}))) AS CHAR)"
            ),
        };
        self.text(&sql).await.unwrap()
    }
}
