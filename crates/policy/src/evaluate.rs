//! Yes or no.

use magnum_domain::caller::Caller;

use crate::attribute::{Subject, Value};
use crate::check::{Check, Template};
use crate::rules::RuleSet;
use crate::target::Target;

/// Checks and rules within one another beyond this are taken for a circle. Real policies stay below twenty.
const MAX_DEPTH: usize = 128;

/// Answers `http:` and `https:` checks by asking the service at that address.
///
/// Called while a request waits, so it should have a short time-out.
pub trait RemoteCheck: Send + Sync {
    /// Whether the service at `address` lets `caller` do what `rule` guards to `target`.
    ///
    /// # Errors
    /// In words, when there is no usable answer; this denies.
    fn check(&self, address: &str, rule: &str, caller: &Caller, target: &Target<'_>) -> Result<bool, String>;
}

/// The evaluation went round in a circle. It denies as a whole, whatever `not` is around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle;

/// Looks on while a check is evaluated.
pub(crate) trait Watch {
    fn enter(&mut self, _check: &Check) {}
    /// `why` is only asked by those who want to know.
    fn leave(&mut self, _holds: bool, _why: impl FnOnce() -> String) {}
}

/// Nobody looks on; costs nothing.
impl Watch for () {}

/// One question being answered.
pub(crate) struct Evaluation<'a, W> {
    pub(crate) rules: &'a RuleSet,
    pub(crate) remote: Option<&'a dyn RemoteCheck>,
    /// The rule that was asked for.
    pub(crate) asked: &'a str,
    pub(crate) caller: &'a Caller,
    pub(crate) target: &'a Target<'a>,
    pub(crate) watch: W,
    pub(crate) depth: usize,
}

impl<W: Watch> Evaluation<'_, W> {
    pub(crate) fn holds(&mut self, check: &Check) -> Result<bool, Circle> {
        if self.depth >= MAX_DEPTH {
            return Err(Circle);
        }
        self.depth += 1;
        self.watch.enter(check);
        let answer = match check {
            Check::Always => self.answer(true, || "allows everybody".to_owned()),
            Check::Never => self.answer(false, || "denies everybody".to_owned()),
            Check::Not(inner) => {
                let holds = !self.holds(inner)?;
                self.answer(holds, String::new)
            }
            Check::All(parts) => {
                let mut holds = true;
                for part in parts {
                    holds = self.holds(part)?;
                    if !holds {
                        break;
                    }
                }
                self.answer(holds, String::new)
            }
            Check::Any(parts) => {
                let mut holds = false;
                for part in parts {
                    holds = self.holds(part)?;
                    if holds {
                        break;
                    }
                }
                self.answer(holds, String::new)
            }
            Check::Rule(name) => self.rule(name)?,
            Check::Role(name) => self.role(name),
            Check::Remote(address) => self.remote(address),
            Check::Equals { subject, expected } => self.equals(subject, expected),
        };
        self.depth -= 1;
        Ok(answer)
    }

    fn answer(&mut self, holds: bool, why: impl FnOnce() -> String) -> bool {
        self.watch.leave(holds, why);
        holds
    }

    fn rule(&mut self, name: &str) -> Result<bool, Circle> {
        let rules = self.rules;
        match rules.find(name) {
            Some(check) => {
                let holds = self.holds(check)?;
                Ok(self.answer(holds, String::new))
            }
            None => Ok(self.answer(false, || format!("there is no rule `{name}`"))),
        }
    }

    fn role(&mut self, name: &Template) -> bool {
        let (caller, target) = (self.caller, self.target);
        match name.fill(target) {
            Ok(role) => {
                let holds = caller.roles.iter().any(|own| same_role(own, &role));
                self.answer(holds, || format!("the caller's roles are `{}`", caller.roles.join(", ")))
            }
            Err(key) => self.answer(false, || lacks(key)),
        }
    }

    fn remote(&mut self, address: &Template) -> bool {
        let (caller, target, asked) = (self.caller, self.target, self.asked);
        let answer = address.fill(target).map_err(lacks).and_then(|address| match self.remote {
            Some(remote) => remote.check(&address, asked, caller, target),
            None => Err("asking other services is not set up here".to_owned()),
        });
        match answer {
            Ok(holds) => self.answer(holds, || "that service's answer".to_owned()),
            Err(reason) => {
                tracing::warn!(rule = asked, check = %address, reason, "a remote policy check could not be made and denies");
                self.answer(false, || reason)
            }
        }
    }

    fn equals(&mut self, subject: &Subject, expected: &Template) -> bool {
        let (caller, target) = (self.caller, self.target);
        let text = match expected.fill(target) {
            Ok(text) => text,
            Err(key) => return self.answer(false, || lacks(key)),
        };
        let value = match subject {
            Subject::Literal { value, .. } => Value::Text(value),
            Subject::Caller(attribute) => attribute.of(caller),
            Subject::Unknown(name) => return self.answer(false, || format!("callers have no attribute `{name}`")),
        };
        let holds = value.equals(&text, expected.is_constant());
        self.answer(holds, || match subject {
            Subject::Literal { .. } => format!("compared with `{text}`"),
            _ => format!("the caller's `{subject}` is {value}, compared with `{text}`"),
        })
    }
}

fn lacks(key: &str) -> String {
    format!("the target has no `{key}`")
}

/// Upper and lower case alike, in any script.
fn same_role(own: &str, wanted: &str) -> bool {
    own.eq_ignore_ascii_case(wanted)
        || (!(own.is_ascii() && wanted.is_ascii()) && own.to_lowercase() == wanted.to_lowercase())
}
