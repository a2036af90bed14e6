//! From files to settings, and what is said about them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use magnum_config::{ConfigError, FindingKind, IdentityBackend, Report, Settings, Severity, Sources, check, sample};
use rstest::rstest;
use secrecy::ExposeSecret;

fn parse(text: &str) -> Settings {
    Settings::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn report(text: &str) -> Report {
    match Settings::parse(text) {
        Ok(settings) => settings.report().clone(),
        Err(ConfigError::Invalid(report)) => report,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_defaults_are_upstreams_and_ours() {
    let settings = Settings::defaults().unwrap();
    assert_eq!(settings.report().findings, []);
    assert_eq!(settings.api.host.to_string(), "127.0.0.1");
    assert_eq!(settings.api.port, 9511);
    assert_eq!(settings.api.max_limit, 1000);
    assert!(!settings.api.enabled_ssl);
    assert_eq!(settings.database.connection.expose_secret(), "sqlite:////var/lib/magnum/magnum.sqlite");
    assert_eq!(settings.quotas.max_clusters_per_project, 20);
    assert_eq!(settings.x509.term_of_validity, 1825);
    assert_eq!(settings.x509.allowed_key_usage, ["Digital Signature", "Key Encipherment", "Non Repudiation"]);
    assert_eq!(settings.cluster_template.kubernetes_allowed_network_drivers, ["flannel", "calico"]);
    assert_eq!(settings.cluster.create_timeout, Duration::from_secs(3600));
    assert_eq!(settings.conductor.health_interval, Some(Duration::from_secs(15)));
    assert_eq!(settings.conductor.lease, Duration::from_secs(30));
    assert_eq!(settings.local.subnet.to_string(), "10.77.0.0/24");
    assert_eq!(settings.local.api_ports.into_iter().count(), 240);
    assert_eq!(settings.local.state_dir, Path::new("/var/lib/magnum"));
    assert_eq!(settings.identity.backend, Some(IdentityBackend::Builtin));
    assert_eq!(settings.policy.default_rule.as_deref(), Some("default"));
    assert_eq!(settings.policy.file, None, "there is nowhere to look for it");
    assert_eq!(settings.limits.max_request_body_size, 114_688);
    assert_eq!(settings.limits.requests_per_second.map(u32::from), Some(20_000));
    assert_eq!(Settings::parse("[limits]\nrequests_per_second = 0\n").unwrap().limits.requests_per_second, None);
    assert!(settings.cors.is_empty());
    assert_eq!(settings.service.host, None);
}

#[rstest]
#[case::plain("[api]\nport = 1", "api", "port", "1")]
#[case::group_in_any_case("[API]\nport = 1", "api", "port", "1")]
#[case::last_counts("[api]\nport = 1\nport = 2", "api", "port", "2")]
#[case::hyphen("[api]\nmax-limit = 5", "api", "max_limit", "5")]
#[case::empty_number("[api]\nmax_limit =", "api", "max_limit", "1000")]
#[case::former_name(
    "[bay]\netcd_discovery_service_endpoint_format = x",
    "cluster",
    "etcd_discovery_service_endpoint_format",
    "x"
)]
#[case::present_name_counts(
    "[cluster_heat]\ncreate_timeout = 1\n[bay_heat]\ncreate_timeout = 2",
    "cluster_heat",
    "create_timeout",
    "1"
)]
#[case::former_name_in_default("[DEFAULT]\nsql_connection = sqlite:///x", "database", "connection", "sqlite:///x")]
#[case::reference("[DEFAULT]\nstate_path = /s\n[local]\nstate_dir = ${state_path}/n", "local", "state_dir", "/s/n")]
#[case::reference_to_default("[DEFAULT]\nstate_path = /s", "database", "connection", "sqlite:////s/magnum.sqlite")]
#[case::own_group_first("[api]\nssl_cert_file = c\nssl_key_file = ${ssl_cert_file}.k", "api", "ssl_key_file", "c.k")]
#[case::with_group("[local]\nstate_dir = $api.port", "local", "state_dir", "9511")]
#[case::to_nothing("[local]\nstate_dir = /x$host", "local", "state_dir", "/x")]
#[case::dollar("[database]\nconnection = mysql://u:a$$b@h", "database", "connection", "mysql://u:a$b@h")]
#[case::lone_dollar("[database]\nconnection = mysql://u:a$5@h", "database", "connection", "mysql://u:a$5@h")]
#[case::continued("[drivers]\ndisabled_drivers = a,\n  b", "drivers", "disabled_drivers", "a,b")]
#[case::multi("[oslo_policy]\npolicy_dirs = a\npolicy_dirs = b,c", "oslo_policy", "policy_dirs", "a,b,c")]
#[case::zero_in_front("[api]\nport = 08", "api", "port", "8")]
fn values(#[case] text: &str, #[case] group: &str, #[case] name: &str, #[case] expected: &str) {
    let settings = parse(text);
    let text = settings
        .get::<String>(group, name)
        .or_else(|_| settings.get::<Vec<String>>(group, name).map(|items| items.join(",")))
        .or_else(|_| settings.get::<i64>(group, name).map(|number| number.to_string()))
        .unwrap();
    assert_eq!(text, expected);
}

#[rstest]
#[case::type_("[api]\nport = http", 2, "[api] port must be a port from 0 to 65535")]
#[case::range("\n[api]\nmax_limit = 0", 3, "[api] max_limit must be 1 or more")]
#[case::both_limits("[conductor]\nlease = 1", 2, "[conductor] lease must be from 5 to 3600")]
#[case::choice("[DEFAULT]\nauth_strategy = none", 2, "[DEFAULT] auth_strategy must be one of keystone, noauth")]
#[case::number_choice("[x509]\nrsa_key_size = 1024", 2, "must be one of 2048, 3072, 4096")]
#[case::name_for_address("[api]\nhost = localhost", 2, "must be an IP address")]
#[case::circle("[DEFAULT]\nstate_path = $state_path", 2, "refers to itself")]
#[case::guarded("[DEFAULT]\nstate_pth = /x", 2, "nothing sets [DEFAULT] state_path: did you mean that?")]
#[case::far_circle("[local]\nstate_dir = $agent_path\nagent_path = $state_dir", 2, "refers to itself")]
#[case::unknown_reference("[local]\nstate_dir = $nowhere", 2, "`$nowhere`")]
#[case::syntax("[api]\nport", 2, "neither a comment")]
fn errors_have_a_place(#[case] text: &str, #[case] line: usize, #[case] message: &str) {
    let report = report(text);
    assert!(report.has_errors());
    let first = report.findings[0].to_string();
    assert!(first.starts_with(&format!("magnum.conf:{line}: error: ")), "{first}");
    assert!(first.contains(message), "{first}");
}

#[rstest]
#[case::misspelt("[api]\nmax_limt = 5", FindingKind::UnknownOption, "did you mean max_limit?")]
#[case::elsewhere(
    "[DEFAULT]\nmax_clusters_per_project = 5",
    FindingKind::UnknownOption,
    "did you mean [quotas] max_clusters_per_project?"
)]
#[case::nothing_near("[api]\ncolour = red", FindingKind::UnknownOption, "is not an option that anything reads")]
#[case::wrong_case("[api]\nPort = 1", FindingKind::UnknownOption, "did you mean port?")]
#[case::group("[databse]\nmax_pool_size = 5\npool_timeout = 5", FindingKind::UnknownGroup, "did you mean [database]?")]
#[case::default_in_small_letters("[default]\ndebug = true", FindingKind::UnknownGroup, "did you mean [DEFAULT]?")]
#[case::deprecated("[DEFAULT]\nlog-config = x", FindingKind::Deprecated, "use [DEFAULT] log_config_append")]
#[case::deprecated_group(
    "[baymodel]\nswarm_default_network_driver = docker",
    FindingKind::Deprecated,
    "use [cluster_template] swarm_default_network_driver"
)]
#[case::unknown_in_former_group("[baymodel]\nnothing = x", FindingKind::UnknownOption, "anything reads")]
#[case::ignored("[api]\nworkers = 4", FindingKind::Ignored, "no effect here: one process")]
#[case::ignored_group("[trust]\nroles = a\ntrustee_domain_id = b", FindingKind::Ignored, "no effect here")]
#[case::somebody_elses("[capi_helm]\nanything = x\nmore = y", FindingKind::Ignored, "not part of this program")]
#[case::pattern("[cors.horizon]\nallowed_orign = x", FindingKind::UnknownOption, "allowed_origin?")]
#[case::harmless("[cluster_heat]\nmax_attempts = many", FindingKind::Invalid, "must be a whole number")]
fn findings(#[case] text: &str, #[case] kind: FindingKind, #[case] message: &str) {
    let report = report(text);
    assert!(!report.has_errors(), "{report}");
    let found: Vec<_> = report.findings.iter().filter(|finding| finding.kind == kind).collect();
    assert_eq!(found.len(), 1, "{report}");
    assert!(found[0].message.contains(message), "{report}");
    let severity = if kind == FindingKind::Ignored { Severity::Note } else { Severity::Warning };
    assert_eq!(found[0].severity, severity);
    let others = report.findings.iter().filter(|finding| finding.kind != kind);
    assert!(others.into_iter().all(|finding| finding.kind == FindingKind::Ignored), "{report}");
}

#[test]
fn all_errors_are_told_at_once_in_the_order_of_lines() {
    let report = report("[api]\nport = x\nnonsense\n[quotas]\nmax_clusters_per_project = -2\n");
    let lines: Vec<_> = report.to_string().lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["magnum.conf:2", "magnum.conf:3", "magnum.conf:5"]);
    assert_eq!(report.count(Severity::Error), 3);
    assert_eq!(report.at_least(Severity::Error).findings.len(), 3);
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn stronger_sources_override_weaker_ones() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), "a.conf", "[api]\nport=1\nmax_limit=1\n[quotas]\nmax_clusters_per_project=1\n");
    let second = write(folder.path(), "b.conf", "[api]\nmax_limit=2\n[quotas]\nmax_clusters_per_project=2\n");
    write(folder.path(), "conf.d/10.conf", "[quotas]\nmax_clusters_per_project=3\n[oslo_policy]\npolicy_dirs=x\n");
    write(folder.path(), "conf.d/20.conf", "[x509]\nterm_of_validity=4\n[oslo_policy]\npolicy_dirs=y\n");
    let environment = [("OS_X509__TERM_OF_VALIDITY", "5"), ("OS_CONDUCTOR__LEASE", "6"), ("OS_DEFAULT__DEBUG", "yes")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let sources = Sources::discover("magnum", &[first, second], &[folder.path().join("conf.d")], environment).with(
        "conductor",
        "lease",
        "7",
    );
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.api.port, 1);
    assert_eq!(settings.api.max_limit, 2);
    assert_eq!(settings.quotas.max_clusters_per_project, 3);
    assert_eq!(settings.x509.term_of_validity, 5);
    assert_eq!(settings.conductor.lease, Duration::from_secs(7));
    assert!(settings.log.debug);
    assert_eq!(settings.get::<Vec<String>>("oslo_policy", "policy_dirs").unwrap(), ["x", "y"]);
    assert_eq!(settings.report().findings, []);
}

#[test]
fn an_older_name_in_a_later_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), "a.conf", "[cluster_heat]\ncreate_timeout=1\n");
    let second = write(folder.path(), "b.conf", "[bay_heat]\ncreate_timeout=2\n");
    let settings = Settings::load(&Sources::files([first, second])).unwrap();
    assert_eq!(settings.cluster.create_timeout, Duration::from_secs(120));
}

#[test]
fn unreadable_sources_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Sources::files([folder.path().join("none.conf")]);
    assert!(matches!(Settings::load(&missing), Err(ConfigError::Read { .. })));
    let binary = folder.path().join("binary.conf");
    fs::write(&binary, b"[api]\nport=\xff\n").unwrap();
    let error = check(&Sources::files([binary.clone()])).unwrap_err();
    assert!(error.to_string().contains("binary.conf"), "{error}");
}

#[test]
fn bad_values_from_elsewhere_say_where() {
    let environment = [("OS_API__PORT".to_owned(), "x".to_owned()), ("OS_NOTHING__AT_ALL".to_owned(), "x".to_owned())];
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "a.conf", "");
    let sources =
        Sources::discover("magnum", &[file], &[folder.path().to_owned()], environment).with("api", "max_limit", "y");
    let text = check(&sources).unwrap().to_string();
    assert!(text.contains("environment variable OS_API__PORT: error: [api] port must be a port"), "{text}");
    assert!(text.contains("environment variable OS_NOTHING__AT_ALL: warning: [nothing] is not a group"), "{text}");
    assert!(text.contains("command line: error: [api] max_limit must be a whole number"), "{text}");
}

#[test]
fn policy_files_are_found_next_to_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "magnum.conf", "[oslo_policy]\npolicy_dirs = more\n");
    let load = || Settings::load(&Sources::files([file.clone()])).unwrap().policy;
    assert_eq!(load().file, Some(folder.path().join("policy.yaml")), "where it would be");
    assert_eq!(load().folders, [folder.path().join("more")]);
    write(folder.path(), "policy.json", "{}");
    assert_eq!(load().file, Some(folder.path().join("policy.json")), "older name");
    write(folder.path(), "policy.yaml", "");
    assert_eq!(load().file, Some(folder.path().join("policy.yaml")));
    let elsewhere = Settings::parse("[oslo_policy]\npolicy_file = /elsewhere/p.yaml").unwrap();
    assert_eq!(elsewhere.policy.file, Some(PathBuf::from("/elsewhere/p.yaml")));
    assert_eq!(elsewhere.find_file("p.yaml"), None);
}

#[rstest]
#[case("", Some(IdentityBackend::Builtin))]
#[case("[keystone_authtoken]\nwww_authenticate_uri = http://k/v3", Some(IdentityBackend::Keystone))]
#[case("[keystone_authtoken]\nauth_uri = http://k/v3", Some(IdentityBackend::Keystone))]
#[case("[keystone_auth]\nauth-url = http://k/v3", Some(IdentityBackend::Keystone))]
#[case("[keystone_auth]\nauth-url = http://k/v3\n[identity]\nbackend = builtin", Some(IdentityBackend::Builtin))]
#[case("[identity]\nbackend = keystone", Some(IdentityBackend::Keystone))]
#[case("[DEFAULT]\nauth_strategy = noauth", Some(IdentityBackend::NoAuth))]
#[case("[DEFAULT]\nauth_strategy = noauth\n[identity]\nbackend = keystone", None)]
#[case("[keystone_authtoken]\nusername = m", None)]
#[case("[database]\nconnection = mysql://h/m", None)]
#[case("[database]\nconnection = sqlite:////elsewhere/m.sqlite", None)]
#[case("[database]\nconnection = sqlite:////var/lib/magnum/m.sqlite", Some(IdentityBackend::Builtin))]
#[case("[database]\nconnection = sqlite://", Some(IdentityBackend::Builtin))]
fn identity(#[case] text: &str, #[case] expected: Option<IdentityBackend>) {
    assert_eq!(parse(text).identity.backend, expected);
}

#[rstest]
#[case::nothing_said("", false)]
#[case::barbican("[certificates]\ncert_manager_type = barbican", false)]
#[case::as_upstream_keeps_them("[certificates]\ncert_manager_type = x509keypair", true)]
#[case::sealed("[certificates]\ncert_manager_type = x509keypair\npass_phrases = sealed", false)]
#[case::plain("[certificates]\npass_phrases = plain", true)]
fn pass_phrases(#[case] text: &str, #[case] are_plain: bool) {
    assert_eq!(parse(text).certificates.has_plain_pass_phrases(), are_plain);
}

/// No line of a file that upstream has made for an operator is unknown here.
#[test]
fn every_option_of_upstream_is_known() {
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for line in include_str!("data/upstream-options.txt").lines().filter(|line| !line.starts_with('#')) {
        let (group, name) = line.split_once(' ').unwrap();
        groups.entry(group).or_default().push_str(&format!("{name} =\n"));
    }
    assert!(groups.len() > 30);
    let text: String = groups.iter().map(|(group, lines)| format!("[{group}]\n{lines}")).collect();
    let unknown = [FindingKind::UnknownGroup, FindingKind::UnknownOption];
    let report = report(&text);
    let unknown: Vec<_> = report.findings.iter().filter(|finding| unknown.contains(&finding.kind)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn health_looks_can_be_turned_off_in_two_ways() {
    assert_eq!(parse("[kubernetes]\nhealth_polling_interval = -1").conductor.health_interval, None);
    assert_eq!(parse("[DEFAULT]\nperiodic_enable = no").conductor.health_interval, None);
}

#[test]
fn a_reload_tells_what_can_be_taken_over() {
    let before = parse("[api]\nport = 1");
    let changes = before.changes(&parse("[api]\nport = 2\n[DEFAULT]\ndebug = true"));
    let told: Vec<_> = changes.iter().map(|change| (&*change.group, &*change.name, change.mutable)).collect();
    assert_eq!(told, [("DEFAULT", "debug", true), ("api", "port", false)]);
    assert_eq!(before.changes(&before), []);
}

#[test]
fn secrets_are_never_shown() {
    let text = "[DEFAULT]\ntransport_url = rabbit://u:plantedA@h\ntempdir = $keystone_auth.password\n\
        [database]\nconnection = mysql://u:plantedB@h/magnum\n\
        [keystone_auth]\npassword = plantedC\n[trust]\ntrustee_domain_admin_password = plantedD\n";
    let settings = parse(text);
    assert_eq!(settings.get::<String>("DEFAULT", "tempdir").unwrap(), "plantedC");
    let shown = format!("{settings:?} {settings:#?} {}", settings.report());
    assert!(shown.contains("[database] connection"), "{shown}");
    assert!(!shown.contains("planted"), "{shown}");
    let error = Settings::parse("[database]\nconnection = mysql://u:p$planted@h\n").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("planted"), "{error}");
    let error = Settings::parse("[database]\nplanted without a separator\n").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("planted"), "{error}");
    let sources = Sources::none().with("database", "connection", "planted");
    assert!(!format!("{sources:?}").contains("planted"));
}

#[test]
fn references_do_not_fill_the_memory() {
    let names =
        ["log_file", "log_dir", "tempdir", "rootwrap_config", "bindir", "pybasedir", "state_path", "control_exchange"];
    let mut text = String::from("[DEFAULT]\n");
    for pair in names.windows(2) {
        text += &format!("{} = {}\n", pair[0], format!("${}", pair[1]).repeat(8));
    }
    let report = report(&text);
    assert!(report.to_string().contains("too many other options"), "{report}");
}

#[test]
fn the_sample_says_nothing_and_uncommented_says_the_defaults() {
    let sample = sample().unwrap();
    assert!(sample.lines().all(|line| line.len() <= 400));
    let settings = parse(&sample);
    assert_eq!(settings.report().findings, []);
    let defaults = Settings::defaults().unwrap();
    assert_eq!(settings.changes(&defaults), []);

    // `#name = value` becomes `name = value`; comments proper have a space after the sign.
    let uncommented: String = sample
        .lines()
        .filter(|line| !line.ends_with("<not set>"))
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') => format!("{option}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = parse(&uncommented);
    assert_eq!(settings.changes(&defaults), []);
    let told: Vec<_> =
        settings.report().findings.iter().filter(|finding| finding.kind != FindingKind::Ignored).collect();
    assert!(told.is_empty(), "{told:?}");
}

/// What an operator of upstream is likely to have.
#[test]
fn an_operators_file_is_read_without_warnings() {
    let report = report(include_str!("data/magnum.conf"));
    assert_eq!(report.at_least(Severity::Warning).findings, []);
    assert!(report.count(Severity::Note) > 10);
}

#[test]
fn origins_can_have_groups_of_their_own() {
    let settings = Settings::parse(
        "[cors]\nallowed_origin = https://a, https://b\nmax_age = 60\n[cors.dash]\nallowed_origin = https://c\n\
         allow_credentials = false\n[CORS.Other]\nallow_methods = GET\n[cors.third]\nallowed_origin = $cors.allowed_origin\n",
    )
    .unwrap();
    let [common, dash, third] = settings.cors.as_slice() else { panic!("{:?}", settings.cors) };
    assert_eq!((common.allowed_origin.len(), common.allow_credentials), (2, true));
    assert_eq!((dash.allowed_origin.as_slice(), dash.allow_credentials), (&["https://c".to_owned()][..], false));
    assert_eq!(dash.max_age, common.max_age, "what is not said is as in [cors]");
    assert_eq!(third.allowed_origin, common.allowed_origin);
    let wrong = Settings::parse("[cors.dash]\nmax_age = soon\n").unwrap_err().to_string();
    assert!(wrong.contains("[cors.dash] max_age"), "{wrong}");
}
