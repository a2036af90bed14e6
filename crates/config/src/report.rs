//! What there is to say about a configuration.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table of options.
    Default,
    /// A file.
    File {
        /// Which.
        path: Arc<Path>,
        /// From 1.
        line: usize,
    },
    /// An environment variable of this name.
    Environment(String),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Known and harmless.
    Note,
    /// The file may not do what its author thinks.
    Warning,
    /// The service does not start with it.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What a [`Finding`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// A line that cannot be read.
    Syntax,
    /// A group that nothing reads.
    UnknownGroup,
    /// An option that nothing reads.
    UnknownOption,
    /// An option under a former name.
    Deprecated,
    /// An option that upstream reads and this program does not.
    Ignored,
    /// A value that the option cannot have.
    Invalid,
    /// A name that nothing reads, where the option that was meant is one that must not be missing.
    Misspelt,
    /// Values that are each possible and don't make sense: together, or for what they name.
    Senseless,
}

/// One thing to say about a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub kind: FindingKind,
    /// Where it is.
    pub origin: Origin,
    /// Name of the group, as written; empty for lines that cannot be read.
    pub group: String,
    /// Name of the option, as written.
    pub name: Option<String>,
    /// In words.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.origin, self.severity)?;
        match (&*self.group, &self.name) {
            ("", _) => {}
            (group, None) => write!(f, "[{group}] ")?,
            (group, Some(name)) => write!(f, "[{group}] {name} ")?,
        }
        f.write_str(&self.message)
    }
}

/// Everything there is to say, one line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
}

impl Report {
    /// These findings, in the order of files and lines.
    #[must_use]
    pub fn sorted(mut findings: Vec<Finding>) -> Self {
        crate::resolve::in_order(&mut findings);
        Self { findings }
    }

    /// Whether the service does not start with it.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings are that bad.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Only those that are at least that bad.
    #[must_use]
    pub fn at_least(&self, severity: Severity) -> Self {
        let findings = self.findings.iter().filter(|finding| finding.severity >= severity).cloned().collect();
        Self { findings }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
