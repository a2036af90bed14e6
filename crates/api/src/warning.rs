//! What a request is accepted with, and yet told: the header `Warning`, code 299 (RFC 7234 §5.5), as the API of Kubernetes
//! uses it. Newer HTTP has dropped the header for caches; for "accepted, but look at this" there is no other.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

const HEADER: HeaderName = HeaderName::from_static("warning");
/// Most headers of one answer.
const MOST: usize = 10;
/// Most characters of one warning.
const LONGEST: usize = 400;

/// Warnings about one request, in the order they are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Warnings(Vec<String>);

impl Warnings {
    /// Keeps the first few, and says how many more there were.
    pub(crate) fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut texts: Vec<String> = texts.into_iter().collect();
        if texts.len() > MOST {
            let more = texts.len() - (MOST - 1);
            texts.truncate(MOST - 1);
            texts.push(format!("There are {more} more warnings like these."));
        }
        Self(texts)
    }

    /// The texts, for the events of a cluster.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.clone()
    }

    /// The answer with a header for each warning.
    pub(crate) fn on(&self, mut response: Response) -> Response {
        for text in &self.0 {
            if let Ok(value) = HeaderValue::try_from(format!("299 magnum \"{}\"", quoted(text))) {
                response.headers_mut().append(HEADER, value);
            }
        }
        response
    }
}

/// The inside of a quoted string: one line of ASCII whatever a client has put into its request.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars().take(LONGEST) {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn told(texts: &[&str]) -> Vec<String> {
        let warnings = Warnings::new(texts.iter().map(|text| (*text).to_owned()));
        let response = warnings.on(().into_response());
        response.headers().get_all(HEADER).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_warning_is_one_line_of_ascii() {
        assert!(told(&[]).is_empty());
        assert_eq!(told(&["a \"b\" \\ c"]), [r#"299 magnum "a \"b\" \\ c""#]);
        assert_eq!(told(&["x\r\nSet-Cookie: a=b"]), [r#"299 magnum "x??Set-Cookie: a=b""#]);
        assert_eq!(told(&["gr\u{fc}n \u{1f600}"]), [r#"299 magnum "gr?n ?""#]);
        assert_eq!(told(&[&"y".repeat(5000)])[0].len(), "299 magnum \"\"".len() + LONGEST);
    }

    #[test]
    fn there_are_only_so_many() {
        let many: Vec<String> = (0..300).map(|number| number.to_string()).collect();
        let told = told(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(told.len(), MOST);
        assert_eq!(told[8], "299 magnum \"8\"");
        assert_eq!(told[9], "299 magnum \"There are 291 more warnings like these.\"");
    }
}
