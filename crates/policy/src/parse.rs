//! From the notation of policy files to [`Check`].
//!
//! Words are separated by white space alone; parentheses count only at the edges of a word; `not` binds tighter than
//! `and`, and that tighter than `or`. Hand-written, since the grammar has five productions and the fine points are
//! all in how words are cut.

use serde_json::Value;

use crate::attribute::Subject;
use crate::check::{Check, Template};

/// Nesting beyond this is not understood. Real policies stay below ten.
const MAX_NESTING: usize = 32;
/// Longer rules are not understood, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// A check, and what was wrong with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What to evaluate. [`Check::Never`] if the whole was not understood.
    pub check: Check,
    /// What is wrong, in words for the operator. Empty if all is well.
    pub problems: Vec<String>,
}

/// Reads the value of a rule in a policy file: text, or the older lists of lists (any of the outer, all of the inner).
#[must_use]
pub fn parse_rule(value: &Value) -> Parsed {
    match value {
        Value::String(text) => parse_text(text),
        Value::Array(alternatives) => parse_lists(alternatives),
        other => Parsed {
            check: Check::Never,
            problems: vec![format!("a rule must be text or a list, not {}", kind_of(other))],
        },
    }
}

/// Reads a rule written as text. Never fails: what is not understood denies.
#[must_use]
pub fn parse_text(text: &str) -> Parsed {
    if text.is_empty() {
        return Parsed { check: Check::Always, problems: Vec::new() };
    }
    let mut problems = Vec::new();
    let check = if text.len() > MAX_LENGTH {
        Err(format!("longer than {MAX_LENGTH} bytes"))
    } else {
        Expression { tokens: tokens(text), position: 0, problems: &mut problems }.whole()
    };
    let check = check.unwrap_or_else(|problem| {
        problems.push(problem);
        Check::Never
    });
    Parsed { check, problems }
}

fn parse_lists(alternatives: &[Value]) -> Parsed {
    if alternatives.is_empty() {
        return Parsed { check: Check::Always, problems: Vec::new() };
    }
    let mut problems = Vec::new();
    let mut any = Vec::new();
    for alternative in alternatives {
        match alternative {
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => any.push(single(text, &mut problems)),
            Value::Array(parts) if parts.is_empty() => {}
            Value::Array(parts) => {
                let all = parts.iter().map(|part| match part {
                    Value::String(text) => single(text, &mut problems),
                    other => {
                        problems.push(format!("a check must be text, not {}", kind_of(other)));
                        Check::Never
                    }
                });
                any.push(combine(all.collect(), Check::All));
            }
            other => {
                problems.push(format!("an alternative must be text or a list, not {}", kind_of(other)));
                any.push(Check::Never);
            }
        }
    }
    let check = if any.is_empty() { Check::Never } else { combine(any, Check::Any) };
    Parsed { check, problems }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing (write \"\" to allow everybody, \"!\" to deny)",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::Object(_) => "a mapping",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Not,
    And,
    Or,
    /// Valid as a word, but not as a check.
    Quoted(&'a str),
    Check(&'a str),
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let opened = word.trim_start_matches('(');
        tokens.extend(std::iter::repeat_n(Token::Open, word.len() - opened.len()));
        let bare = opened.trim_end_matches(')');
        if !bare.is_empty() {
            tokens.push(token(bare, opened));
        }
        tokens.extend(std::iter::repeat_n(Token::Close, opened.len() - bare.len()));
    }
    tokens
}

/// `with_closers` is the word before its closing parentheses were taken off: only that decides about quotes.
fn token<'a>(bare: &'a str, with_closers: &'a str) -> Token<'a> {
    for (keyword, token) in [("not", Token::Not), ("and", Token::And), ("or", Token::Or)] {
        if bare.eq_ignore_ascii_case(keyword) {
            return token;
        }
    }
    let quoted = |quote| with_closers.len() >= 2 && with_closers.starts_with(quote) && with_closers.ends_with(quote);
    if quoted('"') || quoted('\'') { Token::Quoted(bare) } else { Token::Check(bare) }
}

struct Expression<'a, 'p> {
    tokens: Vec<Token<'a>>,
    position: usize,
    problems: &'p mut Vec<String>,
}

impl<'a> Expression<'a, '_> {
    fn whole(mut self) -> Result<Check, String> {
        let check = self.any(0)?;
        match self.next() {
            None => Ok(check),
            Some(token) => Err(format!("expected `and`, `or` or the end before {}", describe(Some(token)))),
        }
    }

    fn any(&mut self, depth: usize) -> Result<Check, String> {
        let mut parts = vec![self.all(depth)?];
        while self.take(Token::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(combine(parts, Check::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Check, String> {
        let mut parts = vec![self.one(depth)?];
        while self.take(Token::And) {
            parts.push(self.one(depth)?);
        }
        Ok(combine(parts, Check::All))
    }

    fn one(&mut self, depth: usize) -> Result<Check, String> {
        if depth >= MAX_NESTING {
            return Err(format!("nested deeper than {MAX_NESTING}"));
        }
        match self.next() {
            Some(Token::Not) => Ok(Check::Not(Box::new(self.one(depth + 1)?))),
            Some(Token::Open) => {
                let inner = self.any(depth + 1)?;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    other => Err(format!("expected `)` before {}", describe(other))),
                }
            }
            Some(Token::Check(text)) => Ok(single(text, self.problems)),
            other => Err(format!("expected a check before {}", describe(other))),
        }
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.get(self.position).copied();
        self.position += usize::from(token.is_some());
        token
    }

    fn take(&mut self, wanted: Token<'_>) -> bool {
        let found = self.tokens.get(self.position) == Some(&wanted);
        self.position += usize::from(found);
        found
    }
}

fn describe(token: Option<Token<'_>>) -> String {
    match token {
        None => "the end".to_owned(),
        Some(Token::Open) => "`(`".to_owned(),
        Some(Token::Close) => "`)`".to_owned(),
        Some(Token::Not) => "`not`".to_owned(),
        Some(Token::And) => "`and`".to_owned(),
        Some(Token::Or) => "`or`".to_owned(),
        Some(Token::Quoted(text) | Token::Check(text)) => format!("`{text}`"),
    }
}

fn combine(mut parts: Vec<Check>, with: fn(Vec<Check>) -> Check) -> Check {
    match parts.len() {
        1 => parts.remove(0),
        _ => with(parts),
    }
}

/// One `kind:match`. A malformed one denies by itself, not the whole rule: `role:admin or nonsense` still lets
/// administrators in, as it does upstream.
fn single(text: &str, problems: &mut Vec<String>) -> Check {
    match text {
        "!" => return Check::Never,
        "@" => return Check::Always,
        _ => {}
    }
    let Some((kind, expected)) = text.split_once(':') else {
        problems.push(format!("`{text}` is not a check: it needs the form `kind:match`"));
        return Check::Never;
    };
    if kind == "rule" {
        return Check::Rule(expected.to_owned());
    }
    let template = Template::parse(if matches!(kind, "http" | "https") { text } else { expected });
    let template = match template {
        Ok(template) => template,
        Err(error) => {
            problems.push(error.to_string());
            return Check::Never;
        }
    };
    match kind {
        "role" => Check::Role(template),
        "http" | "https" => Check::Remote(template),
        _ => match Subject::parse(kind) {
            Some(subject) => Check::Equals { subject, expected: template },
            None => {
                problems.push(format!("`{kind}` in `{text}` is neither an attribute nor a literal"));
                Check::Never
            }
        },
    }
}
