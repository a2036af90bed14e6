//! What a tenant does with a cluster: Docker commands over TLS, and a replicated web service.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::workspace::Workspace;
use crate::{debian, exec, http, say, stop};

/// The image and the service that runs it.
///
/// There is no registry; each engine is given the image. The name says that one is on the node itself, where nobody
/// listens, so that an engine which first tries to pull is refused at once instead of waiting for a name server.
const IMAGE: &str = "localhost:1/magnum-demo-page:1";
const SERVICE: &str = "page";
/// Where each replica listens on its node.
const PORT: u16 = 8080;
/// How long the cluster may take to have all replicas answer.
const SERVICE_LIMIT: Duration = Duration::from_secs(90);
/// How long a new node may take to be Ready for its manager.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A cluster as its owner sees it.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Network namespace of the cluster, in which the nodes' addresses are.
    namespace: PathBuf,
    /// `tcp://…` of the managers' engine API.
    docker_host: String,
    /// `ca.pem`, `cert.pem`, `key.pem`.
    credentials: PathBuf,
}

impl Tenant {
    /// Takes the address and the credentials that `openstack coe cluster config` gave.
    pub(crate) fn new(cluster_uuid: &str, docker_host: String, credentials: PathBuf) -> Self {
        let short = cluster_uuid.get(..8).unwrap_or(cluster_uuid);
        Self { namespace: Path::new("/run/netns").join(format!("magnum-{short}")), docker_host, credentials }
    }

    /// What the reader would set to use `docker` on this cluster.
    pub(crate) fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("DOCKER_HOST", self.docker_host.clone()),
            ("DOCKER_TLS_VERIFY", "1".to_owned()),
            ("DOCKER_CERT_PATH", self.credentials.display().to_string()),
        ]
    }

    /// Waits until exactly `count` nodes are Ready, then shows them.
    pub(crate) fn expect_nodes(&self, count: usize) -> Result<()> {
        let mut seen = String::new();
        let ready = stop::poll(READY_LIMIT, Duration::from_millis(100), || {
            seen = self.docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}}"])?;
            let all_ready = seen.lines().all(|line| line.ends_with(" Ready"));
            Ok((all_ready && seen.lines().count() == count).then_some(()))
        })?;
        ready.ok_or_else(|| anyhow!("{count} nodes should be Ready; these are there:\n{seen}"))?;
        say::command("docker --tlsverify node ls");
        say::output(&self.docker(&["node", "ls"])?);
        Ok(())
    }

    /// Gives every node the image: there is no registry, so it goes to each engine over that engine's own TLS API.
    pub(crate) fn import_image(&self, archive: &Path, addresses: &[String]) -> Result<()> {
        for address in addresses {
            exec::output(
                Command::new("nsenter")
                    .arg(format!("--net={}", self.namespace.display()))
                    .arg("docker")
                    .args(["--tlsverify", "--tlscacert"])
                    .arg(self.credentials.join("ca.pem"))
                    .arg("--tlscert")
                    .arg(self.credentials.join("cert.pem"))
                    .arg("--tlskey")
                    .arg(self.credentials.join("key.pem"))
                    .args(["-H", &format!("tcp://{address}:2376"), "import"])
                    .arg(archive)
                    .arg(IMAGE)
                    .env("DOCKER_CONFIG", &self.credentials),
            )
            .with_context(|| format!("cannot give the image to the engine at {address}"))?;
        }
        Ok(())
    }

    /// Starts the web service; each replica's page names the replica and its node.
    pub(crate) fn create_service(&self, replicas: usize) -> Result<()> {
        let page = "/bin/busybox mkdir -p /www && echo \"replica $REPLICA on $NODE\" > /www/index.html \
                    && exec /bin/busybox httpd -f -p 8080 -h /www";
        let words = [
            "service",
            "create",
            "--detach",
            "--quiet",
            "--no-resolve-image",
            "--name",
            SERVICE,
            "--replicas",
            &replicas.to_string(),
            "--endpoint-mode",
            "dnsrr",
            "--publish",
            &format!("mode=host,target=8080,published={PORT}"),
            "--env",
            "REPLICA={{.Task.Slot}}",
            "--env",
            "NODE={{.Node.Hostname}}",
            IMAGE,
            "/bin/busybox",
            "sh",
            "-c",
            page,
        ];
        say::command(&format!(
            "docker service create --name {SERVICE} --replicas {replicas} --endpoint-mode dnsrr --publish \
             mode=host,target=8080,published={PORT} … {IMAGE}"
        ));
        self.docker(&words)?;
        Ok(())
    }

    /// Changes the number of replicas.
    pub(crate) fn scale_service(&self, replicas: usize) -> Result<()> {
        let scale = format!("{SERVICE}={replicas}");
        say::command(&format!("docker service scale {scale}"));
        self.docker(&["service", "scale", "--detach", &scale])?;
        Ok(())
    }

    /// Reads the page at each address until every one answers and each names another replica; shows the pages.
    pub(crate) fn read_pages(&self, addresses: &[String]) -> Result<()> {
        let mut pages = Vec::new();
        let mut trouble = String::new();
        let all = stop::poll(SERVICE_LIMIT, Duration::from_millis(200), || {
            pages.clear();
            for address in addresses {
                match http::get_in_namespace(&self.namespace, &format!("{address}:{PORT}"), "/") {
                    Ok(page) if page.status == 200 => pages.push((address.clone(), page.body.trim().to_owned())),
                    Ok(page) => trouble = format!("{address} answers with status {}", page.status),
                    Err(error) => trouble = format!("{error:#}"),
                }
            }
            let replicas: BTreeSet<&str> = pages.iter().map(|(_, page)| page.as_str()).collect();
            Ok((replicas.len() == addresses.len()).then_some(()))
        })?;
        if all.is_none() {
            let tasks = self.docker(&["service", "ps", "--no-trunc", SERVICE]).unwrap_or_default();
            bail!("not every replica answers: {trouble}\n{pages:?}\n{tasks}");
        }
        for (address, page) in &pages {
            say::note(&format!("http://{address}:{PORT}/  ->  {page}"));
        }
        Ok(())
    }

    fn docker(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("docker");
        // A configuration of the reader's own must not lead the client elsewhere.
        command
            .args(words)
            .envs(self.environment())
            .env("DOCKER_CONFIG", &self.credentials)
            .env_remove("DOCKER_CONTEXT");
        exec::output(&mut command)
    }
}

/// Addresses of all nodes, managers first, as the cluster's document names them.
pub(crate) fn addresses(cluster: &Value) -> Vec<String> {
    let list = |name: &str| cluster.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let all = list("master_addresses").into_iter().chain(list("node_addresses"));
    all.filter_map(|address| address.as_str().map(str::to_owned)).collect()
}

/// Makes a file system of one program, Debian's static busybox, as an archive that `docker import` takes.
pub(crate) fn image_archive(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let package = debian::unpacked(workspace, "busybox-static", "the program in the demo's image")?;
    let root = folder.join("image");
    fs::create_dir_all(root.join("bin")).context("cannot make a folder for the image")?;
    let busybox = root.join("bin/busybox");
    fs::copy(package.join("bin/busybox"), &busybox).context("cannot copy busybox")?;
    fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755))?;
    let archive = folder.join("image.tar");
    exec::output(
        Command::new("tar").arg("-C").arg(&root).args(["--owner=0", "--group=0", "-cf"]).arg(&archive).arg("."),
    )?;
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_come_before_workers() {
        let cluster = serde_json::json!({"node_addresses": ["10.0.0.6"], "master_addresses": ["10.0.0.5"]});
        assert_eq!(addresses(&cluster), ["10.0.0.5", "10.0.0.6"]);
        assert!(addresses(&serde_json::json!({"node_addresses": null})).is_empty());
    }
}
