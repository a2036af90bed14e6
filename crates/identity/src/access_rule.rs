//! Paths in the access rules of application credentials.

/// A part of such a path.
enum Part {
    /// This character.
    Character(char),
    /// `*` and `{name}`: one character or more, none of them a slash.
    Segment,
    /// `**`: anything, also nothing.
    Anything,
}

/// Whether a path is what a rule says. Takes time in proportion to both: rules are written by tenants.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    // Whether the pattern so far can end before each character of the path.
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    for part in parts(pattern) {
        let mut next = vec![false; path.len() + 1];
        if matches!(part, Part::Anything) {
            next[0] = ends[0];
        }
        for (at, character) in path.iter().enumerate() {
            next[at + 1] = match part {
                Part::Character(wanted) => ends[at] && *character == wanted,
                Part::Segment => (ends[at] || next[at]) && *character != '/',
                Part::Anything => ends[at + 1] || next[at],
            };
        }
        ends = next;
    }
    ends[path.len()]
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let (part, length) = match (first, rest.find('}')) {
            ('*', _) if rest.starts_with("**") => (Part::Anything, 2),
            ('*', _) => (Part::Segment, 1),
            ('{', Some(end)) => (Part::Segment, end + 1),
            _ => (Part::Character(first), first.len_utf8()),
        };
        parts.push(part);
        rest = &rest[length..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_paths_as_keystone_describes_them() {
        let table = [
            ("/v1/clusters", "/v1/clusters", true),
            ("/v1/clusters", "/v1/clusters/", false),
            ("/v1/clusters", "/v1/cluster", false),
            ("/v1/clusters/*", "/v1/clusters/a", true),
            ("/v1/clusters/*", "/v1/clusters/", false),
            ("/v1/clusters/*", "/v1/clusters/a/b", false),
            ("/v1/clusters/{cluster_id}/actions/*", "/v1/clusters/a/actions/resize", true),
            ("/v1/**", "/v1/", true),
            ("/v1/**", "/v1/clusters/a/b", true),
            ("/v1/**/b", "/v1/clusters/a/b", true),
            ("/v1/**/b", "/v1/clusters/a/c", false),
            ("**", "", true),
            ("*", "", false),
            ("/v1/***", "/v1/a", true),
            ("/v1.0", "/v1x0", false),
            ("/{unfinished", "/{unfinished", true),
            ("/v1/ü*", "/v1/üx", true),
            ("", "", true),
            ("", "/", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        let (nasty, path) = ("**a".repeat(40), "a".repeat(2000) + "b");
        assert!(!matches(&nasty, &path), "and it ends");
    }
}
