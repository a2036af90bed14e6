//! Defaults and overrides together: the rules in force.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;

use crate::attribute::Subject;
use crate::check::Check;
use crate::defaults::{DefaultRule, Scope};
use crate::parse::{parse_rule, parse_text};
use crate::source::PolicyFile;

/// Where the check in force comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in table.
    Default,
    /// The built-in table, where the older default holds as well.
    DefaultOrDeprecated,
    /// A policy file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::DefaultOrDeprecated => f.write_str("default or its predecessor"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A rule in force, for `magnum policy list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it demands, in the notation of policy files.
    pub check: String,
    /// Where that comes from.
    pub origin: Origin,
    /// The entry of the built-in table, if it has one.
    pub default: Option<&'static DefaultRule>,
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// A part of a rule denies because it is not understood.
    Error,
}

/// Something in the policy files that does not do what its author may think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where the rule comes from.
    pub origin: Origin,
    /// Name of the rule.
    pub rule: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: rule `{}`: {}", self.origin, self.rule, self.message)
    }
}

#[derive(Debug)]
struct Rule {
    check: Check,
    origin: Origin,
    default: Option<&'static DefaultRule>,
}

/// The rules in force, by name.
#[derive(Debug, Default)]
pub(crate) struct RuleSet {
    rules: HashMap<String, Rule>,
    fallback: Option<String>,
}

impl RuleSet {
    /// Lays the files over the defaults.
    ///
    /// `fallback` names the rule that stands in for unknown ones. Without `enforce_new_defaults`, a default that has
    /// a predecessor is satisfied by either, unless a file overrides it.
    pub(crate) fn build(
        defaults: &'static [DefaultRule],
        files: &[PolicyFile],
        fallback: Option<String>,
        enforce_new_defaults: bool,
    ) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut rules = HashMap::new();
        for file in files {
            for (name, value) in &file.rules {
                let origin = Origin::File(file.path.clone());
                let parsed = parse_rule(value);
                problems.retain(|problem: &Problem| problem.rule != *name);
                problems.extend(parsed.problems.into_iter().map(|message| Problem {
                    severity: Severity::Error,
                    origin: origin.clone(),
                    rule: name.clone(),
                    message,
                }));
                rules.insert(name.clone(), Rule { check: parsed.check, origin, default: None });
            }
        }
        let from_files: HashSet<String> = rules.keys().cloned().collect();
        for default in defaults {
            if let Some(rule) = rules.get_mut(&default.name) {
                rule.default = Some(default);
                continue;
            }
            let (check, origin) = in_force(default, &rules, &from_files, enforce_new_defaults, &mut problems);
            rules.insert(default.name.clone(), Rule { check, origin, default: Some(default) });
        }
        let set = Self { rules, fallback };
        set.inspect(&mut problems);
        problems.sort_by(|a, b| a.rule.cmp(&b.rule).then_with(|| a.message.cmp(&b.message)));
        (set, problems)
    }

    /// What a rule demands; for an unknown one what the fallback demands.
    pub(crate) fn find(&self, name: &str) -> Option<&Check> {
        let fallback = || self.fallback.as_ref().and_then(|name| self.rules.get(name));
        self.rules.get(name).or_else(fallback).map(|rule| &rule.check)
    }

    /// The token scopes a rule is meant for; empty for any.
    pub(crate) fn scope(&self, name: &str) -> &'static [Scope] {
        self.rules.get(name).and_then(|rule| rule.default).map_or(&[], |default| default.scope.as_slice())
    }

    /// All rules by name.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let mut listed: Vec<Listed> = self
            .rules
            .iter()
            .map(|(name, rule)| Listed {
                name: name.clone(),
                check: rule.check.to_string(),
                origin: rule.origin.clone(),
                default: rule.default,
            })
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed
    }

    /// Reports what does not show in a single rule: names that lead nowhere, circles, attributes nobody has.
    fn inspect(&self, problems: &mut Vec<Problem>) {
        let mut referred: HashSet<&str> = self.fallback.iter().map(String::as_str).collect();
        for rule in self.rules.values() {
            rule.check.walk(&mut |check| {
                if let Check::Rule(name) = check {
                    referred.insert(name);
                }
            });
        }
        for (name, rule) in &self.rules {
            let mut warn = |message: String| {
                problems.push(Problem {
                    severity: Severity::Warning,
                    origin: rule.origin.clone(),
                    rule: name.clone(),
                    message,
                });
            };
            // The built-in rules that ask for attributes nobody has are there for those who refer to them.
            if let Origin::File(_) = rule.origin {
                rule.check.walk(&mut |check| match check {
                    Check::Rule(other) if self.find(other).is_none() => {
                        warn(format!("there is no rule `{other}`, so `rule:{other}` never holds"));
                    }
                    Check::Equals { subject: Subject::Unknown(attribute), .. } => {
                        warn(format!("callers have no attribute `{attribute}`, so `{check}` never holds"));
                    }
                    _ => {}
                });
                if rule.default.is_none() && !referred.contains(name.as_str()) {
                    warn("nothing asks for a rule of this name".to_owned());
                }
            }
            if self.leads_back(name) {
                warn("it refers to itself, perhaps by way of others, and denies where it does".to_owned());
            }
        }
    }

    /// Whether following `rule:` from this rule comes back to it.
    fn leads_back(&self, start: &str) -> bool {
        let mut seen = HashSet::new();
        let mut ahead = vec![start];
        while let Some(name) = ahead.pop() {
            let Some(check) = self.find(name) else { continue };
            let mut back = false;
            check.walk(&mut |check| {
                if let Check::Rule(other) = check {
                    back |= other == start;
                    if seen.insert(other.as_str()) {
                        ahead.push(other);
                    }
                }
            });
            if back {
                return true;
            }
        }
        false
    }
}

/// The check of a default that no file overrides under its own name.
fn in_force(
    default: &'static DefaultRule,
    rules: &HashMap<String, Rule>,
    from_files: &HashSet<String>,
    enforce_new_defaults: bool,
    problems: &mut Vec<Problem>,
) -> (Check, Origin) {
    let check = parse_text(&default.check).check;
    let Some(deprecated) = &default.deprecated else { return (check, Origin::Default) };
    let older = parse_text(&deprecated.check).check;
    // An override of the predecessor counts, unless it only says what the default said or points here.
    if from_files.contains(&deprecated.name)
        && let Some(rule) = rules.get(&deprecated.name)
        && rule.check != older
        && rule.check != Check::Rule(default.name.clone())
    {
        problems.push(Problem {
            severity: Severity::Warning,
            origin: rule.origin.clone(),
            rule: deprecated.name.clone(),
            message: format!("the name is deprecated, use `{}`", default.name),
        });
        return (rule.check.clone(), rule.origin.clone());
    }
    if enforce_new_defaults || deprecated.check == default.check {
        return (check, Origin::Default);
    }
    (Check::Any(vec![check, older]), Origin::DefaultOrDeprecated)
}
