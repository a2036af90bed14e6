//! Which of several values counts, what it is with references replaced, and what is wrong with the rest.

use std::collections::{HashMap, HashSet};

use crate::option_type::{OptionType, Parsed};
use crate::report::{Finding, FindingKind, Origin, Severity};
use crate::sources::{Assignment, Layer};
use crate::substitute::substitute;
use crate::table::{OptionSpec, Place, Table, normal_group, normal_name};

/// Values that need more are refused: two references each, twenty levels deep, would fill the memory.
const MAX_REFERENCES: usize = 1000;

/// The value of an option.
#[derive(Clone, PartialEq)]
pub(crate) struct Resolved {
    /// Nothing if it is not set.
    pub(crate) value: Option<Parsed>,
    /// Whether it must not be shown: the option is secret, or refers to one that is.
    pub(crate) secret: bool,
    /// Where it is from; of several, the first.
    pub(crate) origin: Origin,
}

/// A name that some source gives a value, known or not.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// Finds the value of every option of the table, and what there is to say about the sources.
pub(crate) fn resolve(table: &Table, layers: Vec<Layer>) -> Outcome {
    let mut findings = Vec::new();
    let mut written = Vec::new();
    let mut given: HashMap<Place, Vec<Given>> = HashMap::new();
    for (strength, layer) in layers.into_iter().enumerate() {
        findings.extend(layer.findings);
        let mut told = HashSet::new();
        for (name, origin) in &layer.sections {
            if told.insert(normal_group(name)) {
                findings.extend(about_group(table, name, origin));
            }
        }
        for assignment in layer.assignments {
            if assignment.origin != Origin::Default {
                written.push(Written {
                    group: assignment.group.clone(),
                    name: assignment.key.clone(),
                    origin: assignment.origin.clone(),
                });
            }
            match table.find(&assignment.group, &assignment.key) {
                Some((place, age)) => {
                    findings.extend(about_former_name(table, place, age, &assignment));
                    given.entry(place).or_default().push(Given { strength, age, assignment });
                }
                None => findings.extend(about_unknown(table, &assignment, &mut told)),
            }
        }
    }
    let mut resolver = Resolver { table, given: &given, findings, underway: Vec::new(), references: 0 };
    let values = table.places().map(|(place, _, option)| (place, resolver.value(place, option))).collect();
    let mut findings = resolver.findings;
    let used = |place| given.get(&place).and_then(|all| all.first()).map(|given| &given.assignment.origin);
    let mut told = HashSet::new();
    for (place, group, option) in table.places() {
        let (Some(reason), Some(origin)) = (&option.ignored, used(place)) else { continue };
        // One line for all of a group that has no effect.
        let whole_group = group.ignored.is_some();
        if whole_group && !told.insert(&group.name) {
            continue;
        }
        findings.push(Finding {
            severity: Severity::Note,
            kind: FindingKind::Ignored,
            origin: origin.clone(),
            group: group.name.clone(),
            name: (!whole_group).then(|| option.name.clone()),
            message: format!("has no effect here: {reason}"),
        });
    }
    refuse_misspellings(table, &written, &given, &mut findings);
    in_order(&mut findings);
    Outcome { values, findings, written }
}

/// What sources come to.
pub(crate) struct Outcome {
    pub(crate) values: HashMap<Place, Resolved>,
    pub(crate) findings: Vec<Finding>,
    /// Everything that is written somewhere.
    pub(crate) written: Vec<Written>,
}

/// In the order of files and lines.
pub(crate) fn in_order(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| match &finding.origin {
        Origin::File { path, line } => (0, path.to_path_buf(), *line),
        Origin::Environment(_) => (1, std::path::PathBuf::new(), 0),
        Origin::CommandLine | Origin::Default => (2, std::path::PathBuf::new(), 0),
    });
}

/// A misspelt option that nobody has spelt right leaves its default in force. Where that would be dangerous (another
/// database, other users) it is an error, whether the name of the option is wrong or that of its group.
fn refuse_misspellings(
    table: &Table,
    written: &[Written],
    given: &HashMap<Place, Vec<Given>>,
    findings: &mut Vec<Finding>,
) {
    for written in written.iter().filter(|written| table.find(&written.group, &written.name).is_none()) {
        let name = normal_name(&written.name);
        let groups = table.groups().iter().map(|group| &*group.name);
        let Some(group) = table.group(&written.group).or_else(|| table.group(nearest(&written.group, groups)?)) else {
            continue;
        };
        let Some(meant) = nearest(&name, group.options.iter().map(|option| &*option.name)) else { continue };
        let Some((place, _)) = table.find(&group.name, meant) else { continue };
        if given.contains_key(&place) || !table.at(place).is_some_and(|option| option.guarded) {
            continue;
        }
        findings.retain(|finding| {
            finding.origin != written.origin || finding.name.as_deref().is_some_and(|name| name != written.name)
        });
        findings.push(Finding {
            severity: Severity::Error,
            kind: FindingKind::Misspelt,
            origin: written.origin.clone(),
            group: written.group.clone(),
            name: Some(written.name.clone()),
            message: format!("is not read, and nothing sets [{}] {meant}: did you mean that?", group.name),
        });
    }
}

struct Given {
    /// Of its source; the greatest counts.
    strength: usize,
    /// Of the name used; within a source the smallest counts.
    age: usize,
    assignment: Assignment,
}

struct Resolver<'a> {
    table: &'a Table,
    given: &'a HashMap<Place, Vec<Given>>,
    findings: Vec<Finding>,
    /// Options whose references are being replaced.
    underway: Vec<Place>,
    /// References replaced for the value at hand.
    references: usize,
}

/// Text of a value with references replaced.
struct Expanded {
    text: String,
    secret: bool,
}

impl<'a> Resolver<'a> {
    fn value(&mut self, place: Place, option: &OptionSpec) -> Resolved {
        let mut secret = option.secret;
        let origin = self.texts(place, option).first().map_or(Origin::Default, |(_, origin)| origin.clone());
        let mut items = Vec::new();
        self.references = 0;
        for (text, origin) in self.texts(place, option) {
            let parsed = self.expand(place, option, text).and_then(|expanded| {
                secret |= expanded.secret;
                option.parse(&expanded.text)
            });
            match parsed {
                Ok(Some(Parsed::List(more))) if option.kind == OptionType::Multi => items.extend(more),
                Ok(Some(value)) => return Resolved { value: Some(value), secret, origin },
                Ok(None) => {}
                Err(message) => self.invalid(place, option, origin, message),
            }
        }
        if option.kind == OptionType::Multi {
            return Resolved { value: Some(Parsed::List(items)), secret, origin };
        }
        // What was given is not usable; go on with the default, so that everything else is looked at as well.
        let default = option.default.as_deref().and_then(|text| self.expand(place, option, text).ok());
        let value = default.and_then(|expanded| option.parse(&expanded.text).ok().flatten());
        Resolved { value, secret, origin }
    }

    /// The texts that count, as given: one, or several for an option that may have several.
    fn texts(&self, place: Place, option: &'a OptionSpec) -> Vec<(&'a str, Origin)> {
        let given = self.given.get(&place).map(Vec::as_slice).unwrap_or_default();
        let texts: Vec<_> = if option.kind == OptionType::Multi {
            given.iter().collect()
        } else {
            given.iter().reduce(stronger).into_iter().collect()
        };
        if texts.is_empty() {
            return option.default.as_deref().map(|text| (text, Origin::Default)).into_iter().collect();
        }
        texts.into_iter().map(|given| (&*given.assignment.value, given.assignment.origin.clone())).collect()
    }

    /// Replaces references, in the same group first and then in `DEFAULT`.
    fn expand(&mut self, place: Place, option: &OptionSpec, text: &str) -> Result<Expanded, String> {
        if self.underway.contains(&place) {
            return Err("refers to itself, perhaps by way of others".to_owned());
        }
        self.underway.push(place);
        let mut secret = option.secret;
        let expanded = substitute(text, |name| {
            self.references += 1;
            if self.references > MAX_REFERENCES {
                return Err("refers to too many other options".to_owned());
            }
            let group = self.table.groups().get(place.0).map_or("DEFAULT", |group| &group.name);
            let found = match name.split_once('.') {
                Some((group, name)) => self.table.find(group, name),
                None => self.table.find(group, name).or_else(|| self.table.find("DEFAULT", name)),
            };
            let target = found.and_then(|(place, _)| self.table.at(place).map(|option| (place, option)));
            let Some((target, referred)) = target else {
                // The name may be a part of a secret.
                let which = if option.secret { String::new() } else { format!(" `${name}`") };
                return Err(format!("refers to an option{which} that does not exist; write `$$` for a dollar sign"));
            };
            let mut texts = Vec::new();
            for (text, _) in self.texts(target, referred) {
                let expanded = self.expand(target, referred, text)?;
                secret |= expanded.secret;
                texts.push(expanded.text);
            }
            Ok(texts.join(","))
        });
        self.underway.pop();
        expanded.map(|text| Expanded { text, secret })
    }

    fn invalid(&mut self, place: Place, option: &OptionSpec, origin: Origin, message: String) {
        let group = self.table.groups().get(place.0).map(|group| group.name.clone()).unwrap_or_default();
        // A value that nothing reads does no harm.
        let severity = if option.ignored.is_some() { Severity::Warning } else { Severity::Error };
        let name = Some(option.name.clone());
        self.findings.push(Finding { severity, kind: FindingKind::Invalid, origin, group, name, message });
    }
}

fn stronger<'a>(one: &'a Given, later: &'a Given) -> &'a Given {
    let weaker = (later.strength, std::cmp::Reverse(later.age)) < (one.strength, std::cmp::Reverse(one.age));
    if weaker { one } else { later }
}

fn about_group(table: &Table, name: &str, origin: &Origin) -> Option<Finding> {
    let (severity, kind, message) = match table.group(name) {
        Some(group) if group.open => {
            let reason = group.ignored.as_deref().unwrap_or("it belongs to somebody else");
            (Severity::Note, FindingKind::Ignored, format!("has no effect here: {reason}"))
        }
        Some(_) => return None,
        None if table.is_former_group(name) => return None,
        None => {
            let names = table.groups().iter().map(|group| &*group.name);
            let hint = nearest(name, names).map(|near| format!("; did you mean [{near}]?")).unwrap_or_default();
            (Severity::Warning, FindingKind::UnknownGroup, format!("is not a group that anything reads{hint}"))
        }
    };
    Some(Finding { severity, kind, origin: origin.clone(), group: name.to_owned(), name: None, message })
}

fn about_former_name(table: &Table, place: Place, age: usize, assignment: &Assignment) -> Option<Finding> {
    if age == 0 {
        return None;
    }
    let (group, option) = (table.groups().get(place.0)?, table.at(place)?);
    Some(Finding {
        severity: Severity::Warning,
        kind: FindingKind::Deprecated,
        origin: assignment.origin.clone(),
        group: assignment.group.clone(),
        name: Some(assignment.key.clone()),
        message: format!("is deprecated, use [{}] {}", group.name, option.name),
    })
}

/// Tells about an option that is not in the table, unless its whole group is something to tell about.
fn about_unknown(table: &Table, assignment: &Assignment, told: &mut HashSet<String>) -> Option<Finding> {
    match table.group(&assignment.group) {
        Some(group) if !group.open => Some(unknown_option(table, assignment, &group.options)),
        None if table.is_former_group(&assignment.group) => Some(unknown_option(table, assignment, &[])),
        // Files have been told about the section already; the environment and the command line have none.
        _ if told.insert(normal_group(&assignment.group)) => about_group(table, &assignment.group, &assignment.origin),
        _ => None,
    }
}

fn unknown_option(table: &Table, assignment: &Assignment, siblings: &[OptionSpec]) -> Finding {
    let key = normal_name(&assignment.key);
    let near = nearest(&key, siblings.iter().map(|option| &*option.name));
    let elsewhere = || table.places().find(|(_, _, option)| option.name == key && option.ignored.is_none());
    let hint = match (near, elsewhere()) {
        (_, Some((_, group, option))) => format!("; did you mean [{}] {}?", group.name, option.name),
        (Some(near), None) => format!("; did you mean {near}?"),
        (None, None) => String::new(),
    };
    Finding {
        severity: Severity::Warning,
        kind: FindingKind::UnknownOption,
        origin: assignment.origin.clone(),
        group: assignment.group.clone(),
        name: Some(assignment.key.clone()),
        message: format!("is not an option that anything reads{hint}"),
    }
}

/// The name that `written` may have been meant as: at most a third of it is different.
#[must_use]
pub fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count().max(written.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_near() {
        let names = ["max_limit", "port", "host"];
        assert_eq!(nearest("max_limt", names.into_iter()), Some("max_limit"));
        assert_eq!(nearest("PORT", names.into_iter()), Some("port"));
        assert_eq!(nearest("prot", names.into_iter()), Some("port"));
        assert_eq!(nearest("something", names.into_iter()), None);
    }
}
