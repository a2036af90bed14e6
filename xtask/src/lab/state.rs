//! What is remembered of a lab between two commands, in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::process::{self, Process};
use super::services::{PORTS, TABLE, UPSTREAMS};
use super::{CLOUD, SEED};
use crate::databases::random_password;
use crate::owner::Owner;

const FILE: &str = "state.json";
/// Ports above are given by the kernel to whoever connects somewhere.
const HIGHEST_PORT: u16 = 32_000;

/// A lab as it was left.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// Of what table and data it was made.
    made_of: u64,
    boot: String,
    /// Everybody's.
    pub(crate) password: String,
    first_port: u16,
    pub(crate) ports: BTreeMap<String, u16>,
    /// By name of the unit.
    pub(crate) processes: BTreeMap<String, Process>,
    /// How many of a unit's preparations have been made.
    pub(crate) prepared: BTreeMap<String, usize>,
    /// Names of the interfaces that were there before us.
    pub(crate) interfaces: Vec<String>,
    /// Names of the upstreams that belong to the lab, and their databases.
    pub(crate) upstreams: BTreeMap<String, String>,
    /// Virtual hosts on RabbitMQ, by the name of upstream that has it.
    virtual_hosts: BTreeMap<String, String>,
}

impl State {
    /// A lab that has nothing yet, with ports from `first_port` on.
    pub(crate) fn new(first_port: u16) -> Result<Self> {
        let mut state = Self {
            made_of: made_of(),
            boot: process::boot()?,
            password: random_password()?,
            first_port,
            ports: BTreeMap::new(),
            processes: BTreeMap::new(),
            prepared: BTreeMap::new(),
            interfaces: interfaces(),
            upstreams: BTreeMap::new(),
            virtual_hosts: BTreeMap::new(),
        };
        for name in PORTS {
            state.port(name)?;
        }
        Ok(state)
    }

    /// What is remembered in `folder`, if anything.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let file = folder.join(FILE);
        if !file.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_str(&text).ok())
    }

    /// Remembers it.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let new = folder.join("state.json.new");
        Owner::ourselves().write(&new, &serde_json::to_string_pretty(self)?)?;
        fs::rename(&new, folder.join(FILE)).context("cannot replace the lab's state")
    }

    /// Whether one can go on with it: made of the same data, and the machine was not restarted since.
    pub(crate) fn is_current(&self) -> bool {
        self.made_of == made_of() && process::boot().is_ok_and(|boot| boot == self.boot)
    }

    /// Whether its processes are of this start of the machine.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        process::boot().is_ok_and(|boot| boot == self.boot)
    }

    /// The virtual host of upstream of this name.
    pub(crate) fn virtual_host(&mut self, name: &str) -> Result<String> {
        let next = self.virtual_hosts.len() + 1;
        match self.virtual_hosts.get(name) {
            Some(host) => Ok(host.clone()),
            None if next > UPSTREAMS => bail!("a lab has room for {UPSTREAMS} upstreams"),
            None => {
                let host = format!("upstream-{next}");
                self.virtual_hosts.insert(name.to_owned(), host.clone());
                Ok(host)
            }
        }
    }

    /// The port of this name; a free one is chosen when it has none.
    pub(crate) fn port(&mut self, name: &str) -> Result<u16> {
        if let Some(&port) = self.ports.get(name) {
            return Ok(port);
        }
        let taken: Vec<u16> = self.ports.values().copied().collect();
        let free = |port: &u16| !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let Some(port) = (self.first_port..HIGHEST_PORT).find(free) else {
            bail!("no loopback port from {} to {HIGHEST_PORT} is free", self.first_port);
        };
        self.ports.insert(name.to_owned(), port);
        Ok(port)
    }
}

/// Names of this machine's network interfaces.
fn interfaces() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A lab made of other templates than ours is not gone on with.
fn made_of() -> u64 {
    let mut hasher = DefaultHasher::new();
    (CLOUD, SEED).hash(&mut hasher);
    for row in TABLE {
        (row.name, row.files, row.folders, row.keys, row.prepare, row.environment, row.command).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_are_free_and_stay() {
        let mut state = State::new(27_500).unwrap();
        let port = state.port("one").unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        state.ports.clear();
        assert_ne!(state.port("one").unwrap(), port);
        let port = state.port("one").unwrap();
        assert_eq!(state.port("one").unwrap(), port);
        assert_ne!(state.port("other").unwrap(), port);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(State::read(folder.path()).unwrap().is_none());
        let mut state = State::new(27_600).unwrap();
        assert_eq!(state.virtual_host("a").unwrap(), "upstream-1");
        state.write(folder.path()).unwrap();
        let mut read = State::read(folder.path()).unwrap().unwrap();
        assert!(read.is_current());
        assert_eq!((&read.ports, &read.password), (&state.ports, &state.password));
        assert_eq!(
            (read.virtual_host("b").unwrap(), read.virtual_host("a").unwrap()),
            ("upstream-2".into(), "upstream-1".into())
        );
    }
}
