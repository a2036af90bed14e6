//! JSON in TEXT columns, byte for byte as Python's `json.dumps` writes it: upstream compares some of these columns
//! as text.

use std::collections::BTreeMap;
use std::{fmt, io};

use magnum_domain::Labels;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use serde_json::value::RawValue;

/// `", "` between items, `": "` after keys, everything outside printable ASCII escaped.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !(' '..='~').contains(&c)) {
            let (plain, odd) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = odd.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}

/// Writes a value. Only maps with text keys and lists of plain values are passed, which always can be written.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::with_capacity(64);
    match value.serialize(&mut Serializer::with_formatter(&mut out, Python)) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => {
            tracing::error!(%error, "a value could not be written as JSON");
            "null".to_owned()
        }
    }
}

/// Reads a value; null and what has another shape become the default, since one odd row must break no list.
pub(crate) fn read<T: DeserializeOwned + Default>(text: Option<&str>, column: &'static str) -> T {
    match text.map(serde_json::from_str::<Option<T>>) {
        None => T::default(),
        Some(Ok(value)) => value.unwrap_or_default(),
        Some(Err(error)) => {
            tracing::warn!(column, %error, "a column does not hold the JSON it should; read as empty");
            T::default()
        }
    }
}

/// Reads labels. Values that are no text are spelled as Python would.
pub(crate) fn read_labels(text: Option<&str>, column: &'static str) -> Labels {
    // Nearly every map holds nothing but text, which needs no detour over `Value`.
    if let Some(Ok(labels)) = text.map(serde_json::from_str::<Labels>) {
        return labels;
    }
    read::<BTreeMap<String, Value>>(text, column).into_iter().map(|(key, value)| (key, python_text(value))).collect()
}

/// Labels as the JSON they are kept as: for lists, which show them and look at none. A map of them costs thirty times as
/// much as seeing that the text is one.
#[derive(Debug, Clone)]
pub struct LabelsText(Box<RawValue>);

impl LabelsText {
    pub(crate) fn read(text: Option<&str>, column: &'static str) -> Self {
        let plain = text.filter(|text| serde_json::from_str::<PlainLabels>(text).is_ok());
        let text = plain.map_or_else(|| write(&read_labels(text, column)), str::to_owned);
        // What was just read or written as JSON is JSON.
        Self(RawValue::from_string(text).unwrap_or_default())
    }

    /// The text, an object of nothing but text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for LabelsText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for LabelsText {}

impl Serialize for LabelsText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A map of text, of which nothing is kept.
struct PlainLabels;

impl<'de> Deserialize<'de> for PlainLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = PlainLabels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<PlainLabels, A::Error> {
                while map.next_entry::<PlainText, PlainText>()?.is_some() {}
                Ok(PlainLabels)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Text, of which nothing is kept.
struct PlainText;

impl<'de> Deserialize<'de> for PlainText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = PlainText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E>(self, _: &str) -> Result<PlainText, E> {
                Ok(PlainText)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

fn python_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => write(&other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_written_as_python_does() {
        let cases = [
            (serde_json::json!({}), "{}"),
            (serde_json::json!([]), "[]"),
            (serde_json::json!({"a": "b", "c": 1}), r#"{"a": "b", "c": 1}"#),
            (serde_json::json!(["10.0.0.1", "10.0.0.2"]), r#"["10.0.0.1", "10.0.0.2"]"#),
            (serde_json::json!({"key": [true, null, {"x": 1.5}]}), r#"{"key": [true, null, {"x": 1.5}]}"#),
            (serde_json::json!("a/b \"q\" \\ \n\t\u{1}\u{7f}"), r#""a/b \"q\" \\ \n\t\u0001\u007f""#),
            (serde_json::json!("ä€𝄞z"), r#""\u00e4\u20ac\ud834\udd1ez""#),
        ];
        for (value, text) in cases {
            assert_eq!(write(&value), text);
        }
    }

    #[test]
    fn labels_are_shown_as_they_are_unless_they_are_odd() {
        let cases = [
            (None, "{}"),
            (Some("null"), "{}"),
            (Some("[]"), "{}"),
            (Some("{} {}"), "{}"),
            (Some(r#"{"b":"1", "a": "\u00e4"}"#), r#"{"b":"1", "a": "\u00e4"}"#),
            (Some(r#"{"b": 1, "a": null}"#), r#"{"a": "None", "b": "1"}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(LabelsText::read(text, "labels").as_str(), expected, "{text:?}");
        }
    }

    #[test]
    fn odd_labels_are_read() {
        let cases = [
            (None, "{}"),
            (Some("null"), "{}"),
            (Some("not json"), "{}"),
            (Some("[]"), "{}"),
            (Some(r#"{"a":"b"}"#), r#"{"a": "b"}"#),
            (Some(r#"{"a": true, "b": 2, "c": null}"#), r#"{"a": "True", "b": "2", "c": "None"}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(write(&read_labels(text, "labels")), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn labels_are_read_as_they_were_written(labels in proptest::collection::btree_map(".*", "(?s).*", 0..6)) {
            let text = write(&labels);
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", text);
            prop_assert_eq!(read_labels(Some(&text), "labels"), labels.clone());
            prop_assert_eq!(serde_json::from_str::<Labels>(&text).ok(), Some(labels));
        }

        #[test]
        fn lists_are_read_as_they_were_written(list in proptest::collection::vec("(?s).*", 0..6)) {
            prop_assert_eq!(read::<Vec<String>>(Some(&write(&list)), "node_addresses"), list);
        }

        /// Whatever a column holds, what is read of it is written and read again as the same.
        #[test]
        fn any_column_is_read(text in prop_oneof![
            "(?s).{0,60}",
            "[\\[{]{0,3}\"[a-z]{0,3}\"[:,] ?(null|true|-?[0-9]{1,25}(\\.[0-9]{1,3})?|\"[^\"]{0,5}\"|\\{\\}|\\[1, 2\\])[\\]}]{0,3}",
        ]) {
            let labels = read_labels(Some(&text), "labels");
            prop_assert_eq!(read_labels(Some(&write(&labels)), "labels"), labels);
        }
    }
}
