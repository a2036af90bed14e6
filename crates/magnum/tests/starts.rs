//! What small configuration files come to: a server of which kind, or a refusal in words. Nothing that an operator asks for
//! is replaced by something else in silence.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;

/// What comes of a file. `DIR` in texts is the folder that it is in.
enum Comes {
    /// A server whose callers are known so.
    Up(&'static str),
    /// No server, with all of these words.
    Refused(&'static [&'static str]),
}
use Comes::{Refused, Up};

const BUILT_IN: &str = "built-in identity";
const KEYSTONE: &str = "Keystone";
const NO_AUTH: &str = "headers";

const BY_NAME: &str = "[identity] backend = builtin";
const CREDENTIALS: &str = "auth_url = http://127.0.0.1:1/v3\nusername = m\npassword = p\nproject_name = service\n";

/// A role, a file and what comes of it; `CREDENTIALS` in a file stands for those above.
const FILES: &[(&str, &str, Comes)] = &[
    // Nothing said: everything is embedded.
    ("api", "", Up(BUILT_IN)),
    ("serve", "", Up(BUILT_IN)),
    ("api", "[DEFAULT]\ntransport_url = rabbit://a:b@c\n[trust]\nroles = x\n", Up(BUILT_IN)),
    ("api", "[database]\nconnection = sqlite:///DIR/state/other.sqlite\n", Up(BUILT_IN)),
    // Asked for by name.
    ("api", "[identity]\nbackend = builtin\n[database]\nconnection = sqlite:///DIR/else.sqlite\n", Up(BUILT_IN)),
    ("api", "[identity]\nbackend = builtin\n[keystone_authtoken]\nCREDENTIALS", Up(BUILT_IN)),
    ("api", "[DEFAULT]\nauth_strategy = noauth\n", Up(NO_AUTH)),
    // A whole Keystone.
    ("api", "[keystone_authtoken]\nCREDENTIALS", Up(KEYSTONE)),
    ("api", "[keystone_auth]\nCREDENTIALS", Up(KEYSTONE)),
    ("api", "[keystone_authtoken]\nwww_authenticate_uri = http://k/v3\n[keystone_auth]\nCREDENTIALS", Up(KEYSTONE)),
    (
        "api",
        "[keystone_authtoken]\nidentity_uri = http://127.0.0.1:1\nadmin_user = m\nadmin_password = p\n",
        Up(KEYSTONE),
    ),
    (
        "api",
        "[keystone_authtoken]\nCREDENTIALS[database]\nconnection = sqlite:///DIR/else.sqlite\n[certificates]\n\
         cert_manager_type = x509keypair\n",
        Up(KEYSTONE),
    ),
    // Half a Keystone, or one that is spelt wrong.
    (
        "api",
        "[keystone_authtoken]\nauth_ulr = http://k/v3\nusername = m\npassword = p\n",
        Refused(&["[keystone_authtoken] auth_ulr", "[keystone_authtoken] auth_url: did you mean that?"]),
    ),
    (
        "serve",
        "[keystone_authtoken]\nauth_host = k\n",
        Refused(&["[keystone_authtoken] auth_host", "auth_url = PROTOCOL://HOST:PORT", BY_NAME]),
    ),
    ("api", "[keystone_authtokn]\nauth_url = http://k/v3\n", Refused(&["keystone_authtokn", "did you mean"])),
    (
        "api",
        "[keystone_authtoken]\nmemcached_servers = h:11211\n",
        Refused(&[
            "[keystone_authtoken] memcached_servers",
            "what is missing is [keystone_authtoken] auth_url",
            BY_NAME,
        ]),
    ),
    ("api", "[keystone_auth]\nusername = m\npassword = p\n", Refused(&["[keystone_auth] username", BY_NAME])),
    ("api", "[keystone_authtoken]\nauth_url =\n", Refused(&["what is missing is [keystone_authtoken] auth_url"])),
    ("api", "[DEFAULT]\nauth_strategy = keystone\n", Refused(&["meant by [DEFAULT] auth_strategy", BY_NAME])),
    ("api", "[DEFAULT]\nauth_stratgy = noauth\n", Refused(&["[DEFAULT] auth_strategy: did you mean that?"])),
    ("api", "[identity]\nbackend = keystone\n", Refused(&["has no auth_url"])),
    ("api", "[identity]\nbackend = ldap\n", Refused(&["[identity] backend must be one of builtin, keystone"])),
    ("api", "[identity]\nbackend =\n", Refused(&["[identity] backend must be one of builtin, keystone"])),
    ("api", "[identity]\nbakend = builtin\n", Refused(&["[identity] backend: did you mean that?"])),
    ("api", "[DEFAULT]\nauth_strategy = noauth\n[identity]\nbackend = keystone\n", Refused(&["only one of them"])),
    ("api", "[DEFAULT]\nauth_strategy = none\n", Refused(&["must be one of keystone, noauth"])),
    ("api", "[keystone_authtoken]\nwww_authenticate_uri = http://k/v3\n", Refused(&["has no auth_url"])),
    ("api", "[keystone_authtoken]\nauth_url = http://k/v3\nusername = m\n", Refused(&["has no password"])),
    ("api", "[keystone_authtoken]\nCREDENTIALSauth_type = v2password\n", Refused(&["auth_type is v2password"])),
    ("api", "[keystone_authtoken]\nCREDENTIALSauth_section = trust\n", Refused(&["auth_section is trust"])),
    ("api", "[keystone_authtoken]\nCREDENTIALSsystem_scope = some\n", Refused(&["system_scope is some"])),
    (
        "api",
        "[keystone_authtoken]\nCREDENTIALScafile = DIR/no.pem\n",
        Refused(&["cafile names DIR/no.pem", "No such file"]),
    ),
    (
        "api",
        "[keystone_authtoken]\nCREDENTIALScafile = DIR/magnum.conf\n",
        Refused(&["magnum.conf holds no certificate"]),
    ),
    (
        "api",
        "[keystone_authtoken]\nCREDENTIALSkeyfile = DIR/magnum.conf\n",
        Refused(&["keyfile is nothing without certfile"]),
    ),
    ("api", "[keystone_authtoken]\nCREDENTIALSinterface = inner\n", Refused(&["interface must be one of"])),
    (
        "api",
        "[keystone_authtoken]\nCREDENTIALS[glance_client]\nendpoint_type = inner\n",
        Refused(&["[glance_client] endpoint_type must be one of"]),
    ),
    (
        "api",
        "[keystone_authtoken]\nCREDENTIALS[nova_client]\nca_file = DIR/no.pem\n",
        Refused(&["[nova_client] ca_file names DIR/no.pem"]),
    ),
    ("api", "[keystone_authtoken]\nauth_url = k:5000/v3\n", Refused(&["auth_url must be an address such as"])),
    // A database that nobody has said who may use.
    (
        "api",
        "[database]\nconnection = sqlite:///DIR/else.sqlite\n",
        Refused(&["nothing says who callers are", BY_NAME]),
    ),
    ("api", "[database]\nconnection = mysql+pymysql://m:p@127.0.0.1:1/m\n", Refused(&["nothing says who callers are"])),
    ("conductor", "[database]\nconnection = postgresql://m:p@127.0.0.1:1/m\n", Refused(&["who callers are"])),
    // Another database than was meant.
    ("api", "[database]\nconection = mysql://m:p@h/m\n", Refused(&["[database] connection: did you mean that?"])),
    ("api", "[databse]\nconnection = mysql://m:p@h/m\n", Refused(&["[database] connection: did you mean that?"])),
    ("api", "[database]\nconnection =\n", Refused(&["[database] connection", "no `://`"])),
    (
        "api",
        "[identity]\nbackend = builtin\n[database]\nconnection = mysql://m:p@h/m?ssl_capath=/etc/ssl\n",
        Refused(&["parameter ssl_capath is not understood"]),
    ),
    (
        "api",
        "[identity]\nbackend = builtin\n[database]\nconnection = mysql://m:p@h/m\nconnection_parameters = ssl_ca=DIR/no.pem\n",
        Refused(&["names the file DIR/no.pem"]),
    ),
    (
        "api",
        "[identity]\nbackend = builtin\n[database]\nconnection = sqlite:///DIR/nowhere/m.sqlite\n",
        Refused(&["is a file in DIR/nowhere"]),
    ),
    // Keys of clusters.
    ("api", "[certificates]\ncert_manager_type = x509keypair\n", Up(BUILT_IN)),
    (
        "api",
        "[certificates]\ncert_manager_type = barbican\n",
        Refused(&["can't be kept in Barbican yet", "x509keypair"]),
    ),
    ("api", "[certificates]\ncert_manager_type = local\n", Refused(&["are not kept in files", "x509keypair"])),
    ("api", "[certificates]\ncert_manager_type = vault\n", Refused(&["must be one of barbican, x509keypair, local"])),
    ("api", "[certificates]\ncert_manger_type = barbican\n", Refused(&["cert_manager_type: did you mean that?"])),
    ("api", "[certificates]\npass_phrases = hidden\n", Refused(&["must be one of plain, sealed"])),
    // Policy.
    ("api", "[oslo_policy]\npolicy_file = policy.yaml\n", Up(BUILT_IN)),
    (
        "api",
        "[oslo_policy]\npolicy_file = DIR/strict.yaml\n",
        Refused(&["policy_file names DIR/strict.yaml", "No such file"]),
    ),
    ("api", "[oslo_policy]\npolicy_file = DIR/magnum.conf\n", Refused(&["policy_file can't be used", "malformed"])),
    ("api", "[oslo_policy]\npolicy_fle = DIR/strict.yaml\n", Refused(&["policy_file: did you mean that?"])),
    // TLS.
    ("api", "[api]\nenabled_ssl = true\n", Refused(&["enabled_ssl needs ssl_cert_file and ssl_key_file"])),
    ("serve", "[api]\nenabled_ssl = true\n", Up(BUILT_IN)),
    ("serve", "[api]\nssl_cert_file = DIR/magnum.conf\n", Refused(&["ssl_key_file is missing"])),
    ("serve", "[api]\nssl_key_file = DIR/magnum.conf\n", Refused(&["ssl_cert_file is missing"])),
    (
        "serve",
        "[api]\nssl_cert_file = DIR/no.pem\nssl_key_file = DIR/no.key\n",
        Refused(&["ssl_cert_file names DIR/no.pem", "ssl_key_file names DIR/no.key"]),
    ),
    (
        "serve",
        "[api]\nssl_cert_file = DIR/magnum.conf\nssl_key_file = DIR/magnum.conf\n",
        Refused(&["ssl_cert_file can't be used"]),
    ),
    ("api", "[api]\nenable_ssl = true\n", Refused(&["[api] enabled_ssl: did you mean that?"])),
    // Drivers.
    ("api", "[drivers]\ndefault_driver = k8s_fedora_coreos_v1\n", Up(BUILT_IN)),
    ("api", "[drivers]\ndisabled_drivers = local\n", Up(BUILT_IN)),
    ("api", "[drivers]\ndefault_driver = locl\n", Refused(&["default_driver is locl", "did you mean local?"])),
    ("api", "[drivers]\ndisabled_drivers = loacl\n", Refused(&["disabled_drivers names loacl", "did you mean local?"])),
    ("api", "[local]\nsubnet = fd00::/64\n", Refused(&["local nodes have IPv4 addresses"])),
    // The rest.
    ("api", "[cluster_template]\nlabel_files = DIR/labels.yaml\n", Refused(&["label_files names DIR/labels.yaml"])),
    ("api", "[cluster_template]\nlabel_files = DIR/magnum.conf\n", Refused(&["is not a file of labels"])),
    ("api", "[identity]\npublic_url = nowhere\n", Refused(&["public_url must be an address such as"])),
    ("api", "[x509]\nrsa_key_size = 1024\n", Refused(&["must be one of 2048, 3072, 4096"])),
    ("api", "[api]\nport = many\n", Refused(&["must be a port"])),
    ("api", "no section\n", Refused(&["magnum.conf:1"])),
];

struct Run {
    child: Child,
    log: std::path::PathBuf,
    address: String,
}

impl Run {
    fn start(role: &str, folder: &Path, more: &[&str]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let log = folder.join("log");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_magnum"));
        command.arg(role).args(["--config-file", "magnum.conf"]).args(more);
        if role != "conductor" {
            command.args(["--bind", &address]);
        }
        let child = command
            .args(["--state-dir", "state"])
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log, address }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it is ready or has ended; whether it is ready.
    async fn settle(&mut self, http: &reqwest::Client) -> bool {
        let began = Instant::now();
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            for scheme in ["http", "https"] {
                if http.get(format!("{scheme}://{}/healthcheck", self.address)).send().await.is_ok() {
                    return true;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(120), "neither ready nor ended:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How callers are known.
    async fn kind(&self, role: &str, http: &reqwest::Client) -> &'static str {
        let url = format!("{}://{}", if role == "serve" { "https" } else { "http" }, self.address);
        if http.get(format!("{url}/identity/v3")).send().await.unwrap().status() == 200 {
            return BUILT_IN;
        }
        let clusters = http.get(format!("{url}/v1/clusters"));
        let asked = clusters.header("X-User-Id", "u").header("X-Project-Id", "p").header("X-Roles", "member");
        let answer = asked.send().await.unwrap();
        if answer.status() == 200 { NO_AUTH } else { KEYSTONE }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap()
}

fn write(folder: &Path, text: &str) {
    let text = text.replace("CREDENTIALS", CREDENTIALS).replace("DIR", &folder.display().to_string());
    std::fs::write(folder.join("magnum.conf"), text).unwrap();
}

/// What is wrong with what comes of a file, if anything is.
async fn try_file(http: &reqwest::Client, role: &str, text: &str, comes: &Comes) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), text);
    let mut run = Run::start(role, folder.path(), &[]);
    let is_up = run.settle(http).await;
    let said = run.text();
    match comes {
        Up(_) if !is_up => Some(format!("{role} does not start with\n{text}\n{said}")),
        Up(kind) => {
            let found = run.kind(role, http).await;
            (found != *kind).then(|| format!("{role} starts as {found} with\n{text}"))
        }
        Refused(_) if is_up => Some(format!("{role} starts, as {}, with\n{text}", run.kind(role, http).await)),
        Refused(words) => {
            let place = folder.path().display().to_string();
            let missing = words.iter().map(|word| word.replace("DIR", &place)).find(|word| !said.contains(word));
            if let Some(word) = missing {
                return Some(format!("{role} does not say {word:?} of\n{text}\nbut\n{said}"));
            }
            let made = said.contains("panicked") || folder.path().join("state").exists();
            made.then(|| format!("{role} made something before it refused\n{text}\n{said}"))
        }
    }
}

#[tokio::test]
async fn a_file_comes_to_what_it_says_or_to_a_refusal() {
    let http = http();
    let tried = FILES.iter().map(|(role, text, comes)| try_file(&http, role, text, comes));
    let wrong: Vec<String> = futures::stream::iter(tried).buffer_unordered(4).filter_map(async |it| it).collect().await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FILES.len(), wrong.join("\n----\n"));
}

/// What can't be read is not as good as what is not there.
#[tokio::test]
async fn sources_that_cannot_be_read_are_not_passed_over() {
    let http = http();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("conf.d");
    std::fs::create_dir(&dir).unwrap();
    write(folder.path(), "");
    std::os::unix::fs::symlink("nowhere.conf", dir.join("10.conf")).unwrap();
    let mut run = Run::start("api", folder.path(), &["--config-dir", "conf.d"]);
    assert!(!run.settle(&http).await && run.text().contains("10.conf"), "{}", run.text());
    let mut run = Run::start("api", folder.path(), &["--config-dir", "no-such.d"]);
    assert!(!run.settle(&http).await && run.text().contains("no-such.d"), "{}", run.text());
    let mut run = Run::start("api", folder.path(), &["--config-file", "no-such.conf"]);
    assert!(!run.settle(&http).await && run.text().contains("no-such.conf"), "{}", run.text());
    // A link to nothing at one of the usual places.
    std::fs::create_dir(folder.path().join(".magnum")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join(".magnum/magnum.conf")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_magnum"))
        .args(["db", "version", "--state-dir", "state"])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(".magnum/magnum.conf"), "{said}");
}

/// A variable that is no text, or makes no sense, ends nothing and is not passed over.
#[test]
fn strange_variables_do_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_magnum"))
        .args(["policy", "list"])
        .env("HOME", folder.path())
        .env("OS_STRANGE", std::ffi::OsStr::from_bytes(b"\xff\xfe"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The key beside a database that holds secrets: it must be there, and be the right one.
#[tokio::test]
async fn a_database_with_sealed_secrets_needs_its_key() {
    let http = http();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "");
    let mut run = Run::start("api", at, &[]);
    assert!(run.settle(&http).await, "{}", run.text());
    drop(run);
    let key = at.join("state/secret.key");
    let kept = std::fs::read(&key).unwrap();
    let store = magnum_store::Store::connect(
        &format!("sqlite:///{}/state/magnum.sqlite", at.display()),
        &magnum_store::ConnectOptions::default(),
    )
    .await
    .unwrap();
    let seal = magnum_certs::SealKey::load_or_create(&key).unwrap();
    let pair = magnum_domain::certificate::StoredKeyPair {
        uuid: "11111111-2222-4333-8444-555555555555".parse().unwrap(),
        certificate: "c".to_owned(),
        private_key: "k".to_owned(),
        private_key_passphrase: seal.seal(b"secret").unwrap(),
        project_id: "p".to_owned(),
        user_id: "u".to_owned(),
        created_at: None,
    };
    store.put_key_pair(&pair).await.unwrap();
    store.close().await;

    let mut run = Run::start("api", at, &[]);
    assert!(run.settle(&http).await, "with its key: {}", run.text());
    drop(run);
    for (what, words) in [("missing", "is missing"), ("another", "is not the key")] {
        std::fs::remove_file(&key).unwrap();
        if what == "another" {
            std::fs::write(&key, [7_u8; 32]).unwrap();
            std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
        for role in ["api", "serve", "conductor"] {
            let mut run = Run::start(role, at, &[]);
            assert!(!run.settle(&http).await, "{role} starts although its key is {what}");
            let said = run.text();
            for word in [words, "state/secret.key", "backup", "accept_lost_key"] {
                assert!(said.contains(word), "{role}: {word}:\n{said}");
            }
            assert_eq!(key.exists(), what == "another", "no key is made that nothing was sealed with");
        }
        if what == "missing" {
            std::fs::write(&key, &kept).unwrap();
        }
    }
    // Asked for by name it starts, and says what is lost.
    write(at, "[certificates]\naccept_lost_key = true\n");
    let mut run = Run::start("api", at, &[]);
    assert!(run.settle(&http).await, "{}", run.text());
    assert!(run.text().contains("is lost"), "{}", run.text());
}

/// Without `clouds.yaml` a later start makes none: its passwords would be nobody's.
#[tokio::test]
async fn passwords_are_made_up_once() {
    let http = http();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "");
    let mut run = Run::start("api", at, &[]);
    assert!(run.settle(&http).await, "{}", run.text());
    drop(run);
    std::fs::remove_file(at.join("state/clouds.yaml")).unwrap();
    let mut run = Run::start("api", at, &[]);
    assert!(run.settle(&http).await, "{}", run.text());
    assert!(!at.join("state/clouds.yaml").exists());
}
