//! JSON in TEXT columns, byte for byte as Python's `json.dumps` writes it: upstream compares some of these columns
//! as text.

use std::collections::BTreeMap;
use std::io;

use magnum_domain::Labels;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter, Serializer};

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
