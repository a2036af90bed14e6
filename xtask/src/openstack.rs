//! The real `openstack` client, as a tenant would use it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{exec, say};

/// The client, and where it finds its cloud.
#[derive(Debug, Clone)]
pub(crate) struct Openstack {
    executable: PathBuf,
    clouds: PathBuf,
    shown: Shown,
}

/// What of a command is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Command,
    CommandAndOutput,
}

impl Openstack {
    /// The client at `executable`, for the clouds of the file `clouds`.
    pub(crate) fn new(executable: PathBuf, clouds: PathBuf) -> Self {
        Self { executable, clouds, shown: Shown::CommandAndOutput }
    }

    /// The same without a word.
    pub(crate) fn quietly(&self) -> Self {
        Self { shown: Shown::Nothing, ..self.clone() }
    }

    /// The same with its commands shown but not what they print.
    pub(crate) fn briefly(&self) -> Self {
        Self { shown: Shown::Command, ..self.clone() }
    }

    /// Runs a command; `arguments` are split at blanks.
    pub(crate) fn run(&self, arguments: &str) -> Result<String> {
        self.run_words(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a command and reads its output as JSON.
    pub(crate) fn json(&self, arguments: &str) -> Result<Value> {
        let text = self.quietly().run(&format!("{arguments} -f json"))?;
        serde_json::from_str(&text).with_context(|| format!("openstack {arguments} printed no JSON: {text}"))
    }

    /// Writes the credentials for the cluster's own API into `folder`; answers that API's address.
    pub(crate) fn cluster_config(&self, cluster: &str, folder: &Path) -> Result<String> {
        let folder = folder.to_string_lossy();
        let text = self.run_words(&[
            "coe",
            "cluster",
            "config",
            cluster,
            "--use-certificate",
            "--output-certs",
            "--force",
            "--dir",
            &folder,
        ])?;
        let host = text.lines().find_map(|line| line.strip_prefix("export DOCKER_HOST="));
        Ok(host.with_context(|| format!("no DOCKER_HOST in: {text}"))?.to_owned())
    }

    fn run_words(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.executable);
        command
            .args(arguments)
            .env("OS_CLIENT_CONFIG_FILE", &self.clouds)
            .env("OS_CLOUD", "demo")
            // `coe cluster config` asks which kind of shell to write for.
            .env("SHELL", "/bin/bash");
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        if self.shown != Shown::Nothing {
            say::command(&format!("openstack {}", arguments.join(" ")));
        }
        let text = exec::output(&mut command)?;
        if self.shown == Shown::CommandAndOutput {
            say::output(&text);
        }
        Ok(text)
    }
}
