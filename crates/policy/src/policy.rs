//! What the rest of the program holds: the rules in force, kept in step with their files.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use magnum_domain::caller::Caller;
use thiserror::Error;

use crate::defaults::{Scope, default_rules};
use crate::evaluate::{Circle, Evaluation, RemoteCheck, Watch};
use crate::explain::{Explanation, Recorder};
use crate::rules::{Listed, Problem, RuleSet};
use crate::source::{Fingerprint, LoadError, PolicyFile};
use crate::target::Target;

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where policies come from: `[oslo_policy]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `policy_file`, found; it need not exist. Default none.
    pub file: Option<PathBuf>,
    /// `policy_dirs`, found; they need not exist. Default none.
    pub folders: Vec<PathBuf>,
    /// `policy_default_rule`: stands in for rules that are asked for and not there. Default `default`, a rule that
    /// is itself only there if a file has it.
    pub fallback: Option<String>,
    /// `enforce_new_defaults`: whether only the newer defaults hold. Default true.
    pub enforce_new_defaults: bool,
    /// `enforce_scope`: whether tokens of another scope than a rule is meant for are refused. Default false, which
    /// is how upstream behaves: it never tells its policy engine the scope of a token.
    pub enforce_scope: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            file: None,
            folders: Vec::new(),
            fallback: Some("default".to_owned()),
            enforce_new_defaults: true,
            enforce_scope: false,
        }
    }
}

impl Options {
    fn fingerprint(&self) -> Result<Fingerprint, LoadError> {
        Fingerprint::take(self.file.as_deref(), &self.folders)
    }
}

/// A rule said no. The text is upstream's, which clients show.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Policy doesn't allow {rule} to be performed.")]
pub struct Denied {
    /// Which rule.
    pub rule: String,
}

/// The rules in force. Share it behind an `Arc`.
pub struct Policy {
    options: Options,
    remote: Option<Arc<dyn RemoteCheck>>,
    loaded: RwLock<Arc<Loaded>>,
    /// The files as they were when last read, well or badly, so that a malformed one is reported once.
    seen: Mutex<Fingerprint>,
    started: Instant,
    /// When the files are to be looked at next, in milliseconds since `started`.
    next_look: AtomicU64,
}

struct Loaded {
    rules: RuleSet,
    problems: Vec<Problem>,
}

impl Policy {
    /// The built-in rules and nothing else.
    #[must_use]
    pub fn defaults() -> Self {
        let options = Options::default();
        // Without the table there are no rules, and without rules nothing is allowed.
        let loaded = load(&options, &[]).unwrap_or_else(|error| {
            tracing::error!(%error, "denying everything");
            Loaded { rules: RuleSet::default(), problems: Vec::new() }
        });
        Self::with(options, loaded, Fingerprint::default())
    }

    /// The built-in rules with the overrides of the files. Single rules that are not understood deny and are among
    /// the [`Self::problems`].
    ///
    /// # Errors
    /// If a file cannot be read or is malformed as a whole.
    pub fn load(options: Options) -> Result<Self, LoadError> {
        let seen = options.fingerprint()?;
        let loaded = load(&options, &seen.read()?)?;
        report(&loaded.problems);
        Ok(Self::with(options, loaded, seen))
    }

    fn with(options: Options, loaded: Loaded, seen: Fingerprint) -> Self {
        Self {
            options,
            remote: None,
            loaded: RwLock::new(Arc::new(loaded)),
            seen: Mutex::new(seen),
            started: Instant::now(),
            next_look: AtomicU64::new(millis(LOOK_EVERY)),
        }
    }

    /// The same, asking `remote` about `http:` and `https:` checks.
    #[must_use]
    pub fn with_remote(mut self, remote: Arc<dyn RemoteCheck>) -> Self {
        self.remote = Some(remote);
        self
    }

    /// Whether `rule` allows `caller` to do it to `target`.
    ///
    /// Looks at the policy files if that has not been done for a second, and takes changes over.
    ///
    /// # Errors
    /// [`Denied`] if not, or if nothing is known about the rule.
    pub fn enforce(&self, rule: &str, caller: &Caller, target: &Target<'_>) -> Result<(), Denied> {
        self.look_sometimes();
        let allowed = self.decide(&self.current(), rule, caller, target, ()).0;
        if allowed { Ok(()) } else { Err(Denied { rule: rule.to_owned() }) }
    }

    /// Whether the rule `context_is_admin` holds for the caller: the value for [`Caller::is_admin`].
    #[must_use]
    pub fn is_admin(&self, caller: &Caller) -> bool {
        self.enforce("context_is_admin", caller, &Target::default()).is_ok()
    }

    /// The decision of [`Self::enforce`] with the reasons.
    #[must_use]
    pub fn explain(&self, rule: &str, caller: &Caller, target: &Target<'_>) -> Explanation {
        self.look_sometimes();
        let (allowed, note, recorder) = self.decide(&self.current(), rule, caller, target, Recorder::default());
        Explanation { rule: rule.to_owned(), allowed, note, steps: recorder.steps }
    }

    /// The rules in force, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.current().rules.list()
    }

    /// What in the files in force does not do what its author may think.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.current().problems.clone()
    }

    /// Reads the files again if they have changed, whenever that was last looked at. Returns whether they had.
    ///
    /// # Errors
    /// If a file cannot be read or is malformed, the latter once for each change. The rules stay as they were.
    pub fn refresh(&self) -> Result<bool, LoadError> {
        // Held to the end, so that of two at a time the later one finds nothing to do.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.options.fingerprint()?;
        if now == *seen {
            return Ok(false);
        }
        let files = match now.read() {
            Err(malformed @ LoadError::Malformed { .. }) => {
                *seen = now;
                return Err(malformed);
            }
            other => other?,
        };
        let loaded = load(&self.options, &files)?;
        *seen = now;
        report(&loaded.problems);
        tracing::info!(problems = loaded.problems.len(), "policy files have changed, new rules are in force");
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        Ok(true)
    }

    fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// At most once in [`LOOK_EVERY`], and by one of the requests that come at that time.
    fn look_sometimes(&self) {
        if self.options.file.is_none() && self.options.folders.is_empty() {
            return;
        }
        let now = millis(self.started.elapsed());
        let due = self.next_look.load(Ordering::Relaxed);
        let next = now.saturating_add(millis(LOOK_EVERY));
        if now < due || self.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        if let Err(error) = self.refresh() {
            tracing::error!(error = %Chain(&error), "keeping the policies that were in force");
        }
    }

    fn decide<W: Watch>(
        &self,
        loaded: &Loaded,
        rule: &str,
        caller: &Caller,
        target: &Target<'_>,
        watch: W,
    ) -> (bool, Option<String>, W) {
        let rules = &loaded.rules;
        let Some(check) = rules.find(rule) else {
            return (false, Some("there is no such rule".to_owned()), watch);
        };
        let scopes = rules.scope(rule);
        let own = if caller.system_scope.is_some() { Scope::System } else { Scope::Project };
        if self.options.enforce_scope && !scopes.is_empty() && !scopes.contains(&own) {
            return (false, Some(format!("the rule is not meant for tokens of {own} scope")), watch);
        }
        let remote = self.remote.as_deref();
        let mut evaluation = Evaluation { rules, remote, asked: rule, caller, target, watch, depth: 0 };
        let outcome = evaluation.holds(check);
        let note = match outcome {
            Ok(_) => None,
            Err(Circle) => {
                tracing::error!(rule, "the rule refers to itself in a circle and denies");
                Some("rules refer to one another in a circle".to_owned())
            }
        };
        (outcome.unwrap_or(false), note, evaluation.watch)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("options", &self.options).finish_non_exhaustive()
    }
}

fn load(options: &Options, files: &[PolicyFile]) -> Result<Loaded, LoadError> {
    let defaults = default_rules()?;
    let (rules, problems) = RuleSet::build(defaults, files, options.fallback.clone(), options.enforce_new_defaults);
    Ok(Loaded { rules, problems })
}

fn report(problems: &[Problem]) {
    for problem in problems {
        tracing::warn!(rule = problem.rule, origin = %problem.origin, "{}", problem.message);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
