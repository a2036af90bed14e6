//! The rows that every request finds, from `seed.yaml`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use chrono::{Duration, TimeZone as _, Utc};
use magnum_store::Backend;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::database::Tables;
use crate::people::People;

/// Columns that hold the key of a row elsewhere.
const REFERENCES: [(&str, &str); 2] = [("cluster_template_id", "cluster_template"), ("cluster_id", "cluster")];
/// Columns of time.
const TIMES: [&str; 2] = ["last_seen_up", "updated_at"];
/// Stands for the time of each [`Seed::statements`] as it is carried out: what was seen now is down three minutes later.
const NOW: &str = "{now}";

/// A statement of a seed, as of now.
pub(crate) fn as_of_now(statement: &str) -> String {
    statement.replace(NOW, &Utc::now().format("%Y-%m-%d %H:%M:%S").to_string())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// First group of the rows' UUIDs; none: the rows say theirs, or have none.
    prefix: Option<String>,
    #[serde(default)]
    defaults: Map<String, Value>,
    rows: Map<String, Value>,
}

/// A row, complete.
#[derive(Debug, Clone)]
struct Row {
    table: String,
    key: String,
    columns: Map<String, Value>,
}

/// All rows.
#[derive(Debug, Clone)]
pub struct Seed {
    rows: Vec<Row>,
}

impl Seed {
    /// The seed that comes with this crate.
    ///
    /// # Errors
    /// When it can't be read, or names what is not there.
    pub fn load(people: &People) -> Result<Self> {
        let tables: Map<String, Value> = crate::data_file("seed.yaml")?;
        let mut rows = Vec::new();
        for (name, table) in tables {
            let table: Table = serde_json::from_value(table).with_context(|| format!("seed.yaml: {name}"))?;
            for (at, (key, row)) in (1..).zip(&table.rows) {
                let row = row.as_object().with_context(|| format!("{name}.{key} is no map"))?;
                rows.push(complete(&name, &table, at, key, row, people).with_context(|| format!("{name}.{key}"))?);
            }
        }
        let seed = Self { rows };
        let referring = seed.clone();
        seed.referenced(&referring)
    }

    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self { rows: Vec::new() }
    }

    fn referenced(mut self, all: &Self) -> Result<Self> {
        for row in &mut self.rows {
            for (column, table) in REFERENCES {
                if let Some(Value::String(key)) = row.columns.get_mut(column) {
                    *key = all.column(table, key, "uuid")?;
                }
            }
        }
        Ok(self)
    }

    fn column(&self, table: &str, key: &str, column: &str) -> Result<String> {
        let row = self.rows.iter().find(|row| row.table == table && row.key == key);
        match row.and_then(|row| row.columns.get(column)) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
            None => bail!("seed.yaml has no {table}.{key}.{column}"),
        }
    }

    /// Puts columns of rows in the place of `${table.key}` and `${table.key.column}`.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn resolve(&self, text: &str) -> Result<String> {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("${") {
            let (name, after) = from.split_once('}').context("${ without an end")?;
            let mut parts = name.split('.');
            let (table, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            resolved.push_str(before);
            resolved.push_str(&self.column(table, key, parts.next().unwrap_or("uuid"))?);
            rest = after;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    /// Whether a text is the UUID of something in the seed.
    #[must_use]
    pub fn knows(&self, uuid: &str) -> bool {
        let text = |row: &Row| row.columns.values().any(|value| value.as_str() == Some(uuid));
        self.rows.iter().any(text)
    }

    /// Highest integer id of a table.
    #[must_use]
    pub fn highest(&self, table: &str) -> i64 {
        let ids = self.rows.iter().filter(|row| row.table == table);
        ids.filter_map(|row| row.columns.get("id").and_then(Value::as_i64)).max().unwrap_or(0)
    }

    /// SQL that brings a database with these tables to this state, whatever was in it. Columns that it has not, as in
    /// older releases, are left out. To be read by [`as_of_now`].
    #[must_use]
    pub(crate) fn statements(&self, backend: Backend, there: &Tables) -> Vec<String> {
        let mut tables: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !tables.contains(&row.table.as_str()) {
                tables.push(&row.table);
            }
        }
        // What our own requests leave beside upstream's tables.
        let ours = there.keys().filter(|table| table.starts_with("conductor_") && !table.contains("migration"));
        let mut statements: Vec<String> = ours.map(|table| format!("DELETE FROM {table}")).collect();
        for table in tables {
            statements.push(format!("DELETE FROM {table}"));
            let mut by_columns: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
            for row in self.rows.iter().filter(|row| row.table == table) {
                let known =
                    row.columns.iter().filter(|(name, _)| there.get(table).is_none_or(|all| all.contains(*name)));
                let (names, values): (Vec<&str>, Vec<String>) =
                    known.map(|(name, value)| (name.as_str(), literal(name, value, backend))).unzip();
                by_columns.entry(names).or_default().push(format!("({})", values.join(", ")));
            }
            for (names, values) in by_columns {
                let names: Vec<String> = names.iter().map(|name| quoted(name, backend)).collect();
                statements.push(format!("INSERT INTO {table} ({}) VALUES {}", names.join(", "), values.join(", ")));
            }
            if backend == Backend::Postgres {
                let next = self.highest(table) + 1;
                statements.push(format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), {next}, false)"));
            }
        }
        statements
    }
}

fn complete(name: &str, table: &Table, at: i64, key: &str, row: &Map<String, Value>, people: &People) -> Result<Row> {
    let mut columns = table.defaults.clone();
    for (column, value) in row {
        columns.insert(column.clone(), value.clone());
    }
    if let Some(prefix) = &table.prefix {
        columns.insert("uuid".to_owned(), Value::from(format!("{prefix}-0000-4000-8000-{at:012}")));
    }
    columns.insert("id".to_owned(), Value::from(at));
    let created = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().context("no such time")? + Duration::minutes(at);
    columns.insert("created_at".to_owned(), Value::from(created.format("%Y-%m-%d %H:%M:%S").to_string()));
    if let Some(Value::String(project)) = columns.get_mut("project_id") {
        *project = people.project(project)?.to_owned();
    }
    if let Some(Value::String(user)) = columns.get_mut("user_id") {
        *user = people.person(user).context("nobody of that name in people.yaml")?.user_id.clone();
    }
    Ok(Row { table: name.to_owned(), key: key.to_owned(), columns })
}

fn quoted(name: &str, backend: Backend) -> String {
    match backend {
        Backend::MySql => format!("`{name}`"),
        Backend::Sqlite | Backend::Postgres => format!("\"{name}\""),
    }
}

/// A value as SQL. All of them are ours.
fn literal(column: &str, value: &Value, backend: Backend) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(true) => "TRUE".to_owned(),
        Value::Bool(false) => "FALSE".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if TIMES.contains(&column) && text == "now" => {
            format!("'{NOW}'")
        }
        Value::String(text) => text_literal(text, backend),
        json @ (Value::Array(_) | Value::Object(_)) => text_literal(&python_json(json), backend),
    }
}

fn text_literal(text: &str, backend: Backend) -> String {
    let text = text.replace('\'', "''");
    match backend {
        Backend::MySql => format!("'{}'", text.replace('\\', "\\\\")),
        Backend::Sqlite | Backend::Postgres => format!("'{text}'"),
    }
}

/// JSON as Python writes it, which upstream compares as text.
fn python_json(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), python_json(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        plain => plain.to_string(),
    }
}
