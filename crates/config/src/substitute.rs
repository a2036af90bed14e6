//! `$name`, `${name}`, `$group.name`, `$$` and `\$` in values.

/// Replaces references by what `lookup` gives for their names. A dollar sign that starts no name stays.
///
/// # Errors
/// The first error of `lookup`.
pub(crate) fn substitute<E>(text: &str, mut lookup: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('$') {
        let (before, after) = (&rest[..position], &rest[position + 1..]);
        if let Some(before) = before.strip_suffix('\\') {
            done.push_str(before);
            done.push('$');
            rest = after;
            continue;
        }
        done.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            done.push('$');
            rest = after;
        } else if let Some((name, after)) = braced(rest).or_else(|| bare(rest)) {
            done.push_str(&lookup(name)?);
            rest = after;
        } else {
            done.push('$');
        }
    }
    done.push_str(rest);
    Ok(done)
}

fn braced(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let (whole, "") = bare(name)? else { return None };
    Some((whole, after))
}

/// A letter or underscore, then also digits and dots. Dots at the end are taken for punctuation.
fn bare(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(text.len());
    let name = text[..end].trim_end_matches('.');
    Some((name, &text[name.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("plain", Ok("plain"))]
    #[case("$a", Ok("<a>"))]
    #[case("${a}x", Ok("<a>x"))]
    #[case("$a-$b", Ok("<a>-<b>"))]
    #[case("$g.a/x", Ok("<g.a>/x"))]
    #[case("${g.a}", Ok("<g.a>"))]
    #[case("$a.", Ok("<a>."))]
    #[case("$$a", Ok("$a"))]
    #[case("\\$a", Ok("$a"))]
    #[case("$$$a", Ok("$<a>"))]
    #[case("$5 $ ${ ${5} $", Ok("$5 $ ${ ${5} $"))]
    #[case("${a", Ok("${a"))]
    #[case("é$a€", Ok("é<a>€"))]
    #[case("$absent", Err("absent"))]
    fn replaces(#[case] text: &str, #[case] expected: Result<&str, &str>) {
        let found =
            substitute(text, |name| if name == "absent" { Err(name.to_owned()) } else { Ok(format!("<{name}>")) });
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }
}
