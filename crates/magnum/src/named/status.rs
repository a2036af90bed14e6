//! `magnum-status upgrade check`: what an operator should know before going on.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use magnum_config::{FindingKind, Settings, Severity};
use magnum_store::{ConnectOptions, Page, Scope, Store};
use secrecy::ExposeSecret;
use serde_json::json;

use super::Options;
use super::output::{framed, wrapped};
use crate::cli::{ConfigFiles, StateDir};
use crate::{print, wiring};

/// Checks whether an upgrade can be made.
#[derive(Debug, Parser)]
#[command(name = "magnum-status", version, about)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks for an upgrade
    Upgrade(Upgrade),
}

#[derive(Debug, Args)]
struct Upgrade {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make every check
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// How a check came out; the worst is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Success = 0,
    Warning = 1,
    Failure = 2,
}

struct Checked {
    name: &'static str,
    outcome: Outcome,
    details: Option<String>,
}

/// Upstream's code when the checks can't be made at all.
const BROKEN: u8 = 255;
/// Upstream's width of details.
const WIDTH: usize = 60;
const TITLE: &str = "Upgrade Check Results";

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let Command::Upgrade(Upgrade { json, what: What::Check { json: also } }) = cli.command;
    let checks = match check(&cli.options.into_files()) {
        Ok(checks) => checks,
        Err(error) => {
            print::aside(format_args!("magnum-status: {}", crate::in_words(&error)));
            return Ok(ExitCode::from(BROKEN));
        }
    };
    if json || also {
        let rows: Vec<_> = checks
            .iter()
            .map(|check| json!({"check": check.name, "result": check.outcome as u8, "details": check.details}))
            .collect();
        print::line(json!({"name": TITLE, "checks": rows}))?;
    } else {
        let blocks: Vec<Vec<String>> = checks.iter().map(Checked::lines).collect();
        print::text(framed(TITLE, &blocks))?;
    }
    let worst = checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Success);
    Ok(ExitCode::from(worst as u8))
}

fn check(files: &ConfigFiles) -> anyhow::Result<Vec<Checked>> {
    let settings = wiring::settings(files, &StateDir { state_dir: None })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (database, drivers) = runtime.block_on(database(&settings));
    Ok(vec![policy(&settings), configuration(&settings), database, drivers])
}

fn policy(settings: &Settings) -> Checked {
    let name = "Policy File JSON to YAML Migration";
    let is_json = |text: String| serde_json::from_str::<serde_json::Value>(&text).is_ok();
    match settings.policy.file.as_ref().filter(|path| fs::read_to_string(path).is_ok_and(is_json)) {
        None => Checked::good(name),
        Some(path) => Checked::new(
            name,
            Outcome::Failure,
            format!(
                "{} is JSON. It is read, but upstream has given JSON up: oslopolicy-convert-json-to-yaml makes YAML of it.",
                path.display()
            ),
        ),
    }
}

fn configuration(settings: &Settings) -> Checked {
    let name = "Configuration";
    let findings = &settings.report().findings;
    let of = |kinds: &[FindingKind]| {
        let options = findings.iter().filter(|finding| kinds.contains(&finding.kind));
        let named = options.map(|finding| match &finding.name {
            Some(option) => format!("[{}]{option}", finding.group),
            None => format!("[{}]", finding.group),
        });
        let mut named: Vec<String> = named.collect();
        named.dedup();
        named
    };
    let ignored = of(&[FindingKind::Ignored]);
    let unknown = of(&[FindingKind::UnknownGroup, FindingKind::UnknownOption]);
    let wrong: Vec<String> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).map(ToString::to_string).collect();
    if !wrong.is_empty() {
        return Checked::new(name, Outcome::Failure, wrong.join("; "));
    }
    let mut said = Vec::new();
    if !ignored.is_empty() {
        said.push(format!("Without effect here: {}.", ignored.join(", ")));
    }
    if !unknown.is_empty() {
        said.push(format!("Not known: {}.", unknown.join(", ")));
    }
    if said.is_empty() { Checked::good(name) } else { Checked::new(name, Outcome::Warning, said.join(" ")) }
}

/// The database's revision, and whether every cluster there has a driver here.
async fn database(settings: &Settings) -> (Checked, Checked) {
    let (schema, drivers) = ("Database Schema", "Drivers of Clusters");
    let unseen = || Checked::new(drivers, Outcome::Warning, "The database could not be looked into.".to_owned());
    let store = match Store::connect(settings.database.url().expose_secret(), &ConnectOptions::default()).await {
        Ok(store) => store,
        Err(error) => return (Checked::new(schema, Outcome::Failure, error.to_string()), unseen()),
    };
    let checked = match store.schema().await {
        Err(error) => return (Checked::new(schema, Outcome::Failure, error.to_string()), unseen()),
        Ok(found) if found.is_current() => Checked::good(schema),
        Ok(found) => {
            let there = found.upstream.map_or("It is empty.".to_owned(), |head| format!("It is at {}.", head.as_str()));
            let details = format!("{there} Our own tables are missing: magnum-db-manage upgrade makes them.");
            let checked = Checked::new(schema, Outcome::Warning, details);
            if found.upstream.is_none() {
                return (checked, Checked::good(drivers));
            }
            checked
        }
    };
    let without = match clusters_without_driver(settings, &store).await {
        Ok(without) => without,
        Err(error) => return (checked, Checked::new(drivers, Outcome::Warning, error.to_string())),
    };
    if without.is_empty() {
        return (checked, Checked::good(drivers));
    }
    let kinds: Vec<String> = without.iter().map(|(kind, number)| format!("{number} of {kind}")).collect();
    let details = format!(
        "Clusters without a driver here: {}. They are listed and shown, their certificates can be had and signed; \
         changing them is refused.",
        kinds.join(", ")
    );
    (checked, Checked::new(drivers, Outcome::Warning, details))
}

/// How many clusters of which type no driver makes.
async fn clusters_without_driver(settings: &Settings, store: &Store) -> anyhow::Result<BTreeMap<String, u64>> {
    let offered = wiring::offered(settings);
    let mut without = BTreeMap::new();
    let mut page = Page::first(500);
    loop {
        let clusters = store.list_clusters(&Scope::All, &page).await?;
        let Some(last) = clusters.last() else { return Ok(without) };
        page.marker = Some(last.uuid.to_string());
        let uuids: Vec<String> = clusters.iter().map(|cluster| cluster.cluster_template_id.clone()).collect();
        let templates = store.templates_by_uuid(&uuids).await?;
        for uuid in uuids {
            let Some(template) = templates.iter().find(|template| template.uuid.to_string() == uuid) else { continue };
            let os = template.cluster_distro.clone().unwrap_or_else(|| "None".to_owned());
            let makes = offered.iter().any(|(name, made)| match template.driver.as_deref() {
                Some(wanted) => wanted == *name,
                None => made
                    .iter()
                    .any(|kind| kind.server_type == template.server_type && kind.os == os && kind.coe == template.coe),
            });
            if !makes {
                let kind = template.driver.as_ref().map_or_else(
                    || format!("({}, {os}, {})", template.server_type, template.coe),
                    |name| format!("driver {name}"),
                );
                *without.entry(kind).or_insert(0) += 1;
            }
        }
    }
}

impl Checked {
    fn good(name: &'static str) -> Self {
        Self { name, outcome: Outcome::Success, details: None }
    }

    fn new(name: &'static str, outcome: Outcome, details: String) -> Self {
        Self { name, outcome, details: Some(details) }
    }

    fn lines(&self) -> Vec<String> {
        let outcome = match self.outcome {
            Outcome::Success => "Success",
            Outcome::Warning => "Warning",
            Outcome::Failure => "Failure",
        };
        let mut lines = vec![format!("Check: {}", self.name), format!("Result: {outcome}")];
        let mut details = wrapped(self.details.as_deref().unwrap_or("None"), WIDTH).into_iter();
        lines.push(format!("Details: {}", details.next().unwrap_or_default()));
        lines.extend(details);
        lines
    }
}
