//! Bodies in JSON, read the same way everywhere.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Most characters of a key that a message repeats.
const SHOWN: usize = 64;
/// How a message about a key that is there twice begins.
const TWICE: &str = "the key ";

/// Reads JSON, and refuses an object that has the same key twice: readers differ in which one they take, so whoever checks
/// such a body on the way here may have checked something else than what is done.
///
/// # Errors
/// When it is not JSON, has a key twice, or is not a `T`.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Unique>(bytes)?;
    serde_json::from_slice(bytes)
}

/// What is to be said to a client of a key that is there twice; nothing if that is not what is wrong.
#[must_use]
pub fn twice(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let said = text.split(" at line ").next().unwrap_or_default();
    let named = said.strip_prefix(TWICE).is_some_and(|rest| rest.ends_with(IN_ONE));
    named.then(|| said.to_owned())
}

const IN_ONE: &str = " is there twice in one object";

/// Any JSON in which no object has a key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)?;
        Ok(Self)
    }
}

struct Look;

impl<'de> DeserializeSeed<'de> for Look {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if seen.contains(&key) {
                let shown = key.chars().take(SHOWN).collect::<String>();
                return Err(A::Error::custom(format_args!("{TWICE}{shown:?}{IN_ONE}")));
            }
            entries.next_value_seed(Self)?;
            seen.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_key_is_there_once_in_each_object() {
        for (text, key) in [
            (r#"{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": 4}]}"#, None),
            (r#"[null, true, -1, 1.5, 18446744073709551615, 1e400, "x"]"#, None),
            (r#"{"a": 1, "a": 1}"#, Some("a")),
            (r#"{"a": 1, "\u0061": 2}"#, Some("a")),
            (r#"{"x": [{"y": {"b": 1, "c": 2, "b": 3}}]}"#, Some("b")),
            (r#"{"": 1, "": 2}"#, Some("")),
        ] {
            let read = read::<Value>(text.as_bytes());
            let said = read.as_ref().err().and_then(twice);
            assert_eq!(said, key.map(|key| format!("the key {key:?} is there twice in one object")), "{text}");
            if key.is_none() {
                assert_eq!(read.is_ok(), serde_json::from_str::<Value>(text).is_ok(), "{text}");
            }
        }
        assert!(read::<Value>(b"{\"a\": 1, ").is_err_and(|error| twice(&error).is_none()));
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(read::<Value>(deep.as_bytes()).is_err(), "nesting is limited");
    }
}
