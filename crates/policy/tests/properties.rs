//! Whatever is written into a policy file, reading it neither panics nor changes it.

#![allow(clippy::unwrap_used)]

use magnum_policy::{Check, parse_rule, parse_text};
use proptest::prelude::*;
use serde_json::Value;

fn single() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("@".to_owned()),
        Just("!".to_owned()),
        "rule:[a-z_]{1,8}(:[a-z]{1,4})?",
        "role:[a-zA-Z]{1,8}",
        "role:%\\([a-z]{1,5}\\)s",
        "user_id:%\\(user_id\\)s",
        "(True|False|'Member'|12):%\\([a-z]{1,5}\\)s",
        "[a-z_]{1,8}:[a-z0-9%]{0,3}[a-z]",
        "https?://[a-z]{1,8}/%\\([a-z]{1,5}\\)s-x",
    ]
}

fn expression() -> impl Strategy<Value = String> {
    single().prop_recursive(6, 32, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}  OR\t{b}")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.prop_map(|a| format!("( {a})")),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::String),
        single().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::Array))
}

proptest! {
    #[test]
    fn printed_and_read_again_is_the_same(text in expression()) {
        let check = parse_text(&text).check;
        let printed = check.to_string();
        prop_assert_eq!(parse_text(&printed).check, check, "{}", printed);
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,60}") {
        let parsed = parse_text(&text);
        prop_assert_eq!(parse_text(&parsed.check.to_string()).check, parsed.check);
    }

    #[test]
    fn words_of_the_language_in_any_order_are_read(
        words in prop::collection::vec(prop_oneof![
            Just("("), Just(")"), Just("not"), Just("and"), Just("or"), Just("role:x"), Just("'a'"), Just("((@"), Just("!))"), Just("%"),
        ], 0..40)
    ) {
        let text = words.join(" ");
        let parsed = parse_text(&text);
        // Either it is understood, or somebody is told.
        prop_assert!(text.is_empty() || parsed.check != Check::Never || !parsed.problems.is_empty() || text.contains('!'));
        prop_assert_eq!(parse_text(&parsed.check.to_string()).check, parsed.check);
    }

    #[test]
    fn any_value_is_read(value in value()) {
        let parsed = parse_rule(&value);
        prop_assert!(matches!(value, Value::String(_) | Value::Array(_)) || parsed.check == Check::Never);
    }
}

#[test]
fn deep_and_long_rules_are_refused_not_followed() {
    for text in ["(".repeat(100_000), "not ".repeat(10_000) + "@", "((".repeat(40) + "@" + &"))".repeat(40)] {
        let parsed = parse_text(&text);
        assert_eq!(parsed.check, Check::Never);
        assert_eq!(parsed.problems.len(), 1);
    }
}
