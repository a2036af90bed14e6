//! Our own credentials, as operators write them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use magnum_config::Settings;
use magnum_openstack::Login;

/// A configuration, and what it comes to: the login as text, or a part of the message.
type Case = (&'static str, Result<&'static [&'static str], &'static str>);

#[test]
fn credentials_are_read_as_operators_write_them() {
    const TABLE: &[Case] = &[
        (
            "[keystone_authtoken]\nauth_url = http://k:5000\nusername = magnum\npassword = planted\nproject_name = service\n\
             user_domain_name = Default\nproject_domain_id = d1\n",
            Ok(&[
                r#"/v3""#,
                r#"Name { name: "magnum", domain: Name("Default") }"#,
                r#"Project(Name { name: "service", domain: Id("d1") })"#,
            ]),
        ),
        (
            "[keystone_auth]\nauth_type = v3password\nauth_url = https://k/identity/v3\nuser_id = u\npassword = planted\n\
             project_id = p\n",
            Ok(&["keystone_auth", r#"user: Id("u")"#, r#"Project(Id("p"))"#]),
        ),
        (
            "[keystone_authtoken]\nauth_section = keystone_auth\n[keystone_auth]\nauth_url = http://k\n\
             username = magnum\npassword = planted\nsystem_scope = all\n",
            Ok(&[r#"group: "keystone_auth""#, r#"domain: Id("default")"#, "System"]),
        ),
        (
            "[keystone_authtoken]\nauth_url = http://k\nusername = m\npassword = planted\ndomain_id = d\n\
             default_domain_name = Other\n",
            Ok(&[r#"Domain(Id("d"))"#, r#"domain: Name("Other")"#]),
        ),
        (
            "[keystone_authtoken]\nauth_url = http://k\nusername = m\npassword = planted\ntrust_id = t\n",
            Ok(&[r#"Trust("t")"#]),
        ),
        ("[keystone_auth]\nauth_plugin = token\nauth_url = http://k\ntoken = planted\n", Ok(&["Token(", "Unscoped"])),
        (
            "[keystone_auth]\nauth_type = v3applicationcredential\nauth_url = http://k\napplication_credential_id = a\n\
             application_credential_secret = planted\nproject_name = service\n",
            Ok(&[r#"credential: Id("a")"#, "Unscoped"]),
        ),
        (
            "[keystone_auth]\nauth_type = v3applicationcredential\nauth_url = http://k\napplication_credential_name = a\n\
             application_credential_secret = planted\nusername = m\nuser_domain_id = d\n",
            Ok(&[r#"Name { name: "a", user: Name { name: "m", domain: Id("d") } }"#]),
        ),
        (
            "[keystone_authtoken]\nauth_uri = http://k:5000/v2.0\nadmin_user = m\nadmin_password = planted\n\
             admin_tenant_name = service\n",
            Ok(&["5000", r#"path: "/v3""#, r#"Project(Name { name: "service", domain: Id("default") })"#]),
        ),
        ("", Err("[keystone_authtoken] has no auth_url")),
        ("[keystone_authtoken]\nwww_authenticate_uri = http://k\n", Err("[keystone_authtoken] has no auth_url")),
        ("[keystone_authtoken]\nauth_url = http://k\n", Err("[keystone_authtoken] has no username")),
        ("[keystone_authtoken]\nauth_url = http://k\nusername = m\n", Err("has no password")),
        (
            "[keystone_auth]\nauth_url = nowhere\nusername = m\npassword = planted\n",
            Err("auth_url must be an address such as"),
        ),
        (
            "[keystone_auth]\nauth_url = ftp://k\nusername = m\npassword = planted\n",
            Err("auth_url must be an address such as"),
        ),
        (
            "[keystone_auth]\nauth_url = http://k\nauth_type = v2password\n",
            Err("auth_type is v2password: what can be used"),
        ),
        ("[keystone_authtoken]\nauth_section = trust\n", Err("auth_section is trust: it can be")),
        (
            "[keystone_auth]\nauth_url = http://k\nusername = m\npassword = planted\nsystem_scope = some\n",
            Err("system_scope is some"),
        ),
        (
            "[keystone_auth]\nauth_url = http://k\nauth_type = v3applicationcredential\napplication_credential_id = a\n",
            Err("has no application_credential_secret"),
        ),
    ];
    for (text, expected) in TABLE {
        let settings = Settings::parse(text).unwrap();
        let found = Login::for_validation(&settings);
        let shown = match &found {
            Ok(login) => format!("{login:?} {}", login.url),
            Err(error) => error.to_string(),
        };
        assert!(!shown.contains("planted"), "a secret is shown: {shown}");
        let parts = match expected {
            Ok(parts) => parts,
            Err(part) => std::slice::from_ref(part),
        };
        assert_eq!(found.is_ok(), expected.is_ok(), "{text}\n{shown}");
        for part in parts {
            assert!(shown.contains(part), "{text}\n{shown}\nhas no {part}");
        }
    }
}
