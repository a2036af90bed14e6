//! Files read as upstream's reader reads them.

#![allow(clippy::unwrap_used)]

use magnum_config::read_ini;
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<(String, Outcome)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    /// Section, key, value.
    Read(Vec<(String, String, String)>),
    /// The word `error`.
    Refused(String),
}

#[test]
fn files_are_read_as_recorded() {
    let recorded: Recorded = serde_json::from_str(include_str!("data/ini.json")).unwrap();
    assert!(recorded.cases.len() > 200);
    for (text, outcome) in recorded.cases {
        let document = read_ini(&text);
        match outcome {
            Outcome::Refused(word) => {
                assert_eq!(word, "error");
                assert_ne!(document.errors, [], "{text:?}");
            }
            Outcome::Read(expected) => {
                assert_eq!(document.errors, [], "{text:?}");
                let entries: Vec<_> =
                    document.entries.into_iter().map(|entry| (entry.section, entry.key, entry.value)).collect();
                assert_eq!(entries, expected, "{text:?}");
            }
        }
    }
}
