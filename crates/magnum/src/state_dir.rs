//! The folder that holds everything a server keeps, and what the first start puts into it.
//!
//! ```text
//! magnum.sqlite      the database, where none is configured
//! secret.key         seals what the database must not hold in the clear
//! tls/               the server's own authority and certificate
//! clouds.yaml        how to log in, for the OpenStack clients
//! clusters/          what the local driver keeps for each cluster
//! ```

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// The folder. Made by [`StateDir::open`].
#[derive(Debug, Clone)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    /// Where the state goes when nobody says: `/var/lib/magnum` for root, else the user's own state folder.
    pub(crate) fn default_path() -> anyhow::Result<PathBuf> {
        if nix::unistd::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/magnum"));
        }
        // Empty or relative is as good as not set.
        if let Some(folder) = std::env::var_os("XDG_STATE_HOME").filter(|folder| Path::new(folder).is_absolute()) {
            return Ok(Path::new(&folder).join("magnum"));
        }
        let home = std::env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .context("neither --state-dir nor HOME says where to keep the state")?;
        Ok(Path::new(&home).join(".local/state/magnum"))
    }

    /// Makes the folder with mode 0700, or takes it as it is if nobody else can look into it.
    ///
    /// # Errors
    /// When it can't be made, belongs to somebody else or is open to others.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("the state folder {} can't be made", path.display()))?;
        let metadata = fs::metadata(&path)?;
        let owner = nix::unistd::geteuid().as_raw();
        if metadata.uid() != owner {
            bail!(
                "{} belongs to user {}, not to this process: choose another --state-dir",
                path.display(),
                metadata.uid()
            );
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            bail!("{} holds secrets and is open to others: run 'chmod 700 {0}'", path.display());
        }
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads the passwords of an earlier start, or makes them up. The file is written anew each time, since the
    /// address may have changed.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub(crate) fn passwords(&self, url: &str, region: &str) -> anyhow::Result<Passwords> {
        let path = self.join("clouds.yaml");
        let passwords = match fs::read_to_string(&path) {
            Ok(text) => passwords_of(&text).with_context(|| {
                format!("{} is not as it was written; put it right, or remove it and set new passwords", path.display())
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Passwords::random()?,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let cacert = url.starts_with("https:").then(|| self.join("tls/ca.pem").display().to_string());
        write_private(&path, clouds_yaml(url, region, cacert.as_deref(), &passwords).as_bytes())?;
        Ok(passwords)
    }
}

/// The passwords of the two users that the first start makes.
pub(crate) struct Passwords {
    pub(crate) admin: SecretString,
    pub(crate) demo: SecretString,
}

impl Passwords {
    fn random() -> anyhow::Result<Self> {
        let one = || -> anyhow::Result<SecretString> {
            let mut bytes = [0_u8; 18];
            aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
            use base64::Engine;
            Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes).into())
        };
        Ok(Self { admin: one()?, demo: one()? })
    }
}

#[derive(Serialize, Deserialize)]
struct Clouds {
    clouds: CloudsByName,
}

#[derive(Serialize, Deserialize)]
struct CloudsByName {
    demo: Cloud,
    admin: Cloud,
}

#[derive(Serialize, Deserialize)]
struct Cloud {
    auth: Auth,
}

#[derive(Serialize, Deserialize)]
struct Auth {
    password: String,
}

fn passwords_of(text: &str) -> anyhow::Result<Passwords> {
    let clouds: Clouds = serde_saphyr::from_str(text)?;
    Ok(Passwords { admin: clouds.clouds.admin.auth.password.into(), demo: clouds.clouds.demo.auth.password.into() })
}

fn clouds_yaml(url: &str, region: &str, cacert: Option<&str>, passwords: &Passwords) -> String {
    let cacert = cacert.map(|path| format!("    cacert: {path}\n")).unwrap_or_default();
    let cloud = |name: &str, password: &SecretString| {
        format!(
            "  {name}:\n    auth:\n      auth_url: {url}/identity/v3\n      username: {name}\n      password: {}\n      \
             project_name: {name}\n      user_domain_id: default\n      project_domain_id: default\n    \
             region_name: {region}\n    interface: public\n    identity_api_version: 3\n{cacert}",
            password.expose_secret()
        )
    };
    format!(
        "# How to log in: OS_CLIENT_CONFIG_FILE=<this file> OS_CLOUD=demo openstack coe cluster list\nclouds:\n{}{}",
        cloud("demo", &passwords.demo),
        cloud("admin", &passwords.admin)
    )
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    magnum_files::write_private(path, content).with_context(|| format!("{} can't be written", path.display()))
}

/// `https://127.0.0.1:9511` for an address.
pub(crate) fn base_url(bind: SocketAddr, tls: bool) -> String {
    format!("{}://{bind}", if tls { "https" } else { "http" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn passwords_survive_a_restart_at_another_address() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(&folder.path().join("state")).unwrap();
        let first = state.passwords("https://127.0.0.1:1", "one").unwrap();
        let second = state.passwords("http://127.0.0.1:2", "one").unwrap();
        assert_eq!(first.admin.expose_secret(), second.admin.expose_secret());
        assert_ne!(first.admin.expose_secret(), first.demo.expose_secret());
        let text = fs::read_to_string(state.join("clouds.yaml")).unwrap();
        assert!(text.contains("http://127.0.0.1:2/identity/v3") && !text.contains("cacert"), "{text}");
        let mode = fs::metadata(state.join("clouds.yaml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let error = StateDir::open(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }
}
