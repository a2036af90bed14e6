//! Whatever is in a file, reading it neither panics nor hangs.

#![allow(clippy::unwrap_used)]

use magnum_config::{ConfigError, Settings, read_ini};
use proptest::prelude::*;

fn line() -> impl Strategy<Value = String> {
    let group =
        prop_oneof![Just("DEFAULT"), Just("api"), Just("database"), Just("oslo_policy"), Just("local"), Just("x")];
    let name = prop_oneof![
        Just("port"),
        Just("host"),
        Just("debug"),
        Just("connection"),
        Just("policy_dirs"),
        Just("state_path"),
        Just("state_dir"),
        Just("agent_path"),
        Just("max-limit"),
        Just("nothing"),
    ];
    let value = prop_oneof![
        "[0-9]{0,6}",
        "(true|no|\"|'|'x'|10\\.0\\.0\\.0/8|5-9)",
        "\\$\\{?(DEFAULT\\.|local\\.)?(port|state_path|state_dir|agent_path|nothing)\\}?",
        "\\PC{0,20}",
    ];
    prop_oneof![
        group.prop_map(|group| format!("[{group}]")),
        (name, prop_oneof![Just("="), Just(" : "), Just("")], value)
            .prop_map(|(name, sign, value)| format!("{name}{sign}{value}")),
        "[ \t]\\PC{0,10}",
        "[#;]\\PC{0,10}",
        "\\PC{0,20}",
        Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(?s).{0,200}") {
        let document = read_ini(&text);
        let lines = text.lines().count();
        prop_assert!(document.entries.iter().all(|entry| (1..=lines).contains(&entry.line) && !entry.key.is_empty()));
        prop_assert!(document.errors.iter().all(|error| (1..=lines).contains(&error.line)));
    }

    #[test]
    fn any_lines_become_settings_or_a_report(lines in prop::collection::vec(line(), 0..30)) {
        match Settings::parse(&lines.join("\n")) {
            Ok(settings) => prop_assert!(!settings.report().has_errors()),
            Err(ConfigError::Invalid(report)) => prop_assert!(report.has_errors()),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(
        entries in prop::collection::vec(("[a-zA-Z_][a-zA-Z0-9_-]{0,8}", "[!-~&&[^\"'$]]([ -~&&[^\"']]{0,12}[!-~&&[^\"']])?"), 0..20)
    ) {
        let text: String = entries.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let document = read_ini(&format!("[group]\n{text}"));
        prop_assert_eq!(document.errors, []);
        let read: Vec<_> = document.entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        prop_assert_eq!(read, entries);
    }
}
