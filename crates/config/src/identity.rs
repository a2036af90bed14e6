//! Where callers' identities come from.
//!
//! The built-in identity lets in whoever has the passwords that a first start has made up. So it is taken without being
//! asked for only where nothing else can be meant: on the embedded database, with not a word about a Keystone.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::report::{Finding, Severity};
use crate::resolve::{Written, nearest};
use crate::sections::IdentityBackend;
use crate::settings::Values;
use crate::table::{normal_group, normal_name};
use crate::value::GetError;

/// Groups that say something of a Keystone.
pub(crate) const GROUPS: [&str; 2] = ["keystone_authtoken", "keystone_auth"];
/// Options that have an address of it.
const ADDRESSES: [(&str, &str); 4] = [
    ("keystone_authtoken", "www_authenticate_uri"),
    ("keystone_authtoken", "auth_url"),
    ("keystone_authtoken", "identity_uri"),
    ("keystone_auth", "auth_url"),
];
/// What releases before 2016 had for it.
const OLD_ADDRESS: [&str; 3] = ["auth_host", "auth_port", "auth_protocol"];
const BY_NAME: &str = "`[identity] backend = builtin` has this program's own users and passwords instead";

/// The backend, if it is clear which, and what there is to say about that.
pub(crate) fn decide(values: &Values) -> Result<(Option<IdentityBackend>, Vec<Finding>), GetError> {
    let strategy: String = values.get("DEFAULT", "auth_strategy")?;
    let wanted: Option<String> = values.get("identity", "backend")?;
    let meant: Vec<&Written> = values.written().iter().filter(|written| is_about_keystone(written)).collect();
    let finding = |severity, group, name, message: String| values.finding(severity, group, name, message);
    Ok(match (strategy.as_str(), wanted.as_deref()) {
        ("noauth", None) => (Some(IdentityBackend::NoAuth), Vec::new()),
        ("noauth", Some(backend)) => {
            let message = format!("is noauth, and [identity] backend is {backend}: only one of them can hold");
            (None, vec![finding(Severity::Error, "DEFAULT", "auth_strategy", message)])
        }
        (_, Some("builtin")) => {
            let without_effect = (!meant.is_empty()).then(|| {
                let message = format!("is builtin, so nothing comes of {}", names(&meant));
                finding(Severity::Warning, "identity", "backend", message)
            });
            (Some(IdentityBackend::Builtin), without_effect.into_iter().collect())
        }
        (_, Some(_)) => (Some(IdentityBackend::Keystone), Vec::new()),
        (_, None) if has_address(values)? => (Some(IdentityBackend::Keystone), Vec::new()),
        (_, None) if !meant.is_empty() || values.given("DEFAULT", "auth_strategy").is_some() => {
            (None, vec![half_a_keystone(values, &meant)])
        }
        (_, None) if !is_embedded(values)? => {
            let message = format!(
                "is not the embedded database, and nothing says who callers are: name a Keystone in \
                 [keystone_authtoken] (auth_url, username, password, …); {BY_NAME}"
            );
            (None, vec![finding(Severity::Error, "database", "connection", message)])
        }
        (_, None) => (Some(IdentityBackend::Builtin), Vec::new()),
    })
}

/// Whether an option is one of a Keystone, or would be with its group or itself spelt right.
fn is_about_keystone(written: &Written) -> bool {
    let group = normal_group(&written.group);
    GROUPS.contains(&group.as_str()) || nearest(&group, GROUPS.into_iter()).is_some()
}

fn has_address(values: &Values) -> Result<bool, GetError> {
    for (group, name) in ADDRESSES {
        let address: Option<String> = values.get(group, name)?;
        if address.is_some_and(|address| !address.trim().is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Each once, as `[group] name`, not more than fit on a line.
fn names(written: &[&Written]) -> String {
    let mut names: Vec<String> = Vec::new();
    for written in written {
        let name = format!("[{}] {}", written.group, written.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

fn half_a_keystone(values: &Values, meant: &[&Written]) -> Finding {
    let what = if meant.is_empty() { "[DEFAULT] auth_strategy".to_owned() } else { names(meant) };
    let mut message = format!("no address of a Keystone is given, but one seems to be meant by {what}");
    let known = |written: &&&Written| values.table().find(&written.group, &written.name).is_some();
    for written in meant.iter().filter(|written| !known(written)) {
        let name = normal_name(&written.name);
        let group = nearest(&normal_group(&written.group), GROUPS.into_iter()).unwrap_or(GROUPS[0]);
        if OLD_ADDRESS.contains(&name.as_str()) {
            message += "; auth_host, auth_port and auth_protocol are written auth_url = PROTOCOL://HOST:PORT today";
            break;
        }
        let options = values.table().group(group).map(|group| group.options.as_slice()).unwrap_or_default();
        if let Some(near) = nearest(&name, options.iter().map(|option| &*option.name)) {
            message += &format!("; [{}] {} may be meant as [{group}] {near}", written.group, written.name);
        }
    }
    message += &format!("; what is missing is [keystone_authtoken] auth_url. {BY_NAME}");
    let (group, name) = (GROUPS[0], "auth_url");
    let mut finding = values.finding(Severity::Error, group, name, format!("is missing: {message}"));
    if let Some(first) = meant.first() {
        finding.origin = first.origin.clone();
    } else if let Some(origin) = values.given("DEFAULT", "auth_strategy") {
        finding.origin = origin.clone();
    }
    finding
}

/// Whether the database is a file of SQLite in the state folder, or in memory.
fn is_embedded(values: &Values) -> Result<bool, GetError> {
    if values.given("database", "connection").is_none() {
        return Ok(true);
    }
    let connection: SecretString = values.get("database", "connection")?;
    let state: PathBuf = values.get("DEFAULT", "state_path")?;
    let Some((scheme, rest)) = connection.expose_secret().split_once("://") else { return Ok(false) };
    if scheme.split('+').next() != Some("sqlite") {
        return Ok(false);
    }
    let path = rest.split('?').next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    if matches!(path, "" | ":memory:") {
        return Ok(true);
    }
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(absolute(Path::new(path)).starts_with(absolute(&state)))
}
