//! A check as a tree, and back to text.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::attribute::Subject;
use crate::target::Target;

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// `@`, an empty text or an empty list: everybody.
    Always,
    /// `!`, and whatever could not be understood: nobody.
    Never,
    /// The opposite of the inner check.
    Not(Box<Check>),
    /// All of them; at least two.
    All(Vec<Check>),
    /// Any of them; at least two.
    Any(Vec<Check>),
    /// `rule:name`: what that rule demands.
    Rule(String),
    /// `role:name`: the caller has the role, upper and lower case alike.
    Role(Template),
    /// `http:…` or `https:…`: another service decides. The text is the whole address.
    Remote(Template),
    /// `kind:match`: an attribute of the caller (or a literal) is equal to `match`, case and all.
    Equals {
        /// What is compared.
        subject: Subject,
        /// What it is compared with.
        expected: Template,
    },
}

impl Check {
    /// Calls `visit` for this check and all within.
    pub(crate) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Check)) {
        visit(self);
        match self {
            Self::Not(inner) => inner.walk(visit),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.walk(visit)),
            _ => {}
        }
    }
}

/// The notation of policy files. Reading it again gives the same check, if it came from text.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("@"),
            Self::Never => f.write_str("!"),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::All(parts) => join(f, parts, " and "),
            Self::Any(parts) => join(f, parts, " or "),
            Self::Rule(name) => write!(f, "rule:{name}"),
            Self::Role(name) => write!(f, "role:{name}"),
            Self::Remote(address) => write!(f, "{address}"),
            Self::Equals { subject, expected } => write!(f, "{subject}:{expected}"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Check], word: &str) -> fmt::Result {
    f.write_str("(")?;
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            f.write_str(word)?;
        }
        write!(f, "{part}")?;
    }
    f.write_str(")")
}

/// Text in which `%(key)s` stands for an attribute of the target and `%%` for a per cent sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Key(String),
}

/// A per cent sign that starts neither `%(key)s` nor `%%`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`%` in `{0}` must be `%(name)s`, or `%%` for the sign itself")]
pub struct TemplateError(String);

impl Template {
    /// Reads the notation.
    ///
    /// # Errors
    /// For a stray per cent sign.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let malformed = || TemplateError(source.to_owned());
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let named = after.strip_prefix('(').ok_or_else(malformed)?;
            let (key, after) = named.split_once(')').ok_or_else(malformed)?;
            rest = after.strip_prefix('s').ok_or_else(malformed)?;
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Key(key.to_owned()));
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// Whether it says the same for every target.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The text for this target, or the key that the target lacks.
    pub(crate) fn fill<'a>(&'a self, target: &'a Target<'_>) -> Result<Cow<'a, str>, &'a str> {
        match self.parts.as_slice() {
            [] => Ok(Cow::Borrowed("")),
            [Part::Text(text)] => Ok(Cow::Borrowed(text)),
            [Part::Key(key)] => target.get(key).map(Cow::Borrowed).ok_or(key),
            parts => {
                let mut filled = String::with_capacity(self.source.len());
                for part in parts {
                    filled.push_str(match part {
                        Part::Text(text) => text,
                        Part::Key(key) => target.get(key).ok_or(key.as_str())?,
                    });
                }
                Ok(Cow::Owned(filled))
            }
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("plain", Ok("plain"))]
    #[case("", Ok(""))]
    #[case("%(project_id)s", Ok("p1"))]
    #[case("a-%(project_id)s-%(user_id)s", Ok("a-p1-u1"))]
    #[case("50%%", Ok("50%"))]
    #[case("%%(project_id)s", Ok("%(project_id)s"))]
    #[case("%(absent)s", Err("absent"))]
    #[case("x%(absent)s", Err("absent"))]
    fn fills(#[case] source: &str, #[case] expected: Result<&str, &str>) {
        let template = Template::parse(source).unwrap();
        let target = Target::owned("p1", "u1");
        assert_eq!(template.fill(&target).as_deref().map_err(|key| *key), expected);
    }

    #[rstest]
    #[case("%")]
    #[case("%s")]
    #[case("%(open")]
    #[case("%(number)d")]
    fn refuses_a_stray_sign(#[case] source: &str) {
        assert!(Template::parse(source).is_err());
    }
}
