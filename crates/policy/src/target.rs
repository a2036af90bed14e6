//! What a request is about, as far as rules can ask.

use magnum_domain::caller::Caller;

/// Attributes of the object that a request is about: what `%(name)s` in a check stands for.
///
/// Attributes that are not there make the check that names them fail. An empty target is right for rules that are
/// about the caller alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target<'a> {
    project_id: Option<&'a str>,
    user_id: Option<&'a str>,
    /// Seldom used, so it costs nothing when empty.
    others: Vec<(String, String)>,
}

impl<'a> Target<'a> {
    /// Whatever belongs to the caller: the target of requests that are not about an existing object.
    #[must_use]
    pub fn caller(caller: &'a Caller) -> Self {
        Self { project_id: caller.project_id.as_deref(), user_id: Some(&caller.user_id), others: Vec::new() }
    }

    /// An object with its owning project and the user who made it.
    #[must_use]
    pub fn owned(project_id: &'a str, user_id: &'a str) -> Self {
        Self { project_id: Some(project_id), user_id: Some(user_id), others: Vec::new() }
    }

    /// The same with one more attribute, or another value for one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.others.retain(|(known, _)| *known != name);
        self.others.push((name, value.into()));
        self
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        if let Some((_, value)) = self.others.iter().find(|(known, _)| known == name) {
            return Some(value);
        }
        match name {
            "project_id" => self.project_id,
            "user_id" => self.user_id,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_what_it_was_given() {
        let caller = Caller { user_id: "u".into(), ..Caller::default() };
        assert_eq!(Target::caller(&caller).get("user_id"), Some("u"));
        assert_eq!(Target::caller(&caller).get("project_id"), None, "a caller without a project owns nothing");
        let target = Target::owned("p", "u").with("name", "first").with("name", "web").with("user_id", "other");
        assert_eq!(target.get("project_id"), Some("p"));
        assert_eq!(target.get("name"), Some("web"));
        assert_eq!(target.get("user_id"), Some("other"));
        assert_eq!(Target::default().get("project_id"), None);
    }
}
