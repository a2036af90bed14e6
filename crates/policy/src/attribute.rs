//! The left side of `kind:match`: a literal, or an attribute of the caller.

use std::fmt;

use magnum_domain::caller::Caller;

/// What a comparison looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A literal as Python writes it: `True`, `12`, `'Member'`.
    Literal {
        /// As written.
        written: String,
        /// As compared.
        value: String,
    },
    /// An attribute of the caller.
    Caller(Attribute),
    /// A name that callers do not have: never equal to anything.
    Unknown(String),
}

impl Subject {
    /// Tells which of the three a `kind` is. Nothing for text that is neither a literal nor a name.
    pub(crate) fn parse(kind: &str) -> Option<Self> {
        if let Some(value) = literal(kind) {
            return Some(Self::Literal { written: kind.to_owned(), value });
        }
        if let Some(attribute) = Attribute::named(kind) {
            return Some(Self::Caller(attribute));
        }
        let name_like = !kind.is_empty() && kind.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
        name_like.then(|| Self::Unknown(kind.to_owned()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Literal { written, .. } => written,
            Self::Caller(attribute) => attribute.path,
            Self::Unknown(name) => name,
        })
    }
}

/// The text that a Python literal is compared as, if `kind` is one of the kinds that policies use.
fn literal(kind: &str) -> Option<String> {
    if matches!(kind, "True" | "False" | "None") {
        return Some(kind.to_owned());
    }
    for quote in ['\'', '"'] {
        if let Some(inner) = kind.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            let plain = !inner.contains([quote, '\\']);
            return plain.then(|| inner.to_owned());
        }
    }
    kind.parse::<i64>().ok().filter(|_| !kind.starts_with('+')).map(|number| number.to_string())
}

/// An attribute of the caller under one of the names that policies know it by.
#[derive(Clone, Copy)]
pub struct Attribute {
    path: &'static str,
    read: for<'a> fn(&'a Caller) -> Value<'a>,
}

/// What a caller has under an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Flag(bool),
    List(&'a [String]),
    Nothing,
}

/// Names on the left, as upstream's credentials spell them; the longer ones are paths into its token document.
const ATTRIBUTES: &[Attribute] = &[
    Attribute { path: "user_id", read: |c| Value::Text(&c.user_id) },
    Attribute { path: "user", read: |c| Value::Text(&c.user_id) },
    Attribute { path: "user_name", read: |c| Value::Text(&c.user_name) },
    Attribute { path: "user_domain_id", read: |c| Value::Text(&c.user_domain_id) },
    Attribute { path: "user_domain_name", read: |c| Value::Text(&c.user_domain_name) },
    Attribute { path: "project_id", read: |c| Value::optional(&c.project_id) },
    Attribute { path: "project", read: |c| Value::optional(&c.project_id) },
    Attribute { path: "project_name", read: |c| Value::optional(&c.project_name) },
    Attribute { path: "project_domain_id", read: |c| Value::optional(&c.project_domain_id) },
    Attribute { path: "system_scope", read: |c| Value::optional(&c.system_scope) },
    Attribute { path: "system", read: |c| Value::optional(&c.system_scope) },
    Attribute { path: "roles", read: |c| Value::List(&c.roles) },
    Attribute { path: "is_admin", read: |c| Value::Flag(c.is_admin) },
    Attribute { path: "auth_token_info.token.user.id", read: |c| Value::Text(&c.user_id) },
    Attribute { path: "auth_token_info.token.user.name", read: |c| Value::Text(&c.user_name) },
    Attribute { path: "auth_token_info.token.user.domain.id", read: |c| Value::Text(&c.user_domain_id) },
    Attribute { path: "auth_token_info.token.user.domain.name", read: |c| Value::Text(&c.user_domain_name) },
    Attribute { path: "auth_token_info.token.project.id", read: |c| Value::optional(&c.project_id) },
    Attribute { path: "auth_token_info.token.project.name", read: |c| Value::optional(&c.project_name) },
    Attribute { path: "auth_token_info.token.project.domain.id", read: |c| Value::optional(&c.project_domain_id) },
    Attribute { path: "auth_token_info.token.roles.name", read: |c| Value::List(&c.roles) },
];

impl Attribute {
    fn named(path: &str) -> Option<Self> {
        ATTRIBUTES.iter().find(|attribute| attribute.path == path).copied()
    }

    pub(crate) fn of(self, caller: &Caller) -> Value<'_> {
        (self.read)(caller)
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Attribute {}

impl<'a> Value<'a> {
    fn optional(value: &'a Option<String>) -> Self {
        value.as_deref().map_or(Self::Nothing, Self::Text)
    }

    /// Equality as policies have it: of the texts, where a list is equal if any member is.
    ///
    /// Nothing is equal to the word `None` that a policy spells out, but never to a target: what has no project
    /// is not owned by those without one.
    pub(crate) fn equals(self, expected: &str, constant: bool) -> bool {
        match self {
            Self::Text(text) => text == expected,
            Self::Flag(flag) => expected == if flag { "True" } else { "False" },
            Self::List(members) => members.iter().any(|member| member == expected),
            Self::Nothing => constant && expected == "None",
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Flag(flag) => f.write_str(if *flag { "`True`" } else { "`False`" }),
            Self::List(members) => write!(f, "`{}`", members.join(", ")),
            Self::Nothing => f.write_str("not set"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("True", Some("True"))]
    #[case("'Member'", Some("Member"))]
    #[case("\"Member\"", Some("Member"))]
    #[case("12", Some("12"))]
    #[case("-3", Some("-3"))]
    #[case("user_id", None)]
    #[case("'it''s'", None)]
    fn tells_literals(#[case] kind: &str, #[case] value: Option<&str>) {
        assert_eq!(literal(kind).as_deref(), value);
    }

    #[test]
    fn tells_names_from_noise() {
        assert!(matches!(Subject::parse("roles"), Some(Subject::Caller(_))));
        assert!(matches!(Subject::parse("tenant"), Some(Subject::Unknown(_))));
        assert_eq!(Subject::parse("not role"), None);
        assert_eq!(Subject::parse(""), None);
    }

    #[test]
    fn every_attribute_is_listed_once() {
        for attribute in ATTRIBUTES {
            assert_eq!(ATTRIBUTES.iter().filter(|other| other.path == attribute.path).count(), 1, "{attribute:?}");
        }
    }
}
