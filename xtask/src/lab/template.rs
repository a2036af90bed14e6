//! Fills in templates: `{{name}}` stands for a value, which may hold such words itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// What the words of a template stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

/// Deeper than any value refers to others.
const DEPTH: usize = 8;

impl Values {
    /// The same with one more, or another.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The text with all its words filled in.
    pub(crate) fn fill(&self, text: &str) -> Result<String> {
        let mut text = text.to_owned();
        for _ in 0..DEPTH {
            if !text.contains("{{") {
                return Ok(text);
            }
            text = self.fill_once(&text)?;
        }
        bail!("the values refer to each other in a circle: {text}")
    }

    /// The words of a command line. It is split before it is filled in: a value may hold blanks.
    pub(crate) fn words(&self, line: &str) -> Result<Vec<String>> {
        line.split_whitespace().map(|word| self.fill(word)).collect()
    }

    fn fill_once(&self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").context("`{{` without `}}`")?;
            filled.push_str(before);
            filled.push_str(self.0.get(name).with_context(|| format!("nothing is known of {{{{{name}}}}}"))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_may_hold_words() {
        let values = Values::default().with("port", "1").with("url", "http://x:{{port}}").with("dir", "/a b");
        assert_eq!(values.fill("<{{url}}/{{port}}>").unwrap(), "<http://x:1/1>");
        assert_eq!(values.words("run  --in {{dir}}/c").unwrap(), ["run", "--in", "/a b/c"]);
    }

    #[test]
    fn an_unknown_word_and_a_circle_are_errors() {
        assert!(Values::default().fill("{{x}}").unwrap_err().to_string().contains("{{x}}"));
        assert!(Values::default().with("x", "{{x}}").fill("{{x}}").is_err());
        assert!(Values::default().fill("{{x").is_err());
    }
}
