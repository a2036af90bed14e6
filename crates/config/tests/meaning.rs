//! What is said of what values mean: by a table of small files.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use magnum_config::{Settings, Severity, Sources};

const CREDENTIALS: &str = "[keystone_authtoken]\nauth_url = http://k/v3\nusername = m\npassword = p\n\
                           [certificates]\ncert_manager_type = x509keypair\n";

use Severity::{Error, Warning};

/// A file, and the one thing to be said of it: how bad, on which line, in which words.
const FILES: &[(&str, Option<(Severity, usize, &str)>)] = &[
    ("", None),
    ("[keystone_authtoken]\nCREDENTIALS", None),
    ("[keystone_authtoken]\nusername = m\n", Some((Error, 2, "seems to be meant by [keystone_authtoken] username"))),
    (
        "[identity]\nbackend = builtin\n[keystone_auth]\nusername = m\n",
        Some((Warning, 2, "nothing comes of [keystone_auth]")),
    ),
    ("[database]\nconnection = mysql://u:p@h/m\n", Some((Error, 2, "nothing says who callers are"))),
    (
        "[DEFAULT]\nauth_strategy = noauth\n[identity]\nbackend = builtin\n",
        Some((Error, 2, "[identity] backend is builtin: only one")),
    ),
    ("[certificates]\ncert_manager_type = barbican\n", Some((Error, 2, "can't be kept in Barbican yet"))),
    ("[certificates]\ncert_manager_type = local\n", Some((Error, 2, "keys are not kept in files"))),
    (
        "[keystone_authtoken]\nauth_url = http://k/v3\n",
        Some((Warning, 0, "is not set, with which upstream keeps keys in Barbican")),
    ),
    // Files.
    (
        "[api]\nssl_cert_file = /no/cert\nssl_key_file = DIR/magnum.conf\nenabled_ssl = 1\n",
        Some((Error, 2, "names /no/cert")),
    ),
    (
        "[api]\nssl_cert_file = DIR\nssl_key_file = DIR/magnum.conf\nenabled_ssl = 1\n",
        Some((Error, 2, "is not a file")),
    ),
    ("[oslo_policy]\npolicy_file = strict.yaml\n", Some((Error, 2, "names strict.yaml"))),
    ("[oslo_policy]\npolicy_file = policy.yaml\npolicy_dirs = policy.d\n", None),
    ("[oslo_policy]\npolicy_dirs = here.d\n", Some((Warning, 2, "names here.d"))),
    ("[local]\nagent_path = /no/agent\n", Some((Warning, 2, "names /no/agent"))),
    ("[cluster_template]\nlabel_files = own.yaml\n", Some((Error, 2, "names own.yaml"))),
    ("[glance_client]\nca_file = /no/ca\n", None),
    ("CREDENTIALS[glance_client]\nca_file = /no/ca\n", Some((Error, 8, "names /no/ca"))),
    ("CREDENTIALS[nova_client]\nkey_file = DIR/magnum.conf\n", Some((Error, 8, "is nothing without cert_file"))),
    // Halves.
    ("[api]\nssl_key_file = DIR/magnum.conf\n", Some((Error, 2, "ssl_cert_file is missing"))),
    ("[api]\nenabled_ssl = true\n", Some((Warning, 2, "needs ssl_cert_file and ssl_key_file"))),
    (
        "[api]\nssl_cert_file = DIR/magnum.conf\nssl_key_file = DIR/magnum.conf\n",
        Some((Warning, 2, "`magnum api` and magnum-api")),
    ),
    // Addresses.
    ("CREDENTIALSstorage_path = x\n[keystone_auth]\nauth_url = k\n", Some((Error, 9, "must be an address"))),
    ("CREDENTIALS[identity]\npublic_url = http://u:p@h\n", Some((Error, 8, "has a user in it"))),
    (
        "[keystone_authtoken]\nwww_authenticate_uri = http:/k\n[certificates]\ncert_manager_type = x509keypair\n",
        Some((Error, 2, "must be an address")),
    ),
    ("[DEFAULT]\ntransport_url = rabbit://u:a/b@h/\n", Some((Warning, 2, "write `,` as %2C"))),
    ("[DEFAULT]\ntransport_url = controller\n", Some((Warning, 2, "has no scheme"))),
    ("[DEFAULT]\ntransport_url = rabbit://u:p@h1:1,u:p@h2:2/x\n", None),
    (
        "CREDENTIALS[keystone_authtoken]\nmemcached_servers = a:1, [::1]:2\n",
        Some((Warning, 8, "must be HOST:PORT, inet6:[ADDRESS]:PORT")),
    ),
    ("CREDENTIALS[keystone_authtoken]\nmemcached_servers = a:1,inet6:[::1]:2\n", None),
    ("[cors]\nallowed_origin = https://dash.example/\n", Some((Warning, 2, "it must be as https://dash.example"))),
    ("[cors]\nallowed_origin = dash.example\n", Some((Warning, 2, "it must be as https://dashboard.example"))),
    ("[cors.x]\nallowed_origin = https://dash.example:443\n", Some((Warning, 2, "it must be as https://dash.example"))),
    ("[cors]\nallowed_origin = https://dash.example, *, http://localhost:8080\n", None),
    // Defaults that are not among the allowed, and words that nothing knows.
    (
        "[cluster_template]\nkubernetes_allowed_network_drivers = calico\n",
        Some((Warning, 2, "is flannel, which is not among")),
    ),
    (
        "[cluster_template]\nkubernetes_default_network_driver = cilium\n",
        Some((Warning, 2, "is cilium, which is not among")),
    ),
    (
        "[cluster_template]\nkubernetes_default_network_driver = weave\n",
        Some((Warning, 2, "which kubernetes does not have")),
    ),
    ("[cluster_template]\nkubernetes_allowed_network_drivers = all\n", None),
    (
        "[cluster_template]\nkubernetes_allowed_network_drivers = calcio,flannel\n",
        Some((Warning, 2, "did you mean calico?")),
    ),
    ("[baymodel]\nswarm_default_network_driver = flannel\n", None),
    // Numbers.
    ("[database]\nmax_pool_size = 90\nmax_overflow = 90\n", Some((Warning, 2, "more than 100"))),
    ("[DEFAULT]\nservice_down_time = 20\n", Some((Warning, 0, "is longer than [DEFAULT] service_down_time"))),
    ("[limits]\nrequest_burst = 5\n", Some((Warning, 2, "is less than requests_per_second"))),
    ("[api]\nport = 23770\n", Some((Warning, 0, "includes 23770"))),
    ("[local]\nsubnet = 10.0.0.0/29\n", Some((Warning, 2, "has 8 addresses"))),
    ("[local]\nsubnet = fd00::/64\n", Some((Error, 2, "local nodes have IPv4 addresses"))),
    ("[local]\nsubnet = fd00::/64\nenabled = false\n", None),
    ("[DEFAULT]\nstate_path = magnum\n", Some((Warning, 2, "is relative"))),
];

#[test]
fn files_are_checked_for_what_they_mean() {
    for (text, expected) in FILES {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("magnum.conf");
        let text = text.replace("[keystone_authtoken]\nCREDENTIALS", CREDENTIALS).replace("CREDENTIALS", CREDENTIALS);
        let text = text.replace("DIR", &folder.path().display().to_string());
        std::fs::write(&file, &text).unwrap();
        let settings = Settings::examine(&Sources::files([file.clone()])).unwrap();
        let meaning = settings.meaning();
        let said: Vec<String> = meaning.findings.iter().map(ToString::to_string).collect();
        match expected {
            None => assert_eq!(said, Vec::<String>::new(), "{text}"),
            Some((severity, line, words)) => {
                assert_eq!(said.len(), 1, "{text}\n{said:#?}");
                let place = match line {
                    0 => format!("default: {severity}: "),
                    line => format!("{}:{line}: {severity}: ", file.display()),
                };
                assert!(said[0].starts_with(&place) && said[0].contains(words), "{text}\n{said:#?}");
            }
        }
    }
}

/// Errors of spelling don't hide those of meaning.
#[test]
fn everything_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("magnum.conf");
    std::fs::write(&file, "[api]\nport = many\nssl_key_file = /no/key\n[certificates]\ncert_manager_type = barbican\n")
        .unwrap();
    let report = magnum_config::check(&Sources::files([file])).unwrap();
    let lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(report.count(Severity::Error), 4, "{lines:#?}");
}
