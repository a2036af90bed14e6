//! Slow connections on each listener, while somebody else makes a cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::report::Table;
use super::helper::{Answers, Helper};
use super::{Attack, CLUSTER, settled};
use crate::say;

/// Where the agents of a cluster call, in its own network: the first address of `[local] subnet`.
const AGENT_LISTENER: &str = "10.77.0.1:9512";
/// Loopback addresses that attackers come from.
const ATTACKERS: std::ops::RangeInclusive<u8> = 2..=11;
/// Longest time of one attack, whatever happens.
const LONGEST: u64 = 240;
/// Requests a second of somebody who only looks.
const LOOKS: f64 = 4.0;
/// Times as long as without an attack that a cluster may take, on a machine that the attacker shares.
const SLOWER: u32 = 6;

/// A listener and how it is attacked.
struct Target {
    name: &'static str,
    place: Place,
    ways: &'static [&'static str],
    /// Where slow bodies go.
    post: &'static str,
    /// What is asked for and not read.
    page: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Api,
    /// From a worker of the cluster, as any container on it could.
    Agents,
    /// The port of the machine that leads to the cluster's engine.
    Engine,
}

/// All of them. What the ways are: `magnum-bench slow --help`.
const TARGETS: &[Target] = &[
    Target {
        name: "the API",
        place: Place::Api,
        ways: &["connect", "hello", "idle", "head", "body", "unread"],
        post: "/v1/clustertemplates",
        page: "/openapi.json",
    },
    Target {
        name: "the built-in identity",
        place: Place::Api,
        ways: &["body", "head", "body", "unread"],
        post: "/identity/v3/auth/tokens",
        page: "/identity/v3",
    },
    Target {
        name: "a cluster's agent listener",
        place: Place::Agents,
        ways: &["connect", "hello", "idle", "head", "body"],
        post: "/agent/v1/join",
        page: "/",
    },
    Target {
        name: "a cluster's port on the machine",
        place: Place::Engine,
        ways: &["connect", "hello"],
        post: "/",
        page: "/",
    },
];

/// The attack on each, after the same without one.
pub(super) fn run(attack: &Attack<'_>, connections: u32, table: &mut Table) -> Result<()> {
    say::step("A cluster without an attack");
    let calm = attack.while_looking(|| attack.make_cluster())?;
    let (calm_looks, calm_time) = calm;
    table.show("no attack: cluster create", say::seconds(calm_time));
    table.check("no attack: requests", &calm_looks, "all answered", calm_looks.are_good());
    attack.delete_cluster("victim")?;
    for (round, target) in TARGETS.iter().enumerate() {
        say::step(&format!("{connections} slow connections on {}", target.name));
        attacked(attack, target, connections, calm_time, 2 - i64::try_from(round % 2)?, table)
            .with_context(|| format!("the attack on {}", target.name))?;
    }
    Ok(())
}

fn attacked(
    attack: &Attack<'_>,
    target: &Target,
    connections: u32,
    calm: Duration,
    size: i64,
    table: &mut Table,
) -> Result<()> {
    let attacker = start(attack, target, connections)?;
    let outcome = attack.while_looking(|| {
        let time = attack.make_cluster()?;
        // The cluster that is attacked must go on, too.
        let resized = if target.place == Place::Api { None } else { Some(attack.resize(size)?) };
        Ok((time, resized))
    });
    let usage = attack.usage();
    let seen = attacker.finish()?;
    let count = |name: &str| seen.get(name).and_then(Value::as_u64).unwrap_or_default();
    let name = target.name;
    table.show(
        format!("{name}: the attacker"),
        format!(
            "at most {} at once, {} opened, {} refused, {} closed by the server, in {} s",
            count("most"),
            count("opened"),
            count("refused"),
            count("closed"),
            count("seconds")
        ),
    );
    if let Some(usage) = usage {
        table.show(format!("{name}: the server"), usage);
    }
    match outcome {
        Ok((looks, (time, resized))) => {
            let slow = calm * SLOWER + Duration::from_secs(30);
            let words = format!("at most {}", say::seconds(slow));
            table.check(format!("{name}: cluster create"), say::seconds(time), &words, time < slow);
            table.check(format!("{name}: requests"), &looks, "all answered", looks.are_good());
            if let Some(resized) = resized {
                table.check(format!("{name}: resize of that cluster"), say::seconds(resized), &words, resized < slow);
            }
        }
        Err(error) => {
            table.check(format!("{name}: cluster create"), "not done", "CREATE_COMPLETE", false);
            table.note(format!("{name}: {error:#}"));
        }
    }
    attack.delete_cluster("victim")
}

fn start(attack: &Attack<'_>, target: &Target, connections: u32) -> Result<Helper> {
    let (address, namespace) = match target.place {
        Place::Api => (attack.address().to_owned(), None),
        Place::Agents => (AGENT_LISTENER.to_owned(), Some(attack.worker_namespace()?)),
        Place::Engine => (attack.engine_address()?, None),
    };
    let mut arguments = vec!["slow".to_owned()];
    let mut add = |name: &str, value: &str| arguments.extend([format!("--{name}"), value.to_owned()]);
    add("address", &address);
    add("connections", &connections.to_string());
    add("seconds", &LONGEST.to_string());
    add("post", target.post);
    add("page", target.page);
    target.ways.iter().for_each(|way| add("way", way));
    if namespace.is_none() {
        ATTACKERS.for_each(|last| add("from", &format!("127.0.0.{last}")));
    }
    Helper::start(attack.helper(), namespace.as_deref(), &arguments)
}

impl Attack<'_> {
    /// Does something while somebody else looks at the clusters again and again, each time on a connection of its own.
    fn while_looking<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<(Answers, T)> {
        let looking = Helper::start(self.helper(), None, &self.looks(LOOKS))?;
        let outcome = act();
        let figures = looking.finish()?;
        Ok((Answers::read(&figures, "200")?, outcome?))
    }

    /// A cluster of one manager and one worker, by the real client; how long from the command until it is complete.
    fn make_cluster(&self) -> Result<Duration> {
        let began = Instant::now();
        self.openstack.run("coe cluster create victim --cluster-template swarm --master-count 1 --node-count 1")?;
        settled(&self.victim, "victim", "CREATE_COMPLETE")?;
        Ok(began.elapsed())
    }

    fn resize(&self, size: i64) -> Result<Duration> {
        let began = Instant::now();
        self.openstack.run(&format!("coe cluster resize {CLUSTER} {size}"))?;
        settled(&self.victim, CLUSTER, "UPDATE_COMPLETE")?;
        Ok(began.elapsed())
    }

    /// The network namespace of a worker of the cluster that is attacked.
    fn worker_namespace(&self) -> Result<String> {
        let uuid = self.cluster()?;
        let short = uuid.get(..8).unwrap_or(&uuid);
        let names = std::fs::read_dir("/run/netns")?.flatten();
        let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .find(|name| name.contains(short) && name.contains("worker"))
            .with_context(|| format!("no worker of {uuid} has a network namespace"))
    }

    fn engine_address(&self) -> Result<String> {
        let cluster = self.victim.get(&format!("/v1/clusters/{CLUSTER}"))?;
        let address = cluster.get("api_address").and_then(Value::as_str).unwrap_or_default();
        match address.rsplit_once("//") {
            Some((_, address)) => Ok(address.to_owned()),
            None => bail!("the cluster has no address: {cluster}"),
        }
    }
}
