//! The kinds of things the local driver makes, how they are written down, and how each is removed again.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use magnum_domain::Resource;
use magnum_store::Store;
use serde_json::{Value, json};
use uuid::Uuid;

use super::cgroup::Hierarchies;
use super::error::LocalError;
use super::namespace::Namespace;
use super::process::{self, Signal};
use super::{names, network};

/// How long a node's first process has to end by itself.
const TERM: Duration = Duration::from_secs(3);
/// How long the rest of a node takes to be gone after its first process was killed.
const KILL: Duration = Duration::from_secs(20);

/// What a row of the ledger stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    /// A folder below the state folder; the name is its path from there.
    Folder,
    /// A control group; the name is its path from the roots of the hierarchies.
    Cgroup,
    /// A network namespace.
    Namespace,
    /// A node's first process; the name is the node's folder, as in [`ResourceKind::Folder`].
    Process,
    /// A port of the machine, `address:port`.
    Port,
    /// A node's membership in the swarm; the identity is in the attributes.
    SwarmMember,
    /// A certificate authority that takes the place of another; the name is its reference. See `authority.rs`.
    Authority,
}

const WORDS: [(ResourceKind, &str); 7] = [
    (ResourceKind::Folder, "folder"),
    (ResourceKind::Cgroup, "cgroup"),
    (ResourceKind::Namespace, "network_namespace"),
    (ResourceKind::Process, "process"),
    (ResourceKind::Port, "port"),
    (ResourceKind::SwarmMember, "swarm_member"),
    (ResourceKind::Authority, "certificate_authority"),
];

impl ResourceKind {
    /// Its word in the ledger.
    pub(crate) fn as_str(self) -> &'static str {
        WORDS.iter().find(|(kind, _)| *kind == self).map_or("unknown", |(_, word)| word)
    }

    fn from_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

/// Attributes of a member's row.
pub(crate) fn member(id: &str) -> Value {
    json!({ "id": id })
}

/// The identity in the swarm that [`member`] wrote.
pub(crate) fn member_id(row: &Resource) -> Option<&str> {
    row.attributes.get("id").and_then(Value::as_str)
}

/// The rows of one cluster, for writing.
pub(crate) struct Ledger<'a> {
    pub(crate) store: &'a Store,
    pub(crate) cluster: Uuid,
}

impl Ledger<'_> {
    /// Writes down that a thing is about to be made; finds the row of an earlier attempt.
    pub(crate) async fn plan(
        &self,
        node: Option<Uuid>,
        kind: ResourceKind,
        name: &str,
        attributes: Value,
    ) -> Result<Resource, LocalError> {
        Ok(self.store.plan_resource(self.cluster, node, kind.as_str(), name, &attributes).await?)
    }

    /// Writes down that it was made.
    pub(crate) async fn made(&self, row: &Resource) -> Result<(), LocalError> {
        Ok(self.store.resource_made(row.id, &row.attributes).await?)
    }
}

/// Where things of the ledger are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The state folder.
    pub(crate) state: PathBuf,
    /// The control group hierarchies.
    pub(crate) hierarchies: Hierarchies,
}

impl Places {
    /// Removes what a row stands for. That it is gone already is as good.
    pub(crate) async fn remove(&self, row: &Resource) -> Result<(), LocalError> {
        match ResourceKind::from_word(&row.kind) {
            Some(ResourceKind::Process) => self.end_process(&self.folder(&row.name)?).await,
            Some(ResourceKind::Namespace) => network::remove(&Namespace::new(file_name(&row.name)?)).await,
            Some(ResourceKind::Cgroup) => {
                let group = inside(&row.name)?;
                self.hierarchies
                    .remove(&row.name, KILL)
                    .await
                    .map_err(|source| LocalError::io("remove control group", group, source))?;
                if let Some((above, _)) = row.name.rsplit_once('/') {
                    self.hierarchies.remove_if_unused(above);
                }
                Ok(())
            }
            Some(ResourceKind::Folder) => {
                let folder = self.folder(&row.name)?;
                let removed = tokio::task::spawn_blocking(move || remove_folder(&folder)).await;
                removed.map_err(|error| LocalError::Hopeless(format!("removing {}: {error}", row.name)))?
            }
            // A port is free as soon as nobody listens; a membership goes with the node or with the swarm; keys are in
            // the vault.
            Some(ResourceKind::Port | ResourceKind::SwarmMember | ResourceKind::Authority) => Ok(()),
            None => Err(LocalError::Hopeless(format!(
                "the ledger holds a {} {}, which this release does not know how to remove",
                row.kind, row.name
            ))),
        }
    }

    /// A folder of the ledger on this machine.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, LocalError> {
        Ok(self.state.join(inside(name)?))
    }

    /// The name that the ledger has for a folder.
    pub(crate) fn name_of(&self, folder: &Path) -> String {
        folder.strip_prefix(&self.state).unwrap_or(folder).to_string_lossy().into_owned()
    }

    /// Ends a node's first process, and with it every process of its namespace.
    async fn end_process(&self, folder: &Path) -> Result<(), LocalError> {
        let Some(mark) = process::read_mark(folder).filter(process::is_alive) else { return Ok(()) };
        let killing = |source| LocalError::io("end the processes of", folder, source);
        process::signal(&mark, Signal::TERM).map_err(killing)?;
        if process::gone_within(&mark, TERM).await {
            return Ok(());
        }
        process::signal(&mark, Signal::KILL).map_err(killing)?;
        if process::gone_within(&mark, KILL).await {
            return Ok(());
        }
        Err(killing(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("process {} does not end", mark.pid))))
    }
}

/// A path that stays below where it starts. A row that leads elsewhere was not written by this driver.
fn inside(name: &str) -> Result<&Path, LocalError> {
    let path = Path::new(name);
    let plain = !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    if plain { Ok(path) } else { Err(LocalError::Hopeless(format!("the ledger holds the odd path {name:?}"))) }
}

fn file_name(name: &str) -> Result<&str, LocalError> {
    if name.contains('/') {
        return Err(LocalError::Hopeless(format!("the ledger holds the odd name {name:?}")));
    }
    inside(name).map(|_| name)
}

/// Removes a folder with everything in it, and the control folder of a node with the node's. That they are gone already
/// is as good.
fn remove_folder(folder: &Path) -> Result<(), LocalError> {
    let is_nodes = folder.parent().is_some_and(|parent| parent.ends_with("nodes"));
    let control = is_nodes.then(|| names::control_folder(folder));
    for folder in std::iter::once(folder).chain(control.as_deref()) {
        magnum_files::remove(folder).map_err(|source| LocalError::io("remove", folder, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for (kind, word) in WORDS {
            assert_eq!((kind.as_str(), ResourceKind::from_word(word)), (word, Some(kind)));
        }
        assert_eq!(ResourceKind::from_word("heat_stack"), None);
    }

    #[test]
    fn rows_that_lead_elsewhere_are_refused() {
        for odd in ["", "/etc", "../x", "a/../../x", "./a"] {
            assert!(inside(odd).is_err(), "{odd}");
        }
        assert!(inside("clusters/1/nodes/worker-0").is_ok());
        assert!(file_name("a/b").is_err());
        assert!(file_name("magnum-12345678-worker-0").is_ok());
    }
}
