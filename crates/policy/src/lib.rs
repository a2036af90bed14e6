//! Who may do what: the oslo.policy language, this service's default rules, and an operator's overrides.
//!
//! A rule has a name and a check. The defaults are the table `data/policy.yaml`; a `policy.yaml` (or JSON) file and
//! the files of `policy.d` override whole rules by name. [`Policy::enforce`] answers one question: does this rule
//! allow this caller to do it to this target? Whatever cannot be understood or decided is denied.
//!
//! - `check.rs`: a check as a tree, and as text again
//! - `parse.rs`: text and lists to checks
//! - `attribute.rs`: what a check can ask about the caller; `target.rs`: about the object
//! - `evaluate.rs`: yes or no; `explain.rs`: and why
//! - `defaults.rs`: the table; `source.rs`: the files; `rules.rs`: both together
//! - `policy.rs`: what the rest of the program holds
//!
//! Nothing here does network I/O. `http:` and `https:` checks deny unless a [`RemoteCheck`] is plugged in.

mod attribute;
mod check;
mod defaults;
mod evaluate;
mod explain;
mod parse;
mod policy;
mod rules;
mod source;
mod target;

pub use check::{Check, Template, TemplateError};
pub use defaults::{DefaultRule, DeprecatedCheck, Scope, default_rules, sample};
pub use evaluate::RemoteCheck;
pub use explain::{Explanation, Step};
pub use parse::{Parsed, parse_rule, parse_text};
pub use policy::{Denied, Options, Policy};
pub use rules::{Listed, Origin, Problem, Severity};
pub use source::LoadError;
pub use target::Target;
