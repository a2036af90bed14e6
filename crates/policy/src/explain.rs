//! Why a rule allows or denies.

use std::fmt;

use crate::check::Check;
use crate::evaluate::Watch;

/// A decision with every check that was looked at on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The rule that was asked for.
    pub rule: String,
    /// The decision.
    pub allowed: bool,
    /// What decided before or instead of the checks: an unknown rule, the token's scope, a circle of rules.
    pub note: Option<String>,
    /// The checks in the order in which they were looked at. Those that could not matter any more are missing.
    pub steps: Vec<Step>,
}

/// One check that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How deep within other checks; the rule's own check is at 0.
    pub depth: usize,
    /// The check in the notation of policy files.
    pub check: String,
    /// Whether it holds; nothing if the evaluation was given up within it.
    pub holds: Option<bool>,
    /// What was found; empty where the checks within say it all.
    pub why: String,
}

/// An indented list, one check a line.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.rule, if self.allowed { "allowed" } else { "denied" })?;
        if let Some(note) = &self.note {
            writeln!(f, "  {note}")?;
        }
        for step in &self.steps {
            let sign = match step.holds {
                Some(true) => "yes",
                Some(false) => "no ",
                None => "?  ",
            };
            write!(f, "  {sign} {:indent$}{}", "", step.check, indent = step.depth * 2)?;
            if !step.why.is_empty() {
                write!(f, " ({})", step.why)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Writes the steps down while a check is evaluated.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) steps: Vec<Step>,
    open: Vec<usize>,
}

impl Watch for Recorder {
    fn enter(&mut self, check: &Check) {
        let depth = self.open.len();
        self.open.push(self.steps.len());
        self.steps.push(Step { depth, check: check.to_string(), holds: None, why: String::new() });
    }

    fn leave(&mut self, holds: bool, why: impl FnOnce() -> String) {
        if let Some(step) = self.open.pop().and_then(|index| self.steps.get_mut(index)) {
            step.holds = Some(holds);
            step.why = why();
        }
    }
}
