//! Values as Python would print them, and Python literals as clients send them.
//!
//! Upstream is written in Python and lets it show: error messages quote values the way `str` and `repr` print
//! them, label values are stored that way, and JSON Patch carries dictionaries as literals in a string.

use serde_json::{Map, Number, Value};

/// Deepest nesting of a literal.
const DEPTH: usize = 16;

/// `str(value)`.
pub(crate) fn to_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_text(key, out);
                out.push_str(": ");
                write(item, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// The name of a value's type, as `type(value)` prints it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<class 'NoneType'>",
        Value::Bool(_) => "<class 'bool'>",
        Value::Number(number) if number.is_f64() => "<class 'float'>",
        Value::Number(_) => "<class 'int'>",
        Value::String(_) => "<class 'str'>",
        Value::Array(_) => "<class 'list'>",
        Value::Object(_) => "<class 'dict'>",
    }
}

/// Reads a literal: dictionaries, lists, tuples, texts, numbers, `True`, `False`, `None`; JSON's words too.
pub(crate) fn literal(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.blank();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, expected: char) -> bool {
        self.blank();
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return None;
        }
        self.blank();
        match self.rest.chars().next()? {
            '{' => self.dictionary(depth),
            '[' => self.list('[', ']', depth),
            '(' => self.list('(', ')', depth),
            quote @ ('\'' | '"') => self.text(quote).map(Value::String),
            _ => self.word(),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Option<Value> {
        let mut entries = Map::new();
        self.take('{');
        while !self.take('}') {
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                scalar @ (Value::Number(_) | Value::Bool(_) | Value::Null) => repr(&scalar),
                Value::Array(_) | Value::Object(_) => return None,
            };
            if !self.take(':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            entries.insert(key, value);
            if !self.take(',') {
                return self.take('}').then_some(Value::Object(entries));
            }
        }
        Some(Value::Object(entries))
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.take(open);
        while !self.take(close) {
            items.push(self.value(depth + 1)?);
            if !self.take(',') {
                return self.take(close).then_some(Value::Array(items));
            }
        }
        Some(Value::Array(items))
    }

    fn text(&mut self, quote: char) -> Option<String> {
        let mut out = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                c if c == quote => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Some(out);
                }
                '\n' => return None,
                '\\' => match characters.next()?.1 {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    c @ ('\\' | '\'' | '"' | '/') => out.push(c),
                    'x' => out.push(code_point(&mut characters, 2)?),
                    'u' => out.push(code_point(&mut characters, 4)?),
                    c => {
                        out.push('\\');
                        out.push(c);
                    }
                },
                c => out.push(c),
            }
        }
        None
    }

    fn word(&mut self) -> Option<Value> {
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c))).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "True" | "true" => Some(Value::Bool(true)),
            "False" | "false" => Some(Value::Bool(false)),
            "None" | "null" => Some(Value::Null),
            _ => word.parse::<i64>().map(Value::from).ok().or_else(|| {
                word.parse::<f64>()
                    .ok()
                    .filter(|_| !word.contains(['n', 'N', 'i']))
                    .and_then(Number::from_f64)
                    .map(Value::Number)
            }),
        }
    }
}

fn code_point(characters: &mut impl Iterator<Item = (usize, char)>, digits: usize) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + characters.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn prints_as_python_does() {
        let table = [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(5), "5"),
            (json!(1.5), "1.5"),
            (json!(2.0), "2.0"),
            (json!("it's"), "\"it's\""),
            (json!("a\nb\u{1}"), "'a\\nb\\x01'"),
            (json!({"a": [1, "b", null]}), "{'a': [1, 'b', None]}"),
        ];
        for (value, text) in table {
            assert_eq!(repr(&value), text);
        }
    }

    #[test]
    fn reads_literals() {
        let table = [
            ("{'a': 'b'}", Some(json!({"a": "b"}))),
            ("{\"a\": True, 'n': None, 'i': -3, 'f': 1.5,}", Some(json!({"a": true, "n": null, "i": -3, "f": 1.5}))),
            ("[{'key': 'k', 'effect': 'NoSchedule'}]", Some(json!([{"key": "k", "effect": "NoSchedule"}]))),
            (" {} ", Some(json!({}))),
            ("()", Some(json!([]))),
            ("'\\x41\\u00e9'", Some(json!("Aé"))),
            ("{'a'}", None),
            ("{'a': }", None),
            ("{'a': 'b'", None),
            ("__import__('os')", None),
            ("nan", None),
            ("", None),
        ];
        for (text, value) in table {
            assert_eq!(literal(text), value, "{text}");
        }
        assert_eq!(literal(&"[".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(entries in proptest::collection::btree_map(".*", ".*", 0..5)) {
            let value = json!(entries);
            prop_assert_eq!(literal(&repr(&value)), Some(value));
        }

        #[test]
        fn nothing_panics(text in ".*") {
            let _ = literal(&text);
        }
    }
}
