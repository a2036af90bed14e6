//! The configuration as the program uses it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::ConfigError;
use crate::meaning;
use crate::option_type::Parsed;
use crate::report::{Finding, FindingKind, Origin, Report, Severity};
use crate::resolve::{Outcome, Resolved, Written, resolve};
use crate::sections::{
    ApiSettings, CertificateSettings, ClusterSettings, ClusterTemplateSettings, ConductorSettings, CorsSettings,
    DatabaseSettings, DriverSettings, HealthcheckSettings, IdentitySettings, LimitSettings, LocalSettings, LogSettings,
    PolicySettings, QuotaSettings, ServiceSettings, X509Settings,
};
use crate::sources::{Layer, Sources, read_text};
use crate::table::{OptionSpec, Place, Table};
use crate::value::{FromValue, GetError};

/// The value of every option, checked, and the groups as structs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[DEFAULT]`: the service as a whole.
    pub service: ServiceSettings,
    /// `[DEFAULT]`: the log.
    pub log: LogSettings,
    /// `[api]`.
    pub api: ApiSettings,
    /// `[database]`.
    pub database: DatabaseSettings,
    /// `[conductor]`.
    pub conductor: ConductorSettings,
    /// `[identity]` and `auth_strategy`.
    pub identity: IdentitySettings,
    /// `[oslo_policy]`.
    pub policy: PolicySettings,
    /// `[limits]` and `[oslo_middleware]`.
    pub limits: LimitSettings,
    /// `[quotas]`.
    pub quotas: QuotaSettings,
    /// `[cluster_template]`.
    pub cluster_template: ClusterTemplateSettings,
    /// What holds for clusters of all kinds.
    pub cluster: ClusterSettings,
    /// `[certificates]`.
    pub certificates: CertificateSettings,
    /// `[x509]`.
    pub x509: X509Settings,
    /// `[drivers]`.
    pub drivers: DriverSettings,
    /// `[local]`.
    pub local: LocalSettings,
    /// `[cors]` and `[cors.NAME]`, those that name origins.
    pub cors: Vec<CorsSettings>,
    /// `[healthcheck]`.
    pub healthcheck: HealthcheckSettings,
    values: Values,
    report: Report,
}

impl Settings {
    /// Reads all sources.
    ///
    /// # Errors
    /// If one cannot be read, or if anything in them is an error; then the error tells of all of them.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::build(sources, sources.read()?)
    }

    /// The defaults.
    ///
    /// # Errors
    /// If the built-in table is broken, which the tests of this crate rule out.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::load(&Sources::none())
    }

    /// Reads the text of a file and nothing else.
    ///
    /// # Errors
    /// If anything in it is an error.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::build(&Sources::none(), vec![read_text(Path::new("magnum.conf"), text)])
    }

    fn build(sources: &Sources, layers: Vec<Layer>) -> Result<Self, ConfigError> {
        let settings = Self::despite_errors(sources, layers)?;
        if settings.report.has_errors() {
            return Err(ConfigError::Invalid(settings.report));
        }
        Ok(settings)
    }

    /// Reads all sources for somebody who wants to know everything that is wrong: what has an impossible value has its
    /// default, and the report says so.
    ///
    /// # Errors
    /// If one cannot be read; [`ConfigError::Invalid`] with the report if not even a default can be had.
    pub fn examine(sources: &Sources) -> Result<Self, ConfigError> {
        Self::despite_errors(sources, sources.read()?)
    }

    fn despite_errors(sources: &Sources, layers: Vec<Layer>) -> Result<Self, ConfigError> {
        let table = named(&layers)?;
        let Outcome { values: resolved, findings, written } = resolve(&table, layers);
        let report = Report { findings };
        let (search, home) = (sources.search_folders(), sources.home());
        let values = Values { table, resolved, written, search, home };
        // A default that refers to something impossible has no value either.
        Self::typed(values, report.clone())
            .map_err(|error| if report.has_errors() { ConfigError::Invalid(report) } else { ConfigError::Get(error) })
    }

    fn typed(values: Values, report: Report) -> Result<Self, GetError> {
        Ok(Self {
            service: ServiceSettings::read(&values)?,
            log: LogSettings::read(&values)?,
            api: ApiSettings::read(&values)?,
            database: DatabaseSettings::read(&values)?,
            conductor: ConductorSettings::read(&values)?,
            identity: IdentitySettings::read(&values)?,
            policy: PolicySettings::read(&values)?,
            limits: LimitSettings::read(&values)?,
            quotas: QuotaSettings::read(&values)?,
            cluster_template: ClusterTemplateSettings::read(&values)?,
            cluster: ClusterSettings::read(&values)?,
            certificates: CertificateSettings::read(&values)?,
            x509: X509Settings::read(&values)?,
            drivers: DriverSettings::read(&values)?,
            local: LocalSettings::read(&values)?,
            cors: CorsSettings::read(&values)?,
            healthcheck: HealthcheckSettings::read(&values)?,
            values,
            report,
        })
    }

    /// The value of any option of the table: `settings.get::<u16>("api", "port")`. Options that need not be set are
    /// read as `Option`.
    ///
    /// # Errors
    /// If there is no such option, or it is of another type.
    pub fn get<T: FromValue>(&self, group: &str, name: &str) -> Result<T, GetError> {
        self.values.get(group, name)
    }

    /// What there is to say about what the values mean: files that are missing, halves of something, contradictions.
    /// With an error among them the service does not start.
    #[must_use]
    pub fn meaning(&self) -> Report {
        Report::sorted(meaning::findings(self))
    }

    /// A finding about an option, where it is set.
    #[must_use]
    pub fn finding(&self, severity: Severity, group: &str, name: &str, message: impl Into<String>) -> Finding {
        self.values.finding(severity, group, name, message)
    }

    /// Where the value of an option is from; nothing for one that is not set or has its default.
    #[must_use]
    pub fn given(&self, group: &str, name: &str) -> Option<&Origin> {
        self.values.given(group, name)
    }

    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// What there is to say about the sources: unknown, deprecated and ignored options. Nothing of it is an error, unless
    /// this is from [`Self::examine`].
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The path of a file that an option names: where it is, if it is next to the configuration or in one of the
    /// usual folders.
    #[must_use]
    pub fn find_file(&self, name: &str) -> Option<PathBuf> {
        self.values.find_file(name)
    }

    /// What is different in `newer`, for a reload.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Vec<Change> {
        // Either may have groups that the other has not.
        let places = self.values.table.places().chain(newer.values.table.places());
        let mut seen = HashSet::new();
        let change = |(_, group, option): (Place, &crate::table::Group, &OptionSpec)| {
            let is_new = seen.insert((group.name.clone(), option.name.clone()));
            let [before, after] = [self, newer].map(|settings| settings.values.value(&group.name, &option.name));
            (is_new && before != after).then(|| Change {
                group: group.name.clone(),
                name: option.name.clone(),
                mutable: option.mutable,
            })
        };
        places.filter_map(change).collect()
    }
}

/// An option that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Whether it is taken over without a restart.
    pub mutable: bool,
}

/// Says what the sources will do, errors included.
///
/// # Errors
/// If one cannot be read.
pub fn check(sources: &Sources) -> Result<Report, ConfigError> {
    let settings = match Settings::examine(sources) {
        Err(ConfigError::Invalid(report)) => return Ok(report),
        examined => examined?,
    };
    let mut findings = settings.report.findings.clone();
    findings.extend(meaning::findings(&settings));
    Ok(Report::sorted(findings))
}

/// The table with the groups that the sources have made up names for.
fn named(layers: &[Layer]) -> Result<Arc<Table>, ConfigError> {
    let sections = layers.iter().flat_map(|layer| layer.sections.iter().map(|(name, _)| name.as_str()));
    let assigned = layers.iter().flat_map(|layer| layer.assignments.iter().map(|assignment| &*assignment.group));
    Ok(Arc::new(Table::built_in()?.with_named(sections.chain(assigned))))
}

/// The values themselves.
#[derive(Clone)]
pub(crate) struct Values {
    table: Arc<Table>,
    resolved: HashMap<Place, Resolved>,
    written: Vec<Written>,
    search: Vec<PathBuf>,
    home: Option<PathBuf>,
}

impl Values {
    pub(crate) fn get<T: FromValue>(&self, group: &str, name: &str) -> Result<T, GetError> {
        let found = self.table.find(group, name).and_then(|(place, _)| self.resolved.get(&place));
        let Some(resolved) = found else {
            return Err(GetError::Unknown { group: group.to_owned(), name: name.to_owned() });
        };
        T::from_value(resolved.value.as_ref()).ok_or_else(|| GetError::Mismatch {
            group: group.to_owned(),
            name: name.to_owned(),
            wanted: std::any::type_name::<T>(),
        })
    }

    /// What an option is set to, if there is one of that name and it is set.
    fn value(&self, group: &str, name: &str) -> Option<&Parsed> {
        let (place, _) = self.table.find(group, name)?;
        self.resolved.get(&place)?.value.as_ref()
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Everything that some source gives a value, known or not.
    pub(crate) fn written(&self) -> &[Written] {
        &self.written
    }

    /// Where a value is from, if not from the table.
    pub(crate) fn given(&self, group: &str, name: &str) -> Option<&Origin> {
        let (place, _) = self.table.find(group, name)?;
        self.resolved.get(&place).map(|resolved| &resolved.origin).filter(|origin| **origin != Origin::Default)
    }

    pub(crate) fn finding(&self, severity: Severity, group: &str, name: &str, message: impl Into<String>) -> Finding {
        Finding {
            severity,
            kind: FindingKind::Senseless,
            origin: self.given(group, name).cloned().unwrap_or(Origin::Default),
            group: group.to_owned(),
            name: Some(name.to_owned()),
            message: message.into(),
        }
    }

    /// The groups whose names begin so.
    pub(crate) fn named_groups(&self, beginning: &str) -> impl Iterator<Item = &str> {
        let names = self.table.groups().iter().map(|group| &*group.name);
        names.filter(move |name| name.starts_with(beginning) && !name.ends_with('*'))
    }

    /// Where a file or folder is, if it is anywhere.
    pub(crate) fn find_file(&self, name: &str) -> Option<PathBuf> {
        let path = Path::new(name);
        if path.is_absolute() {
            return path.exists().then(|| path.to_owned());
        }
        self.search.iter().map(|folder| folder.join(path)).find(|path| path.exists())
    }

    /// Where a file or folder belongs, if it is nowhere.
    pub(crate) fn would_be(&self, name: &str) -> Option<PathBuf> {
        let path = Path::new(name);
        if path.is_absolute() { Some(path.to_owned()) } else { self.home.as_ref().map(|home| home.join(path)) }
    }
}

/// Only what differs from the default, and nothing secret.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (place, group, option) in self.table.places() {
            let Some(Resolved { value: Some(value), secret, .. }) = self.resolved.get(&place) else { continue };
            let default = option.default.as_deref().and_then(|text| option.parse(text).ok().flatten());
            if default.as_ref() != Some(value) {
                let shown = if *secret { "***".to_owned() } else { value.to_string() };
                map.entry(&format_args!("[{}] {}", group.name, option.name), &format_args!("{shown}"));
            }
        }
        map.finish()
    }
}
