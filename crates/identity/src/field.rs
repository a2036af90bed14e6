//! What the fields of a resource may hold.

use magnum_store::identity::Extra;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::error::Refusal;

/// Longest name of a user, role or application credential, in characters.
pub(crate) const LONGEST_NAME: usize = 255;
/// Longest name of a project.
pub(crate) const LONGEST_PROJECT_NAME: usize = 64;
/// Longest id that is looked up.
const LONGEST_ID: usize = 64;
const LONGEST_DESCRIPTION: usize = 4096;
/// In bytes. Far beyond any password, and short enough to hash.
const LONGEST_SECRET: usize = 1024;
/// In bytes, as JSON.
const LARGEST_EXTRA: usize = 4096;

type Checked = Result<(), Refusal>;

/// A name: not empty, not too long, nothing that can't be seen.
pub(crate) fn name(value: &str, longest: usize) -> Checked {
    if value.trim().is_empty() || value.trim() != value {
        return Err(Refusal::bad("A name can't be empty, nor begin or end with blanks."));
    }
    text("name", value, longest)
}

pub(crate) fn description(value: &str) -> Checked {
    if value.chars().count() > LONGEST_DESCRIPTION {
        return Err(Refusal::bad(format!("A description has at most {LONGEST_DESCRIPTION} characters.")));
    }
    if value.contains('\0') {
        return Err(Refusal::bad("A description can't hold control characters."));
    }
    Ok(())
}

/// A word of a body or query: not too long, no control characters.
pub(crate) fn text(what: &str, value: &str, longest: usize) -> Checked {
    if value.chars().count() > longest {
        return Err(Refusal::bad(format!("A {what} has at most {longest} characters.")));
    }
    if value.chars().any(char::is_control) {
        return Err(Refusal::bad(format!("A {what} can't hold control characters.")));
    }
    Ok(())
}

/// Whether this can be the id of anything.
pub(crate) fn is_id(value: &str) -> bool {
    !value.is_empty() && value.len() <= LONGEST_ID && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The same as an error; `what` is said not to be found.
pub(crate) fn id(what: &'static str, value: &str) -> Checked {
    if is_id(value) { Ok(()) } else { Err(Refusal::not_found(what, value.escape_debug().to_string())) }
}

/// A secret that is to be set.
pub(crate) fn secret(value: &SecretString) -> Checked {
    let value = value.expose_secret();
    if value.is_empty() {
        return Err(Refusal::bad("A password or secret can't be empty."));
    }
    if value.len() > LONGEST_SECRET {
        return Err(Refusal::bad(format!("A password or secret has at most {LONGEST_SECRET} bytes.")));
    }
    Ok(())
}

/// Whether anybody can have this secret; others need not be hashed.
pub(crate) fn can_be_secret(value: &SecretString) -> bool {
    secret(value).is_ok()
}

/// The one domain, by id.
pub(crate) fn domain_id(value: Option<&str>) -> Checked {
    match value {
        None | Some(crate::domain::ID) => Ok(()),
        Some(_) => Err(Refusal::bad("The built-in identity service has one domain, with the id 'default'.")),
    }
}

/// `options` can be given, as some clients always do, but there are none.
pub(crate) fn no_options(options: Option<&Map<String, Value>>) -> Checked {
    match options.and_then(|options| options.keys().next()) {
        None => Ok(()),
        Some(option) => Err(Refusal::bad(format!("The built-in identity service has no option {option}."))),
    }
}

/// The id in the body of a change, which may be there if it is the one of the path: clients send whole documents back.
pub(crate) fn same_id(what: &str, given: Option<Value>, id: &str) -> Checked {
    match given {
        None => Ok(()),
        Some(given) if given == id => Ok(()),
        Some(_) => Err(Refusal::bad(format!(
            "The id of a {what} can't be changed: leave it out, or give the one of the path."
        ))),
    }
}

/// Attributes that are kept as they are.
pub(crate) fn extra(extra: &Extra, reserved: &[&str]) -> Checked {
    if let Some(key) = reserved.iter().find(|key| extra.contains_key(**key)) {
        return Err(Refusal::bad(format!("{key} can't be set here.")));
    }
    // `original_password`, say, belongs to another request; kept here, everybody who may list users would read it.
    if let Some(key) = extra.keys().find(|key| key.to_ascii_lowercase().contains("password")) {
        return Err(Refusal::bad(format!("{key} can't be set here.")));
    }
    if let Some(Value::String(value)) = extra.get("description") {
        description(value)?;
    }
    let size = serde_json::to_string(extra).map_or(usize::MAX, |json| json.len());
    if size > LARGEST_EXTRA {
        return Err(Refusal::bad(format!("All other attributes together have at most {LARGEST_EXTRA} bytes.")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_and_of_a_length() {
        let long = "x".repeat(LONGEST_NAME);
        let too_long = format!("{long}x");
        for (value, good) in [
            ("a", true),
            ("Jörg Müller", true),
            ("a/b@c", true),
            (long.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            (" ", false),
            (" a", false),
            ("a\u{a0}", false),
            ("a\0b", false),
            ("a\nb", false),
            ("a\u{7f}", false),
        ] {
            assert_eq!(name(value, LONGEST_NAME).is_ok(), good, "{value:?}");
        }
    }

    #[test]
    fn ids_are_short_and_plain() {
        let long = "f".repeat(65);
        for (value, good) in
            [("default", true), ("d-1_x", true), ("", false), ("a b", false), ("ä", false), (&long, false)]
        {
            assert_eq!(is_id(value), good, "{value:?}");
        }
    }
}
